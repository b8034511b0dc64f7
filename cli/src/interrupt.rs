//! Interrupts: Ctrl-C, and the signals that end a command.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(windows)]
use windows::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Exit status after an interrupt: 128 plus the number of SIGINT, as in shells.
const INTERRUPTED: i32 = 130;

/// Flag that an interrupt sets. A command that ends by itself reads it.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Whether the first interrupt only sets [`ASKED`].
static WAITS: OnceLock<bool> = OnceLock::new();

/// Ends the process immediately. The exit handlers of libraries do not run, since other threads may
/// still use the libraries.
fn end() -> ! {
    #[cfg(unix)]
    // SAFETY: `_exit` ends the process and accesses none of its memory.
    unsafe {
        libc::_exit(INTERRUPTED)
    }
    #[cfg(windows)]
    // SAFETY: the handle is this process's own.
    let _ = unsafe { TerminateProcess(GetCurrentProcess(), INTERRUPTED as u32) };
    #[cfg(not(unix))]
    std::process::exit(INTERRUPTED)
}

/// Clean-up when a console closes, or its user logs off. Windows ends the process as soon as the
/// handler returns, or after some seconds, so everything is done inside it.
#[cfg(windows)]
mod console {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use windows::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
    use windows::core::BOOL;

    /// Wait for a command that saves: Windows grants five seconds.
    const SAVING_TIME: Duration = Duration::from_secs(4);

    /// Handles all events but the keys. Windows calls it on a thread of its own.
    unsafe extern "system" fn on_close(event: u32) -> BOOL {
        if event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT {
            return false.into();
        }
        super::ASKED.store(true, Ordering::Relaxed);
        if super::WAITS.get().copied().unwrap_or_default() {
            std::thread::sleep(SAVING_TIME);
        }
        continuo_files::remove_scratch();
        true.into()
    }

    /// Adds the handler. It is asked before those that were there.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses it.
    pub(super) fn handle_closing() -> windows::core::Result<()> {
        // SAFETY: the handler is a function of this program, which is never unloaded.
        unsafe { SetConsoleCtrlHandler(Some(on_close), true) }
    }
}

/// Makes an interrupt (Ctrl-C, SIGTERM, SIGHUP) remove the scratch files of this process and end it
/// with status 130; a console that closes removes them too, and Windows then ends the process. With
/// `waits`, the first interrupt only sets the returned flag, for a command that saves before it ends,
/// and the second one ends the process. Call this function once, from any thread; a later call changes
/// nothing.
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
    let caught = ctrlc::set_handler(handler).map_err(|why| why.to_string());
    #[cfg(windows)]
    let caught = caught.and_then(|()| console::handle_closing().map_err(|why| why.to_string()));
    if let Err(why) = caught {
        crate::note(format_args!(
            "interrupts cannot be caught ({why}): one may leave a scratch file"
        ));
    }
    &ASKED
}
