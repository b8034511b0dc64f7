//! Whatever the transport does, no note is left sounding.

use continuo_tests::check::{self, Heard};
use continuo_tests::host::Format;
use continuo_tests::player::{Blocks, Player};
use continuo_tests::scene::{self, ENTRY};

/// A host in the middle of what the plugin plays: in the midst of its first note that lasts
/// longer than a step, so that there is something to end.
fn amid_a_note(format: Format) -> Player {
    let notes = scene::play_on(format, scene::any_setup(), 1).unwrap();
    let long = notes
        .iter()
        .find(|note| note.length.is_some_and(|length| length > 1));
    let long = long.expect("the plugin plays a note longer than a step");
    let steps = f64::from(scene::STEPS_PER_BEAT);
    let middle = (long.step as f64 + long.length.unwrap() as f64 / 2.0) / steps;
    let mut player = scene::stage(format, scene::any_setup(), 1, &scene::opening()).unwrap();
    player.play_to(middle).unwrap();
    assert!(
        check::pair(player.sent()).is_err(),
        "nothing sounds at beat {middle}"
    );
    player
}

/// Every note that began before `sample` must have ended by then, and each note be paired.
fn ended_at(player: &Player, sample: u64) -> Vec<Heard> {
    let notes = check::pair(player.sent()).unwrap();
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
fn after_a_stop() {
    for format in Format::ALL {
        let mut player = amid_a_note(format);
        let stop = player.now();
        player.stand(48_000).unwrap();
        let notes = ended_at(&player, stop);
        assert!(
            notes.iter().all(|note| note.on < stop),
            "{format:?} plays while stopped"
        );
        // And on from there.
        player.play_to(scene::END).unwrap();
        player.stand(1000).unwrap();
        check::pair(player.sent()).unwrap();
    }
}

#[test]
fn after_a_jump() {
    for format in Format::ALL {
        for target in [1.5, 100.0] {
            let mut player = amid_a_note(format);
            let jump = player.now();
            player.jump(target);
            player.play_to(target + 2.0).unwrap();
            player.stand(1000).unwrap();
            ended_at(&player, jump);
        }
    }
}

#[test]
fn after_every_pass_of_a_loop() {
    for format in Format::ALL {
        let mut player = scene::stage(format, scene::any_setup(), 1, &scene::opening()).unwrap();
        // The loop's end is no bar line, so that notes sound across it.
        let (start, end) = (0.0, ENTRY + 4.4);
        player.set_cycle(Some((start, end)));
        let mut wraps = Vec::new();
        for _ in 0..3 {
            player.play_to(end).unwrap();
            wraps.push(player.now());
            player.jump(start);
        }
        player.play_to(1.0).unwrap();
        player.stand(1000).unwrap();
        let notes = check::pair(player.sent()).unwrap();
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

/// Many hosts end no block where the loop ends.
#[test]
fn after_a_loop_that_comes_round_inside_a_block() {
    for format in Format::ALL {
        for blocks in [
            Blocks::Fixed(4096),
            Blocks::Random {
                seed: 5,
                longest: 2000,
            },
        ] {
            // On a bar line, where a note may be planned: it must not sound.
            let end = ENTRY + 3.0;
            let setup = scene::setup(44_100.0, 133.7, blocks);
            let mut player = scene::stage(format, setup, 1, &scene::opening()).unwrap();
            player.set_cycle(Some((0.0, end)));
            let turns = player.play_rounds(3).unwrap();
            player.play_to(2.0).unwrap();
            let stop = player.now();
            player.stand(5000).unwrap();
            let notes = check::pair(player.sent()).unwrap();
            for &turn in &turns {
                // The exact turn lies between two samples: either will do.
                let across = |note: &&Heard| note.on + 1 < turn && note.off > turn + 1;
                assert_eq!(
                    notes.iter().find(across),
                    None,
                    "{format:?}, {blocks:?}, {turn}"
                );
            }
            let cut = |note: &Heard| turns.iter().any(|turn| turn.abs_diff(note.off) <= 1);
            let whole: Vec<_> = notes.iter().filter(|note| !cut(note)).copied().collect();
            let placed = check::place(&whole, player.clock(), scene::STEPS_PER_BEAT, stop).unwrap();
            let entry = ENTRY as i64 * i64::from(scene::STEPS_PER_BEAT);
            assert!(placed.len() >= 6 && placed.iter().all(|note| note.step >= entry));
        }
    }
}

#[test]
fn after_a_restart() {
    for format in Format::ALL {
        let mut player = amid_a_note(format);
        let restart = player.now();
        player.restart().unwrap();
        player.stand(1000).unwrap();
        ended_at(&player, restart);
        player.finish().unwrap();
    }
}

#[test]
fn of_notes_passed_through() {
    for format in Format::ALL {
        let mut player = scene::stage(format, scene::any_setup(), 1, &scene::opening()).unwrap();
        player.set(&[("thru", "On"), ("mode", "Off")]).unwrap();
        // In the midst of the third bar's first notes.
        player.play_to(6.2).unwrap();
        let stop = player.now();
        player.stand(1000).unwrap();
        ended_at(&player, stop);
    }
}
