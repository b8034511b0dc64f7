//! Flushes denormal numbers to zero: they cost a processor a hundred times as much as others.
//!
//! Attention weights and gates far from their maximum are often denormal, and contribute nothing. A
//! session option sets the mode for ONNX Runtime's own threads; this module sets it for the calling
//! thread.

use std::marker::PhantomData;

/// While it lives, its thread treats denormal numbers as zero. Dropping it restores the earlier mode.
/// Only code of other libraries may compute meanwhile, because Rust assumes the processor's default
/// mode.
pub(crate) struct FlushGuard {
    before: u64,
    /// Neither `Send` nor `Sync`: the mode belongs to the thread.
    _thread: PhantomData<*const ()>,
}

/// Treats denormal numbers as zero on this thread. Does nothing on processors other than x86-64 and
/// AArch64.
pub(crate) fn flush() -> FlushGuard {
    let before = control();
    set_control(before | FLUSH);
    FlushGuard {
        before,
        _thread: PhantomData,
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        set_control(self.before);
    }
}

/// MXCSR's flush-to-zero and denormals-are-zero.
#[cfg(target_arch = "x86_64")]
const FLUSH: u64 = 1 << 15 | 1 << 6;
/// FPCR's flush-to-zero, which is both.
#[cfg(target_arch = "aarch64")]
const FLUSH: u64 = 1 << 24;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const FLUSH: u64 = 0;

#[cfg(target_arch = "x86_64")]
fn control() -> u64 {
    let mut mxcsr = 0u32;
    // SAFETY: writes the control register, 32 bits, to a variable of this function.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags));
    }
    u64::from(mxcsr)
}

#[cfg(target_arch = "x86_64")]
fn set_control(control: u64) {
    let mxcsr = control as u32;
    // SAFETY: `control` comes from `control()`, at most with two more bits that every x86-64 has, so
    // no reserved bit is set. No Rust arithmetic runs while a `FlushGuard` lives, and its drop
    // restores the register.
    unsafe {
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, preserves_flags));
    }
}

#[cfg(target_arch = "aarch64")]
fn control() -> u64 {
    let fpcr: u64;
    // SAFETY: reads a register that every AArch64 program may read.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack)) };
    fpcr
}

#[cfg(target_arch = "aarch64")]
fn set_control(control: u64) {
    // SAFETY: `control` comes from `control()`, at most with one more bit that every AArch64 has. No
    // Rust arithmetic runs while a `FlushGuard` lives, and its drop restores the register.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) control, options(nostack)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn control() -> u64 {
    0
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn set_control(_: u64) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denormals_are_zero_during_its_life_on_its_thread_alone() {
        let before = control();
        {
            let _flushed = flush();
            assert_eq!(control() & FLUSH, FLUSH);
            let elsewhere = std::thread::spawn(control).join().unwrap();
            // On Linux a new thread has the default mode. Other systems may inherit it.
            assert!(
                elsewhere & FLUSH == 0 || cfg!(not(target_os = "linux")) || elsewhere == control()
            );
            let _again = flush();
        }
        assert_eq!(control(), before);
    }
}
