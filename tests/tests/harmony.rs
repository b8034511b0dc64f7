//! Chords that the plugin follows, and bars that it plays anew, in hosts of both formats.

use continuo_score::chord::Chord;
use continuo_score::tune;
use continuo_tests::assertions::GridNote;
use continuo_tests::daw::{Daw, track};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, STEPS_PER_BEAT};

/// Steps of a bar in 3/4 time.
const BAR: i64 = 3 * STEPS_PER_BEAT as i64;

/// A host in 3/4 in which `tune` is played to the plugin, which answers with a seed.
fn start(format: Format, tune: &str, seed: u32, set: &[(&str, &str)]) -> Daw {
    let notes = track(&tune::parse(tune, STEPS_PER_BEAT).unwrap());
    let mut daw = scenario::start(format, scenario::default_setup(), seed, &notes).unwrap();
    daw.set(set).unwrap();
    daw
}

/// Asserts that a note is a tone of the chord `name`.
fn assert_in_chord(note: &GridNote, name: &str, format: Format) {
    let chord: Chord = name.parse().unwrap();
    assert!(
        chord.contains(note.key),
        "{format:?}: {note:?} under {name}"
    );
}

#[test]
fn a_loop_of_four_bars_goes_round() {
    let triads = "C3+E3+G3+C4:3 F3+A3+C4+F4:3 G3+B3+D4+G4:3 A2+E3+A3+C4:3";
    let set = [
        ("mode", "Trade"),
        ("bars", "4"),
        ("harmony", "Loop 4 Bars"),
        ("chord_pull", "100"),
    ];
    for format in Format::ALL {
        let mut count = 0;
        for seed in 1..=5 {
            let mut daw = start(format, triads, seed, &set);
            daw.play_to(24.0).unwrap();
            let notes = scenario::stop(&mut daw).unwrap();
            for note in &notes {
                let bar = note.step.div_euclid(BAR);
                assert!((4..8).contains(&bar), "{format:?}: {note:?}");
                let name = ["C", "F", "G", "Am"][bar as usize % 4];
                assert_in_chord(note, name, format);
            }
            count += notes.len();
        }
        assert!(count > 20, "{format:?}: {count} notes");
    }
}

#[test]
fn a_held_chord_is_followed_until_another_one_is_held() {
    let held = "C2+E2+G2:12 D2+F2+A2:12";
    let set = [
        ("mode", "Free"),
        ("enter", "Beat"),
        ("harmony", "Held"),
        ("chord_ch", "Split"),
        ("split", "C3"),
        ("chord_pull", "100"),
    ];
    for format in Format::ALL {
        let mut notes = Vec::new();
        for seed in 1..=5 {
            let mut daw = start(format, held, seed, &set);
            daw.play_to(24.0).unwrap();
            notes.extend(scenario::stop(&mut daw).unwrap());
        }
        for (name, bars) in [("C", 1..4), ("Dm", 5..8)] {
            let within = |note: &&GridNote| bars.contains(&note.step.div_euclid(BAR));
            let under: Vec<_> = notes.iter().filter(within).collect();
            assert!(under.len() > 15, "{format:?}, {name}: {notes:?}");
            under
                .iter()
                .for_each(|note| assert_in_chord(note, name, format));
        }
    }
}

#[test]
fn regenerate_plays_what_is_planned_differently() {
    for format in Format::ALL {
        let play = |regenerates: bool| {
            let mut daw = start(format, "G4:1 A4:1 B4:1", 1, &[("mode", "Free")]);
            daw.play_to(10.0).unwrap();
            if regenerates {
                daw.set(&[("regen", "On")]).unwrap();
            }
            daw.play_to(15.0).unwrap();
            scenario::stop(&mut daw).unwrap()
        };
        let (plain, anew) = (play(false), play(true));
        let until = |notes: &[GridNote], beat: i64| -> Vec<(i64, u8)> {
            let step = beat * i64::from(STEPS_PER_BEAT);
            let early = notes.iter().filter(|note| note.step < step);
            early.map(|note| (note.step, note.key)).collect()
        };
        assert_eq!(until(&anew, 10), until(&plain, 10), "{format:?}");
        assert_ne!(until(&anew, 15), until(&plain, 15), "{format:?}");
    }
}
