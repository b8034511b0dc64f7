//! A CLAP plugin's parameters as a host lists them, shows them and reads them.

use std::ffi::CString;

use anyhow::{Context, Result, bail};
use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags};
use clack_extensions::remote_controls::{PluginRemoteControls, RemoteControlsPageBuffer};
use clack_host::utils::ClapId;

use super::ClapHost;

/// A parameter as the format describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClapParameter {
    /// The number that the format knows it by.
    pub id: ClapId,
    /// Its name.
    pub name: String,
    /// Its smallest, default and largest value.
    pub range: [f64; 3],
    /// Whether it takes whole numbers only.
    pub is_stepped: bool,
}

impl ClapHost {
    /// Every parameter, in the plugin's order. An error if the plugin describes one too many.
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

    /// A value as the plugin shows it.
    pub fn show(&mut self, id: ClapId, value: f64) -> Result<String> {
        let params = self.main.params()?;
        let handle = self.main.instance.plugin_handle();
        let mut buffer = [0u8; 256];
        let shown = params.value_to_text(&handle, id, value, &mut buffer);
        let shown = shown.ok().with_context(|| format!("{id:?} is not shown"))?;
        Ok(String::from_utf8_lossy(shown).into_owned())
    }

    /// The value that a text means; `None` where the plugin does not understand it.
    pub fn read(&mut self, id: ClapId, text: &str) -> Result<Option<f64>> {
        let params = self.main.params()?;
        let handle = self.main.instance.plugin_handle();
        Ok(params.text_to_value(&handle, id, &CString::new(text)?))
    }

    /// The value that holds.
    pub fn value(&mut self, id: ClapId) -> Result<f64> {
        let params = self.main.params()?;
        let handle = self.main.instance.plugin_handle();
        let value = params.get_value(&handle, id);
        value.with_context(|| format!("{id:?} has no value"))
    }

    /// The pages that a hardware controller shows: each one's name and its parameters.
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
