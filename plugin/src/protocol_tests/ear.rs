//! Notes from sound: the reports are given, the rest is real.

use super::*;
use crate::ear::{ALLOWANCE, EarReport};
use continuo_accompaniment::choices::{ListenTo, MemoryMode};
use continuo_accompaniment::timeline::TimelineNote;

/// Samples from a decision until it becomes known.
const LATER: u64 = (RATE * ALLOWANCE) as u64;

fn listening(offline: bool, listen_to: ListenTo) -> ProtocolTest {
    let mut test = ProtocolTest::new(offline, 1 << 16);
    test.shared.ear.finish_all();
    test.settings.listen_to = listen_to;
    test.controls.hears_keys = listen_to.hears_keys();
    test.controls.ear = Some(continuo_ear::Settings::default());
    test
}

/// A report of a note of half a second that is decided a second after its onset.
fn report(onset: u64, pitch: u8) -> EarReport {
    EarReport::Note {
        onset,
        end: onset + 24_000,
        decided: onset + 48_000,
        pitch,
        velocity: 80,
        confidence: 70,
    }
}

/// A report that the sound up to 12,000 samples before `decided` is read, and nothing sounds there.
fn silence(decided: u64) -> EarReport {
    EarReport::Read {
        to: decided - 12_000,
        decided,
        sounding: false,
    }
}

/// Plays blocks of silence at 120 BPM from beat 0 on. Returns the generated notes by their sample.
fn play(test: &mut ProtocolTest, samples: u64, frames: impl FnMut() -> u64) -> Vec<(u64, u8)> {
    play_from(test, 0, samples, frames)
}

/// The same from one sample to another.
fn play_from(
    test: &mut ProtocolTest,
    from: u64,
    to: u64,
    mut frames: impl FnMut() -> u64,
) -> Vec<(u64, u8)> {
    let (mut at, mut ons) = (from, Vec::new());
    while at < to {
        let frames = frames().min(to - at);
        test.sound = vec![0.0; frames as usize];
        let mut block = Block::default();
        let reading = rolling(at as f64 / 24_000.0);
        test.block(&reading, frames as u32, &mut block);
        let generated = block.output.iter().map(|event| plain(event, at));
        ons.extend(generated.filter(|e| e.1).map(|e| (e.0, e.3)));
        test.worker.read_all();
        test.composer.lock().unwrap().run();
        at += frames;
    }
    ons
}

fn heard(test: &ProtocolTest) -> Vec<TimelineNote> {
    let composer = test.composer.lock().unwrap();
    let notes = composer.session.timeline().notes();
    notes.filter(|note| !note.generated).collect()
}

#[test]
fn phrase_heard_late_is_answered_where_its_silence_is_known() {
    let mut expected = None;
    for (offline, size) in [(true, 480), (true, 7_001), (true, 64), (false, 480)] {
        let mut test = listening(offline, ListenTo::Audio);
        for (beat, pitch) in [(0, 60), (1, 64), (2, 67)] {
            test.worker.report(report(beat * 24_000, pitch));
        }
        test.worker.report(silence(96_000));
        let answer = play(&mut test, 12 * 24_000, || size);
        let notes: Vec<_> = heard(&test)
            .iter()
            .map(|n| (n.start, n.end, n.pitch, n.confidence))
            .collect();
        let note = |start, pitch| (start, Some(start + 12), pitch, Some(70));
        assert_eq!(notes, [note(0, 60), note(12, 64), note(24, 67)]);
        // The last note is known at beat 4.6, the gap is one beat, and the answer enters on a beat.
        assert_eq!(answer.first().map(|on| on.0), Some(6 * 24_000), "{size}");
        let expected = expected.get_or_insert_with(|| answer.clone());
        assert_eq!(&answer, expected, "offline {offline}, blocks of {size}");
    }
}

#[test]
fn note_heard_during_the_answer_ends_it_where_it_becomes_known() {
    let mut test = listening(true, ListenTo::Audio);
    test.worker.report(report(0, 60));
    test.worker.report(silence(48_000));
    let back = 8 * 24_000 + 500;
    test.worker.report(report(back, 62));
    test.worker.report(silence(back + 48_000));
    let known = back + 48_000 + LATER;
    let answer = play(&mut test, 14 * 24_000, || 333);
    assert!(answer.iter().any(|on| (back..known).contains(&on.0)));
    // Nothing more until the gap has passed again.
    let after: Vec<_> = answer.iter().filter(|on| on.0 >= known).collect();
    assert!(after.iter().all(|on| on.0 >= known + 24_000), "{after:?}");
}

#[test]
fn a_sound_that_lasts_postpones_the_answer() {
    let mut test = listening(true, ListenTo::Audio);
    test.worker.report(report(0, 60));
    for window in 2..10 {
        test.worker.report(EarReport::Read {
            to: window * 33_600,
            decided: window * 33_600 + 8_400,
            sounding: window < 8,
        });
    }
    let answer = play(&mut test, 16 * 24_000, || 480);
    let silent_from = 8 * 33_600 + 8_400 + LATER;
    let first = answer.first().unwrap().0;
    assert!((silent_from + 24_000..silent_from + 72_000).contains(&first));
}

#[test]
fn the_plugin_does_not_listen_to_itself() {
    let mut test = listening(true, ListenTo::Audio);
    test.worker.report(report(0, 60));
    test.worker.report(silence(48_000));
    let answer = play(&mut test, 8 * 24_000, || 480);
    let (sample, pitch) = answer[0];
    for microphone in [true, false] {
        let mut test = listening(true, ListenTo::Audio);
        test.microphone = microphone;
        test.worker.report(report(0, 60));
        test.worker.report(silence(48_000));
        // The loudspeakers are 50 ms away.
        test.worker.report(report(sample + 2_400, pitch));
        let played = play(&mut test, 8 * 24_000, || 480);
        // A side chain does not hear it: there the same key is the player's.
        assert_eq!(heard(&test).len(), if microphone { 1 } else { 2 });
        assert_eq!(played == answer, microphone);
    }
}

#[test]
fn what_was_heard_before_a_load_or_a_clear_does_not_come_back() {
    type Act = fn(&mut ProtocolTest);
    let load: Act = |test| {
        test.shared.session_epoch.fetch_add(1, Ordering::Release);
    };
    let clear: Act = |test| test.press(Trigger::Clear);
    let other_rate: Act = |test| test.processor.set_sample_rate(RATE);
    for (act, what) in [(load, "load"), (clear, "clear"), (other_rate, "rate")] {
        let mut test = listening(true, ListenTo::Audio);
        test.settings.mode = Mode::Off;
        test.worker.report(report(12_000, 60));
        test.worker.report(report(90_000, 64));
        play_from(&mut test, 0, 48_000, || 480);
        act(&mut test);
        play_from(&mut test, 48_000, 192_000, || 480);
        let pitches: Vec<_> = heard(&test).iter().map(|n| n.pitch).collect();
        assert_eq!(pitches, [64], "{what}");
    }
}

#[test]
fn turning_a_knob_begins_few_streams() {
    let mut test = listening(true, ListenTo::Audio);
    let mut begun = 0;
    for block in 0..400u32 {
        let gate_db = -60.0 + block as f32 / 20.0;
        test.controls.ear = Some(continuo_ear::Settings {
            gate_db,
            ..continuo_ear::Settings::default()
        });
        test.sound = vec![0.0; 480];
        let beat = f64::from(block) * 0.02;
        test.block(&rolling(beat), 480, &mut Block::default());
        begun += test
            .worker
            .read_all()
            .1
            .iter()
            .filter(|mark| mark.1)
            .count();
    }
    // Four seconds.
    assert!((3..=5).contains(&begun), "{begun}");
}

#[test]
fn sound_that_nobody_reads_delays_nothing() {
    // In real time with a full ring, and offline with blocks beyond the ring.
    for (offline, frames) in [(false, 4_096), (true, 200_000)] {
        let mut test = listening(offline, ListenTo::Audio);
        for block in 0..40u64 {
            test.sound = vec![0.1; frames];
            let beat = (block * frames as u64) as f64 / 24_000.0;
            test.block(&rolling(beat), frames as u32, &mut Block::default());
        }
        assert!(test.count(|c| &c.overflow) > 0, "{frames}");
        assert_eq!(test.count(|c| &c.offline_timeouts), 0, "{frames}");
    }
}

#[test]
fn keys_count_only_where_the_setting_says_so() {
    for (listen_to, keys) in [
        (ListenTo::Audio, 0),
        (ListenTo::Both, 1),
        (ListenTo::Midi, 1),
    ] {
        let mut test = listening(true, listen_to);
        let mut block = Block::default();
        block.input.push_back(key(5, true, 1, 60));
        block.input.push_back(key(9, false, 1, 60));
        test.block(&rolling(0.0), 480, &mut block);
        // They pass through in any case.
        assert_eq!(block.output.len(), 2, "{listen_to:?}");
        play(&mut test, 4_800, || 480);
        assert_eq!(heard(&test).len(), keys, "{listen_to:?}");
    }
}

#[test]
fn streams_begin_at_starts_and_jumps_and_end_at_stops() {
    let mut test = listening(true, ListenTo::Audio);
    let mut feed = |reading: HostTransport| {
        test.sound = vec![0.5; 480];
        test.block(&reading, 480, &mut Block::default());
        test.worker.read_all()
    };
    let beats = 480.0 / 24_000.0;
    assert_eq!(feed(standing()), (vec![], vec![]));
    assert_eq!(feed(rolling(0.0)), (vec![0.5; 480], vec![(0, true)]));
    assert_eq!(feed(rolling(beats)), (vec![0.5; 480], vec![]));
    let jumped = vec![(960, false), (960, true)];
    assert_eq!(feed(rolling(40.0)), (vec![0.5; 480], jumped));
    assert_eq!(feed(standing()), (vec![], vec![(1_440, false)]));
    // Without an audio input nothing is heard, and nothing is lost.
    test.sound.clear();
    test.block(&rolling(50.0), 480, &mut Block::default());
    assert_eq!(test.worker.read_all(), (vec![], vec![]));
}

#[test]
fn note_before_a_loop_seam_keeps_its_place() {
    for (memory, expected) in [(MemoryMode::Song, 0), (MemoryMode::Session, 1)] {
        let mut test = listening(true, ListenTo::Audio);
        test.settings.memory = memory;
        test.settings.mode = Mode::Off;
        // A key, so that session memory goes on at the seam.
        test.controls.hears_keys = true;
        test.worker.report(report(3 * 24_000, 60));
        let mut block = Block::default();
        block.input.push_back(key(0, true, 1, 48));
        block.input.push_back(key(100, false, 1, 48));
        let mut at = 0;
        while at < 150_000 {
            let beat = (at % 96_000) as f64 / 24_000.0;
            let reading = HostTransport {
                cycle: Some((0.0, 4.0)),
                ..rolling(beat)
            };
            test.sound = vec![0.0; 480];
            test.block(&reading, 480, &mut block);
            block = Block::default();
            test.worker.read_all();
            at += 480;
        }
        test.composer.lock().unwrap().run();
        let composer = test.composer.lock().unwrap();
        let timeline = composer.session.timeline();
        let found: Vec<_> = timeline.notes().filter(|n| n.pitch == 60).collect();
        assert_eq!(found.len(), expected, "{memory:?}");
        if let Some(note) = found.first() {
            assert_eq!((note.start, note.end), (36, Some(48)));
        } else {
            assert_eq!(timeline.notes_ahead(), 1);
        }
    }
}
