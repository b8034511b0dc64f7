//! Saved sessions: everything that they bring back, and saves that come late.

use super::modes::{BAR, in_mode, in_three};
use super::*;
use continuo_accompaniment::choices::MemoryMode;
use continuo_accompaniment::session::SavedSession;
use serde_json::json;

/// Saves the session as a project does, and opens it in another instance with the same settings.
fn reopened(test: &ProtocolTest) -> ProtocolTest {
    let saved = test.composer.lock().unwrap().session.save();
    let text = serde_json::to_string(&saved).unwrap();
    let saved: SavedSession = serde_json::from_str(&text).unwrap();
    let mut other = ProtocolTest::new(true, 1 << 16);
    other.settings = test.settings;
    {
        let mut composer = other.composer.lock().unwrap();
        let Ok(lost) = composer.session.restore(&saved);
        assert_eq!(lost, 0);
        assert_eq!(composer.session.save(), saved);
    }
    other
}

/// A note-on of middle C at a beat, or its note-off.
fn key_at(beat: f64, down: bool) -> ComposerInput {
    match down {
        true => ComposerInput::NoteOn {
            beat,
            channel: 0,
            pitch: 60,
            velocity: 90,
        },
        false => ComposerInput::NoteOff {
            beat,
            channel: Some(0),
            pitch: Some(60),
        },
    }
}

/// Plays `bars` bars of three quarters from the song's bar `from` on. Returns the generated note-ons,
/// counted from there.
fn play_bars(test: &mut ProtocolTest, from: u64, bars: u64) -> Vec<(u64, u8, u8)> {
    let (start, end) = (from * BAR, (from + bars) * BAR);
    let mut played = Vec::new();
    for at in (start..end).step_by(480) {
        let mut block = Block::default();
        test.block(&in_three(at), 480, &mut block);
        played.extend(block.output.iter().map(|e| plain(e, at - start)));
    }
    let generated = played.into_iter().filter(|e| e.1 && e.2 == 0);
    generated.map(|e| (e.0, e.3, e.4)).collect()
}

#[test]
fn regenerated_bars_stay_so_in_a_reopened_project() {
    let mut test = in_mode(Mode::Free, Enter::Bar);
    let first = play_bars(&mut test, 0, 4);
    test.block(&standing(), 64, &mut Block::default());
    play_bars(&mut test, 0, 2);
    test.press(Trigger::Regenerate);
    play_bars(&mut test, 2, 2);
    test.block(&standing(), 64, &mut Block::default());
    let mut other = reopened(&test);
    let second = play_bars(&mut test, 0, 4);
    assert!(first.len() > 10 && first != second);
    assert_eq!(play_bars(&mut other, 0, 4), second);
}

#[test]
fn frozen_bars_repeat_on_in_a_reopened_project() {
    let mut test = in_mode(Mode::Free, Enter::Bar);
    test.settings.bars = 1;
    play_bars(&mut test, 0, 2);
    test.settings.freeze = true;
    play_bars(&mut test, 2, 2);
    let frozen = play_bars(&mut test, 4, 2);
    let shape = |notes: &[(u64, u8, u8)]| -> Vec<(u64, u8)> {
        notes.iter().map(|note| (note.0 % BAR, note.1)).collect()
    };
    assert!(frozen.len() > 6);
    test.block(&standing(), 64, &mut Block::default());
    // A host sends the parameters before or after the state.
    for first in [false, true] {
        let mut other = reopened(&test);
        other.settings.freeze = first;
        other.block(&standing(), 64, &mut Block::default());
        if !first {
            let saved = test.composer.lock().unwrap().session.save();
            let Ok(_) = other.composer.lock().unwrap().session.restore(&saved);
        }
        other.settings.freeze = true;
        let again = play_bars(&mut other, 6, 2);
        assert_eq!(shape(&again), shape(&frozen));
        // The state comes once more, as after an undo in the host.
        other.block(&standing(), 64, &mut Block::default());
        let saved = other.composer.lock().unwrap().session.save();
        let Ok(_) = other.composer.lock().unwrap().session.restore(&saved);
        let again = play_bars(&mut other, 8, 2);
        assert_eq!(shape(&again), shape(&frozen));
        other.settings.freeze = false;
        let free = play_bars(&mut other, 10, 4);
        assert_ne!(shape(&free), shape(&frozen));
    }
    // States of before have no loop: the last bar before the playhead repeats.
    let mut saved = serde_json::to_value(test.composer.lock().unwrap().session.save()).unwrap();
    assert!(
        saved
            .as_object_mut()
            .unwrap()
            .remove("freeze_loop")
            .is_some()
    );
    let saved: SavedSession = serde_json::from_value(saved).unwrap();
    let Ok(_) = test.composer.lock().unwrap().session.restore(&saved);
    assert_eq!(shape(&play_bars(&mut test, 6, 2)), shape(&frozen));
}

#[test]
fn damaged_loops_and_positions_are_left_out() {
    let notes = json!([["3", "1", 60, 90, "keys"]]);
    let looped = |first: &str, length: &str, notes: &serde_json::Value| {
        let session =
            json!({ "freeze_loop": { "first": first, "length": length, "notes": notes } });
        let saved: SavedSession = serde_json::from_value(session).unwrap();
        let mut session = Session::new(Arpeggio::default());
        let Ok(_) = session.restore(&saved);
        serde_json::to_value(session.save()).unwrap()["freeze_loop"].is_object()
    };
    assert!(looped("3", "3", &notes));
    let no_notes = [
        json!([]),
        json!([["9", "1", 60, 90, "keys"]]),
        json!([["3", "1", 200, 90, "keys"]]),
        json!([["3", "1", 60, 0, "keys"]]),
        json!([["3", "-1", 60, 90, "keys"]]),
        json!([["3", "1e300", 60, 90, "keys"]]),
    ];
    assert!(no_notes.iter().all(|notes| !looped("3", "3", notes)));
    for (first, length) in [
        ("3", "0"),
        ("3", "-3"),
        ("NaN", "3"),
        ("3", "1e9"),
        ("1e300", "3"),
    ] {
        assert!(!looped(first, length, &notes), "{first}, {length}");
    }
    for now in ["1e300", "-1e300", "NaN", "inf", "2000000000"] {
        let session = json!({ "now": now, "timeline": { "steps_per_beat": 12, "notes": [
            [0, "0", 1_000_000_000, 60, 90, 0],
            [0, "0", null, 62, 90, 0],
            [2_000_000_000, "166666666.7", 2_000_000_001, 60, 90, 0],
            [12, "1", 24, 64, 90, 0],
        ]}, "regenerated": [[now, 3], ["3", 1]] });
        let saved: SavedSession = serde_json::from_value(session).unwrap();
        assert_eq!(saved.next_bar(), 4.0, "{now}");
        let mut session = Session::new(Arpeggio::default());
        let Ok(lost) = session.restore(&saved);
        assert_eq!(lost, 2, "{now}");
        assert!(session.snapshot().chords.len() < 3);
    }
}

#[test]
fn bars_ahead_of_the_playhead_keep_their_time_signatures() {
    // Four quarters, then three; then back to the start, where the project is saved.
    let signature = |bar_start, numerator| ComposerInput::TimeSignature {
        bar_start,
        numerator,
        denominator: 4,
    };
    let mut session = Session::new(Arpeggio::default());
    let silent = Settings {
        mode: Mode::Off,
        ..Settings::default()
    };
    let song = [
        ComposerInput::Settings(silent),
        ComposerInput::Jump { beat: 0.0 },
        signature(0.0, 4),
        key_at(1.0, true),
        key_at(2.0, false),
        signature(8.0, 3),
        key_at(9.0, true),
        key_at(10.0, false),
        ComposerInput::Stop { beat: 12.0 },
        ComposerInput::Jump { beat: 0.0 },
        ComposerInput::Stop { beat: 0.0 },
    ];
    for message in song {
        let Ok(()) = session.receive(message, true);
    }
    let text = serde_json::to_string(&session.save()).unwrap();
    let mut other = Session::new(Arpeggio::default());
    let Ok(lost) = other.restore(&serde_json::from_str(&text).unwrap());
    assert_eq!(lost, 0);
    let mut scores = [session, other].map(|mut session| {
        let Ok(()) = session.receive(ComposerInput::Jump { beat: 14.0 }, true);
        session.timeline().score(i64::MAX, i64::MAX)
    });
    assert_eq!(scores[0], scores[1]);
    let [score, _] = &mut scores;
    assert_eq!(
        (score.notes.len(), score.time_signatures.changes().count()),
        (2, 2)
    );
}

#[test]
fn files_that_wait_are_learned_after_a_change_to_song_memory() {
    let mut session = Session::new(Arpeggio::working(true));
    session.learn(vec!["a.wav".into(), "b.mid".into()]);
    let note = key_at(1.0, true);
    let mut settings = Settings {
        memory: MemoryMode::Session,
        mode: Mode::Off,
        ..Settings::default()
    };
    for message in [
        ComposerInput::Settings(settings),
        ComposerInput::Jump { beat: 0.0 },
        note,
        ComposerInput::Jump { beat: 100.0 },
    ] {
        let Ok(()) = session.receive(message, false);
    }
    settings.memory = MemoryMode::Song;
    for message in [
        ComposerInput::Settings(settings),
        ComposerInput::Jump { beat: 0.0 },
    ] {
        let Ok(()) = session.receive(message, false);
    }
    assert!(session.timeline().is_empty() && session.waits_for_files());
    assert_eq!(session.next_file(), Some("a.wav".into()));
}

#[test]
fn pedal_that_is_held_over_a_loop_or_before_the_start_stays_down() {
    let pedal = ComposerInput::Pedal {
        beat: 0.0,
        channel: 0,
        down: true,
    };
    let looping = ComposerInput::Loop(continuo_accompaniment::transport::Seam {
        start: 0.0,
        end: 4.0,
        slack: 0.0,
    });
    let jump = |beat| ComposerInput::Jump { beat };
    let sustains = |before: &[ComposerInput]| {
        let mut session = Session::new(Arpeggio::default());
        let settings = Settings {
            mode: Mode::Off,
            ..Settings::default()
        };
        let Ok(()) = session.receive(ComposerInput::Settings(settings), false);
        for &message in before
            .iter()
            .chain(&[key_at(1.0, true), key_at(1.5, false)])
        {
            let Ok(()) = session.receive(message, false);
        }
        session.timeline().first_held().is_some()
    };
    assert!(!sustains(&[jump(0.0)]));
    assert!(sustains(&[pedal, jump(0.0)]));
    assert!(sustains(&[jump(0.0), pedal, looping]));
    // A clip that was left in mid-pedal presses it no more.
    assert!(!sustains(&[jump(0.0), pedal, jump(0.5)]));
    let stop = ComposerInput::Stop { beat: 0.5 };
    assert!(!sustains(&[jump(0.0), pedal, stop, jump(0.0)]));
}

#[test]
fn save_of_a_late_instance_does_not_wait_for_its_plan() {
    let mut session = Session::new(Arpeggio::working(true));
    let settings = Settings {
        mode: Mode::Free,
        enter: Enter::Bar,
        bars: 1,
        ..Settings::default()
    };
    let mut messages = vec![
        ComposerInput::Settings(settings),
        ComposerInput::Jump { beat: 0.0 },
    ];
    messages.extend((0..4_000).map(|block| ComposerInput::Time {
        beat: block as f64 / 10.0,
        tempo: 120.0,
        block,
    }));
    messages.push(key_at(400.0, true));
    for message in messages {
        while !session.is_ready_for(&message, false).unwrap() {
            session.give_up_plan();
        }
        let Ok(()) = session.receive(message, false);
    }
    let heard = session.timeline().notes().filter(|note| !note.generated);
    assert_eq!(heard.count(), 1);
    assert_eq!(session.player().work.as_ref().unwrap().slices, 0);
}
