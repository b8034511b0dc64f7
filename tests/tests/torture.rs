//! A host at its worst, for a while. `cargo run -p continuo-tests --bin torture` goes on longer.

use continuo_tests::host::Format;
use continuo_tests::lab;
use continuo_tests::torture::{Options, Pace, run};

fn torture(format: Format, options: Options) -> continuo_tests::torture::Summary {
    lab::use_test_model().unwrap();
    let bundle = lab::bundle(format).unwrap();
    run(&bundle, format, options).unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn nothing_that_must_not_happen_happens() {
    let other = lab::xl_model().unwrap();
    for format in Format::ALL {
        let options = Options {
            seed: 6,
            blocks: 10_000,
            pace: Pace::Either,
            other_model: Some(&other),
        };
        let summary = torture(format, options);
        assert!(
            summary.generated > 100 && summary.placed > 20,
            "{summary:?}"
        );
        assert!(summary.growth < 64 << 20, "memory grows: {summary:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_notes() {
    let other = lab::xl_model().unwrap();
    let options = Options {
        seed: 7,
        blocks: 3_000,
        pace: Pace::Offline,
        other_model: Some(&other),
    };
    let first = torture(Format::Clap, options);
    assert!(first.generated > 100, "{first:?}");
    let again = torture(Format::Clap, options);
    assert_eq!(again.fingerprint, first.fingerprint);
    let vst3 = torture(Format::Vst3, options);
    assert_eq!(vst3.generated, first.generated);
}
