//! A host for plugins of either format: loads a bundle and runs it one block at a time.
//!
//! Everything is called from one thread, the host's main thread, except where
//! [`Plugin::process_in_background`] starts an audio thread.

use std::path::Path;

use anyhow::{Result, bail};

mod audio_thread;
mod clap;
mod plugin;
mod vst3;

pub use self::audio_thread::PROCESSING;
pub use self::clap::{ClapHost, ClapHostConfig, ClapParameter, Dialect, DialectCounts};
pub use self::plugin::{
    Block, MainThreadWork, Mode, NoteEvent, ParameterChange, Plugin, PluginEditor, Transport,
    TransportDetail, WindowId,
};
pub use self::vst3::{Vst3Host, Vst3Parameter};

/// A plugin format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CLAP, through `clack-host`.
    Clap,
    /// VST3, through its COM interfaces.
    Vst3,
}

impl Format {
    /// Both formats.
    pub const ALL: [Format; 2] = [Format::Clap, Format::Vst3];

    /// File name extension of bundles in this format, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Clap => "clap",
            Format::Vst3 => "vst3",
        }
    }

    /// Loads the first plugin of the bundle at a path, whatever the path's extension is.
    ///
    /// # Errors
    ///
    /// Fails when there is no file, when it is no bundle of this format, or when the plugin refuses.
    pub fn load(self, bundle: &Path) -> Result<Box<dyn Plugin>> {
        if !bundle.exists() {
            bail!(
                "there is no plugin at {}; run `cargo xtask bundle`",
                bundle.display()
            );
        }
        Ok(match self {
            Format::Clap => Box::new(ClapHost::load(bundle)?),
            Format::Vst3 => Box::new(Vst3Host::load(bundle)?),
        })
    }
}
