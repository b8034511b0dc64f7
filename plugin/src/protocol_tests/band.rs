//! Parts of a band: those that are played, those that are imagined, and their channels.

use std::collections::BTreeSet;

use continuo_score::{Part, PartSet};

use super::continuing::phrase;
use super::*;

/// A test whose player knows these parts.
fn band(known: &[Part], plays: &[Part]) -> ProtocolTest {
    let mut test = ProtocolTest::new(true, 1 << 16);
    let mut composer = test.composer.lock().unwrap();
    composer.session.player_mut().parts = known.to_vec();
    drop(composer);
    test.settings.plays = plays.iter().copied().collect();
    test
}

/// Asserts that every key ends once on the channel on which it began.
fn assert_balanced<'a>(played: impl IntoIterator<Item = &'a (u64, bool, u8, u8, u8)>) {
    let mut sounding = BTreeSet::new();
    for event in played {
        let key = (event.2, event.3);
        let changed = match event.1 {
            true => sounding.insert(key),
            false => sounding.remove(&key),
        };
        assert!(changed, "{event:?}");
    }
    assert!(sounding.is_empty(), "{sounding:?}");
}

fn channels(played: &Played) -> BTreeSet<u8> {
    played.iter().map(|event| event.2).collect()
}

fn imagined(test: &ProtocolTest) -> Vec<Part> {
    let composer = test.composer.lock().unwrap();
    let notes = composer.session.timeline().notes();
    notes.filter(|n| n.imagined).map(|n| n.part).collect()
}

/// A key on every beat of channel 1.
fn every_beat(beats: u64) -> Performance {
    let event = |beat: u64| {
        [
            (beat * 24_000, key(0, true, 1, 60 + (beat % 5) as u8)),
            (
                beat * 24_000 + 9_000,
                key(0, false, 1, 60 + (beat % 5) as u8),
            ),
        ]
    };
    Performance {
        tempo: 120.0,
        events: (0..beats).flat_map(event).collect(),
        length: beats * 24_000,
    }
}

#[test]
fn only_the_parts_it_plays_sound_each_on_its_channel() {
    let mut test = band(&Part::ALL, &[Part::Bass, Part::Drums]);
    test.controls.thru = false;
    test.controls.part_outputs[Part::Bass.index()] = Some(4);
    let played = perform(&phrase(120.0, 12.0), &mut test, || 480);
    assert_eq!(channels(&played), [4, 9].into());
    assert_balanced(&played);
    let imagined: PartSet = imagined(&test).into_iter().collect();
    let others = [Part::Keys, Part::Lead, Part::Chords];
    assert_eq!(imagined, others.into_iter().collect());
}

#[test]
fn block_sizes_do_not_change_a_band() {
    let once = |frames: u32| {
        let mut test = band(&Part::ALL, &[Part::Lead, Part::Bass, Part::Drums]);
        test.settings.mode = Mode::Along;
        perform(&every_beat(16), &mut test, || frames)
    };
    let whole = once(4_096);
    assert!(whole.iter().any(|e| e.2 == 9));
    same(&once(32), &whole, "blocks of 32 samples");
}

#[test]
fn by_default_it_plays_the_parts_that_it_hears() {
    let mut test = band(&Part::ALL, &[]);
    test.controls.thru = false;
    let played = perform(&phrase(120.0, 12.0), &mut test, || 480);
    assert_eq!(channels(&played), [0].into(), "a channel alone is the keys");
    let heard = test.composer.lock().unwrap();
    assert_eq!(heard.session.player().heard_parts, [Part::Keys]);
}

#[test]
fn drums_alone_are_answered_by_drums() {
    let mut performance = phrase(120.0, 12.0);
    performance.events = vec![(0, key(0, true, 9, 36)), (9_000, key(0, false, 9, 36))];
    let mut test = band(&Part::ALL, &[]);
    test.controls.thru = false;
    let played = perform(&performance, &mut test, || 480);
    assert_eq!(channels(&played), [9].into());
    assert!(!imagined(&test).contains(&Part::Drums));
}

#[test]
fn the_players_notes_replace_imagined_ones() {
    let mut test = band(&Part::ALL, &[Part::Lead, Part::Bass]);
    test.settings.mode = Mode::Along;
    test.settings.input_part = Some(Part::Lead);
    test.controls.thru = false;
    let mut seen = 0;
    let played = perform_with(
        &every_beat(24),
        &mut test,
        || 480,
        |test, at| {
            let composer = test.composer.lock().unwrap();
            let now = at as f64 / 24_000.0;
            for note in composer.session.timeline().notes().filter(|n| n.imagined) {
                seen += 1;
                assert!(note.start_beat > now - 2.0, "{note:?} at beat {now}");
            }
        },
    );
    assert!(seen > 0);
    // The lead is the player's: it is imagined, although it was asked for.
    assert!(!played.is_empty());
    let composer = test.composer.lock().unwrap();
    let notes = composer.session.timeline().notes();
    let sounded: PartSet = notes
        .filter(|n| n.generated && !n.imagined)
        .map(|n| n.part)
        .collect();
    assert_eq!(sounded, [Part::Bass].into_iter().collect());
    assert!(composer.session.player().heard_parts.contains(&Part::Lead));
}

#[test]
fn a_part_that_never_sounds_leaves_silence_and_time_goes_on() {
    let mut test = band(&[Part::Keys, Part::Lead], &[Part::Drums]);
    test.controls.thru = false;
    let played = perform(&phrase(120.0, 12.0), &mut test, || 480);
    assert!(played.is_empty());
    assert!(imagined(&test).len() > 8);
    assert_eq!(test.count(|c| &c.offline_timeouts), 0);
}

#[test]
fn parts_can_be_changed_while_it_plays() {
    let mut test = band(&Part::ALL, &[Part::Bass]);
    test.controls.thru = false;
    test.controls.part_outputs[Part::Bass.index()] = Some(4);
    let change = 24_000 * 8;
    let played = perform_with(
        &phrase(120.0, 24.0),
        &mut test,
        || 480,
        |test, at| {
            if at >= change {
                test.settings.plays = [Part::Drums].into_iter().collect();
            }
        },
    );
    assert_balanced(&played);
    let begun = |from: u64, to: u64| -> BTreeSet<u8> {
        let begun = played.iter().filter(|e| e.1 && (from..to).contains(&e.0));
        begun.map(|e| e.2).collect()
    };
    assert_eq!(begun(0, change), [4].into());
    // The plan reaches four beats ahead.
    assert_eq!(begun(change + 24_000 * 5, u64::MAX), [9].into());
}

#[test]
fn a_model_without_parts_plays_as_if_none_were_chosen() {
    let play = |chosen: bool| {
        let mut test = ProtocolTest::new(true, 1 << 16);
        if chosen {
            test.settings.plays = [Part::Drums].into_iter().collect();
            test.settings.input_part = Some(Part::Bass);
        }
        perform(&phrase(120.0, 12.0), &mut test, || 480)
    };
    let played = play(true);
    assert!(played.iter().any(|e| e.2 == 0));
    same(&played, &play(false), "parts without effect");
}

#[test]
fn regenerated_bars_have_the_parts_that_sounded_there() {
    let mut test = band(&Part::ALL, &[Part::Bass, Part::Drums]);
    (test.settings.mode, test.settings.enter) = (Mode::Free, Enter::Bar);
    perform(&phrase(120.0, 24.0), &mut test, || 480);
    // Nothing is played any more, whatever is asked for now.
    test.settings.plays = PartSet::ALL;
    test.block(&standing(), 64, &mut Block::default());
    let mut composer = test.composer.lock().unwrap();
    let Ok(()) = composer.session.regenerate_bars(12.0, 18.0);
    composer.run();
    let notes = composer.session.timeline().notes();
    let filled: Vec<_> = notes
        .filter(|n| n.generated && !n.imagined && (144..216).contains(&n.start))
        .map(|n| (n.start, n.part))
        .collect();
    let expected = (144..216)
        .step_by(12)
        .flat_map(|start| [(start, Part::Bass), (start, Part::Drums)]);
    assert_eq!(filled, expected.collect::<Vec<_>>());
}

#[test]
fn a_model_without_parts_reads_no_drums_that_one_with_parts_heard() {
    let mut player = Arpeggio::working(true);
    player.parts = Part::ALL.to_vec();
    let mut session = Session::new(player);
    let receive = |session: &mut Session<Arpeggio>, message| {
        let Ok(()) = session.receive(message, true);
    };
    let off = Settings {
        mode: Mode::Off,
        ..Settings::default()
    };
    receive(&mut session, ComposerInput::Settings(off));
    receive(&mut session, ComposerInput::Jump { beat: 0.0 });
    for (channel, pitch) in [(0, 60), (9, 36)] {
        let on = ComposerInput::NoteOn {
            beat: 0.0,
            channel,
            pitch,
            velocity: 80,
        };
        receive(&mut session, on);
    }
    let beats = |from: u32| (from..from + 3).map(f64::from);
    for beat in beats(1) {
        receive(&mut session, ComposerInput::AllNotesOff { beat });
        let (tempo, block) = (120.0, 0);
        receive(&mut session, ComposerInput::Time { beat, tempo, block });
    }
    assert!(session.player().heard_parts.contains(&Part::Drums));
    let Ok(()) = session.replace_player(Arpeggio::working(true));
    // Its channels have no parts.
    let on = ComposerInput::NoteOn {
        beat: 3.5,
        channel: 9,
        pitch: 62,
        velocity: 80,
    };
    receive(&mut session, on);
    for beat in beats(4) {
        receive(&mut session, ComposerInput::AllNotesOff { beat });
        let (tempo, block) = (120.0, 0);
        receive(&mut session, ComposerInput::Time { beat, tempo, block });
    }
    assert_eq!(session.player().heard_parts, [Part::Keys; 2]);
}
