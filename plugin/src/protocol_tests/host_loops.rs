//! Loops in hosts that round their positions, do not split their blocks at the loop's end, or do not
//! report the loop.

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
    /// The host turns back only at a multiple of this number of samples from the song's start.
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
pub(super) fn phrase(beat: f64) -> Vec<(u64, bool, u8)> {
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
fn input_notes(memory: &[TimelineNote]) -> Vec<(i64, Option<i64>, u8)> {
    let heard = memory.iter().filter(|note| !note.generated);
    let mut heard: Vec<_> = heard
        .map(|note| (note.start, note.end, note.pitch))
        .collect();
    heard.sort_unstable();
    heard
}

/// Only the note-ons, because a note that sounds over the seam ends with the next block.
fn begun(played: &Played) -> Played {
    played.iter().filter(|event| event.1).copied().collect()
}

/// An output event: sample, whether it is a note-on, channel, key, velocity.
type Event = (u64, bool, u8, u8, u8);

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
                        assert_eq!(input_notes(memory), input_notes(&expected[1].1), "{what}");
                    }
                }
            }
        }
    }
}

/// qtractor calls the plugin in blocks of 64 samples, and turns back at the end of a JACK period.
#[test]
fn every_pass_of_a_loop_is_the_same_after_late_turns() {
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
                    let off = |(a, b): (&Event, &Event)| a.0.abs_diff(b.0) > 6 || a.3 != b.3;
                    let played = begun(played);
                    let differs = played.iter().zip(&answer).any(off);
                    assert!(
                        !differs && played.len() == answer.len(),
                        "{what}: {played:?}, expected {answer:?}"
                    );
                    assert_eq!(input_notes(memory), input_notes(&expected[1].1), "{what}");
                }
            }
        }
    }
}
