//! MIDI through, and answers that yield to the player.

use continuo_tests::assertions;
use continuo_tests::daw::{Blocks, TrackNote};
use continuo_tests::host::{Format, Mode};
use continuo_tests::scenario::{self, STEPS_PER_BEAT};

#[test]
fn thru_passes_notes_unchanged() {
    for format in Format::ALL {
        for (thru, expected) in [("On", scenario::opening().len()), ("Off", 0)] {
            let mut setup = scenario::default_setup();
            setup.blocks = Blocks::Random {
                seed: 1,
                longest: 999,
            };
            let mut daw = scenario::start(format, setup, 1, &scenario::opening()).unwrap();
            daw.set(&[("thru", thru), ("mode", "Off")]).unwrap();
            daw.play_to(scenario::END).unwrap();
            daw.run_stopped(1000).unwrap();
            let notes = assertions::pair_notes(daw.sent()).unwrap();
            assert_eq!(notes.len(), expected, "{format:?}, through {thru}");
            let mut given = scenario::opening();
            given.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.key.cmp(&b.key)));
            for (note, given) in notes.iter().zip(&given) {
                // The transport starts at sample 1000.
                let exact = |beat: f64| daw.clock().sample_at(beat, 1000).round() as u64;
                assert_eq!(
                    (note.key, note.on, note.off),
                    (given.key, exact(given.start), exact(given.end))
                );
                assert!(
                    (note.velocity - given.velocity).abs() < 1e-3,
                    "{note:?}, {given:?}"
                );
            }
        }
    }
}

#[test]
fn parameters_show_the_typed_value() {
    for format in Format::ALL {
        let mut daw = scenario::start(format, scenario::default_setup(), 77, &[]).unwrap();
        daw.set(&[("mode", "Off"), ("gap", "3.5"), ("enter", "Beat")])
            .unwrap();
        daw.run_stopped(1000).unwrap();
        for (id, shown) in [
            ("mode", "Off"),
            ("gap", "3.5"),
            ("enter", "Beat"),
            ("seed", "77"),
        ] {
            let text = daw.plugin().parameter_text(id).unwrap();
            assert!(
                text.starts_with(shown),
                "{format:?}: {id} is shown as {text:?}"
            );
        }
    }
}

#[test]
fn answer_ends_at_the_first_key_of_the_player() {
    for format in Format::ALL {
        let alone = scenario::play_on(format, scenario::default_setup(), 1).unwrap();
        let long = alone
            .iter()
            .find(|note| note.length.is_some_and(|length| length > 1))
            .unwrap();
        let middle = (long.step as f64 + 0.7) / f64::from(STEPS_PER_BEAT);
        // Off the grid and on a key that the plugin does not play, so that it can be identified.
        let key = TrackNote {
            start: middle,
            end: middle + 0.4,
            key: 127,
            velocity: 0.5,
        };
        let mut notes = scenario::opening();
        notes.push(key);
        let mut daw = scenario::start(format, scenario::default_setup(), 1, &notes).unwrap();
        daw.set(&[("thru", "On")]).unwrap();
        daw.play_to(middle + 1.8).unwrap();
        daw.run_stopped(1000).unwrap();
        let struck = daw.clock().sample_at(middle, 1000).round() as u64;
        let heard = assertions::pair_notes(daw.sent()).unwrap();
        let cut = heard
            .iter()
            .filter(|note| note.key != 127 && note.off == struck)
            .count();
        assert!(cut >= 1, "{format:?}: no note ended when the player began");
        for note in heard.iter().filter(|note| note.key != 127) {
            assert!(
                note.off <= struck,
                "{format:?}: {note:?} sounds beyond the key at {struck}"
            );
        }
        let own = heard
            .iter()
            .find(|note| note.key == 127)
            .expect("the player's note");
        assert_eq!(own.on, struck);
    }
}

#[test]
fn answer_resumes_after_the_player_stops() {
    let mut notes = scenario::opening();
    notes.push(TrackNote {
        start: 18.0,
        end: 18.5,
        key: 67,
        velocity: 0.6,
    });
    let mut daw = scenario::start(Format::Clap, scenario::default_setup(), 1, &notes).unwrap();
    // The player is silent from beat 18.5, so the plugin enters again on the bar line at 21.
    daw.play_to(30.0).unwrap();
    let end = daw.now();
    daw.run_stopped(1000).unwrap();
    let heard = assertions::pair_notes(daw.sent()).unwrap();
    let placed = assertions::place_on_grid(&heard, daw.clock(), STEPS_PER_BEAT, end).unwrap();
    let in_beats = |from: i64, to: i64| {
        let steps = i64::from(STEPS_PER_BEAT);
        placed
            .iter()
            .filter(|n| (from * steps..to * steps).contains(&n.step))
            .count()
    };
    assert!(in_beats(15, 18) > 0 && in_beats(21, 30) > 0, "{placed:?}");
    assert_eq!(in_beats(18, 21), 0, "{placed:?}");
}

#[test]
fn two_interleaved_instances_play_as_each_would_alone() {
    let alone = scenario::play_on(Format::Clap, scenario::default_setup(), 9).unwrap();
    let mut pair = [9, 4].map(|seed| {
        scenario::start(
            Format::Clap,
            scenario::default_setup(),
            seed,
            &scenario::opening(),
        )
        .unwrap()
    });
    // The two hosts alternate, a beat each.
    for beat in 1..=scenario::END as u32 {
        for daw in &mut pair {
            daw.play_to(f64::from(beat)).unwrap();
        }
    }
    let [mut first, _second] = pair;
    let end = first.now();
    first.run_stopped(1000).unwrap();
    let heard = assertions::pair_notes(first.sent()).unwrap();
    assert_eq!(
        assertions::place_on_grid(&heard, first.clock(), STEPS_PER_BEAT, end).unwrap(),
        alone
    );
}

#[test]
fn realtime_mode_plays_notes() {
    for format in Format::ALL {
        let mut setup = scenario::setup(48_000.0, 240.0, Blocks::Fixed(480));
        setup.mode = Mode::Realtime;
        let mut daw = scenario::start(format, setup, 1, &scenario::opening()).unwrap();
        let (start, first) = (std::time::Instant::now(), daw.now());
        let mut pace = |sample: u64| {
            let due = std::time::Duration::from_secs_f64((sample - first) as f64 / 48_000.0);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        };
        daw.play_paced(scenario::END, &mut pace).unwrap();
        daw.run_stopped(1000).unwrap();
        let heard = assertions::pair_notes(daw.sent()).unwrap();
        // The number depends on the machine's speed.
        assert!(!heard.is_empty(), "{format:?} played nothing");
    }
}
