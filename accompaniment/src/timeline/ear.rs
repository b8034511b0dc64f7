//! Notes of the player that were found in sound. They come late and whole.

use super::{NoteRecord, NoteSource, Timeline};

/// A note for [`Timeline::hear`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeardNote {
    /// Exact start, in quarter notes.
    pub start_beat: f64,
    /// Exact end, in quarter notes.
    pub end_beat: f64,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// Confidence in percent, 0 to 100.
    pub confidence: u8,
}

impl Timeline {
    /// Adds a note that was found in sound. From `playhead` on, in quarter notes, it belongs to an
    /// earlier pass, and waits with the notes ahead.
    pub fn hear(&mut self, note: HeardNote, playhead: f64) {
        let start = self.step(note.start_beat);
        let record = NoteRecord {
            start_beat: note.start_beat,
            start,
            end: Some(self.step(note.end_beat).max(start + 1)),
            sustained: false,
            ended_at_once: false,
            pitch: note.pitch & 127,
            velocity: note.velocity.clamp(1, 127),
            part: self.channel_parts[super::EAR_CHANNEL],
            imagined: false,
            source: NoteSource::Ear(note.confidence.min(100)),
        };
        if note.start_beat >= playhead {
            self.later.add(record);
            return;
        }
        self.make_room();
        // Turns that were counted from a later bar stay.
        if self.origin.is_some_and(|origin| start < origin) {
            self.turns_from = self.turns_from.or(self.origin);
        }
        self.begin(start);
        let later = self.notes.iter().rev();
        let later = later.take_while(|n| n.start_beat > note.start_beat).count();
        self.notes.insert(self.notes.len() - later, record);
    }

    /// Sets the first step whose sound is not read yet; `None` if no sound is read. From there on,
    /// imagined notes stand for the player's.
    pub fn set_unheard_from(&mut self, step: Option<i64>) {
        self.unheard_from = step;
    }

    /// The first step whose sound is not read yet.
    pub fn unheard_from(&self) -> Option<i64> {
        self.unheard_from
    }

    /// Whether an imagined note before `before` stands for sound that is not read yet.
    pub(super) fn stands_for_sound(&self, note: &NoteRecord) -> bool {
        let unheard = self.unheard_from.is_some_and(|from| note.start >= from);
        unheard && note.part == self.channel_parts[super::EAR_CHANNEL]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::GeneratedNote;

    fn note(start_beat: f64) -> HeardNote {
        HeardNote {
            start_beat,
            end_beat: start_beat + 0.5,
            pitch: 64,
            velocity: 80,
            confidence: 70,
        }
    }

    #[test]
    fn late_note_takes_its_place_among_the_others() {
        let mut timeline = Timeline::new(12);
        for beat in [4.0, 5.0, 6.0] {
            timeline.on(beat, 0, 60, 90);
        }
        timeline.hear(note(4.5), 6.5);
        let starts: Vec<_> = timeline.notes().map(|n| n.start).collect();
        assert_eq!(starts, [48, 54, 60, 72]);
        let heard = timeline.notes().nth(1).unwrap();
        assert_eq!((heard.end, heard.confidence), (Some(60), Some(70)));
        // The keys that are held end as before.
        timeline.release_all(7.0);
        assert!(timeline.notes().all(|n| n.end.is_some()));
        // The first note may begin before what is there.
        timeline.hear(note(3.0), 7.0);
        assert_eq!(timeline.origin(), Some(0));
        assert_eq!(timeline.score(999, 999).notes.len(), 5);
    }

    #[test]
    fn note_of_an_earlier_pass_waits_ahead_of_the_playhead() {
        let mut timeline = Timeline::new(12);
        timeline.on(0.0, 0, 60, 90);
        timeline.hear(note(7.5), 0.5);
        assert_eq!((timeline.notes().count(), timeline.notes_ahead()), (1, 1));
    }

    #[test]
    fn imagined_notes_stand_for_sound_that_is_not_read_yet() {
        let mut timeline = Timeline::new(12);
        timeline.on(0.0, 0, 60, 90);
        timeline.off(0.5, None, None);
        for start in [12, 24] {
            timeline.play(GeneratedNote {
                start_beat: timeline.beat(start),
                start,
                end: start + 6,
                pitch: 67,
                velocity: 80,
                imagined: true,
                ..GeneratedNote::default()
            });
        }
        assert_eq!(timeline.score(36, 48).notes.len(), 1);
        timeline.set_unheard_from(Some(20));
        assert_eq!(timeline.score(36, 48).notes.len(), 2);
        timeline.forget_imagined(36);
        assert_eq!(timeline.notes().count(), 2);
        timeline.set_unheard_from(None);
        timeline.forget_imagined(36);
        assert_eq!(timeline.notes().count(), 1);
    }

    #[test]
    fn confidence_is_saved() {
        let mut timeline = Timeline::new(12);
        timeline.hear(note(1.0), 2.0);
        let (back, lost) = Timeline::restore(&timeline.save(), 12, 2.0);
        assert_eq!(lost, 0);
        assert!(back.notes().eq(timeline.notes()));
    }
}
