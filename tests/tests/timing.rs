//! Notes sound on the sample nearest to their step, and the notes do not depend on sample rate, block
//! size, tempo or plugin format.

use continuo_tests::assertions::GridNote;
use continuo_tests::daw::{Blocks, Setup};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, ENTRY, STEPS_PER_BEAT};

/// Setups in which every sample rate, tempo and block size occurs, without all combinations.
fn hosts() -> Vec<(&'static str, Setup)> {
    use Blocks::{Fixed, Random};
    let mut hosts = vec![
        (
            "44.1 kHz, 60 BPM, blocks of 32",
            scenario::setup(44_100.0, 60.0, Fixed(32)),
        ),
        (
            "48 kHz, 60 BPM, blocks of 4096",
            scenario::setup(48_000.0, 60.0, Fixed(4096)),
        ),
        (
            "44.1 kHz, 120 BPM, blocks of 480",
            scenario::setup(44_100.0, 120.0, Fixed(480)),
        ),
        (
            "96 kHz, 120 BPM, blocks of 64",
            scenario::setup(96_000.0, 120.0, Fixed(64)),
        ),
        (
            "44.1 kHz, 133.7 BPM, blocks of 1024",
            scenario::setup(44_100.0, 133.7, Fixed(1024)),
        ),
        (
            "48 kHz, 133.7 BPM, blocks of 32",
            scenario::setup(48_000.0, 133.7, Fixed(32)),
        ),
        (
            "96 kHz, 133.7 BPM, blocks of any length",
            scenario::setup(
                96_000.0,
                133.7,
                Random {
                    seed: 7,
                    longest: 4096,
                },
            ),
        ),
    ];
    let mut changing = scenario::setup(48_000.0, 120.0, Fixed(512));
    changing.tempos = vec![(0.0, 120.0), (7.0, 90.0), (16.3, 60.0), (20.05, 150.0)];
    hosts.push((
        "48 kHz, 120, 90, 60 and 150 BPM, blocks of 512",
        changing.clone(),
    ));
    changing.sample_rate = 44_100.0;
    changing.blocks = Random {
        seed: 3,
        longest: 700,
    };
    hosts.push(("44.1 kHz, changing tempo, blocks of any length", changing));
    hosts
}

fn plays_in_time(format: Format) {
    let mut first: Option<Vec<GridNote>> = None;
    for (host, setup) in hosts() {
        let notes = scenario::play_on(format, setup, 1)
            .unwrap_or_else(|error| panic!("{format:?}, {host}: {error:#}"));
        assert!(
            notes.len() >= 8,
            "{format:?}, {host}: only {} notes",
            notes.len()
        );
        let entry = ENTRY as i64 * i64::from(STEPS_PER_BEAT);
        assert!(
            notes[0].step >= entry,
            "{format:?}, {host}: it played before the bar line"
        );
        let first = first.get_or_insert_with(|| notes.clone());
        assert_eq!(
            &notes, first,
            "{format:?}, {host}: other notes than in the first host"
        );
    }
}

#[test]
fn clap_notes_sound_on_the_sample_in_every_setup() {
    plays_in_time(Format::Clap);
}

#[test]
fn vst3_notes_sound_on_the_sample_in_every_setup() {
    plays_in_time(Format::Vst3);
}

#[test]
fn clap_and_vst3_play_the_same_notes() {
    let [clap, vst3] = Format::ALL.map(|format| {
        scenario::play_on(format, scenario::default_setup(), 5)
            .unwrap_or_else(|e| panic!("{format:?}: {e:#}"))
    });
    assert_eq!(clap, vst3);
}

#[test]
fn seed_alone_decides_the_notes() {
    let play = |seed| scenario::play_on(Format::Clap, scenario::default_setup(), seed).unwrap();
    let first = play(1);
    assert_eq!(first, play(1), "the same seed played other notes");
    assert_ne!(first, play(2), "another seed played the same notes");
}
