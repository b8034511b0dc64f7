//! A VST3 host on the format's COM interfaces.

// The interfaces' constants are signed on one platform and unsigned on another.
#![allow(clippy::unnecessary_cast)]

mod application;
mod block_data;
mod convert;
#[cfg(not(target_os = "macos"))]
mod gui;
mod instance;
mod main_thread;
mod module;
mod parameters;
mod processing;
#[cfg(target_os = "linux")]
mod run_loop;
mod stream;

pub use self::instance::Vst3Host;
pub use self::parameters::Vst3Parameter;
