//! A VST3 host on the format's COM interfaces.

// The interfaces' constants are signed on one platform and unsigned on another.
#![allow(clippy::unnecessary_cast)]

mod application;
mod block_data;
mod convert;
#[cfg(target_os = "linux")]
mod gui;
mod instance;
mod main_thread;
mod module;
mod parameters;
mod processing;
mod stream;

pub use self::instance::Vst3Host;
pub use self::parameters::Vst3Parameter;
