//! Writes a score as a MIDI file: one track a part.

use crate::midi::{MidiFile, MidiNote, ProgramChange};
use crate::part::{Part, PartSet};
use crate::score::Score;

/// Channel 10, counted from 0.
const DRUM_CHANNEL: u8 = 9;

/// The channel with a number, the drum channel not counted.
fn melodic_channel(number: usize) -> u8 {
    let channels = (0..16).filter(|&channel| channel != DRUM_CHANNEL);
    channels.cycle().nth(number).unwrap_or(0)
}

impl Score {
    /// Simultaneous scores as a MIDI file: one track for each and for each of its parts. Notes of
    /// the keys are on channels 1, 2, … without the drum channel 10. The other parts have programs;
    /// those of the first score are on the channels 2 (lead), 3 (chords) and 4 (bass), and all
    /// drums on channel 10. Bars and tempo are those of the first score.
    pub fn parts_to_midi(scores: &[(&str, &Score)]) -> MidiFile {
        let Some(&(_, first)) = scores.first() else {
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
        let (mut notes, mut tracks, mut programs) = (Vec::new(), Vec::new(), Vec::new());
        // The next channel for scores after the first.
        let mut free = 0;
        for (index, &(name, score)) in scores.iter().enumerate() {
            let played: PartSet = score.notes.iter().map(|n| n.part).collect();
            let keys = PartSet::from_iter([Part::Keys]);
            let is_band = !played.is_empty() && played != keys;
            for part in if is_band { played } else { keys }.iter() {
                let track = tracks.len() as u16;
                let number = match index {
                    0 => part.index(),
                    _ => free,
                };
                free = free.max(number + usize::from(part.is_pitched()));
                let channel = match part.is_pitched() {
                    true => melodic_channel(number),
                    false => DRUM_CHANNEL,
                };
                tracks.push(match (is_band, name) {
                    (false, name) => name.into(),
                    (true, "") => part.name().into(),
                    (true, name) => format!("{name} {part}").as_str().into(),
                });
                if let Some(program) = part.program().filter(|_| is_band) {
                    programs.push(ProgramChange {
                        tick: 0,
                        track,
                        channel,
                        program,
                    });
                }
                let own = score.notes.iter().filter(|n| n.part == part);
                notes.extend(own.map(|n| MidiNote {
                    start: tick(n.start),
                    end: tick(n.end()),
                    pitch: n.pitch,
                    velocity: n.velocity,
                    channel,
                    track,
                }));
            }
        }
        notes.sort_by_key(|n| (n.start, n.track, n.pitch));
        let micros = |bpm: f64| (60e6 / bpm).round().clamp(1.0, 16_777_215.0) as u32;
        let end = scores.iter().map(|(_, score)| score.length).max();
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
            tracks,
            programs,
            end: tick(end.unwrap_or(0)),
            ..MidiFile::default()
        }
    }

    /// The score as a MIDI file: one track, or one for each of its parts.
    pub fn to_midi(&self) -> MidiFile {
        Self::parts_to_midi(&[("", self)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::read_bytes;
    use crate::time::{TempoMap, TimeSignature, TimeSignatureMap};
    use crate::{Drums, Note};

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
    fn every_part_of_a_band_comes_back() {
        let mut score = Score::new(12);
        for (start, part) in (0..).zip(Part::ALL.repeat(4)) {
            let length = if part.is_pitched() { 2 } else { 1 };
            for pitch in [40, 50] {
                score.notes.push(Note {
                    start,
                    length,
                    pitch,
                    part,
                    ..Note::default()
                });
            }
        }
        score.normalise();
        let file = score.to_midi();
        let channel = |track: u16| {
            file.notes
                .iter()
                .find(|n| n.track == track)
                .unwrap()
                .channel
        };
        assert_eq!([0, 1, 2, 3, 4].map(channel), [0, 1, 2, 3, 9]);
        let read = read_bytes(&file.to_bytes().unwrap()).unwrap();
        assert_eq!(Score::from_midi_parts(&read, 12), score);
        // Beside another score, every part has a channel of its own.
        let keys = Score {
            notes: vec![Note::default()],
            ..score.clone()
        };
        let both = Score::parts_to_midi(&[("heard", &score), ("played", &keys), ("", &score)]);
        assert_eq!(both.tracks.len(), 5 + 1 + 5);
        assert_eq!(both.name(2), "heard chords");
        let channels = |track: u16| {
            both.notes
                .iter()
                .find(|n| n.track == track)
                .unwrap()
                .channel
        };
        let channels = (0..11).map(channels).collect::<Vec<_>>();
        assert_eq!(channels, [0, 1, 2, 3, 9, 4, 5, 6, 7, 8, 9]);
    }
}
