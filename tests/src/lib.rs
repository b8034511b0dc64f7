//! Hosts that load the built bundles and play to them as a DAW does, and assertions on the result.
//!
//! - Hosts: [`host`] loads a CLAP or a VST3 and runs it block by block; [`daw`] adds transport and track;
//!   `editor_host` shows the editor on a `virtual_display`, where a `drop_target` takes what is dragged out;
//!   [`stress`] changes everything at random, reported with [`transport_quirks`].
//! - Test material: [`artifacts`] are the paths of bundles and models; [`scenario`] is the music of most
//!   tests; [`state_file`] edits saved states.
//! - Results: [`assertions`] pairs notes and places them on the grid of the [`clock`]; [`health_report`] is
//!   the plugin's own report; `syscalls` counts system calls in `process()`; [`measure`] measures time.
//!
//! Everything runs on the calling thread unless it says otherwise.

pub mod artifacts;
pub mod assertions;
pub mod clock;
pub mod daw;
#[cfg(target_os = "linux")]
pub mod drop_target;
#[cfg(target_os = "linux")]
pub mod editor_host;
pub mod health_report;
pub mod host;
pub mod measure;
pub mod scenario;
#[cfg(target_os = "linux")]
pub mod server_process;
pub mod sound;
pub mod state_file;
pub mod stress;
#[cfg(target_os = "linux")]
pub mod syscalls;
pub mod transport_quirks;
#[cfg(target_os = "linux")]
pub mod virtual_display;
#[cfg(windows)]
pub mod win32_window;
