//! Between a MIDI file's ticks and the step grid.
//!
//! The rule: every onset and every end goes to the nearest step, a tie to the later one, and
//! no note is shorter than one step. So no note vanishes (but two of one pitch that fall on
//! one step become one), and no onset passes another.

use crate::midi::{MidiFile, MidiNote};
use crate::score::{Note, Score};
use crate::time::{MetreMap, TempoMap};

/// What becomes of channel 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drums {
    /// Left out: their keys are no pitches.
    Drop,
    /// Kept as if they were notes.
    Keep,
}

/// Steps a score may last: at 12 steps a beat and 120 beats a minute, two days. A file of a
/// few bytes can name any time; what it says of later times is left out.
const LONGEST_SCORE: u64 = 1 << 22;

fn to_step(tick: u64, ticks_per_beat: u32, steps_per_beat: u32) -> u64 {
    let (ticks, steps) = (u128::from(ticks_per_beat), u128::from(steps_per_beat));
    let step = (2 * u128::from(tick) * steps + ticks) / (2 * ticks);
    step.min(u128::from(u64::MAX)) as u64
}

impl Score {
    /// The file's notes on the grid, all tracks merged.
    pub fn from_midi(file: &MidiFile, steps_per_beat: u32, drums: Drums) -> Score {
        let step = |tick| to_step(tick, file.ticks_per_beat, steps_per_beat);
        let within = |step: u64| step < LONGEST_SCORE;
        let mut score = Score::new(steps_per_beat);
        for note in &file.notes {
            let (start, end) = (step(note.start), step(note.end).min(LONGEST_SCORE));
            if !within(start) || (drums == Drums::Drop && note.channel == 9) {
                continue;
            }
            score.notes.push(Note {
                start: start as u32,
                length: end.saturating_sub(start).max(1) as u32,
                pitch: note.pitch,
                velocity: note.velocity,
            });
        }
        score.length = step(file.end).min(LONGEST_SCORE) as u32;
        let changes = file.metres.iter().map(|&(tick, metre)| (step(tick), metre));
        let changes = changes
            .filter(|c| within(c.0))
            .map(|(at, metre)| (at as u32, metre));
        score.metres = MetreMap::new(steps_per_beat, changes.collect());
        let changes = file
            .tempos
            .iter()
            .map(|&(tick, us)| (step(tick), 60e6 / f64::from(us)));
        let changes = changes
            .filter(|c| within(c.0))
            .map(|(at, bpm)| (at as u32, bpm));
        score.tempos = TempoMap::new(changes.collect());
        score.tidy();
        score
    }

    /// Parts on one time line as a MIDI file: a track each, on channels 1, 2, … (10, the
    /// drums', left out). Bars, tempo and length are those of the first part.
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
            ticks_per_beat,
            notes,
            tempos: first
                .tempos
                .changes()
                .iter()
                .map(|&(at, bpm)| (tick(at), micros(bpm)))
                .collect(),
            metres: first
                .metres
                .changes()
                .map(|(at, metre)| (tick(at), metre))
                .collect(),
            tracks: parts.iter().map(|(name, _)| String::from(*name)).collect(),
            end: tick(end),
            warnings: Vec::new(),
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
    use crate::time::Metre;

    #[test]
    fn to_the_nearest_step_and_ties_later() {
        // 10 ticks a beat, 5 steps a beat: 2 ticks a step.
        let steps: Vec<u64> = (0..6).map(|t| to_step(t, 10, 5)).collect();
        assert_eq!(steps, [0, 1, 1, 2, 2, 3]);
        assert_eq!(to_step(u64::MAX, 1, 96), u64::MAX);
    }

    #[test]
    fn there_and_back_through_a_file() {
        for steps in [4, 7, 8, 12, 24] {
            let mut score = Score::new(steps);
            score.notes = (0..40)
                .map(|i| Note {
                    start: i * 3 / 2,
                    length: 1 + i % 5,
                    pitch: (40 + i * 7 % 40) as u8,
                    velocity: 1 + (i * 3) as u8,
                })
                .collect();
            let metre = Metre {
                numerator: 7,
                denominator: 8,
            };
            score.metres = MetreMap::new(steps, vec![(0, metre), (14 * steps, Metre::COMMON)]);
            score.tempos = TempoMap::new(vec![(0, 120.0), (3, 75.0)]);
            score.length = 400;
            score.tidy();
            let file = read_bytes(&score.to_midi().to_bytes()).unwrap();
            assert_eq!(
                Score::from_midi(&file, steps, Drums::Drop),
                score,
                "{steps} steps"
            );
        }
    }

    #[test]
    fn a_small_file_cannot_ask_for_an_age() {
        let mut file = Score::new(12).to_midi();
        file.ticks_per_beat = 1;
        file.metres = vec![(u64::MAX / 2, Metre::COMMON)];
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
        assert!(u64::from(score.length) <= LONGEST_SCORE);
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
