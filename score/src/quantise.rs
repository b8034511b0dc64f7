//! Quantises a MIDI file's ticks to the step grid, and writes a score as a MIDI file.
//!
//! Every onset and every end goes to the nearest step, a tie to the later one, and no note is
//! shorter than one step. So no note vanishes, except that two notes of one pitch on one step become
//! one, and onsets keep their order.

use std::collections::BTreeMap;

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
struct Grid {
    ticks: u64,
    steps: u64,
}

impl Grid {
    /// `ticks` a beat, at least 1, to `steps` a beat.
    fn new(ticks: u32, steps: u32) -> Self {
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

    fn note(self, note: &MidiNote) -> Option<Note> {
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

/// The notes of one track on one channel, on the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MidiPart {
    /// The track's name, decoded; empty where it has none.
    pub name: String,
    /// Track, an index into [`MidiFile::tracks`].
    pub track: u16,
    /// Channel, 0 to 15.
    pub channel: u8,
    /// Whether its keys are drums, not pitches.
    pub drums: bool,
    /// The notes, in [`Score::normalise`]'s order.
    pub notes: Vec<Note>,
}

/// The file's parts, in order of tracks, then channels. If a channel changes between pitches and
/// drums, its drums are a part of their own. Bars, tempo and length are those of
/// [`Score::from_midi`].
pub fn parts(file: &MidiFile, steps_per_beat: u32, drums: Drums) -> Vec<MidiPart> {
    let grid = Grid::new(file.ticks_per_beat, steps_per_beat);
    let mut parts: BTreeMap<(u16, u8, bool), Vec<Note>> = BTreeMap::new();
    for midi in kept(file, drums) {
        if let Some(note) = grid.note(midi) {
            let key = (midi.track, midi.channel, file.is_drum(midi));
            let part = parts.entry(key).or_default();
            part.push(note);
        }
    }
    let part = |((track, channel, drums), notes)| {
        let mut score = Score::new(steps_per_beat);
        score.notes = notes;
        score.normalise();
        MidiPart {
            name: file.name(track),
            track,
            channel,
            drums,
            notes: score.notes,
        }
    };
    parts.into_iter().map(part).collect()
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
    /// The file's notes on a grid of `steps_per_beat`, all tracks merged; [`parts`] separates them.
    pub fn from_midi(file: &MidiFile, steps_per_beat: u32, drums: Drums) -> Score {
        let grid = Grid::new(file.ticks_per_beat, steps_per_beat);
        let mut score = Score::new(steps_per_beat);
        score.notes.reserve(file.notes.len());
        let notes = kept(file, drums);
        score.notes.extend(notes.filter_map(|note| grid.note(note)));
        score.length = grid.end(file.end);
        let time_signatures = file.time_signatures.iter();
        let time_signatures =
            time_signatures.filter_map(|&(tick, metre)| Some((grid.within(tick)?, metre)));
        score.time_signatures = TimeSignatureMap::new(steps_per_beat, time_signatures.collect());
        let tempos = file.tempos.iter();
        let tempos =
            tempos.filter_map(|&(tick, us)| Some((grid.within(tick)?, 60e6 / f64::from(us))));
        score.tempos = TempoMap::new(tempos.collect());
        score.normalise();
        score
    }

    /// The score as a vocabulary can express it: on its grid, notes no longer than its longest
    /// duration, velocities in the middle of their bins. Encoding and decoding keep the result,
    /// except for time signatures and tempo, which are not in the tokens.
    pub fn quantise(&self, vocabulary: &Vocabulary) -> Score {
        let (from, to) = (self.steps_per_beat.max(1), vocabulary.steps_per_beat);
        let grid = Grid::new(from, to);
        let step = |step: u32| grid.end(step.into());
        let mut score = Score::new(to);
        score.notes.extend(self.notes.iter().map(|note| Note {
            start: step(note.start),
            length: (step(note.end()) - step(note.start)).clamp(1, vocabulary.longest.into()),
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

    /// Simultaneous parts as a MIDI file: one track a part, on channels 1, 2, … without the drum
    /// channel 10. Bars and tempo are those of the first part.
    pub fn parts_to_midi(parts: &[(&str, &Score)]) -> MidiFile {
        let Some(&(_, first)) = parts.first() else {
            return Score::parts_to_midi(&[("", &Score::new(1))]);
        };
        let steps = first.steps_per_beat.max(1);
        // Every step on a whole tick.
        let ticks_per_beat = if 480 % steps == 0 {
            480
        } else {
            steps * (960 / steps).max(1)
        };
        let ticks_per_step = u64::from(ticks_per_beat / steps);
        let tick = |step: u32| u64::from(step) * ticks_per_step;
        let mut notes = Vec::new();
        for (track, (_, part)) in parts.iter().enumerate() {
            let channel = (0..16).filter(|&c| c != 9).cycle().nth(track).unwrap_or(0);
            notes.extend(part.notes.iter().map(|n| MidiNote {
                start: tick(n.start),
                end: tick(n.end()),
                pitch: n.pitch,
                velocity: n.velocity,
                channel,
                track: track as u16,
            }));
        }
        notes.sort_by_key(|n| (n.start, n.track, n.pitch));
        let micros = |bpm: f64| (60e6 / bpm).round().clamp(1.0, 16_777_215.0) as u32;
        let end = parts.iter().map(|(_, part)| part.length).max().unwrap_or(0);
        MidiFile {
            format: 1,
            ticks_per_beat,
            notes,
            tempos: first
                .tempos
                .changes()
                .iter()
                .map(|&(at, bpm)| (tick(at), micros(bpm)))
                .collect(),
            time_signatures: first
                .time_signatures
                .changes()
                .map(|(at, metre)| (tick(at), metre))
                .collect(),
            tracks: parts.iter().map(|(name, _)| (*name).into()).collect(),
            end: tick(end),
            ..MidiFile::default()
        }
    }

    /// The score as a MIDI file of one part.
    pub fn to_midi(&self) -> MidiFile {
        Self::parts_to_midi(&[("", self)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::read_bytes;
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
    fn a_score_survives_a_midi_file() {
        for steps in [4, 7, 8, 12, 24] {
            let mut score = Score::new(steps);
            score.notes = (0..40)
                .map(|i| Note {
                    start: i * 3 / 2,
                    length: 1 + i % 5,
                    pitch: (40 + i * 7 % 40) as u8,
                    velocity: 1 + (i * 3) as u8,
                    ..Note::default()
                })
                .collect();
            let metre = TimeSignature {
                numerator: 7,
                denominator: 8,
            };
            score.time_signatures =
                TimeSignatureMap::new(steps, vec![(0, metre), (14 * steps, TimeSignature::COMMON)]);
            score.tempos = TempoMap::new(vec![(0, 120.0), (3, 75.0)]);
            score.length = 400;
            score.normalise();
            let file = read_bytes(&score.to_midi().to_bytes().unwrap()).unwrap();
            assert_eq!(
                Score::from_midi(&file, steps, Drums::Drop),
                score,
                "{steps} steps"
            );
        }
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
    fn parts_are_tracks_and_channels() {
        let mut file = Score::new(12).to_midi();
        file.tracks = vec!["left".into(), "".into()];
        let note = |start: u64, track, channel| MidiNote {
            start,
            end: start + 480,
            pitch: 60,
            velocity: 9,
            channel,
            track,
        };
        file.notes = vec![note(0, 1, 9), note(0, 1, 2), note(0, 0, 2), note(480, 1, 2)];
        let names = |drums| {
            let parts = parts(&file, 12, drums).into_iter();
            let named = parts.map(|p| (p.name, p.track, p.channel, p.notes.len()));
            named.collect::<Vec<_>>()
        };
        let (left, right) = (("left".into(), 0, 2, 1), (String::new(), 1, 2, 2));
        assert_eq!(names(Drums::Drop), [left.clone(), right.clone()]);
        let drums = (String::new(), 1, 9, 1);
        assert_eq!(names(Drums::Keep), [left, right, drums]);
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
