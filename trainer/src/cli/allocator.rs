//! Memory allocator of the program.
//!
//! A training step frees hundreds of megabytes and allocates the same sizes again at once. The
//! system's allocator returns them to the system in between, which halves the speed; mimalloc
//! does so after a delay, which still costs an eighth of the time.

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
