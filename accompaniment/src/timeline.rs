//! What was heard and played, at song positions. Owned by the composer thread; knows no
//! thread, no model and no host.

mod bars;
mod input;
mod saved;
mod set_aside;

use continuo_score::{Note, Score, TimeSignature};

use self::set_aside::NotesAhead;

pub use self::saved::{ExactBeats, SavedTimeline};
pub use self::set_aside::PlayedOver;

/// Who played a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoteSource {
    /// The player, on this channel.
    Player(u8),
    /// The plugin, with this [`crate::messages::ScheduledNote::id`].
    Generated(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct NoteRecord {
    /// Where it started, exactly.
    start_beat: f64,
    start: i64,
    /// `None` while the key is held, or the pedal holds it.
    end: Option<i64>,
    /// The key was let go, and the pedal holds it.
    sustained: bool,
    /// The player's note-off came on the very sample of the note-on.
    ended_at_once: bool,
    pitch: u8,
    velocity: u8,
    source: NoteSource,
}

/// Notes and bars by song position, in *song steps*: steps of the model's grid counted from
/// the host's position 0, negative in a count-in.
///
/// A [`Score`] counts from 0, so scores made of the timeline count from its *origin*: the bar
/// line at or before the first note.
#[derive(Clone, Debug)]
pub struct Timeline {
    steps_per_beat: u32,
    origin: Option<i64>,
    notes: Vec<NoteRecord>,
    /// Bar lines at which the host said its metre, `(position in quarter notes, metre)`, rising.
    time_signatures: Vec<(f64, TimeSignature)>,
    /// Channels whose pedal is down, a bit each.
    pedals: u16,
    /// How many notes have no end yet.
    held_count: usize,
    /// Notes of an earlier pass that the playhead has not reached again.
    later: NotesAhead,
}

/// Some bars that one of the two plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeTurn {
    /// Counted from the first bar: even ones are the player's.
    pub number: u32,
    /// First step.
    pub start: i64,
    /// First step after it.
    pub end: i64,
}

/// A note of the player's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputNote {
    /// Where it started, in quarter notes.
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

/// A note of the timeline, for those who look at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimelineNote {
    /// First step.
    pub start: i64,
    /// Exactly when, in quarter notes.
    pub start_beat: f64,
    /// First step after it; `None` while it is held.
    pub end: Option<i64>,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// Whether the plugin played it.
    pub generated: bool,
}

impl TimelineNote {
    /// The step after it and the note itself, to be played again: a step long where it is held.
    pub fn repeated(&self) -> (i64, Note) {
        let length = self.end.map_or(1, |end| end - self.start).max(1);
        let note = Note {
            start: 0,
            length: u32::try_from(length).unwrap_or(1),
            pitch: self.pitch,
            velocity: self.velocity,
        };
        (self.start + length, note)
    }
}

/// Of its own notes the plugin looks back at so many: some bars of them.
const MAX_OWN_NOTES: usize = 512;

/// Notes remembered at most. Beyond that the oldest quarter is forgotten: ten notes a second
/// for an hour and a half.
const MAX_NOTES: usize = 1 << 16;

/// Positions nearer than this, in quarter notes, are the same: far below a sample, far above
/// the rounding of hosts.
const SAME: f64 = 1e-6;

impl Timeline {
    /// An empty one on a grid of so many steps a quarter note.
    pub fn new(steps_per_beat: u32) -> Self {
        Self {
            steps_per_beat,
            origin: None,
            notes: Vec::new(),
            time_signatures: Vec::new(),
            pedals: 0,
            held_count: 0,
            later: NotesAhead::default(),
        }
    }

    /// The step nearest to a position, halves upward.
    pub fn step(&self, beat: f64) -> i64 {
        (beat * f64::from(self.steps_per_beat) + 0.5 + SAME).floor() as i64
    }

    /// So many quarter notes in whole steps, rounded up but for the rounding of hosts.
    pub fn step_from(&self, beats: f64) -> i64 {
        (beats * f64::from(self.steps_per_beat) - 0.02).ceil() as i64
    }

    /// Half a quarter note in whole steps, rounded down.
    pub fn half_beat(&self) -> i64 {
        i64::from(self.steps_per_beat) / 2
    }

    /// The position of a step.
    pub fn beat(&self, step: i64) -> f64 {
        step as f64 / f64::from(self.steps_per_beat)
    }

    /// Step 0 of scores, once something was heard.
    pub fn origin(&self) -> Option<i64> {
        self.origin
    }

    /// Whether there is no note.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// The host's bars from the bar line at `bar_start` on.
    pub fn add_time_signature(&mut self, bar_start: f64, metre: TimeSignature) {
        self.time_signatures
            .retain(|&(at, _)| at < bar_start - SAME);
        self.time_signatures.push((bar_start, metre));
    }

    /// Bar lines at which the host said its metre, rising.
    pub fn time_signatures(&self) -> &[(f64, TimeSignature)] {
        &self.time_signatures
    }

    /// Nothing was ever heard or played. The bars stay.
    pub fn clear(&mut self) {
        self.notes.clear();
        self.later = NotesAhead::default();
        self.notes_removed();
    }

    /// Takes out the notes that start before `beat`, and those ahead of the playhead, and gives
    /// them. The bars stay.
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
        earlier
    }

    /// Puts notes that were taken out before those there are now, as far as they start before
    /// `beat`. Those that reach over it end there.
    pub fn put_before(&mut self, mut earlier: Self, beat: f64) {
        earlier.release_all(beat);
        earlier.forget_from(beat);
        self.origin = earlier.origin.or(self.origin);
        earlier.notes.append(&mut self.notes);
        self.notes = earlier.notes;
        self.later = earlier.later;
        self.notes_removed();
        self.make_room();
    }

    /// The plugin plays a note from song step `start`, at `start_beat` exactly, to `end`.
    pub fn play(
        &mut self,
        id: u64,
        start_beat: f64,
        start: i64,
        end: i64,
        pitch: u8,
        velocity: u8,
    ) {
        self.make_room();
        self.begin(start);
        self.notes.push(NoteRecord {
            start_beat,
            start,
            end: Some(end.max(start + 1)),
            sustained: false,
            ended_at_once: false,
            pitch,
            velocity,
            source: NoteSource::Generated(id),
        });
    }

    /// A note of the plugin's was not played after all.
    pub fn remove_generated(&mut self, id: u64) {
        self.notes.retain(|n| n.source != NoteSource::Generated(id));
        self.notes_removed();
    }

    /// At `beat` the plugin fell silent: its notes from `cutoff_beat` on never happened, those that
    /// sounded end there.
    pub fn cancel(&mut self, beat: f64, cutoff_beat: f64) {
        let end = self.step(beat);
        self.notes
            .retain(|n| matches!(n.source, NoteSource::Player(_)) || n.start_beat < cutoff_beat);
        for note in self
            .notes
            .iter_mut()
            .filter(|n| matches!(n.source, NoteSource::Generated(_)))
        {
            note.end = note.end.map(|e| e.min(end.max(note.start + 1)));
        }
        self.notes_removed();
    }

    /// The playhead goes on from `beat`: what lies there from an earlier pass is forgotten,
    /// and what reaches over it ends there.
    pub fn forget_from(&mut self, beat: f64) {
        self.notes.retain(|n| n.start_beat < beat - SAME);
        self.end_notes_at(beat);
        self.time_signatures.retain(|&(at, _)| at < beat - SAME);
        self.notes_removed();
    }

    /// Takes out the player's notes that start at `beat` or after it, and gives them in the order
    /// they were heard. What reaches over `beat` ends there.
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

    /// Notes that reach over `beat` end there.
    fn end_notes_at(&mut self, beat: f64) {
        let end = self.step(beat);
        for note in &mut self.notes {
            note.end = note.end.map(|e| e.min(end.max(note.start + 1)));
        }
    }

    /// The first step of the earliest key still held.
    pub fn first_held(&self) -> Option<i64> {
        self.notes
            .iter()
            .filter(|n| n.end.is_none())
            .map(|n| n.start)
            .min()
    }

    /// The notes heard that start before song step `before`, and those of the plugin's that
    /// start before `generated`, as a score counted from the origin. A key still held counts as held
    /// until `before`.
    pub fn score(&self, before: i64, generated: i64) -> Score {
        let mut score = Score::new(self.steps_per_beat);
        let Some(origin) = self.origin else {
            return score;
        };
        score.time_signatures = self.time_signature_map(origin);
        let from_origin = |step: i64| u32::try_from(step - origin).unwrap_or(0);
        let notes = self
            .notes
            .iter()
            .filter(|n| n.start < if n.is_generated() { generated } else { before })
            .map(|n| Note {
                start: from_origin(n.start),
                length: u32::try_from(n.end.unwrap_or(before) - n.start)
                    .unwrap_or(0)
                    .max(1),
                pitch: n.pitch,
                velocity: n.velocity,
            });
        score.notes.extend(notes);
        score.normalise();
        score
    }

    /// The last notes of the plugin's that start before song step `before`, in order, counted
    /// from `origin`.
    pub fn own(&self, origin: i64, before: i64) -> Vec<Note> {
        let last = self
            .notes()
            .rev()
            .filter(|n| n.generated && n.start < before);
        let mut own: Vec<Note> = last
            .take(MAX_OWN_NOTES)
            .filter_map(|n| {
                Some(Note {
                    start: u32::try_from(n.start - origin).ok()?,
                    length: u32::try_from(n.end? - n.start).ok()?.max(1),
                    pitch: n.pitch,
                    velocity: n.velocity,
                })
            })
            .collect();
        own.sort_by_key(|n| n.start);
        own
    }

    /// The notes, oldest first.
    pub fn notes(&self) -> impl DoubleEndedIterator<Item = TimelineNote> {
        self.notes.iter().map(|n| TimelineNote {
            start: n.start,
            start_beat: n.start_beat,
            end: n.end,
            pitch: n.pitch,
            velocity: n.velocity,
            generated: n.is_generated(),
        })
    }

    /// Step 0 of scores from now on, where nothing was heard yet: the bar line at or before
    /// `step`.
    pub fn begin_at(&mut self, step: i64) {
        if self.origin.is_none() {
            self.origin = Some(self.bar_line(step));
        }
    }

    /// Memory is bounded: the oldest notes go first.
    fn make_room(&mut self) {
        if self.notes.len() >= MAX_NOTES {
            self.notes.drain(..MAX_NOTES / 4);
            let first = self.notes.iter().map(|n| n.start).min();
            self.origin = first.map(|first| self.bar_line(first));
            self.notes_removed();
        }
    }

    /// The timeline begins with a note on this step.
    fn begin(&mut self, step: i64) {
        if self.notes.is_empty() {
            self.origin = Some(self.bar_line(step));
        } else if self.origin.is_some_and(|origin| step < origin) {
            // Rounding at the very beginning at most; bars must not start after their notes.
            self.origin = Some(self.bar_line(step));
        }
    }

    /// After notes were taken out. Without notes there is no origin: the next note gives one.
    fn notes_removed(&mut self) {
        self.held_count = self.notes.iter().filter(|n| n.end.is_none()).count();
        if self.notes.is_empty() {
            self.origin = None;
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
