//! Ctrl-C, and whatever else asks a command to end.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status after an interrupt: 128 and SIGINT's number, as shells have it.
const INTERRUPTED: i32 = 130;

/// Raised by an interrupt, for a command that ends by itself.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Whether the first interrupt only raises [`ASKED`].
static WAITS: OnceLock<bool> = OnceLock::new();

/// Ends the process at once. Libraries do not clean up: other threads are at work in them.
fn end() -> ! {
    #[cfg(unix)]
    // SAFETY: `_exit` ends the process and touches nothing of it.
    unsafe {
        libc::_exit(INTERRUPTED)
    }
    #[cfg(not(unix))]
    std::process::exit(INTERRUPTED)
}

/// Has an interrupt (Ctrl-C, SIGTERM, SIGHUP) remove the scratch files of this process and end it
/// with status 130. With `waits`, the first one only raises the flag that is given, for a command
/// that saves before it ends; the second one ends the process. To be called once.
pub fn catch_interrupts(waits: bool) -> &'static AtomicBool {
    if WAITS.set(waits).is_err() {
        return &ASKED;
    }
    let handler = || {
        let second = ASKED.swap(true, Ordering::Relaxed);
        if second || !WAITS.get().copied().unwrap_or_default() {
            continuo_files::remove_scratch();
            end();
        }
    };
    if let Err(why) = ctrlc::set_handler(handler) {
        crate::note(format_args!(
            "interrupts cannot be caught ({why}): one may leave a scratch file"
        ));
    }
    &ASKED
}
