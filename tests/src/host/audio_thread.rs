//! The thread that calls `process()`, and the flag that is set while it does.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::plugin::{Block, NoteEvent};

/// Events a plugin can send in one block before the host allocates.
pub(super) const OUTPUT_EVENTS: usize = 4096;

/// Pause of the audio thread between two blocks.
const BETWEEN_BLOCKS: Duration = Duration::from_micros(200);

/// True while a plugin's `process()` runs, on any thread. Read by [`crate::syscalls`].
pub static PROCESSING: AtomicBool = AtomicBool::new(false);

/// Starts an audio thread that calls `process` with the blocks in rotation until `main_thread`
/// returns on this thread. Returns the number of blocks processed.
///
/// # Errors
///
/// Fails when `process` or `main_thread` fails, or the audio thread panics.
pub(super) fn run(
    blocks: &[Block],
    mut process: impl FnMut(&Block, &mut Vec<NoteEvent>) -> Result<()> + Send,
    main_thread: impl FnOnce() -> Result<()>,
) -> Result<u64> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let audio = scope.spawn(|| {
            let (mut done, mut sent) = (0, Vec::with_capacity(OUTPUT_EVENTS));
            for block in blocks.iter().cycle() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                sent.clear();
                process(block, &mut sent)?;
                done += 1;
                std::thread::sleep(BETWEEN_BLOCKS);
            }
            anyhow::Ok(done)
        });
        // The audio thread ends even if this thread panics.
        let result = std::panic::catch_unwind(AssertUnwindSafe(main_thread));
        over.store(true, Ordering::SeqCst);
        let done = audio
            .join()
            .map_err(|_| anyhow!("the audio thread panicked"))?;
        match result {
            Ok(result) => result?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        done
    })
}
