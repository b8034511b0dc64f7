//! Quantises a MIDI file's ticks to the step grid, and a score to a vocabulary.
//!
//! Every onset and every end goes to the nearest step, a tie to the later one, and no note is
//! shorter than one step. So no note vanishes, except that two notes of one pitch and part on one step
//! become one, and onsets keep their order. Drum hits are one step long.

use std::borrow::Cow;

use crate::merge_parts::merge_parts;
use crate::midi::{MidiFile, MidiNote};
use crate::score::{Note, Score};
use crate::time::{TempoMap, TimeSignatureMap};
use crate::vocabulary::Vocabulary;

/// The treatment of drum notes ([`MidiFile::is_drum`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drums {
    /// Leave them out: their keys are no pitches.
    Drop,
    /// Keep them as if they were pitches.
    Keep,
}

/// Longest score, in steps: two days at 12 steps a beat and 120 beats a minute. A file of a few
/// bytes can name any time; later events are left out.
const MAX_STEPS: u64 = 1 << 22;

/// A conversion between two divisions of the beat.
#[derive(Clone, Copy)]
pub(crate) struct Grid {
    ticks: u64,
    steps: u64,
}

impl Grid {
    /// `ticks` a beat, at least 1, to `steps` a beat.
    pub(crate) fn new(ticks: u32, steps: u32) -> Self {
        let (ticks, steps) = (u64::from(ticks.max(1)), u64::from(steps));
        Self { ticks, steps }
    }

    /// The nearest step, a tie to the later one.
    #[inline]
    fn step(self, tick: u64) -> u64 {
        let twice = tick.checked_mul(2 * self.steps);
        match twice.and_then(|twice| twice.checked_add(self.ticks)) {
            Some(twice) => twice / (2 * self.ticks),
            // Beyond every usable time, and in order.
            None => u64::MAX,
        }
    }

    /// The nearest step; `None` beyond the longest score.
    fn within(self, tick: u64) -> Option<u32> {
        let step = self.step(tick);
        (step < MAX_STEPS).then_some(step as u32)
    }

    /// The nearest step, at most the longest score.
    fn end(self, tick: u64) -> u32 {
        self.step(tick).min(MAX_STEPS) as u32
    }

    pub(crate) fn note(self, note: &MidiNote) -> Option<Note> {
        let start = self.within(note.start)?;
        Some(Note {
            start,
            length: self.end(note.end).saturating_sub(start).max(1),
            pitch: note.pitch,
            velocity: note.velocity,
            ..Note::default()
        })
    }
}

fn kept(file: &MidiFile, drums: Drums) -> impl Iterator<Item = &MidiNote> {
    let notes = file.notes.iter();
    notes.filter(move |n| drums == Drums::Keep || !file.is_drum(n))
}

impl MidiFile {
    /// The step nearest to a tick, a tie to the later one.
    pub fn nearest_step(&self, tick: u64, steps_per_beat: u32) -> u64 {
        Grid::new(self.ticks_per_beat, steps_per_beat).step(tick)
    }
}

impl Score {
    /// The file's notes on a grid of `steps_per_beat`, all tracks merged in the keys;
    /// [`Score::from_midi_parts`] has their parts.
    pub fn from_midi(file: &MidiFile, steps_per_beat: u32, drums: Drums) -> Score {
        let grid = Grid::new(file.ticks_per_beat, steps_per_beat);
        let mut score = Self::bars_of(file, steps_per_beat);
        score.notes.reserve(file.notes.len());
        let notes = kept(file, drums);
        score.notes.extend(notes.filter_map(|note| grid.note(note)));
        score.normalise();
        score
    }

    /// The file's bars, tempo and length, without its notes.
    pub(crate) fn bars_of(file: &MidiFile, steps_per_beat: u32) -> Score {
        let grid = Grid::new(file.ticks_per_beat, steps_per_beat);
        let mut score = Score::new(steps_per_beat);
        score.length = grid.end(file.end);
        let time_signatures = file.time_signatures.iter();
        let time_signatures =
            time_signatures.filter_map(|&(tick, metre)| Some((grid.within(tick)?, metre)));
        score.time_signatures = TimeSignatureMap::new(steps_per_beat, time_signatures.collect());
        let tempos = file.tempos.iter();
        let tempos =
            tempos.filter_map(|&(tick, us)| Some((grid.within(tick)?, 60e6 / f64::from(us))));
        score.tempos = TempoMap::new(tempos.collect());
        score
    }

    /// The score as a vocabulary can express it: on its grid, notes no longer than its longest
    /// duration, velocities in the middle of their bins. Encoding and decoding keep the result,
    /// except for time signatures and tempo, which are not in the tokens. For a vocabulary without
    /// parts, drum hits are left out and all other notes are of the keys ([`merge_parts`]).
    pub fn quantise(&self, vocabulary: &Vocabulary) -> Score {
        let (from, to) = (self.steps_per_beat.max(1), vocabulary.steps_per_beat);
        let grid = Grid::new(from, to);
        let step = |step: u32| grid.end(step.into());
        let mut score = Score::new(to);
        let notes = match vocabulary.has_parts() {
            true => Cow::Borrowed(&self.notes[..]),
            false => merge_parts(&self.notes),
        };
        score.notes.extend(notes.iter().map(|note| Note {
            start: step(note.start),
            length: match note.part.is_pitched() {
                true => {
                    let length = step(note.end()) - step(note.start);
                    length.clamp(1, vocabulary.longest.into())
                }
                false => 1,
            },
            velocity: vocabulary.bin_velocity(vocabulary.velocity_bin(note.velocity)),
            ..*note
        }));
        let time_signatures = self
            .time_signatures
            .changes()
            .map(|(at, metre)| (step(at), metre));
        score.time_signatures = TimeSignatureMap::new(to, time_signatures.collect());
        let tempos = self.tempos.changes().iter();
        score.tempos = TempoMap::new(tempos.map(|&(at, bpm)| (step(at), bpm)).collect());
        score.length = step(self.length);
        score.normalise();
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeSignature;

    #[test]
    fn ticks_go_to_the_nearest_step_and_ties_later() {
        // 10 ticks a beat, 5 steps a beat: 2 ticks a step.
        let grid = Grid::new(10, 5);
        let steps: Vec<u64> = (0..6).map(|t| grid.step(t)).collect();
        assert_eq!(steps, [0, 1, 1, 2, 2, 3]);
        assert_eq!(Grid::new(1, 96).step(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_small_file_cannot_ask_for_years() {
        let mut file = Score::new(12).to_midi();
        file.ticks_per_beat = 1;
        file.time_signatures = vec![(u64::MAX / 2, TimeSignature::COMMON)];
        let note = |start| MidiNote {
            start,
            end: start + 1,
            pitch: 60,
            velocity: 9,
            channel: 0,
            track: 0,
        };
        file.notes = vec![note(0), note(u64::MAX / 4)];
        file.end = u64::MAX / 4;
        let score = Score::from_midi(&file, 12, Drums::Drop);
        assert_eq!(score.notes.len(), 1);
        assert!(u64::from(score.length) <= MAX_STEPS);
    }

    #[test]
    fn drums_are_kept_when_asked() {
        let mut file = Score::new(12).to_midi();
        file.notes = vec![MidiNote {
            start: 0,
            end: 9,
            pitch: 36,
            velocity: 9,
            channel: 9,
            track: 0,
        }];
        assert!(Score::from_midi(&file, 12, Drums::Drop).notes.is_empty());
        assert_eq!(Score::from_midi(&file, 12, Drums::Keep).notes.len(), 1);
    }
}
