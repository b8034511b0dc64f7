//! Passing the player's notes on, and yielding to the player.

use continuo_tests::check;
use continuo_tests::host::{Format, Mode};
use continuo_tests::player::{Blocks, TrackNote};
use continuo_tests::scene::{self, STEPS_PER_BEAT};

#[test]
fn through_changes_nothing() {
    for format in Format::ALL {
        for (thru, expected) in [("On", scene::opening().len()), ("Off", 0)] {
            let mut setup = scene::any_setup();
            setup.blocks = Blocks::Random {
                seed: 1,
                longest: 999,
            };
            let mut player = scene::stage(format, setup, 1, &scene::opening()).unwrap();
            player.set(&[("thru", thru), ("mode", "Off")]).unwrap();
            player.play_to(scene::END).unwrap();
            player.stand(1000).unwrap();
            let notes = check::pair(player.sent()).unwrap();
            assert_eq!(notes.len(), expected, "{format:?}, through {thru}");
            let mut given = scene::opening();
            given.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.key.cmp(&b.key)));
            for (note, given) in notes.iter().zip(&given) {
                // The host's clock began when the transport did: at sample 1000.
                let exact = |beat: f64| player.clock().exact(beat, 1000).round() as u64;
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
fn parameters_are_shown_as_they_were_typed() {
    for format in Format::ALL {
        let mut player = scene::stage(format, scene::any_setup(), 77, &[]).unwrap();
        player
            .set(&[("mode", "Off"), ("gap", "3.5"), ("enter", "Beat")])
            .unwrap();
        player.stand(1000).unwrap();
        for (id, shown) in [
            ("mode", "Off"),
            ("gap", "3.5"),
            ("enter", "Beat"),
            ("seed", "77"),
        ] {
            let text = player.plugin().shown(id).unwrap();
            assert!(
                text.starts_with(shown),
                "{format:?}: {id} is shown as {text:?}"
            );
        }
    }
}

#[test]
fn yields_at_the_players_first_key() {
    for format in Format::ALL {
        let alone = scene::play_on(format, scene::any_setup(), 1).unwrap();
        let long = alone
            .iter()
            .find(|note| note.length.is_some_and(|length| length > 1))
            .unwrap();
        let middle = (long.step as f64 + 0.7) / f64::from(STEPS_PER_BEAT);
        // Off the grid and in a key of its own, so that it can be told apart.
        let key = TrackNote {
            start: middle,
            end: middle + 0.4,
            key: 127,
            velocity: 0.5,
        };
        let mut notes = scene::opening();
        notes.push(key);
        let mut player = scene::stage(format, scene::any_setup(), 1, &notes).unwrap();
        player.set(&[("thru", "On")]).unwrap();
        player.play_to(middle + 1.8).unwrap();
        player.stand(1000).unwrap();
        let struck = player.clock().exact(middle, 1000).round() as u64;
        let heard = check::pair(player.sent()).unwrap();
        let cut = heard
            .iter()
            .filter(|note| note.key != 127 && note.off == struck)
            .count();
        assert!(cut >= 1, "{format:?}: nothing ended as the player began");
        for note in heard.iter().filter(|note| note.key != 127) {
            assert!(
                note.off <= struck,
                "{format:?}: {note:?} against the player at {struck}"
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
fn plays_on_again_after_the_player() {
    let mut notes = scene::opening();
    notes.push(TrackNote {
        start: 18.0,
        end: 18.5,
        key: 67,
        velocity: 0.6,
    });
    let mut player = scene::stage(Format::Clap, scene::any_setup(), 1, &notes).unwrap();
    // Silent from 18.5, so from the bar line at 21 on again.
    player.play_to(30.0).unwrap();
    let end = player.now();
    player.stand(1000).unwrap();
    let heard = check::pair(player.sent()).unwrap();
    let placed = check::place(&heard, player.clock(), STEPS_PER_BEAT, end).unwrap();
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
fn two_at_once_play_as_one_alone() {
    let alone = scene::play_on(Format::Clap, scene::any_setup(), 9).unwrap();
    let mut pair = [9, 4].map(|seed| {
        scene::stage(Format::Clap, scene::any_setup(), seed, &scene::opening()).unwrap()
    });
    // Turn by turn, a beat each.
    for beat in 1..=scene::END as u32 {
        for player in &mut pair {
            player.play_to(f64::from(beat)).unwrap();
        }
    }
    let [mut first, _second] = pair;
    let end = first.now();
    first.stand(1000).unwrap();
    let heard = check::pair(first.sent()).unwrap();
    assert_eq!(
        check::place(&heard, first.clock(), STEPS_PER_BEAT, end).unwrap(),
        alone
    );
}

#[test]
fn plays_by_the_clock() {
    for format in Format::ALL {
        let mut setup = scene::setup(48_000.0, 240.0, Blocks::Fixed(480));
        setup.mode = Mode::Realtime;
        let mut player = scene::stage(format, setup, 1, &scene::opening()).unwrap();
        let (start, first) = (std::time::Instant::now(), player.now());
        let mut pace = |sample: u64| {
            let due = std::time::Duration::from_secs_f64((sample - first) as f64 / 48_000.0);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        };
        player.play_paced(scene::END, &mut pace).unwrap();
        player.stand(1000).unwrap();
        let heard = check::pair(player.sent()).unwrap();
        // How many depends on the machine; that there are some does not.
        assert!(!heard.is_empty(), "{format:?} played nothing");
    }
}
