//! Priority of the composer thread.
//!
//! It is above normal, so that the thread computes before other programs, and below any real-time
//! class:
//!
//! - Real-time threads are for short work. This one computes for tens of milliseconds for an
//!   answer, and for seconds when it reads a session or a file. On one core it would stop the
//!   host's window and disk threads.
//! - Systems limit the run time of real-time threads (`RLIMIT_RTTIME`, which rtkit demands), and
//!   end the whole host beyond.
//!
//! The lead covers short delays.

use thread_priority::Error;

/// Gives the calling thread more than normal priority. Windows and macOS always allow it; Linux
/// allows it with a limit for niceness (`ulimit -e`), which audio groups usually have.
///
/// # Errors
///
/// Fails if the system refuses; the priority stays as it was.
pub(super) fn raise() -> Result<(), Error> {
    #[cfg(windows)]
    {
        use thread_priority::windows::{WinAPIThreadPriority, set_winapi_thread_priority};
        let thread = thread_priority::windows::thread_native_id();
        set_winapi_thread_priority(thread, WinAPIThreadPriority::AboveNormal)
    }
    #[cfg(unix)]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        // Niceness -6 on Linux. On macOS a priority of 15 to 47; windows have 47, the default is
        // 31.
        let value = if cfg!(target_os = "macos") { 40 } else { 62 };
        let value = ThreadPriorityValue::try_from(value)
            .map_err(|_| Error::Priority("out of the range of priorities"))?;
        let normal = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
        let priority = ThreadPriority::Crossplatform(value);
        // The policy is named: a host may call from a real-time thread, and it is inherited.
        set_thread_priority_and_policy(thread_native_id(), priority, normal)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn niceness() -> libc::c_int {
        // SAFETY: two numbers in, one out; 0 is the calling thread.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
    }

    #[test]
    fn priority_is_raised_for_the_thread_alone_and_only_where_allowed() {
        let before = niceness();
        let thread = std::thread::spawn(|| (raise().is_ok(), niceness()));
        let (raised, after) = thread.join().unwrap();
        let expected = if raised { -6 } else { before };
        assert_eq!((after, niceness()), (expected, before));
    }
}
