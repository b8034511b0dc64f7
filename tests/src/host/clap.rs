//! A CLAP host on `clack-host`.

mod gui;
mod handlers;
mod instance;
mod main_thread;
mod notes;
mod parameters;
mod processing;

pub use self::instance::ClapHost;
pub use self::notes::{ClapHostConfig, Dialect, DialectCounts};
pub use self::parameters::ClapParameter;
