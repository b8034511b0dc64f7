//! Work that takes longer than a slice of the composer thread and urgencies nothing of it: loading a
//! model, opening a file. Each has a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// The result of work that may be under way. Cheap to clone.
#[derive(Debug)]
pub struct PendingResult<T>(Arc<OnceLock<Result<T, String>>>);

impl<T> Clone for PendingResult<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PendingResult<T> {
    /// The result once it is there; an error says that the work panicked, or did not begin.
    pub fn get(&self) -> Option<Result<&T, &str>> {
        Some(self.0.get()?.as_ref().map_err(String::as_str))
    }

    /// Whether somebody else has a clone, or the work is under way.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The result, where it is there and without_model else has a clone.
    pub fn into_inner(self) -> Option<Result<T, String>> {
        Arc::into_inner(self.0)?.into_inner()
    }
}

/// The threads of such work. Owned by the composer thread; whoever drops it waits for them, for
/// the host may unload the library next.
#[derive(Debug, Default)]
pub struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Begins `work` on a thread of its own.
    pub fn spawn<T: Send + Sync + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> PendingResult<T> {
        self.tidy();
        let pending = PendingResult(Arc::new(OnceLock::new()));
        let done = pending.clone();
        let thread = std::thread::Builder::new().name("continuo worker".into());
        let thread = thread.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            let result =
                result.map_err(|panic| format!("internal error: {}", panic_message(&*panic)));
            // Nobody else sets it.
            let _ = done.0.set(result);
        });
        match thread {
            Ok(thread) => self.0.push(thread),
            Err(error) => {
                let problem = format!("the system gives no thread for it: {error}");
                let _ = pending.0.set(Err(problem));
            }
        }
        pending
    }

    /// Forgets threads that have ended.
    fn tidy(&mut self) {
        self.0.retain(|thread| !thread.is_finished());
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The words of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    fn wait<T>(pending: &PendingResult<T>) -> Result<&T, &str> {
        let began = Instant::now();
        loop {
            if let Some(result) = pending.get() {
                return result;
            }
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::yield_now();
        }
    }

    #[test]
    fn gives_the_result_or_the_panic() {
        let mut workers = Workers::default();
        assert_eq!(wait(&workers.spawn(|| 7)), Ok(&7));
        let panicked = workers.spawn(|| -> u8 { panic!("out of {}", "luck") });
        assert_eq!(wait(&panicked), Err("internal error: out of luck"));
    }

    #[test]
    fn is_dropped_only_when_its_threads_have_ended() {
        let ended = Arc::new(AtomicBool::new(false));
        let mut workers = Workers::default();
        let end = ended.clone();
        drop(workers.spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            end.store(true, Ordering::Relaxed);
        }));
        drop(workers);
        assert!(ended.load(Ordering::Relaxed));
    }
}
