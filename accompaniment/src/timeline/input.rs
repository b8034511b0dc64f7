//! The player's keys and pedals as notes of the timeline.

use super::{NoteRecord, NoteSource, SAME, Timeline};

/// Number of notes, counted from the newest, among which the note of a repeated note-off is searched.
const NOTE_OFF_SEARCH: usize = 256;

impl Timeline {
    /// The player struck a key.
    pub fn on(&mut self, beat: f64, channel: u8, pitch: u8, velocity: u8) {
        // A key struck again without having been let go, or while the pedal holds it.
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
            source: NoteSource::Player(channel),
        });
    }

    /// The player let go every key that matches_or_any; `None` matches_or_any all. Where the pedal is down they go
    /// on sounding.
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

    /// A second note-off of a key whose first one came on the sample of its note-on: the note
    /// ends here. qtractor does so with the notes on the first sample that it plays.
    fn off_again(&mut self, beat: f64, channel: u8, pitch: u8) {
        let end = self.step(beat);
        let last = self.notes.iter_mut().rev().take(NOTE_OFF_SEARCH);
        let mut last = last.filter(|n| n.pitch == pitch && n.source == NoteSource::Player(channel));
        if let Some(note) = last.next().filter(|note| note.ended_at_once) {
            note.ended_at_once = false;
            note.end = note.end.map(|at| at.max(end));
        }
    }

    /// The sustain pedal of a channel went down or up.
    pub fn pedal(&mut self, beat: f64, channel: u8, down: bool) {
        let bit = 1 << (channel & 15);
        if down {
            self.pedals |= bit;
        } else {
            self.pedals &= !bit;
            self.end_held(beat, Some(channel), None, |note| note.sustained);
        }
    }

    /// Every key and every pedal is up.
    pub fn release_all(&mut self, beat: f64) {
        self.pedals = 0;
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

    /// The player's notes without an end, each with its channel. However long the song, it
    /// goes back no further than the earliest of them.
    fn held(&mut self) -> impl Iterator<Item = (&mut NoteRecord, u8)> {
        let held = self.notes.iter_mut().rev().filter_map(|n| match n.source {
            NoteSource::Player(on) if n.end.is_none() => Some((n, on)),
            _ => None,
        });
        held.take(self.held_count)
    }
}

/// Whether `None`, which matches_or_any all, or this one.
fn matches_or_any(wanted: Option<u8>, one: u8) -> bool {
    wanted.is_none_or(|w| w == one)
}
