//! Undo history of a session: entries, cleared memory and discarded plans. Owned by the composer thread.

use std::collections::{BTreeMap, VecDeque};

use super::freeze_loop::FreezeLoop;
use super::loops_and_jumps::Arrival;
use super::planning::Answer;
use crate::choices::Variation;
use crate::file_learning::SavedPiece;
use crate::snapshot::{UndoHistory, UndoStep};
use crate::timeline::{PlayedOver, ReplacedNotes, Timeline, TimelineNote};

/// Direction of a move in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Reverts an entry.
    Undo,
    /// Repeats an entry.
    Redo,
}

/// Number of entries at most.
const MAX_ENTRIES: usize = 32;

/// Number of notes in all entries at most: ten notes a second for three hours.
const MAX_NOTES: usize = 1 << 17;

/// An action, with what is needed to revert or repeat it.
#[derive(Clone, Debug)]
pub(super) enum UndoEntry {
    /// The bar that begins on this step was regenerated. `planned` is the plan that undo or redo
    /// restores.
    Regenerate {
        bar: i64,
        planned: Option<DiscardedPlan>,
    },
    /// The generated notes of some bars were replaced. `notes` is what undo or redo restores, while
    /// the playhead has not jumped since, or lies behind the bars.
    Infill { notes: ReplacedNotes, arrivals: u64 },
    /// Memory was cleared; `cleared` is what undo restores.
    Clear {
        cleared: Box<ClearedMemory>,
        planned: Option<DiscardedPlan>,
    },
    /// The learned pieces were removed.
    Unlearn { pieces: Vec<SavedPiece> },
    /// After a jump, new input replaced notes of an earlier pass. After undo: those that were
    /// restored.
    PlayOver { notes: PlayedOver, arrivals: u64 },
    /// The variation changed.
    Vary { from: Variation, to: Variation },
    /// Freeze was switched on or off; `bars` is its loop.
    Freeze { on: bool, bars: Option<FreezeLoop> },
}

/// Memory that *Clear* removed.
#[derive(Clone, Debug)]
pub(super) struct ClearedMemory {
    pub(super) timeline: Timeline,
    /// Earliest session position of the playhead since, in quarter notes. Notes after it would be
    /// replaced by now in any case.
    pub(super) earliest_playhead: f64,
    pub(super) regenerate_counts: BTreeMap<i64, u64>,
    pub(super) freeze_loop: Option<FreezeLoop>,
    pub(super) learned: Vec<SavedPiece>,
}

/// A plan that a cancel discarded.
#[derive(Clone, Debug)]
pub(super) struct DiscardedPlan {
    pub(super) answer: Answer,
    pub(super) notes: Vec<TimelineNote>,
    /// Position of the cancel, in session quarter notes.
    pub(super) at: f64,
    /// Count of arrivals at the cancel.
    pub(super) arrivals: u64,
}

/// Undo and redo entries; the newest is last.
#[derive(Debug, Default)]
pub(super) struct UndoStack {
    done: VecDeque<UndoEntry>,
    undone: Vec<UndoEntry>,
    /// Plan at the last cancel.
    pub(super) discarded: Option<DiscardedPlan>,
    /// The change of a parameter that undo or redo causes; the host delivers it later.
    pub(super) expected: Option<ExpectedChange>,
    /// Whether settings have arrived since the last load; later ones are the musician's actions.
    pub(super) baseline_set: bool,
    /// Number of times the playhead arrived somewhere.
    pub(super) arrivals: u64,
    /// Whether the last arrival was a jump. Notes replaced after a loop get no entry, because a
    /// loop repeats them.
    jumped: bool,
}

#[derive(Clone, Debug)]
pub(super) enum ExpectedChange {
    Variation(Variation),
    Freeze(bool, Option<FreezeLoop>),
}

impl UndoStack {
    /// Clears the history after a load.
    pub(super) fn forget(&mut self) {
        *self = Self {
            arrivals: self.arrivals + 1,
            ..Self::default()
        };
    }

    /// Records an arrival of the playhead at `beat`, in session quarter notes.
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

    /// Records that new input replaced notes of an earlier pass.
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

    /// Whether undo can restore cleared memory.
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
            UndoEntry::Infill { notes, .. } => notes.len(),
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

    /// The plan that a cancel at `now` has just discarded.
    pub(super) fn take_discarded(&mut self, now: f64) -> Option<DiscardedPlan> {
        self.discarded
            .take()
            .filter(|discarded| discarded.at == now)
    }

    pub(super) fn history(&self) -> UndoHistory {
        let step = |undo_entry: &UndoEntry, back: bool| match *undo_entry {
            UndoEntry::Regenerate { .. } => UndoStep::Regenerate,
            UndoEntry::Infill { .. } => UndoStep::Infill,
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
