//! Every note ends when the transport stops, seeks or loops, and when the plugin restarts.

use continuo_tests::assertions::{self, PairedNote};
use continuo_tests::daw::{Blocks, Daw};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, ENTRY};

/// A host stopped inside the plugin's first note that is longer than a step.
fn inside_a_note(format: Format) -> Daw {
    let notes = scenario::play_on(format, scenario::default_setup(), 1).unwrap();
    let long = notes
        .iter()
        .find(|note| note.length.is_some_and(|length| length > 1));
    let long = long.expect("the plugin plays a note longer than a step");
    let steps = f64::from(scenario::STEPS_PER_BEAT);
    let middle = (long.step as f64 + long.length.unwrap() as f64 / 2.0) / steps;
    let mut daw =
        scenario::start(format, scenario::default_setup(), 1, &scenario::opening()).unwrap();
    daw.play_to(middle).unwrap();
    assert!(
        assertions::pair_notes(daw.sent()).is_err(),
        "nothing sounds at beat {middle}"
    );
    daw
}

/// Asserts that every note that began before `sample` ends at it or earlier, and one ends at it.
fn assert_ended_at(daw: &Daw, sample: u64) -> Vec<PairedNote> {
    let notes = assertions::pair_notes(daw.sent()).unwrap();
    for note in &notes {
        let late = note.on < sample && note.off > sample;
        assert!(!late, "{note:?} sounds beyond sample {sample}");
    }
    assert!(
        notes.iter().any(|note| note.off == sample),
        "no note ends at sample {sample}"
    );
    notes
}

#[test]
fn notes_end_at_a_stop() {
    for format in Format::ALL {
        let mut daw = inside_a_note(format);
        let stop = daw.now();
        daw.run_stopped(48_000).unwrap();
        let notes = assert_ended_at(&daw, stop);
        assert!(
            notes.iter().all(|note| note.on < stop),
            "{format:?} plays while stopped"
        );
        // The plugin plays again afterwards.
        daw.play_to(scenario::END).unwrap();
        daw.run_stopped(1000).unwrap();
        assertions::pair_notes(daw.sent()).unwrap();
    }
}

#[test]
fn notes_end_at_a_jump() {
    for format in Format::ALL {
        for target in [1.5, 100.0] {
            let mut daw = inside_a_note(format);
            let jump = daw.now();
            daw.seek(target);
            daw.play_to(target + 2.0).unwrap();
            daw.run_stopped(1000).unwrap();
            assert_ended_at(&daw, jump);
        }
    }
}

#[test]
fn notes_end_at_every_loop_end() {
    for format in Format::ALL {
        let mut daw =
            scenario::start(format, scenario::default_setup(), 1, &scenario::opening()).unwrap();
        // The loop's end is no bar line, so that notes would sound across it.
        let (start, end) = (0.0, ENTRY + 4.4);
        daw.set_loop(Some((start, end)));
        let mut wraps = Vec::new();
        for _ in 0..3 {
            daw.play_to(end).unwrap();
            wraps.push(daw.now());
            daw.seek(start);
        }
        daw.play_to(1.0).unwrap();
        daw.run_stopped(1000).unwrap();
        let notes = assertions::pair_notes(daw.sent()).unwrap();
        for &wrap in &wraps {
            assert!(!notes.iter().any(|note| note.on < wrap && note.off > wrap));
        }
        let pass = |from: u64, to: u64| notes.iter().filter(|n| n.on >= from && n.on < to).count();
        assert!(pass(0, wraps[0]) > 0, "{format:?} plays in the first pass");
        assert!(
            pass(wraps[1], wraps[2]) > 0,
            "{format:?} plays in the third pass"
        );
    }
}

/// Many hosts do not end a block at the loop's end.
#[test]
fn notes_end_at_a_loop_end_inside_a_block() {
    for format in Format::ALL {
        for blocks in [
            Blocks::Fixed(4096),
            Blocks::Random {
                seed: 5,
                longest: 2000,
            },
        ] {
            // A note planned on this bar line must not sound.
            let end = ENTRY + 3.0;
            let setup = scenario::setup(44_100.0, 133.7, blocks);
            let mut daw = scenario::start(format, setup, 1, &scenario::opening()).unwrap();
            daw.set_loop(Some((0.0, end)));
            let turns = daw.play_loop_passes(6).unwrap();
            daw.play_to(2.0).unwrap();
            let stop = daw.now();
            daw.run_stopped(5000).unwrap();
            let notes = assertions::pair_notes(daw.sent()).unwrap();
            for &turn in &turns {
                // The exact loop end lies between two samples: either is right.
                let across = |note: &&PairedNote| note.on + 1 < turn && note.off > turn + 1;
                assert_eq!(
                    notes.iter().find(across),
                    None,
                    "{format:?}, {blocks:?}, {turn}"
                );
            }
            let cut = |note: &PairedNote| turns.iter().any(|turn| turn.abs_diff(note.off) <= 1);
            let whole: Vec<_> = notes.iter().filter(|note| !cut(note)).copied().collect();
            let placed =
                assertions::place_on_grid(&whole, daw.clock(), scenario::STEPS_PER_BEAT, stop)
                    .unwrap();
            let entry = ENTRY as i64 * i64::from(scenario::STEPS_PER_BEAT);
            assert!(placed.len() >= 6 && placed.iter().all(|note| note.step >= entry));
        }
    }
}

#[test]
fn notes_end_at_a_restart() {
    for format in Format::ALL {
        let mut daw = inside_a_note(format);
        let restart = daw.now();
        daw.restart().unwrap();
        daw.run_stopped(1000).unwrap();
        assert_ended_at(&daw, restart);
        daw.finish().unwrap();
    }
}

#[test]
fn passed_through_notes_end_at_a_stop() {
    for format in Format::ALL {
        let mut daw =
            scenario::start(format, scenario::default_setup(), 1, &scenario::opening()).unwrap();
        daw.set(&[("thru", "On"), ("mode", "Off")]).unwrap();
        // Inside the first notes of the third bar.
        daw.play_to(6.2).unwrap();
        let stop = daw.now();
        daw.run_stopped(1000).unwrap();
        assert_ended_at(&daw, stop);
    }
}
