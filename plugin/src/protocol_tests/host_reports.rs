//! Hosts whose reports have gaps, wrong values, lost or repeated samples, or a wrong tempo.

use super::host_loops::phrase;
use super::modes::BEAT;
use super::*;

/// Plays a phrase of 16 beats at 141 BPM and lets the answer play for 12 more. At beat `place` the
/// host's position moves by `moved` samples. Returns the keys that the answer begins, with their
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
                // A note in lost samples begins late.
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
fn blocks_without_a_report_change_nothing() {
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
fn false_jump_removes_no_notes() {
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
fn blocks_with_invalid_values_count_as_blocks_without_a_report() {
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
fn host_with_a_wrong_tempo_gets_an_answer_on_its_positions() {
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

        // Notes lie on the steps of the positions, to the sample.
        let step = BEAT as f64 / factor / 12.0;
        for at in struck.into_iter().filter(|&at| at > 8 * 4_096) {
            let off = at as f64 / step;
            assert!((off - off.round()).abs() * step < 1.0, "{factor}: {at}");
        }
    }
}

/// Some hosts send events with blocks that have no samples.
#[test]
fn notes_in_a_block_without_samples_are_read_at_the_playhead() {
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
