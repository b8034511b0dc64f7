//! A tune at the side chain, as sound, is heard and answered, in both formats. The tests that listen are
//! skipped where basic-pitch's model is missing.

use continuo_score::{Note, Score, tune};
use continuo_tests::artifacts;
use continuo_tests::assertions::{self, GridNote};
use continuo_tests::clock::Clock;
use continuo_tests::daw::{Blocks, Daw, Setup};
use continuo_tests::host::{Format, Mode};
use continuo_tests::scenario::{self, SILENT, STEPS_PER_BEAT};
use continuo_tests::sound;

/// First bar line that an answer to the sound may enter on, in quarter notes: the last note ends at beat
/// 12, is known at 14.7 at 120 BPM, and the gap is two beats.
const EAR_ENTRY: f64 = 18.0;
const END: f64 = 33.0;

/// The notes of the opening.
fn opening() -> Score {
    tune::minuet().until(SILENT as u32 * STEPS_PER_BEAT)
}

/// The opening as sound, at 120 BPM.
fn sound_of_opening(sample_rate: f64) -> Vec<f32> {
    sound::render(&opening(), 0, 120.0, sample_rate)
}

/// A host whose side chain begins with the transport.
fn listening(format: Format, setup: Setup) -> Daw {
    let sound = sound_of_opening(setup.sample_rate);
    let mut daw = scenario::start(format, setup, 1, &[]).unwrap();
    daw.set(&[("listen", "Audio")]).unwrap();
    daw.set_side_chain(Some(sound));
    daw
}

/// Plays to [`END`]. Returns the plugin's notes, and the notes that it heard.
fn play(daw: &mut Daw, format: Format, pace: &mut dyn FnMut(u64)) -> (Vec<GridNote>, Vec<Note>) {
    daw.play_paced(END, pace).unwrap();
    let end = daw.now();
    daw.run_stopped(1000).unwrap();
    let notes = assertions::pair_notes(daw.sent()).unwrap();
    let clock: &Clock = daw.clock();
    let placed = assertions::place_on_grid(&notes, clock, STEPS_PER_BEAT, end).unwrap();
    let state = daw.plugin().save().unwrap();
    let heard = sound::heard(format, &state).unwrap();
    (placed, heard)
}

/// Share of the opening's notes that were heard, within a step.
fn recall(heard: &[Note]) -> f64 {
    let opening = opening();
    let is_same = |a: &Note, b: &Note| a.pitch == b.pitch && a.start.abs_diff(b.start) <= 1;
    let notes = opening.notes.iter();
    let found = notes.filter(|note| heard.iter().any(|other| is_same(note, other)));
    found.count() as f64 / opening.notes.len() as f64
}

#[test]
fn sound_is_heard_and_answered_alike_in_both_formats_and_all_blocks() {
    if !artifacts::use_ear_model().unwrap() {
        return;
    }
    let mut first = None;
    for (format, blocks) in [
        (Format::Clap, Blocks::Fixed(256)),
        (Format::Vst3, Blocks::Fixed(1_000)),
        (
            Format::Clap,
            Blocks::Random {
                seed: 5,
                longest: 4_096,
            },
        ),
    ] {
        let mut daw = listening(format, scenario::setup(48_000.0, 120.0, blocks));
        let played = play(&mut daw, format, &mut |_| ());
        daw.finish().unwrap();
        let (answer, heard) = &played;
        assert!(recall(heard) > 0.8, "{format:?}: heard {heard:?}");
        let entry = (EAR_ENTRY as i64) * i64::from(STEPS_PER_BEAT);
        assert!(answer.len() >= 8, "{format:?}: {answer:?}");
        assert!(answer[0].step >= entry, "{format:?}: {answer:?}");
        let first = first.get_or_insert_with(|| played.clone());
        assert_eq!(&played, first, "{format:?}, {blocks:?}");
    }
}

/// A tune that begins again ends the answer on one sample, whatever the blocks and the format.
#[test]
fn sound_ends_the_answer_on_the_same_sample_in_all_blocks() {
    if !artifacts::use_ear_model().unwrap() {
        return;
    }
    let mut sound = sound_of_opening(44_100.0);
    sound.resize(44_100 * 11, 0.0);
    sound.extend(sound_of_opening(44_100.0));
    let mut first: Option<Vec<(u64, bool, u8)>> = None;
    for (format, blocks) in [
        (Format::Clap, Blocks::Fixed(64)),
        (Format::Vst3, Blocks::Fixed(4_096)),
        (
            Format::Vst3,
            Blocks::Random {
                seed: 9,
                longest: 900,
            },
        ),
    ] {
        let setup = scenario::setup(44_100.0, 120.0, blocks);
        let mut daw = scenario::start(format, setup, 1, &[]).unwrap();
        daw.set(&[("listen", "Audio")]).unwrap();
        daw.set_side_chain(Some(sound.clone()));
        let began = daw.now();
        daw.play_to(30.0).unwrap();
        let sent = daw.sent().iter();
        let sent: Vec<_> = sent
            .map(|sent| (sent.sample - began, sent.event.on, sent.event.key))
            .collect();
        daw.finish().unwrap();
        // The second tune begins at beat 22, and its first note is known two beats later at most.
        let cut = sent.iter().map(|event| event.0).max().unwrap();
        assert!(
            (22 * 22_050..26 * 22_050).contains(&cut),
            "{format:?}: {cut}"
        );
        let first = first.get_or_insert_with(|| sent.clone());
        assert_eq!(&sent, first, "{format:?}, {blocks:?}");
    }
}

#[test]
fn a_bounce_equals_the_playback() {
    if !artifacts::use_ear_model().unwrap() {
        return;
    }
    let format = Format::Clap;
    let setup = scenario::setup(44_100.0, 120.0, Blocks::Fixed(512));
    let mut bounce = listening(format, setup.clone());
    let expected = play(&mut bounce, format, &mut |_| ());
    bounce.finish().unwrap();
    let mode = Mode::Realtime;
    let mut daw = listening(format, Setup { mode, ..setup });
    // The models load.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let mut began = None;
    let mut pace = |sample: u64| {
        let (start, first) = *began.get_or_insert((std::time::Instant::now(), sample));
        let due = std::time::Duration::from_secs_f64((sample - first) as f64 / 44_100.0);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    };
    let played = play(&mut daw, format, &mut pace);
    daw.finish().unwrap();
    assert_eq!(played, expected);
}

#[test]
fn side_chain_appears_and_disappears() {
    if !artifacts::use_ear_model().unwrap() {
        return;
    }
    for format in Format::ALL {
        let mut daw = scenario::start(format, scenario::default_setup(), 1, &[]).unwrap();
        daw.set(&[("listen", "Both")]).unwrap();
        let mut bad: Vec<f32> = sound_of_opening(48_000.0)
            .iter()
            .map(|x| x * 40.0)
            .collect();
        bad.iter_mut().step_by(1_000).for_each(|x| *x = f32::NAN);
        for (beat, sound) in [
            (2.0, None),
            (6.0, Some(bad.clone())),
            (8.0, None),
            (12.0, Some(bad)),
        ] {
            daw.set_side_chain(sound);
            daw.play_to(beat).unwrap();
        }
        daw.seek(3.0);
        let (_, heard) = play(&mut daw, format, &mut |_| ());
        assert!(heard.len() > 5, "{format:?}: {heard:?}");
        daw.finish().unwrap();
    }
}
