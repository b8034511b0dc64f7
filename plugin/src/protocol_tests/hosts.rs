//! Hosts that round their positions, do not split their blocks at a loop's end, do not report
//! the loop, or leave out information.

use super::modes::BEAT;
use super::*;
use continuo_accompaniment::timeline::TimelineNote;

/// Behaviour of a host: how it reports positions and loops.
#[derive(Clone, Copy, Debug)]
struct HostBehaviour {
    /// Positions are rounded down to this many parts of a quarter note.
    ticks: Option<f64>,
    /// The loop is reported.
    reported: bool,
    /// Blocks end where the loop ends.
    split: bool,
    frames: u64,
    /// Samples of which the host turns back only at a multiple, from the song's first sample on.
    period: u64,
    tempo: f64,
}

impl Default for HostBehaviour {
    fn default() -> Self {
        Self {
            ticks: None,
            reported: true,
            split: true,
            frames: 480,
            period: 1,
            tempo: 120.0,
        }
    }
}

impl HostBehaviour {
    /// Samples in a quarter note.
    fn beat(&self) -> f64 {
        RATE * 60.0 / self.tempo
    }

    /// Length of the loop in samples.
    fn length(&self) -> u64 {
        (LOOP_BEATS as f64 * self.beat()) as u64
    }
}

/// Seven bars of 4/4.
const LOOP_BEATS: u64 = 28;

/// The player's notes in each pass: sample, whether it begins, key. Chords and a melody in the
/// first four bars, the first of them on the loop's first sample, and a note that is held over
/// a bar.
fn phrase(beat: f64) -> Vec<(u64, bool, u8)> {
    let sample = |beats: u64| (beats as f64 * beat) as u64;
    let mut events = Vec::new();
    for bar in 0..4u64 {
        for (at, length, pitch) in [(0, 3, 48), (0, 1, 64), (1, 1, 67), (2, 1, 71), (3, 1, 72)] {
            let start = 4 * bar + at;
            let end = sample(start + length) - sample(1) / 10;
            events.push((sample(start), true, pitch + bar as u8));
            events.push((end, false, pitch + bar as u8));
        }
    }
    events.sort_unstable();
    events
}

/// Plays passes of the loop. Returns the output of each, counted from its first sample, and the
/// memory at its last block.
fn play(behaviour: HostBehaviour, passes: u64, offline: bool) -> Vec<(Played, Vec<TimelineNote>)> {
    let mut test = ProtocolTest::new(offline, 1 << 14);
    test.settings.enter = Enter::Bar;
    let (length, beat) = (behaviour.length(), behaviour.beat());
    let events = phrase(beat);
    let mut found = vec![(Played::new(), Vec::new()); passes as usize + 1];
    let (mut at, mut here) = (0, 0);
    while at < passes * length {
        let frames = match behaviour.split {
            true => behaviour.frames.min(length - here),
            false => behaviour.frames,
        };
        let mut block = Block::default();
        for pass in [0, length] {
            for &(sample, on, pitch) in &events {
                if let Some(offset) = (sample + pass).checked_sub(here).filter(|o| *o < frames) {
                    block.input.push_back(key(offset as u32, on, 1, pitch));
                }
            }
        }
        let beat = here as f64 / beat;
        let reading = HostTransport {
            tempo: Some(behaviour.tempo),
            cycle: behaviour.reported.then_some((0.0, LOOP_BEATS as f64)),
            bar_start: Some((beat / 4.0).floor() * 4.0),
            numerator: Some(4),
            denominator: Some(4),
            ..rolling(
                behaviour
                    .ticks
                    .map_or(beat, |t| (beat * t + 1e-9).floor() / t),
            )
        };
        let pass = (at / length) as usize;
        if here + frames >= length {
            let composer = test.composer.lock().unwrap();
            found[pass].1 = composer.session.timeline().notes().collect();
        }
        test.block(&reading, frames as u32, &mut block);
        for event in &block.output {
            let (sample, on, channel, pitch, velocity) = plain(event, at);
            if channel == 0 {
                let pass = (sample / length) as usize;
                found[pass]
                    .0
                    .push((sample % length, on, channel, pitch, velocity));
            }
        }
        test.composer.lock().unwrap().run();
        (at, here) = (at + frames, here + frames);
        if here >= length && at % behaviour.period == 0 {
            here -= length;
        }
    }
    found.truncate(passes as usize);
    found
}

/// The player's notes in the memory, in order of start.
fn heard(memory: &[TimelineNote]) -> Vec<(i64, Option<i64>, u8)> {
    let heard = memory.iter().filter(|note| !note.generated);
    let mut heard: Vec<_> = heard
        .map(|note| (note.start, note.end, note.pitch))
        .collect();
    heard.sort_unstable();
    heard
}

/// Note-ons alone: a note that sounds over the seam ends with the next block.
fn begun(played: &Played) -> Played {
    played.iter().filter(|event| event.1).copied().collect()
}

#[test]
fn every_pass_of_a_loop_is_the_same_in_every_host() {
    let well = HostBehaviour::default();
    for offline in [true, false] {
        let expected = play(well, 4, offline);
        assert!(begun(&expected[0].0).len() > 4, "{:?}", expected[0].0);
        for ticks in [None, Some(480.0), Some(960.0), Some(1_920.0), Some(7_680.0)] {
            for (reported, split) in [(true, false), (false, true), (false, false)] {
                for frames in [64, 1_024, 4_095] {
                    let behaviour = HostBehaviour {
                        ticks,
                        reported,
                        split,
                        frames,
                        ..well
                    };
                    let found = play(behaviour, 4, offline);
                    for (pass, (played, memory)) in found.iter().enumerate() {
                        let what = format!("{behaviour:?}, pass {pass}, offline {offline}");
                        same(&begun(played), &begun(&expected[1].0), &what);
                        assert_eq!(heard(memory), heard(&expected[1].1), "{what}");
                    }
                }
            }
        }
    }
}

/// qtractor calls the plugin in blocks of 64 samples, and turns back at the end of a JACK period.
#[test]
fn every_pass_of_a_loop_is_the_same_in_a_host_that_turns_back_late() {
    for (tempo, offline) in [(120.0, true), (141.0, true), (141.0, false)] {
        let well = HostBehaviour {
            tempo,
            ..HostBehaviour::default()
        };
        let expected = play(well, 4, offline);
        let answer = begun(&expected[1].0);
        assert!(answer.len() > 4);
        for (frames, period) in [(64, 1_024), (256, 1_024), (1_024, 1_024), (64, 4_096)] {
            for (ticks, reported) in [(None, false), (Some(7_680.0), false), (None, true)] {
                let behaviour = HostBehaviour {
                    ticks,
                    reported,
                    split: false,
                    frames,
                    period,
                    tempo,
                };
                let found = play(behaviour, 4, offline);
                for (pass, (played, memory)) in found.iter().enumerate() {
                    let what = format!("{behaviour:?}, pass {pass}, offline {offline}");
                    // The loop ends between two samples at 141 BPM.
                    let off = |(a, b): (&Heard, &Heard)| a.0.abs_diff(b.0) > 6 || a.3 != b.3;
                    let played = begun(played);
                    let differs = played.iter().zip(&answer).any(off);
                    assert!(
                        !differs && played.len() == answer.len(),
                        "{what}: {played:?}, expected {answer:?}"
                    );
                    assert_eq!(heard(memory), heard(&expected[1].1), "{what}");
                }
            }
        }
    }
}

/// An event that comes out: sample, whether it begins a note, channel, key, velocity.
type Heard = (u64, bool, u8, u8, u8);

/// Plays a phrase of 16 beats at 141 BPM and lets the answer play for 12 more. At beat `place` the
/// host's position moves on by so many samples. Gives the keys that the answer begins, with their
/// positions in steps of a twelfth of a beat, and the notes of the player in memory.
fn answer_with(frames: u64, place: f64, moved: i64) -> (Vec<(i64, u8)>, usize) {
    let mut test = ProtocolTest::new(true, 1 << 14);
    test.settings.enter = Enter::Bar;
    let beat = RATE * 60.0 / 141.0;
    let events = phrase(beat);
    let (mut at, mut moved, mut answer) = (0u64, Some(moved), Vec::new());
    while (at as f64) < 28.0 * beat {
        if at as f64 >= place * beat {
            at = at.saturating_add_signed(moved.take().unwrap_or(0));
        }
        let mut block = Block::default();
        for &(sample, on, pitch) in &events {
            if let Some(offset) = sample.checked_sub(at).filter(|o| *o < frames) {
                block.input.push_back(key(offset as u32, on, 1, pitch));
            }
        }
        let reading = HostTransport {
            tempo: Some(141.0),
            ..rolling(fixed_point(at as f64 / beat))
        };
        test.block(&reading, frames as u32, &mut block);
        let begun = block.output.iter().map(|event| plain(event, at));
        let begun = begun.filter(|event| event.1 && event.2 == 0);
        answer.extend(begun.map(|e| ((e.0 as f64 / beat * 12.0).round() as i64, e.3)));
        at += frames;
    }
    let composer = test.composer.lock().unwrap();
    let notes = composer.session.timeline().notes();
    (answer, notes.filter(|note| !note.generated).count())
}

#[test]
fn lost_and_repeated_blocks_change_no_answer() {
    for frames in [64u64, 256, 1_024] {
        let expected = answer_with(frames, 0.0, 0);
        assert!(expected.0.len() > 4 && expected.1 == 20, "{expected:?}");
        for place in [15.95, 18.0, 21.5, 23.0, 25.25] {
            let lost = frames as i64;
            for moved in [lost, 4_000 / lost * lost, -lost] {
                let (answer, heard) = answer_with(frames, place, moved);
                let what = format!("{moved} samples at {place}, blocks of {frames}");
                assert_eq!(heard, expected.1, "{what}");
                // A note that falls into lost samples begins late.
                let keys = |answer: &[(i64, u8)]| answer.iter().map(|n| n.1).collect::<Vec<_>>();
                assert_eq!(keys(&answer), keys(&expected.0), "{what}");
                let late = answer.iter().zip(&expected.0).filter(|(a, b)| a.0 != b.0);
                assert!(
                    late.count() <= 2,
                    "{what}: {answer:?}, expected {expected:?}"
                );
            }
        }
    }
}

#[test]
fn a_gap_in_what_the_host_says_changes_nothing() {
    for seed in 0..20 {
        let performance = performance(seed);
        let expected = perform(&performance, &mut ProtocolTest::new(true, 1 << 14), || 256);
        let (mut rng, mut test) = (Rng::new(seed), ProtocolTest::new(true, 1 << 14));
        let mut rolls = false;
        let gaps = |reading| {
            let gap = std::mem::replace(&mut rolls, true) && rng.below(4) == 0;
            if gap {
                HostTransport::default()
            } else {
                reading
            }
        };
        let played = perform_in(&performance, &mut test, || 256, |_, _| (), gaps);
        same(&played, &expected, &format!("seed {seed}"));
    }
}

#[test]
fn a_false_jump_forgets_nothing() {
    let mut test = ProtocolTest::new(true, 1 << 14);
    let count = |test: &ProtocolTest| {
        let composer = test.composer.lock().unwrap();
        let notes = composer.session.timeline().notes();
        notes.filter(|note| note.start_beat < 15.9).count()
    };
    for block in 0..800u32 {
        let mut events = Block::default();
        if block % 20 == 0 && block < 600 {
            events.input.push_back(key(0, true, 1, 60));
            events.input.push_back(key(400, false, 1, 60));
        }
        test.block(&rolling(f64::from(block) * 0.02), 480, &mut events);
    }
    let before = count(&test);
    assert!(before >= 30);
    // One block reports another position, and the host continues where it was.
    test.block(&rolling(0.3), 480, &mut Block::default());
    assert!(count(&test) < before);
    test.block(&rolling(16.02), 480, &mut Block::default());
    assert_eq!(count(&test), before);
}

#[test]
fn blocks_with_values_that_are_none_are_gaps() {
    for seed in 0..12 {
        let performance = performance(seed);
        let expected = perform(&performance, &mut ProtocolTest::new(true, 1 << 14), || 256);
        let (mut rng, mut test) = (Rng::new(seed), ProtocolTest::new(true, 1 << 14));
        let mut rolls = false;
        let odd = |reading: HostTransport| {
            if !std::mem::replace(&mut rolls, true) || rng.below(4) > 0 {
                return reading;
            }
            let value = [f64::NAN, f64::INFINITY, -1e300, 4e9][rng.below(4) as usize];
            match rng.below(3) {
                0 => HostTransport {
                    beat: Some(value),
                    ..reading
                },
                1 => HostTransport {
                    tempo: Some(value),
                    ..reading
                },
                _ => HostTransport {
                    cycle: Some((value, -value)),
                    ..reading
                },
            }
        };
        let played = perform_in(&performance, &mut test, || 256, |_, _| (), odd);
        same(&played, &expected, &format!("seed {seed}"));
    }
}

#[test]
fn a_host_with_a_wrong_tempo_gets_music_that_goes_on() {
    for factor in [0.5, 2.0] {
        let mut test = ProtocolTest::new(true, 1 << 14);
        test.settings.mode = continuo_accompaniment::choices::Mode::Free;
        let (mut listener, mut struck) = (Listener::default(), Vec::new());
        for block in 0..400u32 {
            let at = u64::from(block) * 4_096;
            let beat = at as f64 / BEAT as f64 * factor;
            let mut events = Block::default();
            test.block(&rolling(beat), 4_096, &mut events);
            listener.check(at, 4_096, &events.output);
            let ons = events.output.iter().map(|event| plain(event, at));
            struck.extend(ons.filter(|event| event.1).map(|event| event.0));
        }
        let late = struck.iter().filter(|&&at| at > 8 * 4_096).count();
        assert!(late > 40, "{factor}: {late} notes");
        let shared = &test.shared;
        assert!(shared.tempo_distrusted.load(Ordering::Relaxed));

        // Its steps are those of the positions, to the sample.
        let step = BEAT as f64 / factor / 12.0;
        for at in struck.into_iter().filter(|&at| at > 8 * 4_096) {
            let off = at as f64 / step;
            assert!((off - off.round()).abs() * step < 1.0, "{factor}: {at}");
        }
    }
}

/// Some hosts send events with blocks that have no samples.
#[test]
fn notes_in_a_block_without_samples_are_heard_where_the_playhead_is() {
    let mut test = ProtocolTest::new(true, 1 << 14);
    let mut listener = Listener::default();
    for block in 0..600u32 {
        let reading = rolling(f64::from(block) * 0.02);
        for frames in [0, 480] {
            let mut events = Block::default();
            match (frames, block) {
                (0, 100 | 400) => events.input.push_back(key(0, true, 1, 60)),
                (0, 125 | 425) => events.input.push_back(key(0, false, 1, 60)),
                _ => {}
            }
            test.block(&reading, frames, &mut events);
            if frames == 0 {
                // A note-on ends the answer here as elsewhere.
                for event in &events.output {
                    let (_, on, channel, pitch, _) = plain(event, 0);
                    match on {
                        true => drop(listener.sounding.insert((channel, pitch), 0)),
                        false => drop(listener.sounding.remove(&(channel, pitch))),
                    }
                }
                if block == 400 {
                    assert_eq!(listener.generated(), 0, "it plays on over the key");
                }
            } else {
                listener.check(u64::from(block) * 480 + 1, frames, &events.output);
            }
        }
    }
    let composer = test.composer.lock().unwrap();
    let heard = composer
        .session
        .timeline()
        .notes()
        .filter(|note| !note.generated);
    let heard: Vec<_> = heard.map(|note| (note.start, note.end)).collect();
    assert_eq!(heard, [(24, Some(30)), (96, Some(102))]);
    drop(composer);
    assert!(test.count(|c| &c.played) > 10);
}
