//! Undo history of a session: entries, cleared memory and discarded plans. Owned by the composer thread.

use std::collections::{BTreeMap, VecDeque};

use super::freeze_loop::FreezeLoop;
use super::planning::Answer;
use super::playhead::Arrival;
use crate::choices::Variation;
use crate::file_learning::SavedPiece;
use crate::snapshot::{UndoHistory, UndoStep};
use crate::timeline::{PlayedOver, Timeline, TimelineNote};

/// Direction of a move in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Reverts an entry.
    Undo,
    /// Repeats an entry.
    Redo,
}

/// Deeds remembered at most.
const MAX_ENTRIES: usize = 32;

/// Notes of memories that were cleared, all deeds together: an hour and a half of ten a second,
/// twice.
const MAX_NOTES: usize = 1 << 17;

/// Something that was done.
#[derive(Clone, Debug)]
pub(super) enum UndoEntry {
    /// The bar that begins on this step was thought of anew. Done or taken back, what was planned
    /// until then is kept here.
    Regenerate {
        bar: i64,
        planned: Option<DiscardedPlan>,
    },
    /// Everything was forgotten. What was, while it is not taken back.
    Clear {
        cleared: Box<ClearedMemory>,
        planned: Option<DiscardedPlan>,
    },
    /// What was learned from files was forgotten.
    Unlearn { pieces: Vec<SavedPiece> },
    /// After a jump, notes of an earlier pass were played over. Taken back: those of them that
    /// were put back.
    PlayOver { notes: PlayedOver, arrivals: u64 },
    /// Another variation was chosen.
    Vary { from: Variation, to: Variation },
    /// What is repeated was frozen, or let go of. What it was.
    Freeze { on: bool, bars: Option<FreezeLoop> },
}

/// What was forgotten.
#[derive(Clone, Debug)]
pub(super) struct ClearedMemory {
    pub(super) timeline: Timeline,
    /// The earliest session position the playhead has been at since, in quarter notes: what lies
    /// after it would be forgotten by now in any case.
    pub(super) earliest_playhead: f64,
    pub(super) regenerate_counts: BTreeMap<i64, u64>,
    pub(super) freeze_loop: Option<FreezeLoop>,
    pub(super) learned: Vec<SavedPiece>,
}

/// A plan that was made void.
#[derive(Clone, Debug)]
pub(super) struct DiscardedPlan {
    pub(super) answer: Answer,
    pub(super) notes: Vec<TimelineNote>,
    /// Where it was made void, in session quarter notes.
    pub(super) at: f64,
    /// During which arrivals of the playhead.
    pub(super) arrivals: u64,
}

/// What was done and what was taken back, the last one last.
#[derive(Debug, Default)]
pub(super) struct UndoStack {
    done: VecDeque<UndoEntry>,
    undone: Vec<UndoEntry>,
    /// What was planned at the last cut.
    pub(super) discarded: Option<DiscardedPlan>,
    /// A change of settings that takes something back, on its way through the host.
    pub(super) expected: Option<ExpectedChange>,
    /// Settings were heard since the cleared was put in the place of another: those that follow are
    /// the musician's doing.
    pub(super) baseline_set: bool,
    /// How often the playhead arrived somewhere.
    pub(super) arrivals: u64,
    /// The playhead arrived by a jump, so that what it plays over can be taken back. A loop
    /// plays the same again.
    jumped: bool,
}

#[derive(Clone, Debug)]
pub(super) enum ExpectedChange {
    Variation(Variation),
    Freeze(bool, Option<FreezeLoop>),
}

impl UndoStack {
    /// The cleared is another.
    pub(super) fn forget(&mut self) {
        *self = Self {
            arrivals: self.arrivals + 1,
            ..Self::default()
        };
    }

    /// The playhead is somewhere else.
    pub(super) fn arrive(&mut self, beat: f64, arrival: Arrival) {
        self.arrivals += 1;
        self.jumped = arrival == Arrival::Jump;
        self.discarded = None;
        for undo_entry in self.done.iter_mut().chain(&mut self.undone) {
            if let UndoEntry::Clear { cleared, .. } = undo_entry {
                cleared.earliest_playhead = cleared.earliest_playhead.min(beat);
            }
        }
    }

    /// Notes of an earlier pass were played over.
    pub(super) fn play_over(&mut self, over: PlayedOver) {
        if over.is_empty() || !self.jumped {
            return;
        }
        let here = self.arrivals;
        match self.done.back_mut() {
            Some(UndoEntry::PlayOver { notes, arrivals }) if *arrivals == here => {
                notes.append(over)
            }
            _ => self.push(UndoEntry::PlayOver {
                notes: over,
                arrivals: here,
            }),
        }
    }

    /// Whether there is a cleared memory that may come back.
    pub(super) fn holds_memory(&self) -> bool {
        self.done
            .iter()
            .any(|d| matches!(d, UndoEntry::Clear { .. }))
    }

    pub(super) fn push(&mut self, undo_entry: UndoEntry) {
        self.undone.clear();
        self.done.push_back(undo_entry);
        let notes_of = |pieces: &[SavedPiece]| pieces.iter().map(|p| p.notes).sum::<usize>();
        let notes = |undo_entry: &UndoEntry| match undo_entry {
            UndoEntry::Clear { cleared, .. } => {
                cleared.timeline.notes().count() + notes_of(&cleared.learned)
            }
            UndoEntry::Unlearn { pieces } => notes_of(pieces),
            UndoEntry::PlayOver { notes, .. } => notes.len(),
            _ => 0,
        };
        while self.done.len() > MAX_ENTRIES
            || self.done.iter().map(notes).sum::<usize>() > MAX_NOTES
        {
            self.done.pop_front();
        }
    }

    /// Takes the next entry in this direction.
    pub(super) fn pop(&mut self, direction: Direction) -> Option<UndoEntry> {
        match direction {
            Direction::Undo => self.done.pop_back(),
            Direction::Redo => self.undone.pop(),
        }
    }

    /// Returns an entry that [`UndoStack::pop`] took, once it was reverted or repeated.
    pub(super) fn push_back(&mut self, undo_entry: UndoEntry, direction: Direction) {
        match direction {
            Direction::Undo => self.undone.push(undo_entry),
            Direction::Redo => self.done.push_back(undo_entry),
        }
    }

    /// What is planned now, or what the cut just before made void.
    pub(super) fn take_discarded(&mut self, now: f64) -> Option<DiscardedPlan> {
        self.discarded
            .take()
            .filter(|discarded| discarded.at == now)
    }

    pub(super) fn history(&self) -> UndoHistory {
        let step = |undo_entry: &UndoEntry, back: bool| match *undo_entry {
            UndoEntry::Regenerate { .. } => UndoStep::Regenerate,
            UndoEntry::Clear { .. } => UndoStep::Clear,
            UndoEntry::Unlearn { .. } => UndoStep::Unlearn,
            UndoEntry::PlayOver { .. } => UndoStep::PlayOver,
            UndoEntry::Vary { from, to } => UndoStep::Vary(if back { from } else { to }),
            UndoEntry::Freeze { on, .. } => UndoStep::Freeze(on != back),
        };
        UndoHistory {
            undo: self.done.back().map(|undo_entry| step(undo_entry, true)),
            redo: self.undone.last().map(|undo_entry| step(undo_entry, false)),
        }
    }
}
