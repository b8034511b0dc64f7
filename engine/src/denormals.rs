//! Flushes denormal numbers to zero: they cost a processor a hundred times as much as others.
//!
//! Attention weights and gates far from their maximum are often denormal, and contribute nothing. A
//! session option sets the mode for ONNX Runtime's own threads; this module sets it for the calling
//! thread.

use std::marker::PhantomData;

/// While it lives, the thread that made it takes denormal numbers as zero; then all is as it
/// was. Only code of other libraries may run meanwhile: Rust's own counts on the processor's
/// usual arithmetic.
pub(crate) struct FlushGuard {
    before: u64,
    /// It belongs to its thread.
    _thread: PhantomData<*const ()>,
}

/// Begins to take denormal numbers as zero, on processors that can.
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
    // SAFETY: `control` is what `control()` gave, or that with two bits every x86-64 has, so
    // no reserved bit is set. Whoever holds a `FlushGuard` runs no arithmetic of Rust's under it,
    // and its drop puts back what was.
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
    // SAFETY: `control` is what `control()` gave, or that with the one bit every AArch64 has.
    // Whoever holds a `FlushGuard` runs no arithmetic of Rust's under it, and its drop puts back
    // what was.
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
    fn holds_while_it_lives_and_only_on_its_thread() {
        let before = control();
        {
            let _flushed = flush();
            assert_eq!(control() & FLUSH, FLUSH);
            let elsewhere = std::thread::spawn(control).join().unwrap();
            // A new thread has the usual arithmetic, whatever the one that made it has. Some
            // systems hand the register on; then it is theirs to say.
            assert!(
                elsewhere & FLUSH == 0 || cfg!(not(target_os = "linux")) || elsewhere == control()
            );
            let _again = flush();
        }
        assert_eq!(control(), before);
    }
}
