//! Undo and redo of a session.
//!
//! Undo gives the state that there would be without the action, with all later notes. Panic and
//! other parameters have no entry: silence is no state, and hosts undo parameters themselves.

use super::freeze_loop::FreezeLoop;
use super::undo_stack::{ClearedMemory, Direction, DiscardedPlan, ExpectedChange, UndoEntry};
use super::{Player, Session};
use crate::messages::Settings;
use crate::snapshot::UndoHistory;
use crate::timeline::{Timeline, TimelineNote};
use crate::turn_taking::PlayWindow;

impl<P: Player> Session<P> {
    /// The next steps of undo and redo.
    pub(super) fn history(&self) -> UndoHistory {
        self.undo_stack.history()
    }

    /// Keeps the plan that a cancel at `beat` discards. Both positions are session quarter notes.
    pub(super) fn keep_discarded(&mut self, beat: f64, cutoff_beat: f64) {
        let answer = self.answer.clone();
        self.undo_stack.discarded = answer.map(|answer| {
            let notes = self.timeline.notes();
            let planned = notes.filter(|n| n.generated && n.start_beat >= cutoff_beat);
            DiscardedPlan {
                answer,
                notes: planned.collect(),
                at: beat,
                arrivals: self.undo_stack.arrivals,
            }
        });
    }

    /// Regenerates the bar at the playhead.
    pub(super) fn regenerate(&mut self) {
        let bar = self.timeline.bar_line(self.timeline.step(self.now));
        let planned = self.undo_stack.take_discarded(self.now);
        self.count_regeneration(bar, true);
        self.undo_stack.push(UndoEntry::Regenerate { bar, planned });
    }

    /// Adjusts the count of regenerations of a bar by one.
    fn count_regeneration(&mut self, bar: i64, up: bool) {
        let count = self.regenerate_counts.entry(bar).or_default();
        *count = if up {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        if *count == 0 {
            self.regenerate_counts.remove(&bar);
        }
    }

    /// Clears memory and learned pieces.
    pub(super) fn clear(&mut self) -> Result<(), P::Error> {
        let planned = self.undo_stack.take_discarded(self.now);
        let cleared = self.clear_memory(f64::INFINITY, usize::MAX)?;
        if cleared.timeline.is_empty() && cleared.learned.is_empty() {
            return Ok(());
        }
        let cleared = Box::new(cleared);
        self.undo_stack.push(UndoEntry::Clear { cleared, planned });
        Ok(())
    }

    /// Clears Session memory on the way to Song memory; undo restores it.
    pub(super) fn clear_for_song(&mut self) -> Result<(), P::Error> {
        let cleared = self.clear_memory(f64::INFINITY, 0)?;
        if !cleared.timeline.is_empty() {
            self.undo_stack.push(UndoEntry::Clear {
                cleared: Box::new(cleared),
                planned: None,
            });
        }
        Ok(())
    }

    /// Removes the learned pieces, and clears the queue of files.
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn unlearn(&mut self) -> Result<(), P::Error> {
        let pieces = self.take_learned(usize::MAX)?;
        if !pieces.is_empty() {
            self.undo_stack.push(UndoEntry::Unlearn { pieces });
        }
        Ok(())
    }

    /// Removes and returns notes before `beat` and the first `pieces` learned pieces.
    fn clear_memory(&mut self, beat: f64, pieces: usize) -> Result<ClearedMemory, P::Error> {
        let cleared = ClearedMemory {
            timeline: self.timeline.take_before(beat),
            earliest_playhead: self.now.min(beat),
            regenerate_counts: std::mem::take(&mut self.regenerate_counts),
            freeze_loop: self.freeze_loop.take(),
            learned: self.take_learned(pieces)?,
        };
        (self.unread_from, self.answer, self.infill) = (None, None, None);
        self.entry_planner.rest(&self.timeline, self.now);
        // Later notes stay.
        let step = self.timeline.step(self.now);
        let score = self.input_score(step, step);
        self.player.listen(&score)?;
        Ok(cleared)
    }

    /// Restores cleared memory before later notes.
    fn restore_cleared(&mut self, cleared: ClearedMemory) -> Result<(), P::Error> {
        self.timeline
            .put_before(cleared.timeline, cleared.earliest_playhead);
        for (bar, count) in cleared.regenerate_counts {
            *self.regenerate_counts.entry(bar).or_default() += count;
        }
        if self.settings.freeze {
            self.freeze_loop = self.freeze_loop.take().or(cleared.freeze_loop);
        }
        self.reread();
        self.prepend_learned(&cleared.learned)
    }

    /// Marks all notes before the playhead as unread.
    pub(super) fn reread(&mut self) {
        let line = self.timeline.step(self.now.floor());
        let open = self.timeline.first_held().unwrap_or(line);
        self.unread_from = Some(line.min(open));
    }

    /// Reverts the newest entry.
    pub(super) fn undo(&mut self) -> Result<(), P::Error> {
        self.move_in_history(Direction::Undo)
    }

    /// Repeats the entry that was reverted last.
    pub(super) fn redo(&mut self) -> Result<(), P::Error> {
        self.move_in_history(Direction::Redo)
    }

    fn move_in_history(&mut self, direction: Direction) -> Result<(), P::Error> {
        let undo = direction == Direction::Undo;
        let discarded = self.undo_stack.take_discarded(self.now);
        let Some(mut undo_entry) = self.undo_stack.pop(direction) else {
            return Ok(());
        };
        match &mut undo_entry {
            UndoEntry::Regenerate { bar, planned } => {
                let bar = *bar;
                let before = std::mem::replace(planned, discarded);
                self.count_regeneration(bar, !undo);
                self.reinstate(before);
            }
            UndoEntry::Infill { notes, arrivals } => {
                let here = *arrivals == self.undo_stack.arrivals;
                if here || notes.steps().end <= self.timeline.step(self.now) {
                    self.exchange(notes);
                }
            }
            UndoEntry::Clear { cleared, planned } if undo => {
                let back = ClearedMemory::clone(cleared);
                cleared.timeline = Timeline::new(self.player.steps_per_beat());
                let before = std::mem::replace(planned, discarded);
                self.restore_cleared(back)?;
                self.reinstate(before);
            }
            UndoEntry::Clear { cleared, planned } => {
                **cleared = self.clear_memory(cleared.earliest_playhead, cleared.learned.len())?;
                *planned = discarded;
            }
            UndoEntry::Unlearn { pieces } if undo => self.prepend_learned(pieces)?,
            UndoEntry::Unlearn { pieces } => *pieces = self.take_learned(pieces.len())?,
            UndoEntry::PlayOver { notes, .. } => {
                if undo {
                    *notes = self.timeline.put_back(notes, self.now);
                } else {
                    self.timeline.remove_put_back(notes);
                }
                self.reread();
            }
            // The editor sets the parameter; the entry keeps the loop.
            UndoEntry::Vary { from, to } => {
                let variation = if undo { *from } else { *to };
                self.expect(ExpectedChange::Variation(variation));
            }
            UndoEntry::Freeze { on, bars } => {
                let expected = ExpectedChange::Freeze(*on != undo, bars.clone());
                self.expect(expected);
            }
        }
        self.undo_stack.push_back(undo_entry, direction);
        Ok(())
    }

    fn expect(&mut self, expected: ExpectedChange) {
        self.undo_stack.expected = Some(expected);
    }

    /// Records a change of variation or freeze in the history, unless undo or redo caused it. Sets
    /// the frozen loop.
    pub(super) fn settings_changed(&mut self, before: &Settings) {
        let now = self.settings;
        let baseline_set = std::mem::replace(&mut self.undo_stack.baseline_set, true);
        let (varied, froze) = (
            now.variation != before.variation,
            now.freeze != before.freeze,
        );
        let expected = if varied || froze {
            self.undo_stack.expected.take()
        } else {
            None
        };
        if varied
            && !matches!(expected, Some(ExpectedChange::Variation(v)) if v == now.variation)
            && baseline_set
        {
            self.undo_stack.push(UndoEntry::Vary {
                from: before.variation,
                to: now.variation,
            });
        }
        if !froze {
            if !now.freeze {
                // A restored loop whose project has *Freeze* off.
                self.freeze_loop = None;
            }
            return;
        }
        // Before *Freeze* goes on, there is only the loop of a restored session.
        let was = self.freeze_loop.take();
        let expected = match expected {
            Some(ExpectedChange::Freeze(on, bars)) if on == now.freeze => Some(bars),
            _ => None,
        };
        if now.freeze {
            let kept = expected.clone().flatten().or_else(|| was.clone());
            self.freeze_loop = kept.or_else(|| FreezeLoop::of(&self.timeline, self.now, now.bars));
        }
        if expected.is_none() && baseline_set {
            let bars = if now.freeze {
                self.freeze_loop.clone()
            } else {
                was
            };
            self.undo_stack.push(UndoEntry::Freeze {
                on: now.freeze,
                bars,
            });
        }
    }

    /// Restores a discarded plan as far as there is time for it; the model continues after it.
    fn reinstate(&mut self, discarded: Option<DiscardedPlan>) {
        let Some(DiscardedPlan {
            answer,
            notes,
            arrivals,
            ..
        }) = discarded
        else {
            return;
        };
        let from = self.timeline.step(self.now + self.settings.lead);
        let to = answer.until;
        let mode = answer.mode == self.settings.mode;
        if !self.running || arrivals != self.undo_stack.arrivals || !mode || from >= to {
            return;
        }
        self.entry_planner.take(PlayWindow {
            at: from,
            decided: from,
            end: answer.end,
        });
        let notes: Vec<TimelineNote> = notes.into_iter().filter(|n| n.start >= from).collect();
        self.answer = Some(answer.replayed(notes, from));
    }
}
