//! The memory allocator of the program.
//!
//! A step of training frees hundreds of megabytes and asks for the same sizes again at once.
//! The system's allocator gives them back to the system in between, which halves the speed;
//! mimalloc does so after a delay, which still costs an eighth of the time.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, the same in versions 2 and 3.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    /// Sets one of mimalloc's options; unknown ones are ignored. The `mimalloc` crate links
    /// it and does not show it.
    safe fn mi_option_set(option: c_int, value: c_long);
}

/// Freed memory stays with the program until it ends.
pub(crate) fn keep_freed_memory() {
    mi_option_set(PURGE_DELAY, -1);
}
