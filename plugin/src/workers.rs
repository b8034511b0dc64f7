//! Worker threads for work that is longer than a slice of the composer thread: loading a model,
//! opening a file. Each task has its own thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Result of a worker's task, which may still run. Cheap to clone. Any thread.
#[derive(Debug)]
pub struct PendingResult<T>(Arc<OnceLock<Result<T, String>>>);

impl<T> Clone for PendingResult<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PendingResult<T> {
    /// The result, once it is there; an error if the task panicked or did not start.
    pub fn get(&self) -> Option<Result<&T, &str>> {
        Some(self.0.get()?.as_ref().map_err(String::as_str))
    }

    /// Whether there is another clone, such as that of the running task.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The result, if it is there and this is the only clone.
    pub fn into_inner(self) -> Option<Result<T, String>> {
        Arc::into_inner(self.0)?.into_inner()
    }
}

/// The worker threads. Owned by the composer thread. Dropping it waits for them, because the host
/// may unload the library next.
#[derive(Debug, Default)]
pub struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Runs `work` on a new thread.
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
            // No other code sets it.
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

/// The message of a panic.
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
    fn worker_returns_the_result_or_the_panic() {
        let mut workers = Workers::default();
        assert_eq!(wait(&workers.spawn(|| 7)), Ok(&7));
        let panicked = workers.spawn(|| -> u8 { panic!("out of {}", "luck") });
        assert_eq!(wait(&panicked), Err("internal error: out of luck"));
    }

    #[test]
    fn worker_is_dropped_only_after_its_threads_have_ended() {
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
