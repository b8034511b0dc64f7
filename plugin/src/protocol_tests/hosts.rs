//! Hosts that round their positions, do not split their blocks at a loop's end, do not report
//! the loop, or leave out information.

use super::modes::BEAT;
use super::*;
use continuo_accompaniment::timeline::TimelineNote;

/// What a host does with its positions and its loop.
#[derive(Clone, Copy, Debug)]
struct Manners {
    /// Positions are rounded down to so many parts of a quarter note.
    ticks: Option<f64>,
    /// The loop is reported.
    told: bool,
    /// Blocks end where the loop ends.
    split: bool,
    frames: u64,
}

/// Seven bars of 4/4 at 120 BPM.
const LOOP_BEATS: u64 = 28;
const LOOP: u64 = LOOP_BEATS * BEAT;

/// The player's notes in each pass: sample, whether it begins, key. Chords and a melody in the
/// first four bars, the first of them on the loop's first sample, and a note that is held over
/// a bar.
fn phrase() -> Vec<(u64, bool, u8)> {
    let beat = BEAT;
    let mut events = Vec::new();
    for bar in 0..4u64 {
        for (at, length, pitch) in [(0, 3, 48), (0, 1, 64), (1, 1, 67), (2, 1, 71), (3, 1, 72)] {
            let start = (4 * bar + at) * beat;
            events.push((start, true, pitch + bar as u8));
            events.push((start + length * beat - 2_400, false, pitch + bar as u8));
        }
    }
    events.sort_unstable();
    events
}

/// Plays some passes of the loop. Gives what came out in each, counted from its first sample,
/// and the memory at its last block.
fn play(manners: Manners, passes: u64, offline: bool) -> Vec<(Played, Vec<TimelineNote>)> {
    let mut rehearsal = ProtocolTest::new(offline, 1 << 14);
    rehearsal.settings.enter = Enter::Bar;
    let events = phrase();
    let mut found = vec![(Played::new(), Vec::new()); passes as usize + 1];
    let mut at = 0;
    while at < passes * LOOP {
        let here = at % LOOP;
        let frames = match manners.split {
            true => manners.frames.min(LOOP - here),
            false => manners.frames,
        };
        let mut block = Block::default();
        for pass in [0, LOOP] {
            for &(sample, on, pitch) in &events {
                if let Some(offset) = (sample + pass).checked_sub(here).filter(|o| *o < frames) {
                    block.input.push_back(key(offset as u32, on, 1, pitch));
                }
            }
        }
        let beat = here as f64 / BEAT as f64;
        let reading = HostTransport {
            cycle: manners.told.then_some((0.0, LOOP_BEATS as f64)),
            bar_start: Some((beat / 4.0).floor() * 4.0),
            numerator: Some(4),
            denominator: Some(4),
            ..rolling(
                manners
                    .ticks
                    .map_or(beat, |t| (beat * t + 1e-9).floor() / t),
            )
        };
        let pass = (at / LOOP) as usize;
        if here + frames >= LOOP {
            let composer = rehearsal.composer.lock().unwrap();
            found[pass].1 = composer.session.timeline().notes().collect();
        }
        rehearsal.block(&reading, frames as u32, &mut block);
        for event in &block.output {
            let (sample, on, channel, pitch, velocity) = plain(event, at);
            if channel == 0 {
                let pass = (sample / LOOP) as usize;
                found[pass]
                    .0
                    .push((sample % LOOP, on, channel, pitch, velocity));
            }
        }
        rehearsal.composer.lock().unwrap().run();
        at += frames;
    }
    found.truncate(passes as usize);
    found
}

/// Note-ons alone: a note that sounds over the seam ends with the next block.
fn begun(played: &Played) -> Played {
    played.iter().filter(|event| event.1).copied().collect()
}

#[test]
fn every_pass_of_a_loop_is_the_same_in_every_host() {
    let well = Manners {
        ticks: None,
        told: true,
        split: true,
        frames: 480,
    };
    for offline in [true, false] {
        let expected = play(well, 4, offline);
        assert!(begun(&expected[0].0).len() > 4, "{:?}", expected[0].0);
        for ticks in [None, Some(480.0), Some(960.0), Some(1_920.0), Some(7_680.0)] {
            for (told, split) in [(true, false), (false, true), (false, false)] {
                for frames in [64, 1_024, 4_095] {
                    let manners = Manners {
                        ticks,
                        told,
                        split,
                        frames,
                    };
                    let found = play(manners, 4, offline);
                    for (pass, (played, memory)) in found.iter().enumerate() {
                        let what = format!("{manners:?}, pass {pass}, offline {offline}");
                        same(&begun(played), &begun(&expected[1].0), &what);
                        let notes = |memory: &[TimelineNote]| {
                            let mut notes: Vec<_> = memory
                                .iter()
                                .filter(|note| !note.generated)
                                .map(|note| (note.start, note.end, note.pitch))
                                .collect();
                            notes.sort_unstable();
                            notes
                        };
                        assert_eq!(notes(memory), notes(&expected[1].1), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_gap_in_what_the_host_says_changes_nothing() {
    for seed in 0..20 {
        let piece = piece(seed);
        let expected = perform(&piece, &mut ProtocolTest::new(true, 1 << 14), || 256);
        let (mut rng, mut rehearsal) = (Rng::new(seed), ProtocolTest::new(true, 1 << 14));
        let mut rolls = false;
        let gaps = |reading| {
            let gap = std::mem::replace(&mut rolls, true) && rng.below(4) == 0;
            if gap {
                HostTransport::default()
            } else {
                reading
            }
        };
        let played = perform_in(&piece, &mut rehearsal, || 256, |_, _| (), gaps);
        same(&played, &expected, &format!("seed {seed}"));
    }
}

#[test]
fn a_false_jump_forgets_nothing() {
    let mut rehearsal = ProtocolTest::new(true, 1 << 14);
    let count = |rehearsal: &ProtocolTest| {
        let composer = rehearsal.composer.lock().unwrap();
        let notes = composer.session.timeline().notes();
        notes.filter(|note| note.start_beat < 15.9).count()
    };
    for block in 0..800u32 {
        let mut events = Block::default();
        if block % 20 == 0 && block < 600 {
            events.input.push_back(key(0, true, 1, 60));
            events.input.push_back(key(400, false, 1, 60));
        }
        rehearsal.block(&rolling(f64::from(block) * 0.02), 480, &mut events);
    }
    let before = count(&rehearsal);
    assert!(before >= 30);
    // One block says another place, and the host goes on where it was.
    rehearsal.block(&rolling(0.3), 480, &mut Block::default());
    assert!(count(&rehearsal) < before);
    rehearsal.block(&rolling(16.02), 480, &mut Block::default());
    assert_eq!(count(&rehearsal), before);
}

#[test]
fn blocks_with_values_that_are_none_are_gaps() {
    for seed in 0..12 {
        let piece = piece(seed);
        let expected = perform(&piece, &mut ProtocolTest::new(true, 1 << 14), || 256);
        let (mut rng, mut rehearsal) = (Rng::new(seed), ProtocolTest::new(true, 1 << 14));
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
        let played = perform_in(&piece, &mut rehearsal, || 256, |_, _| (), odd);
        same(&played, &expected, &format!("seed {seed}"));
    }
}

#[test]
fn a_host_with_a_wrong_tempo_gets_music_that_goes_on() {
    for factor in [0.5, 2.0] {
        let mut rehearsal = ProtocolTest::new(true, 1 << 14);
        rehearsal.settings.mode = continuo_accompaniment::choices::Mode::Free;
        let (mut listener, mut struck) = (Listener::default(), Vec::new());
        for block in 0..400u32 {
            let at = u64::from(block) * 4_096;
            let beat = at as f64 / BEAT as f64 * factor;
            let mut events = Block::default();
            rehearsal.block(&rolling(beat), 4_096, &mut events);
            listener.check(at, 4_096, &events.output);
            let ons = events.output.iter().map(|event| plain(event, at));
            struck.extend(ons.filter(|event| event.1).map(|event| event.0));
        }
        let late = struck.iter().filter(|&&at| at > 8 * 4_096).count();
        assert!(late > 40, "{factor}: {late} notes");
        let shared = &rehearsal.shared;
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
    let mut rehearsal = ProtocolTest::new(true, 1 << 14);
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
            rehearsal.block(&reading, frames, &mut events);
            if frames == 0 {
                // A key makes the answer yield, here as elsewhere.
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
    let composer = rehearsal.composer.lock().unwrap();
    let heard = composer
        .session
        .timeline()
        .notes()
        .filter(|note| !note.generated);
    let heard: Vec<_> = heard.map(|note| (note.start, note.end)).collect();
    assert_eq!(heard, [(24, Some(30)), (96, Some(102))]);
    drop(composer);
    assert!(rehearsal.count(|c| &c.played) > 10);
}
