//! Regeneration of a range of bars.

use super::modes::{beats, in_mode};
use super::*;
use continuo_accompaniment::choices::MemoryMode;
use continuo_accompaniment::snapshot::UndoStep;
use continuo_accompaniment::timeline::TimelineNote;

impl ProtocolTest {
    fn notes(&self) -> Vec<TimelineNote> {
        let composer = self.composer.lock().unwrap();
        let mut notes: Vec<_> = composer.session.timeline().notes().collect();
        notes.sort_by_key(|n| (n.start, n.generated, n.pitch));
        notes
    }

    /// Asks for the bars, and works until they are there.
    fn regenerate_bars(&mut self, from: f64, to: f64) {
        let mut composer = self.composer.lock().unwrap();
        let Ok(()) = composer.session.regenerate_bars(from, to);
        composer.run();
    }

    fn trigger(&mut self, trigger: Trigger) {
        self.press(trigger);
        self.block(&standing(), 64, &mut Block::default());
        self.composer.lock().unwrap().run();
    }
}

/// The player plays on beats 0 to 2 and 13; the plugin plays freely.
fn played(memory: MemoryMode) -> ProtocolTest {
    let mut test = in_mode(Mode::Free, Enter::Bar);
    test.settings.memory = memory;
    perform(&beats(&[0, 1, 2, 13], 24), &mut test, || 480);
    test.block(&standing(), 64, &mut Block::default());
    test.composer.lock().unwrap().run();
    test
}

/// The generated notes in these beats, and all other notes.
fn divided(notes: &[TimelineNote], from: i64, to: i64) -> (Vec<TimelineNote>, Vec<TimelineNote>) {
    let inside = |n: &TimelineNote| n.generated && (12 * from..12 * to).contains(&n.start);
    notes.iter().copied().partition(inside)
}

#[test]
fn a_range_of_bars_gets_other_notes_and_undo_brings_the_old_ones_back() {
    for memory in [MemoryMode::Song, MemoryMode::Session] {
        let mut test = played(memory);
        let before = test.notes();
        // In 3/4: the fifth and the sixth bar, in which the player has a note.
        test.regenerate_bars(13.0, 17.5);
        let after = test.notes();
        let (old, others) = divided(&before, 12, 18);
        let (new, same) = divided(&after, 12, 18);
        assert_eq!(same, others, "{memory:?}");
        assert!(!old.is_empty() && new.len() == 6 && new != old, "{new:?}");
        let history = |test: &ProtocolTest| {
            let composer = test.composer.lock().unwrap();
            composer.session.snapshot().history
        };
        assert_eq!(history(&test).undo, Some(UndoStep::Infill));
        test.trigger(Trigger::Undo);
        assert_eq!(test.notes(), before, "{memory:?}");
        test.trigger(Trigger::Redo);
        assert_eq!(test.notes(), after, "{memory:?}");
        // Once more, other notes again.
        test.regenerate_bars(12.0, 18.0);
        let (third, same) = divided(&test.notes(), 12, 18);
        assert!(same == others && third != new, "{third:?}");
        // The same requests give the same notes.
        let mut again = played(memory);
        again.regenerate_bars(12.0, 18.0);
        assert_eq!(again.notes(), after);
    }
}

#[test]
fn bars_without_generated_notes_and_bars_to_come_are_left_alone() {
    let mut test = played(MemoryMode::Song);
    let before = test.notes();
    for (from, to) in [(60.0, 66.0), (15.0, 12.0), (-30.0, -27.0)] {
        test.regenerate_bars(from, to);
        assert_eq!(test.notes(), before, "{from} to {to}");
    }
    // While the transport runs, in the fourth bar.
    let mut running = in_mode(Mode::Free, Enter::Bar);
    let performance = beats(&[0, 1, 2], 11);
    let mut requested = false;
    perform_with(
        &performance,
        &mut running,
        || 480,
        |test, at| {
            if at >= 10 * super::modes::BEAT && !requested {
                requested = true;
                let before = test.notes();
                test.regenerate_bars(9.0, 12.0);
                assert_eq!(test.notes(), before, "it is still played");
                test.regenerate_bars(3.0, 6.0);
                let (new, same) = divided(&test.notes(), 3, 6);
                assert_eq!((new.len(), same), (3, divided(&before, 3, 6).1));
            }
        },
    );
    assert!(requested);
}

/// A jump, a cleared memory or a loaded session gives an unfinished request up.
#[test]
fn a_request_ends_with_the_memory_it_was_made_for() {
    let mut test = played(MemoryMode::Song);
    {
        let mut composer = test.composer.lock().unwrap();
        let Ok(()) = composer.session.regenerate_bars(12.0, 18.0);
    }
    test.trigger(Trigger::Clear);
    assert!(test.notes().is_empty());
    let composer = test.composer.lock().unwrap();
    assert_eq!(
        composer.session.snapshot().history.undo,
        Some(UndoStep::Clear)
    );
}
