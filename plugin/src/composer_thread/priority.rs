//! The composer thread's priority.
//!
//! Above that of other threads, so that an answer is thought of before the browser's next frame,
//! and no real-time priority, not even a modest one below the audio thread's:
//!
//! - Real-time threads are for short work at its time. This one computes for as long as there is
//!   something to compute: a line of an answer is tens of milliseconds, a file to learn or a
//!   session to read again are seconds. On one core nothing else would run meanwhile: not the
//!   host's window, nor the thread that reads its samples from the disk.
//! - Where users may have real-time threads at all, these often have a limit of time without a
//!   pause (`RLIMIT_RTTIME`, which rtkit demands): past it the system ends the whole host.
//!
//! What is late because a thread had to wait a moment is what the lead is there for.

use thread_priority::Error;

/// Gives the calling thread more than normal priority. Windows and macOS allow it to everybody;
/// Linux to those with a limit for niceness, which its audio groups usually have (`ulimit -e`).
/// Where it is refused all is as before.
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
        // Niceness -6 on Linux. On macOS the number itself, of 15 to 47, where windows have 47
        // and what without_model named has 31.
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
    fn only_the_thread_itself_is_raised_and_only_where_it_may_be() {
        let before = niceness();
        let thread = std::thread::spawn(|| (raise().is_ok(), niceness()));
        let (raised, after) = thread.join().unwrap();
        let expected = if raised { -6 } else { before };
        assert_eq!((after, niceness()), (expected, before));
    }
}
