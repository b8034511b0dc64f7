//! Notes of an earlier pass ahead of the playhead; kept until the playhead passes them.

use continuo_score::TimeSignature;

use super::{MAX_NOTES, NoteRecord, SAME, Timeline};

/// Notes and bars ahead of the playhead. Scores leave them out; a jump past them restores them.
#[derive(Clone, Debug, Default)]
pub(super) struct NotesAhead {
    /// In order of start.
    pub(super) notes: Vec<NoteRecord>,
    /// Bar lines with a time signature, ascending.
    pub(super) time_signatures: Vec<(f64, TimeSignature)>,
}

impl NotesAhead {
    /// Adds a note.
    pub(super) fn add(&mut self, note: NoteRecord) {
        self.notes.push(note);
        self.sort();
        self.notes.truncate(MAX_NOTES);
    }

    /// Sorts the notes by start.
    pub(super) fn sort(&mut self) {
        sort(&mut self.notes);
    }
}

/// Notes of an earlier pass that the playhead has passed, in order of start.
#[derive(Clone, Debug, Default)]
pub struct PlayedOver(Vec<NoteRecord>);

impl PlayedOver {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of notes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds the notes of `other`.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl Timeline {
    /// Moves the playhead to `beat`, in quarter notes: sets aside what lies ahead, and restores
    /// what was set aside and lies before. Notes that sound at `beat` end there; imagined notes are
    /// removed.
    pub fn set_aside_from(&mut self, beat: f64) {
        self.turns_from = None;
        self.notes.retain(|n| !n.imagined);
        let before = |&at: &f64| at < beat - SAME;
        type Notes = Vec<NoteRecord>;
        let (mut notes, aside): (Notes, Notes) =
            self.notes.iter().partition(|n| before(&n.start_beat));
        let (back, mut later): (Notes, Notes) =
            self.later.notes.iter().partition(|n| before(&n.start_beat));
        if !back.is_empty() {
            notes.extend(back);
            sort(&mut notes);
        }
        later.extend(aside.into_iter().filter(|note| note.end.is_some()));
        sort(&mut later);
        later.truncate(MAX_NOTES);

        type TimeSignatures = Vec<(f64, TimeSignature)>;
        let (mut time_signatures, ahead): (TimeSignatures, TimeSignatures) =
            self.time_signatures.iter().partition(|(at, _)| before(at));
        let (back, mut later_time_signatures): (TimeSignatures, TimeSignatures) = self
            .later
            .time_signatures
            .iter()
            .partition(|(at, _)| before(at));
        time_signatures.extend(back);
        later_time_signatures.extend(ahead);
        time_signatures.sort_by(|a, b| a.0.total_cmp(&b.0));
        later_time_signatures.sort_by(|a, b| a.0.total_cmp(&b.0));

        (self.notes, self.time_signatures) = (notes, time_signatures);
        self.later = NotesAhead {
            notes: later,
            time_signatures: later_time_signatures,
        };
        self.end_notes_at(beat);
        self.notes_removed();
        self.recall_channel_parts();
        self.begin_with_the_first();
    }

    /// Advances the playhead to `beat`: removes and returns the notes set aside before it, which
    /// new input replaces.
    pub fn play_over(&mut self, beat: f64) -> PlayedOver {
        let before = |&at: &f64| at < beat - SAME;
        let bars = self
            .later
            .time_signatures
            .partition_point(|(at, _)| before(at));
        self.later.time_signatures.drain(..bars);
        let notes = &mut self.later.notes;
        let over = notes.partition_point(|note| before(&note.start_beat));
        PlayedOver(notes.drain(..over).collect())
    }

    /// Restores notes that [`Timeline::play_over`] returned, with the playhead at `beat`, except
    /// those that the player has repeated: the same key on the same step. Returns the restored
    /// notes.
    pub fn put_back(&mut self, over: &PlayedOver, beat: f64) -> PlayedOver {
        let same = |a: &NoteRecord, b: &NoteRecord| (a.start, a.pitch) == (b.start, b.pitch);
        let again = |note: &&NoteRecord| !self.notes.iter().any(|heard| same(heard, note));
        let back: Vec<NoteRecord> = over.0.iter().filter(again).copied().collect();
        self.later.notes.extend(&back);
        self.later.sort();
        self.set_aside_from(beat);
        PlayedOver(back)
    }

    /// Removes the notes that [`Timeline::put_back`] restored.
    pub fn remove_put_back(&mut self, back: &PlayedOver) {
        let is_back = |note: &NoteRecord| {
            let same = |b: &NoteRecord| {
                (b.start, b.pitch, b.source) == (note.start, note.pitch, note.source)
            };
            back.0.iter().any(same)
        };
        self.notes.retain(|note| !is_back(note));
        self.later.notes.retain(|note| !is_back(note));
        self.notes_removed();
    }

    /// Number of notes set aside ahead of the playhead.
    pub fn notes_ahead(&self) -> usize {
        self.later.notes.len()
    }

    /// Moves the origin back to the bar of the first note, if that note lies before the origin.
    fn begin_with_the_first(&mut self) {
        if let Some(first) = self.notes.iter().map(|note| note.start).min() {
            let origin = self.origin.filter(|&origin| origin <= first);
            self.origin = origin.or_else(|| Some(self.bar_line(first)));
        }
    }
}

fn sort(notes: &mut [NoteRecord]) {
    notes.sort_by(|a, b| a.start_beat.total_cmp(&b.start_beat));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A note of half a beat on each of these beats.
    fn timeline(beats: &[f64]) -> Timeline {
        let mut timeline = Timeline::new(12);
        for &beat in beats {
            timeline.on(beat, 0, 60, 90);
            timeline.off(beat + 0.5, Some(0), Some(60));
        }
        timeline
    }

    fn starts(timeline: &Timeline) -> Vec<f64> {
        timeline.notes().map(|note| note.start_beat).collect()
    }

    #[test]
    fn jump_back_removes_nothing_until_it_is_played_over() {
        let mut timeline = timeline(&[0.0, 4.0, 8.0, 12.0]);
        timeline.set_aside_from(4.0);
        assert_eq!((starts(&timeline), timeline.notes_ahead()), (vec![0.0], 3));
        let over = timeline.play_over(6.0);
        assert_eq!((over.len(), timeline.notes_ahead()), (1, 2));
        timeline.set_aside_from(16.0);
        assert_eq!(starts(&timeline), [0.0, 8.0, 12.0]);
        assert_eq!(timeline.score(i64::MAX, i64::MAX).notes.len(), 3);
    }

    #[test]
    fn replaced_notes_return_except_repeated_ones() {
        let mut timeline = timeline(&[0.0, 1.0, 2.0, 8.0]);
        timeline.set_aside_from(0.0);
        timeline.on(1.001, 0, 60, 90);
        timeline.off(1.5, Some(0), Some(60));
        let over = timeline.play_over(4.0);
        assert_eq!(over.len(), 3);
        let back = timeline.put_back(&over, 4.0);
        assert_eq!(starts(&timeline), [0.0, 1.001, 2.0]);
        assert_eq!((back.len(), timeline.notes_ahead()), (2, 1));
        timeline.remove_put_back(&back);
        assert_eq!(starts(&timeline), [1.001]);
    }

    #[test]
    fn a_jump_before_the_first_note_and_back_keeps_bars_and_origin() {
        let three = TimeSignature {
            numerator: 3,
            denominator: 4,
        };
        let mut timeline = timeline(&[]);
        timeline.add_time_signature(0.0, TimeSignature::COMMON);
        timeline.add_time_signature(4.0, three);
        timeline.on(5.0, 0, 60, 90);
        timeline.off(5.5, Some(0), Some(60));
        let before = timeline.score(i64::MAX, i64::MAX);
        timeline.set_aside_from(0.0);
        assert!(timeline.is_empty() && timeline.origin().is_none());
        timeline.set_aside_from(8.0);
        assert_eq!(timeline.score(i64::MAX, i64::MAX), before);
    }
}
