//! The preview sound, heard in real hosts. The bundle aborts if it allocates.

use continuo_tests::check;
use continuo_tests::host::Format;
use continuo_tests::player::{Blocks, Player};
use continuo_tests::scene;

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, s| peak.max(s.abs()))
}

fn stage(format: Format, blocks: Blocks) -> Player {
    let setup = scene::setup(48_000.0, 120.0, blocks);
    scene::stage(format, setup, 1, &scene::opening()).unwrap()
}

#[test]
fn off_until_asked_for() {
    // Every test host makes sure of silence; this one makes sure that there was something to
    // be silent about.
    for format in Format::ALL {
        let mut player = stage(format, Blocks::Fixed(256));
        assert!(player.plugin().shown("sound").unwrap().starts_with("-inf"));
        player.set(&[("thru", "On")]).unwrap();
        player.play_to(scene::END).unwrap();
        player.stand(1000).unwrap();
        assert!(check::pair(player.sent()).unwrap().len() > scene::opening().len());
    }
}

#[test]
fn the_players_notes_and_ours_sound_each_on_its_sample() {
    for format in Format::ALL {
        let mut player = stage(
            format,
            Blocks::Random {
                seed: 3,
                longest: 900,
            },
        );
        player.set(&[("thru", "On"), ("sound", "0")]).unwrap();
        player.listen();
        let from = player.now();
        player.play_to(scene::END).unwrap();
        let notes = check::pair(&after_stop(&mut player)).unwrap();
        let [left, right] = player.sound();
        assert!(peak(left).max(peak(right)) < 1.0);

        // Nothing before the first key, and that one at once.
        let first = notes.iter().map(|n| n.on).min().unwrap() - from;
        let sounds = left.iter().position(|s| *s != 0.0).unwrap() as u64;
        assert!(
            (first..first + 3).contains(&sounds),
            "{format:?}: {sounds}, {first}"
        );

        // Ours sound as well: the last of the player's has long faded when it plays alone.
        let answer = player.clock().exact(scene::ENTRY, from).round() as u64;
        let own = notes.iter().find(|n| n.on >= answer).expect("an answer").on - from;
        let (before, after) = (own as usize - 500, own as usize + 4_000);
        assert!(peak(&left[before..own as usize]) < 1e-3, "{format:?}");
        assert!(peak(&left[own as usize..after]) > 1e-2, "{format:?}");

        // All of them fade after the stop.
        let mut end = player;
        end.stand(96_000).unwrap();
        let [left, _] = end.sound();
        assert_eq!(peak(&left[left.len() - 1_000..]), 0.0, "{format:?}");
        end.finish().unwrap();
    }
}

/// Stops, and gives all that was sent.
fn after_stop(player: &mut Player) -> Vec<continuo_tests::player::Sent> {
    player.stand(1000).unwrap();
    player.sent().to_vec()
}

#[test]
fn the_level_moves_without_a_click() {
    let mut player = stage(Format::Clap, Blocks::Fixed(512));
    player
        .set(&[("thru", "On"), ("mode", "Off"), ("sound", "-40")])
        .unwrap();
    player.listen();
    player.play_to(4.0).unwrap();
    let from = player.sound()[0].len();
    player.set(&[("sound", "0")]).unwrap();
    player.play_to(4.6).unwrap();
    let to = player.sound()[0].len();
    player.set(&[("sound", "-inf")]).unwrap();
    player.play_to(6.0).unwrap();
    let [left, _] = player.sound();
    let bend = |samples: &[f32]| {
        let bends = samples.windows(3).map(|w| (w[2] - 2.0 * w[1] + w[0]).abs());
        bends.fold(0.0, f32::max)
    };
    // Louder and softer bend no more than what the full level itself has.
    let full = bend(&left[from + 2_000..to]);
    assert!(full > 0.0 && peak(&left[..from]) < 0.02);
    assert!(bend(&left[from..from + 2_000]) < 1.5 * full);
    assert!(bend(&left[to..to + 2_000]) < 1.5 * full);
    assert_eq!(peak(&left[to + 2_000..]), 0.0, "off is off");
}

#[test]
fn sounds_the_same_in_other_blocks() {
    let sound = |blocks| {
        let mut player = stage(Format::Clap, blocks);
        player.set(&[("thru", "On"), ("sound", "-6")]).unwrap();
        player.listen();
        player.play_to(scene::END).unwrap();
        player.sound()[0].to_vec()
    };
    let one = sound(Blocks::Fixed(4_096));
    let other = sound(Blocks::Random {
        seed: 11,
        longest: 300,
    });
    assert_eq!(one.len(), other.len());
    assert!(peak(&one) > 0.01);
    // The level's own ramp begins with the first block.
    let first = one.iter().zip(&other).skip(1_000).position(|(a, b)| a != b);
    assert_eq!(first, None, "other blocks, another sound");
}
