//! The player's keys and pedals as notes of the timeline.

use super::{NoteRecord, NoteSource, SAME, Timeline};

/// Number of notes, counted from the newest, among which the note of a repeated note-off is searched.
const NOTE_OFF_SEARCH: usize = 256;

impl Timeline {
    /// Adds the note-on of a key at `beat`, in quarter notes.
    pub fn on(&mut self, beat: f64, channel: u8, pitch: u8, velocity: u8) {
        // A second note-on of a held or sustained key ends the first note.
        self.end_held(beat, Some(channel), Some(pitch), |_| true);
        self.make_room();
        self.held_count += 1;
        let start = self.step(beat);
        self.begin(start);
        self.notes.push(NoteRecord {
            start_beat: beat,
            start,
            end: None,
            sustained: false,
            ended_at_once: false,
            pitch: pitch & 127,
            velocity: velocity.clamp(1, 127),
            part: self.channel_parts[usize::from(channel & 15)],
            imagined: false,
            source: NoteSource::Player(channel),
        });
    }

    /// Adds the note-off of the matching keys; `None` matches all. While the pedal is down their
    /// notes sound on.
    pub fn off(&mut self, beat: f64, channel: Option<u8>, pitch: Option<u8>) {
        if let (Some(channel), Some(pitch)) = (channel, pitch) {
            self.off_again(beat, channel, pitch);
        }
        let pedals = self.pedals;
        for (note, on) in self.held() {
            let held = pedals >> (on & 15) & 1 == 1;
            note.sustained |=
                held && matches_or_any(channel, on) && matches_or_any(pitch, note.pitch);
        }
        self.end_held(beat, channel, pitch, |note| !note.sustained);
    }

    /// Moves the end of a note to a second note-off, where the first came on the sample of the
    /// note-on. qtractor sends notes on its first sample so.
    fn off_again(&mut self, beat: f64, channel: u8, pitch: u8) {
        let end = self.step(beat);
        let last = self.notes.iter_mut().rev().take(NOTE_OFF_SEARCH);
        let mut last = last.filter(|n| n.pitch == pitch && n.source == NoteSource::Player(channel));
        if let Some(note) = last.next().filter(|note| note.ended_at_once) {
            note.ended_at_once = false;
            note.end = note.end.map(|at| at.max(end));
        }
    }

    /// Presses or releases the sustain pedal of a channel.
    pub fn pedal(&mut self, beat: f64, channel: u8, down: bool) {
        let bit = 1 << (channel & 15);
        if down {
            self.pedals |= bit;
        } else {
            self.pedals &= !bit;
            self.end_held(beat, Some(channel), None, |note| note.sustained);
        }
    }

    /// Releases all keys and pedals.
    pub fn release_all(&mut self, beat: f64) {
        self.pedals = 0;
        self.end_all(beat);
    }

    /// Ends all notes of keys; the pedals stay as they are.
    pub fn end_all(&mut self, beat: f64) {
        self.end_held(beat, None, None, |_| true);
    }

    fn end_held(
        &mut self,
        beat: f64,
        channel: Option<u8>,
        pitch: Option<u8>,
        which: impl Fn(&NoteRecord) -> bool,
    ) {
        let end = self.step(beat);
        let mut ended = 0;
        for (note, on) in self.held() {
            if matches_or_any(channel, on) && matches_or_any(pitch, note.pitch) && which(note) {
                note.end = Some(end.max(note.start + 1));
                note.sustained = false;
                note.ended_at_once = beat - note.start_beat < SAME;
                ended += 1;
            }
        }
        self.held_count -= ended;
    }

    /// The player's notes without an end, each with its channel. It searches back to the earliest
    /// of them only.
    fn held(&mut self) -> impl Iterator<Item = (&mut NoteRecord, u8)> {
        let held = self.notes.iter_mut().rev().filter_map(|n| match n.source {
            NoteSource::Player(on) if n.end.is_none() => Some((n, on)),
            _ => None,
        });
        held.take(self.held_count)
    }
}

/// Whether `wanted` is `None` or equals `one`.
fn matches_or_any(wanted: Option<u8>, one: u8) -> bool {
    wanted.is_none_or(|w| w == one)
}
