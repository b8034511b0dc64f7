//! Hosts that play to the built bundles as a DAW would, and what is asked of the result.
//!
//! [`host`] loads a CLAP or a VST3 and runs it a block at a time; [`player`] is the DAW's
//! transport on top of it: tempo, metre, loop, seeking, and a track of notes to hear;
//! [`check`] judges what came out; [`lab`] finds the bundles and the model to test with, and
//! [`scene`] is what most tests play; [`project`] takes apart what a host keeps; `screen` is a
//! display nobody sees, and `stage` a host that shows the editor on it. [`torture`] is a host
//! that no one would want, [`manners`] are those of real hosts, and `syscalls` watches what the plugin asks of the system meanwhile.
//! Everything runs on the thread that calls it.

pub mod check;
pub mod clock;
pub mod host;
pub mod lab;
pub mod manners;
pub mod measure;
pub mod player;
pub mod project;
pub mod report;
pub mod scene;
#[cfg(target_os = "linux")]
pub mod screen;
#[cfg(target_os = "linux")]
pub mod stage;
#[cfg(target_os = "linux")]
pub mod syscalls;
pub mod torture;
