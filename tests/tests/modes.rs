//! Modes, buttons and constraints in a host.

use continuo_tests::assertions::{self, GridNote};
use continuo_tests::daw::{Blocks, Daw, TrackNote};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, STEPS_PER_BEAT};

/// Steps of a bar in 3/4 time.
const BAR: i64 = 3 * STEPS_PER_BEAT as i64;

/// Starts at beat 0 with these parameters and plays to `beats`. Returns the plugin's notes.
fn play(
    format: Format,
    blocks: Blocks,
    set: &[(&str, &str)],
    notes: &[TrackNote],
    beats: f64,
) -> Vec<GridNote> {
    let setup = scenario::setup(48_000.0, 133.7, blocks);
    let mut daw = scenario::start(format, setup, 1, notes).unwrap();
    daw.set(set).unwrap();
    daw.play_to(beats).unwrap();
    scenario::stop(&mut daw).unwrap()
}

const BLOCKS: Blocks = Blocks::Fixed(441);

#[test]
fn trade_mode_alternates_on_bar_lines() {
    for format in Format::ALL {
        // The player has bars 1, 2, 5 and 6, and also plays in the plugin's turns.
        let set = [("mode", "Trade"), ("bars", "2")];
        let notes = play(format, BLOCKS, &set, &scenario::opening(), 24.0);
        let turns = [2 * BAR..4 * BAR, 6 * BAR..8 * BAR];
        for note in &notes {
            let turn = turns.iter().find(|turn| turn.contains(&note.step));
            let turn = turn.unwrap_or_else(|| panic!("{format:?}: {note:?} out of turn"));
            let end = note.length.map_or(note.step, |length| note.step + length);
            assert!(
                end <= turn.end,
                "{format:?}: {note:?} sounds into the player's turn"
            );
        }
        for turn in turns {
            let count = notes.iter().filter(|n| turn.contains(&n.step)).count();
            assert!(count > 0, "{format:?}: no notes in {turn:?}");
        }
    }
}

#[test]
fn along_plays_beside_the_player_and_free_plays_alone() {
    for format in Format::ALL {
        // The opening is four bars long.
        let along = play(
            format,
            BLOCKS,
            &[("mode", "Along")],
            &scenario::opening(),
            30.0,
        );
        let within = |notes: &[GridNote], from: i64, to: i64| {
            notes
                .iter()
                .filter(|n| (from * BAR..to * BAR).contains(&n.step))
                .count()
        };
        assert!(within(&along, 1, 4) > 0, "{format:?}: {along:?}");
        assert_eq!(within(&along, 6, 10), 0, "{format:?}: {along:?}");
        let free = play(format, BLOCKS, &[("mode", "Free")], &[], 30.0);
        assert!(
            within(&free, 0, 4) > 0 && within(&free, 6, 10) > 0,
            "{format:?}: {free:?}"
        );
    }
}

#[test]
fn every_mode_plays_the_same_notes_for_all_blocks_and_formats() {
    for mode in ["Trade", "Along", "Free"] {
        let set = [("mode", mode), ("bars", "1"), ("enter", "Beat")];
        let expected = play(Format::Clap, BLOCKS, &set, &scenario::opening(), 16.0);
        assert!(expected.len() > 3, "{mode}: {expected:?}");
        for format in Format::ALL {
            for blocks in [
                Blocks::Fixed(4096),
                Blocks::Random {
                    seed: 3,
                    longest: 900,
                },
            ] {
                let notes = play(format, blocks, &set, &scenario::opening(), 16.0);
                assert_eq!(notes, expected, "{mode}, {format:?}, {blocks:?}");
            }
        }
    }
}

#[test]
fn hold_plays_until_released_and_panic_silences() {
    for format in Format::ALL {
        let setup = scenario::setup(48_000.0, 120.0, BLOCKS);
        let mut daw = scenario::start(format, setup, 1, &scenario::opening()).unwrap();
        daw.set(&[("mode", "Off"), ("enter", "Beat")]).unwrap();
        daw.play_to(6.0).unwrap();
        assert!(daw.sent().is_empty(), "{format:?} plays in Off");
        daw.set(&[("hold", "On")]).unwrap();
        daw.play_to(12.0).unwrap();
        let held = daw.sent().len();
        assert!(held > 0, "{format:?} does not play while held");
        daw.set(&[("hold", "Off")]).unwrap();
        let released = daw.now();
        daw.play_to(15.0).unwrap();
        let notes = assertions::pair_notes(daw.sent()).unwrap();
        assert!(
            notes.iter().all(|n| n.on < released && n.off <= released),
            "{format:?}"
        );
        daw.set(&[("mode", "Free")]).unwrap();
        daw.play_to(18.0).unwrap();
        let pressed = daw.now();
        daw.set(&[("panic", "On")]).unwrap();
        daw.play_to(20.0).unwrap();
        let notes = assertions::pair_notes(daw.sent()).unwrap();
        assert!(
            notes.iter().any(|n| n.on >= released),
            "{format:?}: Free was silent"
        );
        assert!(notes.iter().all(|n| n.off <= pressed), "{format:?}");
    }
}

#[test]
fn variation_changes_the_answer_reversibly() {
    let answer = |variation| {
        let set = [("variation", variation)];
        play(Format::Clap, BLOCKS, &set, &scenario::opening(), 22.0)
    };
    let [a, b, again] = ["A", "B", "A"].map(answer);
    assert_ne!(a, b);
    assert_eq!(a, again);
}

#[test]
fn constraints_limit_generated_notes() {
    let set = [
        ("mode", "Free"),
        ("scale", "Dorian"),
        ("key", "D"),
        ("low", "60"),
        ("high", "72"),
        ("voices", "1"),
    ];
    let set: Vec<_> = set
        .into_iter()
        .map(|(id, v)| {
            (
                id,
                if id == "low" {
                    "C4"
                } else if id == "high" {
                    "C5"
                } else {
                    v
                },
            )
        })
        .collect();
    let notes = play(Format::Clap, BLOCKS, &set, &[], 24.0);
    assert!(notes.len() > 3);
    let classes = [2, 4, 5, 7, 9, 11, 0];
    let low = notes.iter().map(|n| n.key).min().unwrap();
    let high = notes.iter().map(|n| n.key).max().unwrap();
    assert!(high - low <= 12, "{low} to {high}");
    assert!(
        notes.iter().all(|n| classes.contains(&(n.key % 12))),
        "{notes:?}"
    );
    for pair in notes.windows(2) {
        let end = pair[0].step + pair[0].length.unwrap_or(0);
        assert!(end <= pair[1].step, "two at once: {pair:?}");
    }
}

#[test]
fn sixteen_instances_play_as_each_would_alone() {
    let expected = play(
        Format::Clap,
        Blocks::Fixed(1024),
        &[],
        &scenario::opening(),
        18.0,
    );
    let mut daws: Vec<Daw> = (0..16)
        .map(|n| {
            let setup = scenario::setup(48_000.0, 133.7, Blocks::Fixed(1024));
            let seed = if n % 5 == 0 { 1 } else { n };
            scenario::start(Format::Clap, setup, seed, &scenario::opening()).unwrap()
        })
        .collect();
    for beat in 1..=18 {
        for daw in &mut daws {
            daw.play_to(f64::from(beat)).unwrap();
        }
    }
    let played: Vec<_> = daws
        .iter_mut()
        .map(|daw| scenario::stop(daw).unwrap())
        .collect();
    for (n, notes) in played.iter().enumerate() {
        // Every fifth instance and the second have seed 1.
        let alone = n % 5 == 0 || n == 1;
        assert_eq!(*notes == expected, alone, "instance {n}");
    }
}
