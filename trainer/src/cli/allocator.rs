//! Memory allocator of the program.
//!
//! A training step frees its tensors, and the next step allocates the same sizes again. By default,
//! allocators return large freed blocks to the system, mimalloc after a delay. The program keeps them
//! instead, so that the next step need not request them again.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, the same in versions 2 and 3.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    /// Sets an option of mimalloc; unknown ones are ignored. The `mimalloc` crate links this
    /// function without exposing it.
    safe fn mi_option_set(option: c_int, value: c_long);
}

/// Keeps freed memory in the program until it ends.
pub(crate) fn keep_freed_memory() {
    mi_option_set(PURGE_DELAY, -1);
}
