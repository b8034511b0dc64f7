//! System calls of a thread while a plugin processes. Linux only: a seccomp filter passes every call to
//! a supervisor thread, which counts it and lets it continue.
//!
//! A contended lock is a `futex` call, and memory from the system is `mmap` or `brk`, so both are
//! visible.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::host;

/// Number of calls for each system call number of this processor.
pub type Calls = BTreeMap<i32, u64>;

/// The result and system calls of a traced thread.
#[derive(Debug)]
pub struct SyscallTrace<R> {
    /// Result of the thread.
    pub result: R,
    /// Calls while a plugin's `process()` was running.
    pub inside: Calls,
    /// Calls at any other time: the host's own. They show that the trace works.
    pub outside: Calls,
}

/// State shared by the traced thread and its supervisor.
struct Trace {
    /// File descriptor of the filter's notifications; -1 before the filter exists.
    listener: AtomicI32,
    over: AtomicBool,
    inside: Mutex<Calls>,
    outside: Mutex<Calls>,
}

/// Runs `work` on a new thread. Once it calls the function that it receives, every system call of that
/// thread, and of threads it starts later, is counted.
///
/// # Errors
///
/// Fails when the filter cannot be installed or a thread panics.
pub fn trace<R: Send>(
    work: impl FnOnce(&dyn Fn() -> Result<()>) -> R + Send,
) -> Result<SyscallTrace<R>> {
    let trace = Trace {
        listener: AtomicI32::new(-1),
        over: AtomicBool::new(false),
        inside: Mutex::default(),
        outside: Mutex::default(),
    };
    let (result, supervised) = std::thread::scope(|scope| {
        let supervisor = scope.spawn(|| supervise(&trace));
        let worker = scope.spawn(|| work(&|| install(&trace.listener)));
        let result = worker.join();
        trace.over.store(true, Ordering::Release);
        (result, supervisor.join())
    });
    supervised.map_err(|_| anyhow!("the supervisor panicked"))??;
    let calls = |calls: Mutex<Calls>| calls.into_inner().unwrap_or_default();
    Ok(SyscallTrace {
        result: result.map_err(|_| anyhow!("the traced thread panicked"))?,
        inside: calls(trace.inside),
        outside: calls(trace.outside),
    })
}

/// Installs the filter: every later system call of this thread waits for the supervisor.
fn install(listener: &AtomicI32) -> Result<()> {
    let mut all = [libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_USER_NOTIF,
    }];
    let program = libc::sock_fprog {
        len: 1,
        filter: all.as_mut_ptr(),
    };
    // SAFETY: the arguments are numbers; the call only removes rights of this thread.
    let dropped = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    ensure!(dropped == 0, "no_new_privs: {}", io::Error::last_os_error());
    // SAFETY: the program is valid while the call copies it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    ensure!(fd >= 0, "seccomp: {}", io::Error::last_os_error());
    listener.store(fd as i32, Ordering::Release);
    Ok(())
}

/// Counts every call and lets it continue.
fn supervise(trace: &Trace) -> Result<()> {
    let over = || trace.over.load(Ordering::Acquire);
    let fd = loop {
        match trace.listener.load(Ordering::Acquire) {
            -1 if over() => return Ok(()),
            -1 => std::thread::sleep(Duration::from_millis(1)),
            fd => break fd,
        }
    };
    loop {
        let mut ready = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one descriptor, which stays open.
        let polled = unsafe { libc::poll(&mut ready, 1, 20) };
        if polled <= 0 {
            // Threads that inherited the filter may outlive the traced thread.
            if over() {
                break;
            }
            continue;
        }
        if ready.revents & libc::POLLIN == 0 {
            break;
        }
        // SAFETY: zeros are a valid value of this C struct of numbers.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let received = unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) };
        if received != 0 {
            // The thread was interrupted before the call was received.
            continue;
        }
        let inside = host::PROCESSING.load(Ordering::SeqCst);
        let calls = if inside {
            &trace.inside
        } else {
            &trace.outside
        };
        if let Ok(mut calls) = calls.lock() {
            *calls.entry(call.data.nr).or_default() += 1;
        }
        // SAFETY: as above.
        let mut answer: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
        answer.id = call.id;
        answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        // SAFETY: as above. Fails only if the thread has ended.
        unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    }
    // SAFETY: this module owns the descriptor.
    let closed = unsafe { libc::close(fd) };
    ensure!(closed == 0, "close: {}", io::Error::last_os_error());
    Ok(())
}

/// Runs the stress host in real time for `blocks` blocks and traces its system calls.
///
/// # Errors
///
/// As [`trace()`] and [`crate::stress::run`].
pub fn trace_stress(
    bundle: &std::path::Path,
    format: host::Format,
    seed: u64,
    blocks: u64,
) -> Result<SyscallTrace<crate::stress::StressSummary>> {
    use crate::stress::{ModeChoice, StressOptions, run_after};
    let options = StressOptions {
        seed,
        blocks,
        mode_choice: ModeChoice::Realtime,
        other_model: None,
    };
    let seen = trace(|install| run_after(bundle, format, options, install))?;
    let summary = seen.result.context("while its system calls were traced")?;
    Ok(SyscallTrace {
        result: summary,
        inside: seen.inside,
        outside: seen.outside,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_inside_and_outside_process() {
        let seen = trace(|install| {
            install().unwrap();
            // SAFETY: the call only returns a number.
            unsafe { libc::syscall(libc::SYS_getppid) };
            host::PROCESSING.store(true, Ordering::SeqCst);
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_getuid) };
            host::PROCESSING.store(false, Ordering::SeqCst);
        })
        .unwrap();
        let made = |calls: &Calls, nr: i64| calls.get(&(nr as i32)).copied().unwrap_or(0);
        assert_eq!(made(&seen.inside, libc::SYS_getuid), 1);
        assert_eq!(seen.inside.values().sum::<u64>(), 1, "{:?}", seen.inside);
        assert_eq!(made(&seen.outside, libc::SYS_getppid), 1);
    }
}
