//! Channels, controllers, and hosts without a transport.

use super::*;

fn control(timing: u32, cc: u8, value: f32) -> Event {
    NoteEvent::MidiCC {
        timing,
        channel: 2,
        cc,
        value,
    }
}

#[test]
fn controllers_pass_through_and_the_pedal_counts_as_input() {
    let mut test = ProtocolTest::new(true, 1 << 16);
    let mut block = Block::default();
    let bend = NoteEvent::MidiPitchBend {
        timing: 30,
        channel: 4,
        value: 0.7,
    };
    let sent = [
        control(0, 64, 1.0),
        key(0, true, 2, 60),
        control(9, 1, 0.3),
        bend,
        key(40, false, 2, 60),
    ];
    block.input.extend(sent);
    test.block(&rolling(0.0), 12_000, &mut block);
    assert_eq!(block.output, sent);
    let mut block = Block::default();
    block.input.push_back(control(0, 64, 0.0));
    test.block(&rolling(0.5), 480, &mut block);
    assert_eq!(block.output, [control(0, 64, 0.0)]);
    let composer = test.composer.lock().unwrap();
    let note = composer.session.timeline().notes().next().unwrap();
    assert_eq!((note.start, note.end), (0, Some(6)), "held by the pedal");
    drop(composer);
    // With *Through* off they do not pass.
    test.controls.thru = false;
    let mut block = Block::default();
    block.input.extend([control(0, 1, 0.5), bend]);
    test.block(&rolling(0.52), 480, &mut block);
    assert!(block.output.is_empty());
}

#[test]
fn input_and_output_channels_are_kept() {
    let mut performance = continuing::phrase(120.0, 12.0);
    // A key on another channel than the input channel, during the answer.
    performance.events.push((100_000, key(0, true, 7, 64)));
    performance.events.push((110_000, key(0, false, 7, 64)));
    let mut test = ProtocolTest::new(true, 1 << 16);
    test.controls.input = Some(1);
    test.controls.output = 9;
    let played = perform(&performance, &mut test, || 480);
    assert!(played.iter().any(|e| e.2 == 7), "it passes");
    let generated: Vec<_> = played.iter().filter(|e| e.2 == 9).collect();
    assert!(
        generated.iter().any(|e| e.1 && e.0 > 110_000),
        "it is not yielded to"
    );
    assert_eq!(
        generated.iter().filter(|e| e.1).count() * 2,
        generated.len()
    );
    assert_eq!(test.count(|c| &c.heard), 1);
}

#[test]
fn change_of_output_channel_ends_notes_on_the_old_one() {
    let performance = continuing::phrase(120.0, 12.0);
    let mut test = ProtocolTest::new(true, 1 << 16);
    test.controls.output = 3;
    let mut played = perform_with(
        &performance,
        &mut test,
        || 480,
        |test, at| {
            test.controls.output = 3 + (at / 30_000 % 4) as u8;
        },
    );
    played.retain(|e| e.2 != 1);
    let mut sounding = std::collections::BTreeSet::new();
    for event in &played {
        let key = (event.2, event.3);
        let changed = if event.1 {
            sounding.insert(key)
        } else {
            sounding.remove(&key)
        };
        assert!(changed, "{event:?}");
        let channel = 3 + (event.0 / 30_000 % 4) as u8;
        assert!(!event.1 || event.2.abs_diff(channel) < 2, "{event:?}");
    }
    assert!(sounding.is_empty());
    let channels: std::collections::BTreeSet<u8> = played.iter().map(|e| e.2).collect();
    assert_eq!(channels.len(), 4);
}

#[test]
fn host_without_a_transport_gets_answers() {
    let mut test = ProtocolTest::new(true, 1 << 16);
    test.controls.own_time.tempo = 240.0;
    let (mut at, mut first) = (0, None);
    // Own time begins within the first second, and reaches beat 0 at its end.
    while at < 48_000 + 12_000 * 8 {
        let mut block = Block::default();
        if at == 48_000 {
            block.input.push_back(key(0, true, 1, 60));
            block.input.push_back(key(400, false, 1, 60));
        }
        test.block(&HostTransport::default(), 480, &mut block);
        let generated = block.output.iter().map(|e| plain(e, at)).find(|e| e.2 == 0);
        first = first.or(generated);
        at += 480;
    }
    assert_eq!(first.map(|e| e.0), Some(60_000), "a beat of 12,000 samples");
}
