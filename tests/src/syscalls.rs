//! Which system calls a thread makes while a plugin processes. Linux only: a seccomp filter hands
//! every call of the thread to a supervisor, which notes it down and lets it go on.
//!
//! A lock that is taken or waited for while somebody else has it is a `futex` call, memory that
//! the system must give is `mmap` or `brk`: none of them can hide.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::host;

/// How often each system call, by its number on this processor, was made.
pub type Calls = BTreeMap<i32, u64>;

/// What a watched thread did.
#[derive(Debug)]
pub struct SyscallTrace<R> {
    /// What came of it.
    pub result: R,
    /// Calls while a plugin's `process()` was running.
    pub inside: Calls,
    /// Calls at any other time: the host's own. They show that the watch works.
    pub outside: Calls,
}

/// What the watched thread and its supervisor share.
struct Watch {
    /// What the filter hands its calls to; -1 before there is one.
    listener: AtomicI32,
    over: AtomicBool,
    inside: Mutex<Calls>,
    outside: Mutex<Calls>,
}

/// Runs `work` on a thread of its own. Once it calls what it is given, every system call of that
/// thread, and of threads it starts after that, is noted down.
pub fn watch<R: Send>(
    work: impl FnOnce(&dyn Fn() -> Result<()>) -> R + Send,
) -> Result<SyscallTrace<R>> {
    let watch = Watch {
        listener: AtomicI32::new(-1),
        over: AtomicBool::new(false),
        inside: Mutex::default(),
        outside: Mutex::default(),
    };
    let (result, supervised) = std::thread::scope(|scope| {
        let supervisor = scope.spawn(|| supervise(&watch));
        let worker = scope.spawn(|| work(&|| install(&watch.listener)));
        let result = worker.join();
        watch.over.store(true, Ordering::Release);
        (result, supervisor.join())
    });
    supervised.map_err(|_| anyhow!("the supervisor panicked"))??;
    let calls = |calls: Mutex<Calls>| calls.into_inner().unwrap_or_default();
    Ok(SyscallTrace {
        result: result.map_err(|_| anyhow!("the watched thread panicked"))?,
        inside: calls(watch.inside),
        outside: calls(watch.outside),
    })
}

/// From here on every system call of this thread waits for the supervisor.
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
    // SAFETY: plain numbers; it only takes rights away from this thread.
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

/// Notes every call down and lets it go on.
fn supervise(watch: &Watch) -> Result<()> {
    let over = || watch.over.load(Ordering::Acquire);
    let fd = loop {
        match watch.listener.load(Ordering::Acquire) {
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
            // Threads that inherited the filter may live on; nobody is watched any more.
            if over() {
                break;
            }
            continue;
        }
        if ready.revents & libc::POLLIN == 0 {
            break;
        }
        // SAFETY: a C struct of numbers, for which zeros are valid, and which the kernel fills.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let received = unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) };
        if received != 0 {
            // The thread was interrupted before the call was taken.
            continue;
        }
        let inside = host::PROCESSING.load(Ordering::SeqCst);
        let calls = if inside {
            &watch.inside
        } else {
            &watch.outside
        };
        if let Ok(mut calls) = calls.lock() {
            *calls.entry(call.data.nr).or_default() += 1;
        }
        // SAFETY: as above.
        let mut answer: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
        answer.id = call.id;
        answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        // SAFETY: as above. Fails only where the thread is gone.
        unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    }
    // SAFETY: the descriptor is this module's own.
    let closed = unsafe { libc::close(fd) };
    ensure!(closed == 0, "close: {}", io::Error::last_os_error());
    Ok(())
}

/// Tortures the plugin in real time for so many blocks, watching its `process()`.
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
    let seen = watch(|install| run_after(bundle, format, options, install))?;
    let summary = seen.result.context("while it was watched")?;
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
        let seen = watch(|install| {
            install().unwrap();
            // SAFETY: asks for a number.
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
