//! Frames of the model to notes.

use crate::history::History;
use crate::model::PITCHES;
use crate::note::{FrameNote, Thresholds};
use crate::onset_notes::OnsetNotes;
use crate::residual::Residual;

/// Finds notes in the frames of the model. It takes one frame after the other and keeps those that
/// unfinished notes need, up to about two minutes.
#[derive(Debug)]
pub(crate) struct Tracker {
    limits: Thresholds,
    history: History,
    with_onset: OnsetNotes,
    residual: Residual,
}

impl Tracker {
    pub(crate) fn new(limits: Thresholds) -> Self {
        Self {
            limits,
            history: History::default(),
            with_onset: OnsetNotes::default(),
            residual: Residual::default(),
        }
    }

    /// Takes the activation and the onset strength of each pitch in the next frame, and appends the
    /// notes that are finished to `to`.
    pub(crate) fn push(&mut self, notes: &[f32], onsets: &[f32], to: &mut Vec<FrameNote>) {
        self.history.push(notes, onsets);
        self.with_onset.step(&self.history, &self.limits, to);
        self.residual
            .step(&self.history, &self.with_onset, &self.limits, to);
        self.drop_doubtful(to);
        let unread = self.residual.oldest();
        self.with_onset.forget_before(unread);
        let oldest = self.with_onset.oldest().unwrap_or(unread);
        self.history.forget_before(unread.min(oldest));
    }

    /// Ends all notes, appends them to `to`, and starts over with another stream.
    pub(crate) fn finish(&mut self, to: &mut Vec<FrameNote>) {
        self.with_onset.finish(&self.history, &self.limits, to);
        self.residual
            .finish(&self.history, &self.with_onset, &self.limits, to);
        self.drop_doubtful(to);
        *self = Self::new(self.limits);
    }

    /// Whether a pitch sounds in the last frame.
    pub(crate) fn is_sounding(&self) -> bool {
        let last = self.history.end().checked_sub(1);
        let sounds = |frame, pitch| self.history.activation(frame, pitch) >= self.limits.sounding;
        last.is_some_and(|frame| (0..PITCHES).any(|pitch| sounds(frame, pitch)))
    }

    /// Number of frames that are kept.
    #[cfg(test)]
    fn kept(&self) -> usize {
        self.history.kept()
    }

    /// Drops notes of too little confidence. They have still taken their sound away from others.
    fn drop_doubtful(&self, notes: &mut Vec<FrameNote>) {
        notes.retain(|note| note.confidence() >= self.limits.confidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Settings;

    /// Frames of a recording that tests write by hand.
    struct Sheet {
        notes: Vec<[f32; PITCHES]>,
        onsets: Vec<[f32; PITCHES]>,
    }

    impl Sheet {
        fn new(frames: usize) -> Self {
            let silence = vec![[0.0; PITCHES]; frames];
            Self {
                notes: silence.clone(),
                onsets: silence,
            }
        }

        /// Lets a pitch sound in `frames` with an activation.
        fn sound(mut self, pitch: usize, frames: std::ops::Range<usize>, activation: f32) -> Self {
            for frame in frames {
                self.notes[frame][pitch] = activation;
            }
            self
        }

        fn onset(mut self, pitch: usize, frame: usize, strength: f32) -> Self {
            self.onsets[frame][pitch] = strength;
            self
        }

        /// Returns the notes as pitch, start, end, in order, and the frames until each was found.
        fn read(&self) -> (Vec<(usize, usize, usize)>, Vec<usize>) {
            let mut tracker = Tracker::new(Settings::default().thresholds());
            let (mut found, mut times) = (Vec::new(), Vec::new());
            for (at, (notes, onsets)) in self.notes.iter().zip(&self.onsets).enumerate() {
                tracker.push(notes, onsets, &mut found);
                times.resize(found.len(), at);
            }
            tracker.finish(&mut found);
            times.resize(found.len(), self.notes.len());
            let note = |note: &FrameNote| (note.pitch, note.start, note.end);
            (found.iter().map(note).collect(), times)
        }

        fn notes(&self) -> Vec<(usize, usize, usize)> {
            let mut notes = self.read().0;
            notes.sort_by_key(|&(pitch, start, _)| (start, pitch));
            notes
        }
    }

    #[test]
    fn note_lasts_from_its_onset_until_its_pitch_is_silent() {
        let sheet = Sheet::new(100).sound(40, 20..60, 0.8).onset(40, 20, 0.9);
        assert_eq!(sheet.read(), (vec![(40, 20, 60)], vec![71]));
    }

    #[test]
    fn repeated_note_ends_the_one_before() {
        let sheet = Sheet::new(100).sound(40, 20..80, 0.8);
        let sheet = sheet.onset(40, 20, 0.9).onset(40, 50, 0.7);
        assert_eq!(sheet.notes(), [(40, 20, 50), (40, 50, 80)]);
    }

    #[test]
    fn short_gap_does_not_end_a_note() {
        let sheet = Sheet::new(100)
            .sound(40, 20..40, 0.8)
            .sound(40, 48..70, 0.4);
        assert_eq!(sheet.onset(40, 20, 0.9).notes(), [(40, 20, 70)]);
    }

    #[test]
    fn onset_of_a_moment_does_not_split_a_note() {
        let sheet = Sheet::new(100).sound(40, 20..60, 0.8);
        let sheet = sheet.onset(40, 20, 0.9).onset(40, 55, 0.9);
        assert_eq!(sheet.notes(), [(40, 20, 60)]);
    }

    #[test]
    fn weaker_semitone_beside_a_note_is_its_blur() {
        let sheet = Sheet::new(100)
            .sound(40, 20..60, 0.8)
            .sound(41, 20..58, 0.5);
        let sheet = sheet.onset(40, 20, 0.9).onset(41, 20, 0.6);
        assert_eq!(sheet.notes(), [(40, 20, 60)]);
        // A whole tone is another note.
        let sheet = sheet.sound(42, 20..60, 0.8).onset(42, 20, 0.9);
        assert_eq!(sheet.notes(), [(40, 20, 60), (42, 20, 60)]);
    }

    #[test]
    fn step_by_a_semitone_ends_the_note_before() {
        let sheet = Sheet::new(120)
            .sound(40, 20..60, 0.8)
            .sound(41, 50..90, 0.8);
        let sheet = sheet.onset(40, 20, 0.9).onset(41, 50, 0.9);
        assert_eq!(sheet.notes(), [(40, 20, 50), (41, 50, 90)]);
    }

    #[test]
    fn rise_of_a_pitch_is_an_inferred_onset() {
        let sheet = Sheet::new(100).sound(40, 20..60, 0.8);
        assert_eq!(sheet.notes(), [(40, 20, 60)]);
    }

    #[test]
    fn sound_without_onset_is_a_note_if_it_swells() {
        let mut sheet = Sheet::new(120);
        for frame in 0..60 {
            let swell = 0.9 - (frame as f32 - 30.0).abs() * 0.03;
            sheet.notes[20 + frame][40] = swell;
            sheet.notes[20 + frame][41] = swell * 0.6;
            // The onset output is weak, but not nothing.
            sheet.onsets[20 + frame][40] = 0.3;
        }
        let notes = sheet.notes();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert_eq!(notes[0].0, 40);
    }

    #[test]
    fn short_sound_is_no_note() {
        let sheet = Sheet::new(100).sound(40, 20..31, 0.8).onset(40, 20, 0.9);
        assert_eq!(sheet.notes(), []);
        let sheet = Sheet::new(100).sound(40, 20..32, 0.8).onset(40, 20, 0.9);
        assert_eq!(sheet.notes(), [(40, 20, 32)]);
    }

    #[test]
    fn endless_sound_is_split_and_memory_stays_bounded() {
        let mut tracker = Tracker::new(Settings::default().thresholds());
        let mut found = Vec::new();
        let (mut notes, mut onsets) = ([0.0; PITCHES], [0.0; PITCHES]);
        for frame in 0..40_000 {
            // All pitches drone; one has onsets.
            notes.fill(0.6);
            onsets[30] = if frame % 20 == 0 { 0.9 } else { 0.0 };
            tracker.push(&notes, &onsets, &mut found);
            assert!(tracker.kept() < 20_000, "frame {frame}");
        }
        tracker.finish(&mut found);
        assert!(found.iter().all(|note| note.end - note.start <= 5_200));
        let repeated = found.iter().filter(|note| note.pitch == 30).count();
        assert!((1_950..=2_010).contains(&repeated), "{repeated}");
    }

    #[test]
    fn values_that_are_no_numbers_are_silence() {
        let mut sheet = Sheet::new(100).sound(40, 20..60, 0.8).onset(40, 20, 0.9);
        sheet.notes[70] = [f32::NAN; PITCHES];
        sheet.onsets[70] = [f32::INFINITY; PITCHES];
        assert_eq!(sheet.notes(), [(40, 20, 60)]);
    }
}
