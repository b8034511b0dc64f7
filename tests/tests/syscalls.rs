//! `process()` makes no system call, and therefore never waits for a lock. In a process of its own;
//! `measure syscalls` runs longer.

use continuo_tests::artifacts;
use continuo_tests::host::Format;

#[cfg_attr(
    not(target_os = "linux"),
    ignore = "system calls are watched with Linux's seccomp"
)]
#[test]
fn process_makes_no_system_call() {
    #[cfg(target_os = "linux")]
    for format in Format::ALL {
        artifacts::use_test_model().unwrap();
        artifacts::use_ear_model().unwrap();
        let bundle = artifacts::bundle(format).unwrap();
        let seen = continuo_tests::syscalls::trace_stress(&bundle, format, 11, 6_000).unwrap();
        assert!(seen.inside.is_empty(), "{format:?}: {:?}", seen.inside);
        // The host's own sleeps are counted outside.
        assert!(!seen.outside.is_empty(), "{format:?}");
        assert!(seen.result.generated > 0, "{format:?}: {:?}", seen.result);
    }
}
