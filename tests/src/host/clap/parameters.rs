//! A CLAP plugin's parameters: list, text conversion and remote-control pages.

use std::ffi::CString;

use anyhow::{Context, Result, bail};
use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags};
use clack_extensions::remote_controls::{PluginRemoteControls, RemoteControlsPageBuffer};
use clack_host::utils::ClapId;

use super::instance::ClapHost;

/// A CLAP plugin's description of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ClapParameter {
    /// The number that identifies it.
    pub id: ClapId,
    /// Its display name.
    pub name: String,
    /// Its least, default and greatest plain value.
    pub range: [f64; 3],
    /// Whether it takes whole numbers only.
    pub is_stepped: bool,
}

impl ClapHost {
    /// Every parameter, in the plugin's order.
    ///
    /// # Errors
    ///
    /// Fails when the plugin describes a parameter beyond its own count.
    pub fn parameters(&mut self) -> Result<Vec<ClapParameter>> {
        let params = self.main.params()?;
        let handle = self.main.instance.plugin_handle();
        let count = params.count(&handle);
        let mut buffer = ParamInfoBuffer::new();
        for index in [count, count + 1] {
            if params.get_info(&handle, index, &mut buffer).is_some() {
                bail!("the plugin describes parameter {index} of {count}");
            }
        }
        let mut all = Vec::new();
        for index in 0..count {
            let info = params.get_info(&handle, index, &mut buffer);
            let info = info.with_context(|| format!("no parameter {index} of {count}"))?;
            all.push(ClapParameter {
                id: info.id,
                name: String::from_utf8_lossy(info.name).into_owned(),
                range: [info.min_value, info.default_value, info.max_value],
                is_stepped: info.flags.contains(ParamInfoFlags::IS_STEPPED),
            });
        }
        Ok(all)
    }

    /// The text that the plugin displays for a plain value.
    pub fn show(&mut self, id: ClapId, value: f64) -> Result<String> {
        let params = self.main.params()?;
        let handle = self.main.instance.plugin_handle();
        let mut buffer = [0u8; 256];
        let shown = params.value_to_text(&handle, id, value, &mut buffer);
        let shown = shown
            .ok()
            .with_context(|| format!("the plugin has no text for {id:?}"))?;
        Ok(String::from_utf8_lossy(shown).into_owned())
    }

    /// The plain value of a text; `None` where the plugin does not understand it.
    pub fn read(&mut self, id: ClapId, text: &str) -> Result<Option<f64>> {
        let params = self.main.params()?;
        let handle = self.main.instance.plugin_handle();
        Ok(params.text_to_value(&handle, id, &CString::new(text)?))
    }

    /// The current plain value.
    pub fn value(&mut self, id: ClapId) -> Result<f64> {
        let params = self.main.params()?;
        let handle = self.main.instance.plugin_handle();
        let value = params.get_value(&handle, id);
        value.with_context(|| format!("{id:?} has no value"))
    }

    /// The pages for hardware controllers: name and parameters of each.
    pub fn pages(&mut self) -> Result<Vec<(String, Vec<ClapId>)>> {
        let handle = self.main.instance.plugin_handle();
        let controls = handle
            .get_extension::<PluginRemoteControls>()
            .context("the plugin has no remote controls")?;
        let mut buffer = RemoteControlsPageBuffer::new();
        let mut pages = Vec::new();
        for index in 0..controls.count(&handle) {
            let page = controls.get(&handle, index, &mut buffer);
            let page = page.with_context(|| format!("no page {index}"))?;
            let name = String::from_utf8_lossy(page.page_name).into_owned();
            pages.push((name, page.param_ids.iter().flatten().copied().collect()));
        }
        Ok(pages)
    }
}
