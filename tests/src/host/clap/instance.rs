//! A loaded CLAP plugin.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_host::prelude::*;

use super::handlers::{Handlers, MainThread, Shared};
use super::main_thread::Main;
use super::notes::{ClapHostConfig, Dialect};
use super::processing::Processing;
use crate::host::audio_thread;
use crate::host::plugin::{
    Block, MainThreadWork, Mode, NoteEvent, ParameterChange, Plugin, PluginEditor, parameter_number,
};

/// A plugin loaded from a CLAP bundle.
pub struct ClapHost {
    // Fields are dropped in this order.
    processing: Processing,
    pub(super) main: Main,
    name: String,
}

impl ClapHost {
    /// Loads the first plugin of the bundle at `path`.
    ///
    /// # Errors
    ///
    /// Fails when the file is no CLAP, or its plugin lacks what every host here needs.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, ClapHostConfig::default())
    }

    /// Loads the first plugin of the bundle into a host with other extensions and dialects.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with(path: &Path, config: ClapHostConfig) -> Result<Self> {
        // SAFETY: loading a plugin runs its code; the bundles here are built by this project.
        let entry = unsafe { PluginEntry::load(path) }
            .with_context(|| format!("cannot load {} as a CLAP", path.display()))?;
        let factory = entry
            .get_plugin_factory()
            .context("the CLAP has no plugin factory")?;
        let descriptor = factory
            .plugin_descriptor(0)
            .context("the CLAP has no plugin in it")?;
        let id = descriptor.id().context("the plugin has no id")?.to_owned();
        let name = descriptor
            .name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let info = HostInfo::new("Continuo tests", "Continuo", "", env!("CARGO_PKG_VERSION"))?;
        let instance = PluginInstance::<Handlers>::new(
            |()| Shared::new(config.clone()),
            |_| MainThread {
                declares: config.declares.clone(),
            },
            &entry,
            &id,
            &info,
        )
        .map_err(|error| anyhow!("cannot create an instance of {name}: {error}"))?;
        let mut main = Main { instance };
        let outputs = main.output_channels();
        main.check_note_ports()?;
        Ok(Self {
            processing: Processing {
                outputs,
                config,
                ..Processing::default()
            },
            main,
            name,
        })
    }

    /// The dialects that the plugin prefers on its note input and on its note output.
    ///
    /// # Errors
    ///
    /// Fails when the plugin has no note ports.
    pub fn preferred_dialects(&mut self) -> Result<[Option<Dialect>; 2]> {
        self.main.preferred_dialects()
    }
}

impl Plugin for ClapHost {
    fn name(&self) -> &str {
        &self.name
    }

    fn activate(&mut self, sample_rate: f64, max_frames: u32, mode: Mode) -> Result<()> {
        self.deactivate()?;
        let handle = self.main.instance.plugin_handle();
        if let Some(render) = handle.get_extension::<PluginRender>() {
            let mode = match mode {
                Mode::Realtime => RenderMode::Realtime,
                Mode::Offline => RenderMode::Offline,
            };
            render
                .set(&handle, mode)
                .map_err(|_| anyhow!("the plugin refused {mode:?}"))?;
        } else if mode == Mode::Offline {
            bail!("the plugin has no render extension, so it cannot render offline");
        }
        let setup = PluginAudioConfiguration {
            sample_rate,
            min_frames_count: 1,
            max_frames_count: max_frames,
        };
        let stopped = self.main.instance.activate(|_, _| (), setup)?;
        let started = stopped
            .start_processing()
            .map_err(|error| anyhow!("{error}"))?;
        self.processing.processor = Some(started.into());
        self.processing.max_frames = max_frames;
        self.processing.steady = 0;
        Ok(())
    }

    fn process(&mut self, block: &Block, out: &mut Vec<NoteEvent>) -> Result<()> {
        self.main.run_callback();
        self.processing.process(block, out)
    }

    fn editor(&mut self) -> &mut dyn PluginEditor {
        &mut self.main
    }

    fn process_in_background(
        &mut self,
        blocks: &[Block],
        meanwhile: MainThreadWork,
    ) -> Result<u64> {
        let (processing, main) = (&mut self.processing, &mut self.main);
        let process = |block: &Block, sent: &mut _| processing.process(block, sent);
        audio_thread::run(blocks, process, || meanwhile(main))
    }

    fn audio(&self) -> &[Vec<f32>] {
        &self.processing.audio
    }

    fn save(&mut self) -> Result<Vec<u8>> {
        let state = self.main.state()?;
        let mut bytes = Vec::new();
        state.save(&self.main.instance.plugin_handle(), &mut bytes)?;
        Ok(bytes)
    }

    fn load(&mut self, mut bytes: &[u8]) -> Result<()> {
        let state = self.main.state()?;
        state.load(&self.main.instance.plugin_handle(), &mut bytes)?;
        Ok(())
    }

    fn process_time(&self) -> Duration {
        self.processing.process_time
    }

    fn deactivate(&mut self) -> Result<()> {
        if let Some(processor) = self.processing.processor.take() {
            self.main.instance.deactivate(processor.into_stopped());
        }
        Ok(())
    }

    fn parameter(&mut self, id: &str, text: &str) -> Result<ParameterChange> {
        let number = parameter_number(id);
        let value = self.read(clap_id(id)?, text)?;
        let value =
            value.with_context(|| format!("the plugin does not understand {text:?} for {id:?}"))?;
        Ok(ParameterChange { id: number, value })
    }

    fn parameter_text(&mut self, id: &str) -> Result<String> {
        let id = clap_id(id)?;
        let value = self.value(id)?;
        self.show(id, value)
    }
}

impl Drop for ClapHost {
    fn drop(&mut self) {
        // Deactivating a CLAP cannot fail.
        let _ = self.deactivate();
    }
}

fn clap_id(id: &str) -> Result<ClapId> {
    ClapId::from_raw(parameter_number(id)).context("a parameter without an id")
}
