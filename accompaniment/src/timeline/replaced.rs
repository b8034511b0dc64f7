//! Generated notes of a range, replaced and brought back.

use std::ops::Range;

use continuo_score::Note;

use super::{NoteRecord, NoteSource, Timeline};

/// Generated notes that start in a range of song steps, while they are not in the timeline.
#[derive(Clone, Debug)]
pub struct ReplacedNotes {
    steps: Range<i64>,
    notes: Vec<NoteRecord>,
}

impl ReplacedNotes {
    /// Notes for a range of steps, each with its id. Their starts are song steps minus `origin`.
    pub fn new(
        timeline: &Timeline,
        steps: Range<i64>,
        origin: i64,
        notes: impl Iterator<Item = (u64, Note)>,
    ) -> Self {
        let record = |(id, note): (u64, Note)| {
            let start = origin + i64::from(note.start);
            NoteRecord {
                start_beat: timeline.beat(start),
                start,
                end: Some(start + i64::from(note.length.max(1))),
                sustained: false,
                ended_at_once: false,
                pitch: note.pitch & 127,
                velocity: note.velocity.clamp(1, 127),
                part: note.part,
                imagined: false,
                source: NoteSource::Generated(id),
            }
        };
        let notes = notes.map(record).collect();
        Self { steps, notes }
    }

    /// The steps.
    pub fn steps(&self) -> Range<i64> {
        self.steps.clone()
    }

    /// Number of notes.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }
}

impl Timeline {
    /// Exchanges the generated notes that sound and start in the range for those in `replaced`.
    pub fn exchange(&mut self, replaced: &mut ReplacedNotes) {
        let steps = replaced.steps.clone();
        let goes = |note: &NoteRecord| {
            note.is_generated() && !note.imagined && steps.contains(&note.start)
        };
        let at = self.notes.iter().position(|note| note.start >= steps.start);
        let at = at.unwrap_or(self.notes.len());
        // Notes before that place start before the range, so none of them goes.
        let (out, stay): (Vec<_>, Vec<_>) = self.notes.drain(at..).partition(goes);
        let back = std::mem::replace(&mut replaced.notes, out);
        self.notes.extend(back);
        self.notes.extend(stay);
        self.notes_removed();
    }
}
