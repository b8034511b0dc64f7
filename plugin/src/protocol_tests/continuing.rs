//! Continue mode, and notes that pass through.

use super::*;

/// A phrase of one beat from the start of the song, then silence: the answer comes on a beat.
pub(super) fn phrase(tempo: f64, beats: f64) -> Performance {
    let spb = RATE * 60.0 / tempo;
    let events = vec![
        (0, key(0, true, 1, 60)),
        ((spb * 0.9) as u64, key(0, false, 1, 60)),
    ];
    Performance {
        tempo,
        events,
        length: (beats * spb) as u64,
    }
}

#[test]
fn answer_begins_on_its_beat_and_ends_at_the_first_key() {
    let mut performance = phrase(120.0, 12.0);
    let back = 24_000 * 8 + 777;
    performance.events.push((back, key(0, true, 1, 64)));
    let mut test = ProtocolTest::new(true, 1 << 16);
    let played = perform(&performance, &mut test, || 333);
    let generated: Vec<_> = played.iter().filter(|e| e.2 == 0).collect();
    // The silence begins at beat 11/12 and the gap is one beat, so the answer begins on beat 2.
    assert_eq!((generated[0].0, generated[0].1), (48_000, true));
    assert!(generated.iter().all(|e| e.0 <= back), "{generated:?}");
    assert!(
        generated
            .iter()
            .filter(|e| e.1)
            .all(|e| e.0 < back && e.0 % 2000 == 0)
    );
    assert_eq!(
        generated.iter().filter(|e| e.1).count() * 2,
        generated.len()
    );
}

#[test]
fn slow_composer_plays_fewer_notes_and_none_late() {
    let performance = phrase(120.0, 16.0);
    let mut live = ProtocolTest::new(false, 1 << 16);
    let composer = live.composer.clone();
    let mut blocks = 0;
    // The composer runs every two seconds: four beats, as long as the lookahead.
    let played = perform(&performance, &mut live, || {
        blocks += 1;
        if blocks % 200 == 0 {
            composer.lock().unwrap().run();
        }
        480
    });
    let (dropped, late) = (live.count(|c| &c.dropped), live.count(|c| &c.late));
    assert!(
        dropped > 0 && late < dropped,
        "{dropped} dropped, {late} late"
    );
    // Notes that were not late are on their samples.
    let ons = played.iter().filter(|e| e.1 && e.2 == 0);
    assert!(ons.filter(|e| e.0 % 2000 != 0).count() as u64 <= late);
}

#[test]
fn composer_reads_input_again_after_a_full_ring() {
    let performance = phrase(120.0, 8.0);
    let mut live = ProtocolTest::new(false, 2048);
    // Three seconds without the composer, then a pass with it.
    perform(&phrase(120.0, 40.0), &mut live, || 48);
    assert!(live.count(|c| &c.overflow) > 0);
    live.composer.lock().unwrap().run();
    let composer = live.composer.clone();
    let played = perform(&performance, &mut live, || {
        composer.lock().unwrap().run();
        480
    });
    assert!(played.iter().any(|e| e.1 && e.2 == 0), "no answer");
}

#[test]
fn off_mode_reads_input_and_another_mode_answers_it() {
    let mut performance = phrase(120.0, 8.0);
    let mut test = ProtocolTest::new(true, 1 << 16);
    test.settings.mode = Mode::Off;
    let played = perform(&performance, &mut test, || 480);
    assert!(played.iter().all(|e| e.2 == 1) && test.answers().is_empty());
    // The mode changes at beat 4: the answer begins on the next beat that leaves time for the decision.
    performance.events.clear();
    let mut at = 0;
    let mut first = None;
    while at < 24_000 * 8 {
        let mut block = Block::default();
        if at == 0 {
            block.input.push_back(key(0, true, 1, 60));
            block.input.push_back(key(400, false, 1, 60));
        }
        test.settings.mode = if at < 96_000 {
            Mode::Off
        } else {
            Mode::Continue
        };
        let reading = rolling(at as f64 / 24_000.0);
        test.block(&reading, 480, &mut block);
        let generated = block.output.iter().map(|e| plain(e, at)).find(|e| e.2 == 0);
        first = first.or(generated);
        at += 480;
    }
    assert_eq!(first.map(|e| e.0), Some(120_000));
}

/// Another input channel releases the keys at that moment, not at their note-ons.
#[test]
fn keys_released_on_another_channel_are_answered_in_time() {
    let mut test = ProtocolTest::new(true, 1 << 16);
    test.settings.mode = Mode::Continue;
    test.settings.gap = 2.0;
    let (mut at, mut first) = (0, None);
    while at < 24_000 * 16 {
        let mut block = Block::default();
        if at == 0 {
            block.input.push_back(key(0, true, 1, 60));
        }
        if at == 110_400 {
            test.controls.input = Some(3);
        }
        let reading = rolling(at as f64 / 24_000.0);
        test.block(&reading, 480, &mut block);
        let mut notes = block.output.iter().map(|e| plain(e, at));
        first = first.or(notes.find(|e| e.1 && e.2 == 0));
        at += 480;
    }
    let first = first.expect("an answer").0;
    assert!(first >= 110_400 + 48_000 && first % 24_000 == 0, "{first}");
    assert_eq!(test.count(|c| &c.late), 0);
}

#[test]
fn thru_off_ends_passed_through_notes() {
    let mut test = ProtocolTest::new(true, 1 << 16);
    let mut block = Block::default();
    block.input.push_back(key(5, true, 3, 60));
    test.block(&standing(), 64, &mut block);
    assert_eq!(block.output.len(), 1);
    test.controls.thru = false;
    let mut block = Block::default();
    block.input.push_back(key(5, true, 3, 62));
    test.block(&standing(), 64, &mut block);
    let out: Vec<_> = block.output.iter().map(|e| plain(e, 0)).collect();
    assert_eq!(out, [(0, false, 3, 60, 0)]);
    // A release after *Through* is on again: the note has ended already.
    test.controls.thru = true;
    let mut block = Block::default();
    block.input.push_back(key(5, false, 3, 60));
    test.block(&standing(), 64, &mut block);
    assert!(block.output.is_empty());
}

#[test]
fn controller_that_ends_all_notes_ends_passed_through_notes() {
    let mut test = ProtocolTest::new(true, 1 << 16);
    let mut send = |events: Vec<Event>| {
        let mut block = Block {
            input: events.into(),
            ..Block::default()
        };
        test.block(&standing(), 64, &mut block);
        block.output
    };
    let held = [key(0, true, 1, 60), key(0, true, 2, 60)];
    assert_eq!(send(held.to_vec()).len(), 2);
    let all_notes_off = NoteEvent::MidiCC {
        timing: 5,
        channel: 1,
        cc: 123,
        value: 0.0,
    };
    assert_eq!(send(vec![all_notes_off]), [all_notes_off]);
    let ended: Played = send(Vec::new()).iter().map(|e| plain(e, 0)).collect();
    assert_eq!(ended, [(0, false, 1, 60, 0)]);
    assert!(send(vec![key(0, false, 1, 60)]).is_empty(), "ended already");
    assert_eq!(send(vec![key(0, false, 2, 60)]).len(), 1);
}

#[test]
fn key_of_the_player_replaces_the_generated_note() {
    let mut performance = phrase(120.0, 12.0);
    let mut test = ProtocolTest::new(true, 1 << 16);
    let alone = perform(&performance, &mut test, || 512);
    // The key that sounds at beat 3 1/48, struck by the player on the output channel.
    let at = 72_500;
    let (mut sounding, mut generated) = (Vec::new(), 0);
    for event in alone.iter().filter(|e| e.2 == 0 && e.0 < at) {
        sounding.retain(|&pitch| pitch != event.3);
        sounding.extend(event.1.then_some(event.3));
        generated += 1;
    }
    let (Some(&pitch), true) = (sounding.first(), generated > 0) else {
        panic!("silence at {at}")
    };
    performance.events.push((at, key(0, true, 0, pitch)));
    performance.events.push((at + 500, key(0, false, 0, pitch)));
    performance.length = at + 10_000;
    let mut test = ProtocolTest::new(true, 1 << 16);
    let played = perform(&performance, &mut test, || 512);
    let last: Vec<_> = played.iter().filter(|e| e.0 >= at).collect();
    assert!(
        last[..sounding.len()].iter().all(|e| !e.1 && e.0 == at),
        "{last:?}"
    );
    let [on, off] = last[sounding.len()..] else {
        panic!("{last:?}")
    };
    assert_eq!((on.0, on.1, on.3), (at, true, pitch));
    assert_eq!((off.0, off.1, off.3), (at + 500, false, pitch));
}

#[test]
fn thousands_of_events_pass_in_order_and_end() {
    let mut test = ProtocolTest::new(true, 1 << 16);
    let mut block = Block::default();
    for n in 0..6_000u32 {
        block
            .input
            .push_back(key(n / 100, n % 2 == 0, 2, (n / 2 % 128) as u8));
    }
    test.block(&standing(), 64, &mut block);
    let mut listener = Listener::default();
    listener.check(0, 64, &block.output);
    assert_eq!((block.output.len(), listener.sounding.len()), (6_000, 0));
}

/// Loops over the first beats of the song, with a phrase in each pass. Returns the output.
fn looped(split: bool, frames: u64) -> Played {
    let (tempo, end, passes) = (133.7, 7.3, 4);
    let spb = RATE * 60.0 / tempo;
    let turn = (end * spb + 0.5).floor() as u64;
    let mut test = ProtocolTest::new(true, 1 << 16);
    let (mut at, mut played) = (0u64, Vec::new());
    while at < turn * passes {
        let into = at % turn;
        let frames = if split {
            frames.min(turn - into)
        } else {
            frames
        };
        let mut block = Block::default();
        for sample in at..at + frames {
            match sample % turn {
                100 => block
                    .input
                    .push_back(key((sample - at) as u32, true, 1, 60)),
                9_000 => block
                    .input
                    .push_back(key((sample - at) as u32, false, 1, 60)),
                _ => {}
            }
        }
        // Every pass begins the same fraction of a sample beside the loop's start.
        let beside = if at < turn {
            0.0
        } else {
            turn as f64 / spb - end
        };
        let reading = HostTransport {
            playing: true,
            beat: Some(fixed_point(into as f64 / spb + beside)),
            tempo: Some(tempo),
            cycle: Some((0.0, end)),
            ..HostTransport::default()
        };
        test.block(&reading, frames as u32, &mut block);
        played.extend(block.output.iter().map(|e| plain(e, at)));
        at += frames;
    }
    played.retain(|e| e.0 < turn * passes);
    played
}

#[test]
fn loop_plays_the_same_with_and_without_blocks_split_at_its_end() {
    let expected = looped(true, 256);
    let generated = expected.iter().filter(|e| e.1 && e.2 == 0).count();
    assert!(generated > 40, "{generated} notes: nothing was tested");
    for frames in [64, 1000, 4096] {
        same(
            &looped(true, frames),
            &expected,
            &format!("cut blocks of {frames}"),
        );
        same(
            &looped(false, frames),
            &expected,
            &format!("blocks of {frames}"),
        );
    }
}
