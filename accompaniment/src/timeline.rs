//! Timeline of a session: input and generated notes with the host's bars, by song position. Owned
//! by the composer thread; knows no thread, model or host.

mod bars;
mod channel_parts;
mod ear;
mod input;
mod replaced;
mod saved;
mod score;
mod set_aside;

use continuo_score::{Note, Part, TimeSignature};

use self::channel_parts::EAR_CHANNEL;
use self::set_aside::NotesAhead;

pub use self::channel_parts::CHANNELS;
pub use self::ear::HeardNote;
pub use self::replaced::ReplacedNotes;
pub use self::saved::{ExactBeats, SavedTimeline, is_position};
pub use self::set_aside::PlayedOver;

/// Source of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoteSource {
    /// The player, on this channel, 0 to 15.
    Player(u8),
    /// The player, found in sound with this confidence in percent.
    Ear(u8),
    /// The plugin, with this [`crate::messages::ScheduledNote::id`].
    Generated(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct NoteRecord {
    /// Exact start, in quarter notes.
    start_beat: f64,
    start: i64,
    /// `None` while the key is held, or the pedal holds it.
    end: Option<i64>,
    /// Whether the key is up and the pedal holds the note.
    sustained: bool,
    /// Whether the note-off came on the sample of the note-on.
    ended_at_once: bool,
    pitch: u8,
    velocity: u8,
    part: Part,
    /// Whether it is generated and does not sound, because this instance does not play its part.
    imagined: bool,
    source: NoteSource,
}

/// A generated note for [`Timeline::play`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GeneratedNote {
    /// Its [`crate::messages::ScheduledNote::id`].
    pub id: u64,
    /// Exact start, in quarter notes.
    pub start_beat: f64,
    /// First step.
    pub start: i64,
    /// First step after it.
    pub end: i64,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// The part that plays it.
    pub part: Part,
    /// Whether it does not sound, because this instance does not play its part.
    pub imagined: bool,
}

/// Notes and bars by song position, in *song steps*: steps of the model's grid from the host's
/// position 0, negative in a count-in.
///
/// A [`Score`](continuo_score::Score) counts from 0, so scores of the timeline count from its *origin*: the bar line at or
/// before the first note.
#[derive(Clone, Debug)]
pub struct Timeline {
    steps_per_beat: u32,
    origin: Option<i64>,
    notes: Vec<NoteRecord>,
    /// Bar lines at which the host reported a time signature, `(position in quarter notes, time
    /// signature)`, ascending.
    time_signatures: Vec<(f64, TimeSignature)>,
    /// Channels whose pedal is down, one bit each.
    pedals: u16,
    /// Part of the next note on each channel of the player ([`NoteSource::channel`]).
    channel_parts: [Part; CHANNELS],
    /// Number of notes without an end.
    held_count: usize,
    /// First step whose sound at the audio input is not read yet.
    unheard_from: Option<i64>,
    /// Bar line from which turns count, if that is not the origin.
    turns_from: Option<i64>,
    /// Notes of an earlier pass ahead of the playhead.
    later: NotesAhead,
}

/// A turn of the player or of the plugin in [`crate::choices::Mode::Trade`], in song steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeTurn {
    /// Index from the first bar; even turns are the player's.
    pub number: u32,
    /// First step.
    pub start: i64,
    /// First step after it.
    pub end: i64,
}

/// A note of the player.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputNote {
    /// Start, in quarter notes.
    pub start_beat: f64,
    /// First step after it; `None` while the key or the pedal holds it.
    pub end: Option<i64>,
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
}

/// A note of the timeline, as readers see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimelineNote {
    /// First step.
    pub start: i64,
    /// Exact start, in quarter notes.
    pub start_beat: f64,
    /// First step after it; `None` while it is held.
    pub end: Option<i64>,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// Whether the plugin generated it.
    pub generated: bool,
    /// Confidence in percent, if it was found in sound.
    pub confidence: Option<u8>,
    /// The part that plays it.
    pub part: Part,
    /// Whether it is generated and does not sound.
    pub imagined: bool,
}

impl TimelineNote {
    /// The step after the note, and the note for a repeat; a held note is one step long.
    pub fn repeated(&self) -> (i64, Note) {
        let length = self.end.map_or(1, |end| end - self.start).max(1);
        let note = Note {
            start: 0,
            length: u32::try_from(length).unwrap_or(1),
            pitch: self.pitch,
            velocity: self.velocity,
            part: self.part,
        };
        (self.start + length, note)
    }
}

/// Number of notes kept at most; beyond it the oldest quarter is removed. It is ten notes a second
/// for an hour and a half.
const MAX_NOTES: usize = 1 << 16;

/// Distance in quarter notes below which positions are equal: far below a sample, far above the
/// rounding of hosts.
const SAME: f64 = 1e-6;

impl Timeline {
    /// An empty timeline on a grid of `steps_per_beat` steps per quarter note.
    pub fn new(steps_per_beat: u32) -> Self {
        Self {
            steps_per_beat,
            origin: None,
            notes: Vec::new(),
            time_signatures: Vec::new(),
            pedals: 0,
            channel_parts: [Part::Keys; CHANNELS],
            held_count: 0,
            unheard_from: None,
            turns_from: None,
            later: NotesAhead::default(),
        }
    }

    /// The step nearest to a position in quarter notes; halves round up.
    pub fn step(&self, beat: f64) -> i64 {
        (beat * f64::from(self.steps_per_beat) + 0.5 + SAME).floor() as i64
    }

    /// A length in quarter notes as whole steps, rounded up except for the rounding of hosts.
    pub fn step_from(&self, beats: f64) -> i64 {
        (beats * f64::from(self.steps_per_beat) - 0.02).ceil() as i64
    }

    /// Half a quarter note in whole steps, rounded down.
    pub fn half_beat(&self) -> i64 {
        i64::from(self.steps_per_beat) / 2
    }

    /// The position of a step, in quarter notes.
    pub fn beat(&self, step: i64) -> f64 {
        step as f64 / f64::from(self.steps_per_beat)
    }

    /// Song step that is step 0 of scores; `None` without notes.
    pub fn origin(&self) -> Option<i64> {
        self.origin
    }

    /// Whether there is no note.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Sets the host's time signature from the bar line at `bar_start` on, in quarter notes.
    pub fn add_time_signature(&mut self, bar_start: f64, time_signature: TimeSignature) {
        self.time_signatures
            .retain(|&(at, _)| at < bar_start - SAME);
        self.time_signatures.push((bar_start, time_signature));
    }

    /// Bar lines at which the host reported a time signature, ascending, in quarter notes.
    pub fn time_signatures(&self) -> &[(f64, TimeSignature)] {
        &self.time_signatures
    }

    /// Removes all notes; the bars stay.
    pub fn clear(&mut self) {
        self.notes.clear();
        self.later = NotesAhead::default();
        self.notes_removed();
        self.recall_channel_parts();
    }

    /// Removes and returns the notes that start before `beat`, and those ahead of the playhead. The
    /// bars stay.
    pub fn take_before(&mut self, beat: f64) -> Self {
        let (out, stay) = self.notes.iter().partition(|n| n.start_beat < beat);
        let mut earlier = Self {
            notes: out,
            ..self.clone()
        };
        self.later = NotesAhead::default();
        earlier.notes_removed();
        self.notes = stay;
        let first = self.notes.iter().map(|n| n.start).min();
        self.origin = first.map(|first| self.bar_line(first));
        self.notes_removed();
        self.recall_channel_parts();
        earlier
    }

    /// Restores notes that [`Timeline::take_before`] returned, as far as they start before `beat`.
    /// Notes that sound at `beat` end there.
    pub fn put_before(&mut self, mut earlier: Self, beat: f64) {
        earlier.release_all(beat);
        earlier.forget_from(beat);
        self.origin = earlier.origin.or(self.origin);
        earlier.notes.append(&mut self.notes);
        self.notes = earlier.notes;
        self.later = earlier.later;
        self.notes_removed();
        self.recall_channel_parts();
        self.make_room();
    }

    /// Adds a generated note.
    pub fn play(&mut self, note: GeneratedNote) {
        self.make_room();
        self.begin(note.start);
        self.notes.push(NoteRecord {
            start_beat: note.start_beat,
            start: note.start,
            end: Some(note.end.max(note.start + 1)),
            sustained: false,
            ended_at_once: false,
            pitch: note.pitch,
            velocity: note.velocity,
            part: note.part,
            imagined: note.imagined,
            source: NoteSource::Generated(note.id),
        });
    }

    /// Removes the imagined notes that start before song step `before`: what was really played there
    /// is known, but for sound that is not read yet.
    pub fn forget_imagined(&mut self, before: i64) {
        let mut notes = std::mem::take(&mut self.notes);
        notes.retain(|n| !n.imagined || n.start >= before || self.stands_for_sound(n));
        self.notes = notes;
        self.notes_removed();
    }

    /// Removes a generated note that did not sound.
    pub fn remove_generated(&mut self, id: u64) {
        self.notes.retain(|n| n.source != NoteSource::Generated(id));
        self.notes_removed();
    }

    /// Applies a cancel at `beat`: removes generated notes from `cutoff_beat` on, and ends those
    /// that sound.
    pub fn cancel(&mut self, beat: f64, cutoff_beat: f64) {
        let end = self.step(beat);
        self.notes
            .retain(|n| !n.is_generated() || n.start_beat < cutoff_beat);
        for note in self.notes.iter_mut().filter(|n| n.is_generated()) {
            note.end = note.end.map(|e| e.min(end.max(note.start + 1)));
        }
        self.notes_removed();
    }

    /// Moves the playhead to `beat` and removes the notes from there on. Notes that sound at `beat`
    /// end there.
    pub fn forget_from(&mut self, beat: f64) {
        self.turns_from = None;
        self.notes
            .retain(|n| n.start_beat < beat - SAME && !n.imagined);
        self.end_notes_at(beat);
        self.time_signatures.retain(|&(at, _)| at < beat - SAME);
        self.notes_removed();
    }

    /// Removes and returns the player's notes that start at or after `beat`, in order of arrival.
    /// Notes that sound at `beat` end there.
    pub fn take_input_from(&mut self, beat: f64) -> Vec<InputNote> {
        let heard = |note: &NoteRecord| match note.source {
            NoteSource::Player(channel) if note.start_beat >= beat => Some(InputNote {
                start_beat: note.start_beat,
                end: note.end,
                channel,
                pitch: note.pitch,
                velocity: note.velocity,
            }),
            _ => None,
        };
        let taken = self.notes.iter().filter_map(heard).collect();
        self.notes.retain(|note| heard(note).is_none());
        self.end_notes_at(beat);
        self.notes_removed();
        taken
    }

    /// Ends at `beat` the notes that sound there.
    fn end_notes_at(&mut self, beat: f64) {
        let end = self.step(beat);
        for note in &mut self.notes {
            note.end = note.end.map(|e| e.min(end.max(note.start + 1)));
        }
    }

    /// First step of the earliest key that is held.
    pub fn first_held(&self) -> Option<i64> {
        self.notes
            .iter()
            .filter(|n| n.end.is_none())
            .map(|n| n.start)
            .min()
    }

    /// All notes, oldest first.
    pub fn notes(&self) -> impl DoubleEndedIterator<Item = TimelineNote> {
        self.notes.iter().map(|n| TimelineNote {
            start: n.start,
            start_beat: n.start_beat,
            end: n.end,
            pitch: n.pitch,
            velocity: n.velocity,
            generated: n.is_generated(),
            confidence: match n.source {
                NoteSource::Ear(confidence) => Some(confidence),
                _ => None,
            },
            part: n.part,
            imagined: n.imagined,
        })
    }

    /// Sets the origin to the bar line at or before `step`, where there is no note yet.
    pub fn begin_at(&mut self, step: i64) {
        if self.origin.is_none() {
            self.origin = Some(self.bar_line(step));
        }
    }

    /// Removes the oldest notes where the limit is reached.
    fn make_room(&mut self) {
        if self.notes.len() >= MAX_NOTES {
            self.notes.drain(..MAX_NOTES / 4);
            let first = self.notes.iter().map(|n| n.start).min();
            self.origin = first.map(|first| self.bar_line(first));
            self.notes_removed();
        }
    }

    /// Moves the origin so that a note on this step lies after it.
    fn begin(&mut self, step: i64) {
        if self.notes.is_empty() {
            self.origin = Some(self.bar_line(step));
        } else if self.origin.is_some_and(|origin| step < origin) {
            // Rounding at the first note leads here, and a note that was found late in sound. A bar must
            // not start after its notes.
            self.origin = Some(self.bar_line(step));
        }
    }

    /// Updates the counts after a removal. Without notes there is no origin.
    fn notes_removed(&mut self) {
        self.held_count = self.notes.iter().filter(|n| n.end.is_none()).count();
        if self.notes.is_empty() {
            (self.origin, self.turns_from) = (None, None);
        }
    }
}

impl NoteSource {
    /// Index of the player's instrument among [`CHANNELS`]; `None` for the plugin.
    fn channel(self) -> Option<usize> {
        match self {
            NoteSource::Player(channel) => Some(usize::from(channel & 15)),
            NoteSource::Ear(_) => Some(EAR_CHANNEL),
            NoteSource::Generated(_) => None,
        }
    }
}

impl NoteRecord {
    fn is_generated(&self) -> bool {
        matches!(self.source, NoteSource::Generated(_))
    }
}

#[cfg(test)]
mod tests;
