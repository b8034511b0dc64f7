//! Undo and redo.

use super::modes::{BAR, BEAT, beats, in_mode, in_three, pressing};
use super::*;
use continuo_accompaniment::choices::{MemoryMode, Variation};
use continuo_accompaniment::snapshot::{UndoHistory, UndoStep};
use continuo_accompaniment::timeline::TimelineNote;

/// Generated note-ons in these beats.
fn within(played: &Played, from: f64, to: f64) -> Played {
    let (from, to) = (from * BEAT as f64, to * BEAT as f64);
    let inside = |e: &&(u64, bool, u8, u8, u8)| e.0 as f64 >= from && (e.0 as f64) < to;
    let generated = played.iter().filter(|e| e.1 && e.2 == 0);
    generated.filter(inside).copied().collect()
}

fn regenerate(test: &mut ProtocolTest) {
    test.press(Trigger::Regenerate);
}

fn clear(test: &mut ProtocolTest) {
    test.press(Trigger::Clear);
}

fn undo(test: &mut ProtocolTest) {
    test.press(Trigger::Undo);
}

fn redo(test: &mut ProtocolTest) {
    test.press(Trigger::Redo);
}

impl ProtocolTest {
    fn history(&self) -> UndoHistory {
        self.composer.lock().unwrap().session.snapshot().history
    }

    fn memory(&self) -> Vec<TimelineNote> {
        let composer = self.composer.lock().unwrap();
        composer.session.timeline().notes().collect()
    }

    /// One short block without transport.
    fn stand(&mut self) {
        self.block(&standing(), 64, &mut Block::default());
        self.composer.lock().unwrap().run();
    }
}

#[test]
fn undo_restores_the_earlier_answer_and_redo_the_later_one() {
    let (_, expected) = pressing(&[]);
    let (_, anew) = pressing(&[(6.3, &regenerate)]);
    let (test, back) = pressing(&[(6.3, &regenerate), (6.4, &undo)]);
    // Four beats were planned; a quarter of a beat of them is too near to be played.
    assert_ne!(within(&anew, 7.0, 10.0), within(&expected, 7.0, 10.0));
    assert_eq!(within(&back, 6.7, 10.0), within(&expected, 6.7, 10.0));
    assert!(within(&back, 10.0, 15.0).len() > 3, "and it goes on");
    let history = test.history();
    assert_eq!(
        (history.undo, history.redo),
        (None, Some(UndoStep::Regenerate))
    );

    let (test, again) = pressing(&[(6.3, &regenerate), (6.4, &undo), (6.5, &redo)]);
    assert_eq!(within(&again, 7.0, 10.0), within(&anew, 7.0, 10.0));
    assert_eq!(test.history().undo, Some(UndoStep::Regenerate));
    // Undo beyond the history changes only notes after the cancel.
    let (test, _) = pressing(&[(6.3, &undo), (7.0, &redo)]);
    assert_eq!(test.history(), UndoHistory::default());
}

#[test]
fn undone_answer_returns_in_the_next_pass_of_a_loop() {
    let mut looping = in_mode(Mode::Free, Enter::Bar);
    let (mut at, mut played, turn) = (0u64, Vec::new(), 4 * BAR);
    while at < 4 * turn {
        // In the second bar of the second pass, and in the fourth of the third.
        match at {
            _ if at == turn + BAR + BEAT => regenerate(&mut looping),
            _ if at == 3 * turn - BEAT => undo(&mut looping),
            _ => {}
        }
        let into = at % turn;
        let reading = in_three(into);
        let mut block = Block::default();
        looping.block(&reading, 480, &mut block);
        played.extend(block.output.iter().map(|e| plain(e, at)));
        at += 480;
    }
    let pass = |n: u64| -> Vec<_> {
        let inside = played.iter().filter(|e| e.1 && e.2 == 0 && e.0 / turn == n);
        inside.map(|e| (e.0 % turn, e.3, e.4)).collect()
    };
    assert!(pass(0).len() > 10);
    assert_ne!(pass(2), pass(0), "thought of anew");
    assert_eq!(pass(3), pass(0), "and taken back");
}

#[test]
fn undo_restores_cleared_notes_before_later_ones() {
    for memory in [MemoryMode::Song, MemoryMode::Session] {
        let keys = beats(&[0, 1, 2, 7, 9], 12);
        let with = |clears: bool| {
            let mut test = in_mode(Mode::Off, Enter::Beat);
            test.settings.memory = memory;
            perform_with(
                &keys,
                &mut test,
                || 480,
                |test, at| {
                    if clears && at == 5 * BEAT {
                        clear(test);
                    }
                },
            );
            test
        };
        let all = with(false).memory();
        let mut cleared = with(true);
        assert_eq!(cleared.memory(), all[3..], "{memory:?}");
        assert_eq!(cleared.history().undo, Some(UndoStep::Clear));
        undo(&mut cleared);
        cleared.stand();
        assert_eq!(cleared.memory(), all, "{memory:?}");
        redo(&mut cleared);
        cleared.stand();
        assert_eq!(cleared.memory(), all[3..], "{memory:?}");
        undo(&mut cleared);
        cleared.stand();
        assert_eq!(cleared.memory(), all, "{memory:?}");
        // Clearing an empty memory adds no entry.
        clear(&mut cleared);
        cleared.stand();
        clear(&mut cleared);
        cleared.stand();
        undo(&mut cleared);
        cleared.stand();
        assert_eq!(cleared.memory(), all, "{memory:?}");
    }
}

/// Notes replaced after *Clear* do not return, because they would be replaced without it, too.
#[test]
fn undo_does_not_restore_notes_replaced_since() {
    let mut test = in_mode(Mode::Off, Enter::Beat);
    perform(&beats(&[0, 1, 2, 3, 4, 5], 6), &mut test, || 480);
    let before = test.memory();
    clear(&mut test);
    test.stand();
    // From the third beat on.
    let mut beat = 2.0;
    while beat < 4.0 {
        let reading = rolling(beat);
        test.block(&reading, 480, &mut Block::default());
        beat += 480.0 / BEAT as f64;
    }
    undo(&mut test);
    test.stand();
    assert_eq!(test.memory(), before[..2]);
}

#[test]
fn undo_of_a_parameter_names_its_value_and_adds_no_entry() {
    let mut test = in_mode(Mode::Free, Enter::Beat);
    test.settings.variation = Variation::C;
    test.stand();
    assert_eq!(
        test.history(),
        UndoHistory::default(),
        "as the project had it"
    );
    test.settings.variation = Variation::B;
    test.stand();
    test.settings.freeze = true;
    test.stand();
    let step = |test: &mut ProtocolTest, press: fn(&mut ProtocolTest), step: UndoStep| {
        press(test);
        // The host delivers the change later.
        test.stand();
        match step {
            UndoStep::Vary(variation) => test.settings.variation = variation,
            UndoStep::Freeze(on) => test.settings.freeze = on,
            _ => {}
        }
        test.stand();
    };
    let at = |test: &ProtocolTest| (test.history().undo, test.history().redo);
    let (thaw, freeze) = (UndoStep::Freeze(false), UndoStep::Freeze(true));
    let (b, c) = (UndoStep::Vary(Variation::B), UndoStep::Vary(Variation::C));
    assert_eq!(at(&test), (Some(thaw), None));
    step(&mut test, undo, thaw);
    assert_eq!(at(&test), (Some(c), Some(freeze)));
    step(&mut test, undo, c);
    assert_eq!(at(&test), (None, Some(b)));
    step(&mut test, redo, b);
    step(&mut test, redo, freeze);
    assert_eq!(at(&test), (Some(thaw), None));
    // A new action clears the redo entries.
    step(&mut test, undo, thaw);
    test.settings.variation = Variation::D;
    test.stand();
    assert_eq!(at(&test), (Some(b), None));
}

/// Undoing all actions gives the initial state; redoing all gives the last one, in any order of
/// actions.
#[test]
fn undo_and_redo_of_all_actions_restore_both_states() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let mut test = in_mode(Mode::Off, Enter::Beat);
        let keys: Vec<u64> = (0..20).filter(|_| rng.below(3) > 0).collect();
        let performance = beats(&keys, 20);
        let mut plain = self::in_mode(Mode::Off, Enter::Beat);
        perform(&performance, &mut plain, || 480);
        // Between keys, because a held key ends when the memory is cleared.
        let acts: Vec<u64> = (0..10).map(|_| BEAT * rng.below(20)).collect();
        perform_with(
            &performance,
            &mut test,
            || 480,
            |test, at| {
                for _ in acts.iter().filter(|&&act| act == at) {
                    match rng.below(5) {
                        0 | 1 => clear(test),
                        2 => regenerate(test),
                        3 => undo(test),
                        _ => redo(test),
                    }
                }
            },
        );
        let after = test.memory();
        let steps = |test: &mut ProtocolTest, press: fn(&mut ProtocolTest)| {
            for _ in 0..12 {
                press(test);
                test.stand();
            }
            test.memory()
        };
        // Entries that were undone on the way are redone first.
        let redone = steps(&mut test, redo);
        assert_eq!(steps(&mut test, undo), plain.memory(), "seed {seed}");
        assert_eq!(steps(&mut test, redo), redone, "seed {seed}");
        assert!(after.len() <= plain.memory().len(), "seed {seed}");
    }
}
