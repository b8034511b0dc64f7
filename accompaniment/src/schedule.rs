//! Schedule of planned notes, and the notes that sound. Owned by the audio thread; allocates
//! nothing after `default`.

use std::collections::VecDeque;

use crate::messages::ScheduledNote;
use crate::transport::Span;

/// Number of planned notes at most: far more than a lookahead of music.
pub const SCHEDULE_CAPACITY: usize = 8_192;

/// A planned note that starts in a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Due {
    /// The note.
    pub note: ScheduledNote,
    /// Sample of the block on which it starts.
    pub sample: u32,
    /// Whether it starts later than planned.
    pub late: bool,
}

/// State of the front of the schedule in a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Front {
    /// No note starts in this span.
    Nothing,
    /// This note starts; [`Schedule::pop`] removes it.
    Due(Due),
    /// This note is too late to start; [`Schedule::pop`] removes it.
    TooLate(ScheduledNote),
}

/// Planned notes in order of start; each belongs to one generation.
#[derive(Debug)]
pub struct Schedule {
    notes: VecDeque<ScheduledNote>,
    /// Number of cancels reached.
    generation: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        // Fills the queue once, so that its pages are in memory before the audio thread runs. Zeros
        // alone would map no pages.
        let filler = ScheduledNote {
            id: u64::MAX,
            ..ScheduledNote::default()
        };
        let mut notes = VecDeque::from(vec![filler; SCHEDULE_CAPACITY]);
        notes.clear();
        Self {
            notes,
            generation: 0,
        }
    }
}

impl Schedule {
    /// Number of cancels reached.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Adds a note; `false` if it is void or the schedule is full.
    pub fn accept(&mut self, note: ScheduledNote) -> bool {
        let fits = note.generation >= self.generation && self.notes.len() < SCHEDULE_CAPACITY;
        if fits {
            self.notes.push_back(note);
        }
        fits
    }

    /// Applies a cancel, and returns the number of notes that it makes void.
    pub fn cancel(&mut self) -> u64 {
        self.generation += 1;
        let mut void = 0;
        while self
            .notes
            .front()
            .is_some_and(|n| n.generation < self.generation)
        {
            self.notes.pop_front();
            void += 1;
        }
        void
    }

    /// The first note, if it starts in `span` at or after sample `from`.
    ///
    /// A late note starts at once and keeps its end if more than half of it is left; else it is
    /// [`Front::TooLate`].
    pub fn front(&self, span: &Span, from: u32) -> Front {
        // A note of a later generation waits for its cancel.
        let Some(&note) = self
            .notes
            .front()
            .filter(|n| n.generation == self.generation)
        else {
            return Front::Nothing;
        };
        let sample = span.due(note.start_beat);
        if sample >= i64::from(span.end()) {
            return Front::Nothing;
        }
        let late = sample < i64::from(span.first) - 1;
        let sample = u32::try_from(sample).unwrap_or(0).max(from);
        let left = note.end_beat - span.due_beat(sample);
        if late && left <= (note.end_beat - note.start_beat) / 2.0 {
            return Front::TooLate(note);
        }
        Front::Due(Due { note, sample, late })
    }

    /// Removes the first note.
    pub fn pop(&mut self) {
        self.notes.pop_front();
    }

    /// Notes that start on `sample`, in order.
    pub fn starting_on(&self, span: Span, sample: u32) -> impl Iterator<Item = &ScheduledNote> {
        self.notes.iter().take_while(move |n| {
            n.generation == self.generation && span.due(n.start_beat) <= i64::from(sample)
        })
    }
}

/// A generated note that sounds.
#[derive(Clone, Copy, Debug)]
struct ActiveNote {
    /// MIDI channel of its note-on.
    channel: u8,
    pitch: u8,
    /// End in quarter notes; minus infinity if it is overdue.
    end_beat: f64,
    /// First sample of this block on which it may end.
    earliest: u32,
}

/// Number of keys of all channels.
const ALL_KEYS: usize = 16 * 128;

/// The generated notes that sound, one per channel and key at most.
#[derive(Debug)]
pub struct ActiveNotes {
    /// By key, then channel. Its capacity is [`ALL_KEYS`], so that it never grows.
    notes: Vec<ActiveNote>,
}

impl Default for ActiveNotes {
    fn default() -> Self {
        // Fills the list once, as [`Schedule::default`] does.
        let filler = ActiveNote {
            channel: 0,
            pitch: 0,
            end_beat: 1.0,
            earliest: u32::MAX,
        };
        let mut notes = vec![filler; ALL_KEYS];
        notes.clear();
        Self { notes }
    }
}

impl ActiveNotes {
    /// Whether nothing sounds.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// The place of a key of a channel: `Ok` if it sounds.
    fn find(&self, channel: u8, pitch: u8) -> Result<usize, usize> {
        self.notes
            .binary_search_by_key(&(pitch, channel), |note| (note.pitch, note.channel))
    }

    /// Whether this key sounds.
    pub fn sounds(&self, channel: u8, pitch: u8) -> bool {
        self.find(channel, pitch).is_ok()
    }

    /// Whether this key sounds and began before `sample`.
    pub fn began_before(&self, channel: u8, pitch: u8, sample: u32) -> bool {
        let found = self.find(channel, pitch);
        found.is_ok_and(|at| self.notes[at].earliest <= sample)
    }

    /// Begins a block: a note-off that the last block could not send may go out in this one.
    pub fn begin_block(&mut self) {
        for note in &mut self.notes {
            note.earliest = 0;
        }
    }

    /// Adds a note whose note-on was sent for `sample`. It ends one sample later at the earliest.
    pub fn start(&mut self, channel: u8, pitch: u8, sample: u32, end_beat: f64) {
        let note = ActiveNote {
            channel,
            pitch,
            end_beat,
            earliest: sample + 1,
        };
        match self.find(channel, pitch) {
            Ok(at) => self.notes[at] = note,
            Err(at) if self.notes.len() < ALL_KEYS => self.notes.insert(at, note),
            Err(_) => {}
        }
    }

    /// Marks all notes as overdue.
    pub fn overdue(&mut self) {
        for note in &mut self.notes {
            note.end_beat = f64::NEG_INFINITY;
        }
    }

    /// Sample of the next end in `span`, not before `from`.
    pub fn next_end(&self, span: &Span, from: u32) -> Option<u32> {
        let ends = self.notes.iter().map(|note| note.due(span).max(from));
        ends.min().filter(|&sample| sample < span.end())
    }

    /// Sends the note-off of a key through `send`, which returns `false` if the host refuses it;
    /// the next block tries again.
    pub fn end(&mut self, channel: u8, pitch: u8, send: &mut impl FnMut(u8, u8) -> bool) {
        if let Ok(at) = self.find(channel, pitch) {
            self.end_at(at, send);
        }
    }

    /// Ends the note at a place in the list. Returns whether it was removed.
    fn end_at(&mut self, at: usize, send: &mut impl FnMut(u8, u8) -> bool) -> bool {
        let note = &mut self.notes[at];
        let sent = send(note.channel, note.pitch);
        if sent {
            self.notes.remove(at);
        } else {
            note.end_beat = f64::NEG_INFINITY;
            note.earliest = u32::MAX;
        }
        sent
    }

    /// Ends the notes that are due at `sample`.
    pub fn end_due(&mut self, span: &Span, sample: u32, send: &mut impl FnMut(u8, u8) -> bool) {
        self.end_where(|note| note.due(span) <= sample, send);
    }

    /// Ends the overdue notes.
    pub fn end_overdue(&mut self, send: &mut impl FnMut(u8, u8) -> bool) {
        self.end_where(
            |note| note.end_beat == f64::NEG_INFINITY && note.earliest == 0,
            send,
        );
    }

    /// Ends all notes.
    pub fn end_all(&mut self, send: &mut impl FnMut(u8, u8) -> bool) {
        self.end_where(|note| note.earliest != u32::MAX, send);
    }

    fn end_where(
        &mut self,
        pick: impl Fn(&ActiveNote) -> bool,
        send: &mut impl FnMut(u8, u8) -> bool,
    ) {
        let mut at = 0;
        while let Some(note) = self.notes.get(at) {
            let removed = pick(note) && self.end_at(at, send);
            at += usize::from(!removed);
        }
    }
}

impl ActiveNote {
    fn due(&self, span: &Span) -> u32 {
        let sample = span.due(self.end_beat).clamp(0, i64::from(u32::MAX));
        u32::try_from(sample).unwrap_or(u32::MAX).max(self.earliest)
    }
}

#[cfg(test)]
mod tests {
    use continuo_score::Part;

    use super::*;

    const SPAN: Span = Span {
        first: 0,
        frames: 100,
        start_beat: 10.0,
        samples_per_beat: 1000.0,
        shift: 0,
    };

    fn note(id: u64, generation: u64, start_beat: f64, end_beat: f64) -> ScheduledNote {
        ScheduledNote {
            id,
            generation,
            start_beat,
            end_beat,
            pitch: 60,
            velocity: 80,
            part: Part::Keys,
        }
    }

    #[test]
    fn note_is_due_in_its_generation_only() {
        let mut schedule = Schedule::default();
        assert!(schedule.accept(note(1, 0, 10.01, 10.5)));
        assert!(schedule.accept(note(2, 1, 10.02, 10.5)));
        let Front::Due(due) = schedule.front(&SPAN, 0) else {
            panic!()
        };
        assert_eq!((due.note.id, due.sample, due.late), (1, 10, false));
        schedule.pop();
        assert_eq!(schedule.front(&SPAN, 0), Front::Nothing);
        schedule.cancel();
        let Front::Due(due) = schedule.front(&SPAN, 0) else {
            panic!()
        };
        assert_eq!((due.note.id, due.sample), (2, 20));
        schedule.cancel();
        assert_eq!(schedule.front(&SPAN, 0), Front::Nothing);
        assert!(!schedule.accept(note(3, 1, 10.0, 10.5)));
    }

    #[test]
    fn late_notes_are_shortened_or_dropped() {
        let mut schedule = Schedule::default();
        schedule.accept(note(1, 0, 9.9, 10.2));
        schedule.accept(note(2, 0, 9.9, 10.1));
        schedule.accept(note(3, 0, 10.1, 10.2));
        let Front::Due(due) = schedule.front(&SPAN, 0) else {
            panic!()
        };
        assert_eq!((due.note.id, due.sample, due.late), (1, 0, true));
        schedule.pop();
        assert!(matches!(schedule.front(&SPAN, 0), Front::TooLate(n) if n.id == 2));
        schedule.pop();
        // On the first sample of the next block.
        assert_eq!(schedule.front(&SPAN, 0), Front::Nothing);
    }

    #[test]
    fn one_sample_early_counts_as_rounding() {
        let mut schedule = Schedule::default();
        schedule.accept(note(1, 0, 9.9990, 10.0));
        let Front::Due(due) = schedule.front(&SPAN, 0) else {
            panic!()
        };
        assert_eq!((due.sample, due.late), (0, false));
    }

    #[test]
    fn active_notes_end_once_and_never_before_they_start() {
        let mut voices = ActiveNotes::default();
        voices.start(5, 60, 40, 10.04);
        assert_eq!(voices.next_end(&SPAN, 0), Some(41));
        voices.end_due(&SPAN, 40, &mut |_, _| panic!("too early"));
        let mut ended = Vec::new();
        voices.end_due(&SPAN, 41, &mut |channel, p| {
            ended.push((channel, p));
            true
        });
        assert_eq!(
            (ended.as_slice(), voices.is_empty()),
            ([(5, 60)].as_slice(), true)
        );
        assert_eq!(voices.next_end(&SPAN, 0), None);
    }

    #[test]
    fn one_key_sounds_on_several_channels() {
        let mut voices = ActiveNotes::default();
        voices.start(9, 36, 0, 10.02);
        voices.start(1, 36, 0, 10.05);
        assert!(voices.sounds(9, 36) && voices.sounds(1, 36) && !voices.sounds(0, 36));
        let mut ended = Vec::new();
        let mut send = |channel, pitch| {
            ended.push((channel, pitch));
            true
        };
        voices.end_due(&SPAN, 20, &mut send);
        voices.end(0, 36, &mut send);
        voices.end(1, 36, &mut send);
        assert_eq!(ended, [(9, 36), (1, 36)]);
        assert!(voices.is_empty());
    }

    #[test]
    fn note_off_that_cannot_be_sent_is_sent_in_the_next_block() {
        let mut voices = ActiveNotes::default();
        voices.start(0, 60, 0, 10.02);
        voices.end_due(&SPAN, 20, &mut |_, _| false);
        assert_eq!(voices.next_end(&SPAN, 20), None);
        voices.begin_block();
        let mut count = 0;
        voices.end_overdue(&mut |_, _| {
            count += 1;
            true
        });
        assert_eq!((count, voices.is_empty()), (1, true));
    }
}
