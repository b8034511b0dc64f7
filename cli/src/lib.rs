//! Common behaviour of the commands of both programs.
//!
//! - Results go to standard output, everything else to standard error: [`print()`], [`report`],
//!   [`note`].
//! - A closed pipe is not an error: the command ends quietly.
//! - Work of more than a second reports its progress: [`Progress`].
//! - An interrupt leaves no scratch file: [`catch_interrupts`].
//! - An error is one line that states each cause once: [`end`]. Exit status 1 is a failure, 2 a
//!   wrong command line, 130 an interrupt.
//! - Invalid numbers, also negative ones, are refused with a clear message: [`number`],
//!   [`at_least`], [`above`], [`matches()`].
//! - Shell completions and man pages are made from the options: [`Pages`].

mod arguments;
mod console;
mod interrupt;
mod numbers;
mod pages;
mod progress;

pub use arguments::{PedalOption, matches, refuse, switch};
pub use console::{Force, end, in_words, note, one_result_on_standard_output, print, report};
pub use interrupt::catch_interrupts;
pub use numbers::{above, at_least, number};
pub use pages::Pages;
pub use progress::Progress;
