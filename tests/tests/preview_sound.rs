//! The preview synthesiser in both formats. The test bundle aborts if `process()` allocates.

use continuo_tests::assertions;
use continuo_tests::daw::{Blocks, Daw};
use continuo_tests::host::Format;
use continuo_tests::scenario;

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, s| peak.max(s.abs()))
}

/// A host in scenario start, with these blocks.
fn start(format: Format, blocks: Blocks) -> Daw {
    let setup = scenario::setup(48_000.0, 120.0, blocks);
    scenario::start(format, setup, 1, &scenario::opening()).unwrap()
}

#[test]
fn preview_is_silent_by_default() {
    // The host fails on any sound; this test also checks that there are notes to be silent about.
    for format in Format::ALL {
        let mut daw = start(format, Blocks::Fixed(256));
        assert!(
            daw.plugin()
                .parameter_text("sound")
                .unwrap()
                .starts_with("-inf")
        );
        daw.set(&[("thru", "On")]).unwrap();
        daw.play_to(scenario::END).unwrap();
        daw.run_stopped(1000).unwrap();
        assert!(assertions::pair_notes(daw.sent()).unwrap().len() > scenario::opening().len());
    }
}

#[test]
fn preview_sounds_input_and_answer_on_their_samples() {
    for format in Format::ALL {
        let mut daw = start(
            format,
            Blocks::Random {
                seed: 3,
                longest: 900,
            },
        );
        daw.set(&[("thru", "On"), ("sound", "0")]).unwrap();
        daw.record_audio();
        let from = daw.now();
        daw.play_to(scenario::END).unwrap();
        let notes = assertions::pair_notes(&after_stop(&mut daw)).unwrap();
        let [left, right] = daw.recorded_audio();
        assert!(peak(left).max(peak(right)) < 1.0);

        // Silence up to the first key, and sound from its sample on.
        let first = notes.iter().map(|n| n.on).min().unwrap() - from;
        let sounds = left.iter().position(|s| *s != 0.0).unwrap() as u64;
        assert!(
            (first..first + 3).contains(&sounds),
            "{format:?}: {sounds}, {first}"
        );

        // The answer sounds: the player's last note has faded when the answer begins.
        let answer = daw.clock().sample_at(scenario::ENTRY, from).round() as u64;
        let own = notes.iter().find(|n| n.on >= answer).expect("an answer").on - from;
        let (before, after) = (own as usize - 500, own as usize + 4_000);
        assert!(peak(&left[before..own as usize]) < 1e-3, "{format:?}");
        assert!(peak(&left[own as usize..after]) > 1e-2, "{format:?}");

        // All notes fade after the stop.
        let mut end = daw;
        end.run_stopped(96_000).unwrap();
        let [left, _] = end.recorded_audio();
        assert_eq!(peak(&left[left.len() - 1_000..]), 0.0, "{format:?}");
        end.finish().unwrap();
    }
}

/// Stops the transport and returns all events.
fn after_stop(daw: &mut Daw) -> Vec<continuo_tests::daw::Sent> {
    daw.run_stopped(1000).unwrap();
    daw.sent().to_vec()
}

#[test]
fn preview_level_changes_without_clicks() {
    let mut daw = start(Format::Clap, Blocks::Fixed(512));
    daw.set(&[("thru", "On"), ("mode", "Off"), ("sound", "-40")])
        .unwrap();
    daw.record_audio();
    daw.play_to(4.0).unwrap();
    let from = daw.recorded_audio()[0].len();
    daw.set(&[("sound", "0")]).unwrap();
    daw.play_to(4.6).unwrap();
    let to = daw.recorded_audio()[0].len();
    daw.set(&[("sound", "-inf")]).unwrap();
    daw.play_to(6.0).unwrap();
    let [left, _] = daw.recorded_audio();
    let bend = |samples: &[f32]| {
        let bends = samples.windows(3).map(|w| (w[2] - 2.0 * w[1] + w[0]).abs());
        bends.fold(0.0, f32::max)
    };
    // A change of level has no greater second difference than the sound at full level.
    let full = bend(&left[from + 2_000..to]);
    assert!(full > 0.0 && peak(&left[..from]) < 0.02);
    assert!(bend(&left[from..from + 2_000]) < 1.5 * full);
    assert!(bend(&left[to..to + 2_000]) < 1.5 * full);
    assert_eq!(peak(&left[to + 2_000..]), 0.0, "the sound must be off");
}

#[test]
fn preview_sound_is_equal_for_all_block_sizes() {
    let sound = |blocks| {
        let mut daw = start(Format::Clap, blocks);
        daw.set(&[("thru", "On"), ("sound", "-6")]).unwrap();
        daw.record_audio();
        daw.play_to(scenario::END).unwrap();
        daw.recorded_audio()[0].to_vec()
    };
    let one = sound(Blocks::Fixed(4_096));
    let other = sound(Blocks::Random {
        seed: 11,
        longest: 300,
    });
    assert_eq!(one.len(), other.len());
    assert!(peak(&one) > 0.01);
    // The level's ramp starts with the first block, which differs in length.
    let first = one.iter().zip(&other).skip(1_000).position(|(a, b)| a != b);
    assert_eq!(first, None, "the sound depends on the block size");
}
