//! `process()` makes no system call, and so takes no lock that somebody else has. In a process of
//! its own. `measure syscalls` does the same for longer.

use continuo_tests::host::Format;
use continuo_tests::lab;

#[cfg_attr(
    not(target_os = "linux"),
    ignore = "system calls are watched with Linux's seccomp"
)]
#[test]
fn process_calls_nobody() {
    #[cfg(target_os = "linux")]
    for format in Format::ALL {
        lab::use_test_model().unwrap();
        let bundle = lab::bundle(format).unwrap();
        let seen = continuo_tests::syscalls::tortured(&bundle, format, 11, 6_000).unwrap();
        assert!(seen.inside.is_empty(), "{format:?}: {:?}", seen.inside);
        // The host sleeps now and then, and that is seen.
        assert!(!seen.outside.is_empty(), "{format:?}");
        assert!(seen.result.generated > 0, "{format:?}: {:?}", seen.result);
    }
}
