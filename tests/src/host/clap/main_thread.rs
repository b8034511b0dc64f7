//! The part of a CLAP host that the main thread owns: the plugin instance and its extensions.

use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::note_ports::{NoteDialect, NotePortInfoBuffer, PluginNotePorts};
use clack_extensions::params::PluginParams;
use clack_extensions::state::PluginState;
use clack_host::prelude::*;

use super::handlers::Handlers;
use super::notes::{self, Dialect};

/// State of the main thread.
pub(super) struct Main {
    pub(super) instance: PluginInstance<Handlers>,
}

impl Main {
    /// The `clap_plugin_params` extension.
    pub(super) fn params(&mut self) -> Result<PluginParams> {
        self.instance
            .plugin_handle()
            .get_extension::<PluginParams>()
            .context("the plugin has no parameters")
    }

    /// The `clap_plugin_state` extension.
    pub(super) fn state(&mut self) -> Result<PluginState> {
        self.instance
            .plugin_handle()
            .get_extension::<PluginState>()
            .context("the plugin has no state extension")
    }

    /// The dialects that the plugin prefers on its note input and on its note output.
    pub(super) fn preferred_dialects(&mut self) -> Result<[Option<Dialect>; 2]> {
        let handle = self.instance.plugin_handle();
        let ports = handle.get_extension::<PluginNotePorts>();
        let ports = ports.context("the plugin has no note ports")?;
        Ok([true, false].map(|is_input| {
            let mut buffer = NotePortInfoBuffer::new();
            let port = ports.get(&handle, 0, is_input, &mut buffer)?;
            notes::dialect_of(port.preferred_dialect)
        }))
    }

    /// Channels of each audio output port.
    pub(super) fn output_channels(&mut self) -> Vec<usize> {
        let handle = self.instance.plugin_handle();
        let Some(ports) = handle.get_extension::<PluginAudioPorts>() else {
            return Vec::new();
        };
        let mut buffer = AudioPortInfoBuffer::new();
        (0..ports.count(&handle, false))
            .filter_map(|port| Some(ports.get(&handle, port, false, &mut buffer)?.channel_count))
            .map(|channels| channels as usize)
            .collect()
    }

    /// Fails unless the plugin has a note input and a note output, each in both dialects.
    pub(super) fn check_note_ports(&mut self) -> Result<()> {
        let handle = self.instance.plugin_handle();
        let ports = handle
            .get_extension::<PluginNotePorts>()
            .context("the plugin has no note ports")?;
        for (is_input, direction) in [(true, "input"), (false, "output")] {
            let mut buffer = NotePortInfoBuffer::new();
            let port = ports
                .get(&handle, 0, is_input, &mut buffer)
                .with_context(|| format!("the plugin has no note {direction}"))?;
            for dialect in [NoteDialect::Clap, NoteDialect::Midi] {
                if !port.supported_dialects.supports(dialect) {
                    bail!("the plugin's note {direction} does not support {dialect:?}");
                }
            }
        }
        Ok(())
    }

    /// Calls the plugin on the main thread if it has requested that.
    pub(super) fn run_callback(&mut self) {
        let requested = self
            .instance
            .access_shared_handler(|shared| shared.callback.swap(false, Ordering::SeqCst));
        if requested {
            self.instance.call_on_main_thread_callback();
        }
    }
}
