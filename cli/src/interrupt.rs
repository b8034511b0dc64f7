//! Interrupts: Ctrl-C, and the signals that end a command.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status after an interrupt: 128 plus the number of SIGINT, as in shells.
const INTERRUPTED: i32 = 130;

/// Flag that an interrupt sets. A command that ends by itself reads it.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Whether the first interrupt only sets [`ASKED`].
static WAITS: OnceLock<bool> = OnceLock::new();

/// Ends the process immediately. On Unix the exit handlers of libraries do not run, since other
/// threads may still use the libraries.
fn end() -> ! {
    #[cfg(unix)]
    // SAFETY: `_exit` ends the process and accesses none of its memory.
    unsafe {
        libc::_exit(INTERRUPTED)
    }
    #[cfg(not(unix))]
    std::process::exit(INTERRUPTED)
}

/// Makes an interrupt (Ctrl-C, SIGTERM, SIGHUP) remove the scratch files of this process and end it
/// with status 130. With `waits`, the first interrupt only sets the returned flag, for a command
/// that saves before it ends, and the second one ends the process. Call this function once, from
/// any thread; a later call changes nothing.
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
