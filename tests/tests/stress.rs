//! A short run of the stress host. `cargo run -p continuo-tests --bin stress` runs longer.

use continuo_tests::artifacts;
use continuo_tests::host::Format;
use continuo_tests::stress::{ModeChoice, StressOptions, run};

fn run_stress(format: Format, options: StressOptions) -> continuo_tests::stress::StressSummary {
    artifacts::use_test_model().unwrap();
    // Without the ear's model, sound is not heard.
    artifacts::use_ear_model().unwrap();
    let bundle = artifacts::bundle(format).unwrap();
    run(&bundle, format, options).unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn random_host_breaks_no_invariant() {
    let other = artifacts::xl_model().unwrap();
    for format in Format::ALL {
        let options = StressOptions {
            seed: 13,
            blocks: 10_000,
            mode_choice: ModeChoice::Either,
            other_model: Some(&other),
        };
        let summary = run_stress(format, options);
        assert!(
            summary.generated > 100 && summary.placed > 20,
            "{summary:?}"
        );
        assert!(summary.growth < 64 << 20, "memory grows: {summary:?}");
    }
}

#[test]
fn same_seed_gives_the_same_notes() {
    let other = artifacts::xl_model().unwrap();
    let options = StressOptions {
        seed: 42,
        blocks: 3_000,
        mode_choice: ModeChoice::Offline,
        other_model: Some(&other),
    };
    let first = run_stress(Format::Clap, options);
    assert!(first.generated > 100, "{first:?}");
    let again = run_stress(Format::Clap, options);
    assert_eq!(again.fingerprint, first.fingerprint);
    let vst3 = run_stress(Format::Vst3, options);
    assert_eq!(vst3.generated, first.generated);
}
