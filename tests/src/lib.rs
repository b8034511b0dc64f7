//! Hosts that play to the built bundles as a DAW would, and what is asked of the result.
//!
//! [`host`] loads a CLAP or a VST3 and runs it a block at a time; [`daw`] is the DAW's
//! transport on top of it: tempo, metre, loop, seeking, and a track of notes to hear;
//! [`assertions`] judges what came out; [`artifacts`] finds the bundles and the model to test with, and
//! [`scenario`] is what most tests play; [`state_file`] takes apart what a host keeps; `virtual_display` is a
//! display nobody sees, and `editor_host` a host that shows the editor on it. [`stress`] is a host
//! that no one would want, [`transport_quirks`] are those of real hosts, and `syscalls` watches what the plugin asks of the system meanwhile.
//! Everything runs on the thread that calls it.

pub mod artifacts;
pub mod assertions;
pub mod clock;
pub mod daw;
#[cfg(target_os = "linux")]
pub mod editor_host;
pub mod health_report;
pub mod host;
pub mod measure;
pub mod scenario;
pub mod state_file;
pub mod stress;
#[cfg(target_os = "linux")]
pub mod syscalls;
pub mod transport_quirks;
#[cfg(target_os = "linux")]
pub mod virtual_display;
