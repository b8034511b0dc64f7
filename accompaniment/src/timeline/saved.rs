//! Saved form of the timeline, as JSON in projects.

use continuo_score::{Part, TimeSignature};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{NoteRecord, NoteSource, Timeline};

/// Number of notes read from a project at most.
const MAX_SAVED_NOTES: usize = 1 << 16;
/// Limit of positions in a project, in quarter notes: six days at 120 a minute. Beyond it a host's
/// position is none, and a damaged one would make the player read millions of empty bars.
const MAX_BEAT: f64 = (1 << 20) as f64;
/// Length of a note in a project at most, in quarter notes: nine hours at 120 a minute.
const MAX_LENGTH: f64 = (1 << 16) as f64;

/// Whether a saved position, in quarter notes, can be one of a song.
pub fn is_position(beat: f64) -> bool {
    beat.abs() < MAX_BEAT
}

/// A position in quarter notes that survives JSON to the bit: it is written as text, because JSON
/// numbers may lose the last bit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExactBeats(pub f64);

impl Serialize for ExactBeats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ExactBeats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(f64),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => text.parse().map(Self).map_err(D::Error::custom),
            Written::Number(beats) => Ok(Self(beats)),
        }
    }
}

/// A timeline in JSON. Reading skips invalid notes and time signatures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedTimeline {
    /// Steps per quarter note of its grid.
    steps_per_beat: u32,
    /// Step 0 of scores.
    origin: Option<i64>,
    #[serde(rename = "metres")]
    time_signatures: Vec<SavedTimeSignature>,
    notes: Vec<SavedNote>,
    /// Notes of an earlier pass ahead of the playhead, in order of start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later: Vec<SavedNote>,
    /// Time signatures of an earlier pass ahead of the playhead, as above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later_time_signatures: Vec<SavedTimeSignature>,
}

/// `[bar line in quarter notes, beats in a bar, note value of a beat]`.
type SavedTimeSignature = (ExactBeats, u16, u16);

/// The valid ones of saved time signatures, ascending.
fn known_time_signatures(saved: &[SavedTimeSignature]) -> Vec<(f64, TimeSignature)> {
    let mut known: Vec<(f64, TimeSignature)> = Vec::new();
    for &(ExactBeats(at), numerator, denominator) in saved {
        let valid = is_position(at)
            && numerator > 0
            && denominator.is_power_of_two()
            && known.last().is_none_or(|&(last, _)| last < at);
        if valid {
            let time_signature = TimeSignature {
                numerator,
                denominator,
            };
            known.push((at, time_signature));
        }
    }
    known
}

/// Source of a note that was found in sound with confidence 0; each percent adds 1.
const FIRST_EAR: i8 = 16;

/// `[first step, exact start in quarter notes, step after it or null, key, velocity, source,
/// part]`. The source is the player's channel, 0 to 15, [`FIRST_EAR`] and the percent of confidence for
/// a note found in sound, or -1 for the plugin. The part is left out where it is the keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct SavedNote(
    i64,
    ExactBeats,
    Option<i64>,
    u8,
    u8,
    i8,
    #[serde(default, skip_serializing_if = "Part::is_keys")] Part,
);

impl SavedTimeline {
    /// End of its last note, in quarter notes; 0 without notes.
    pub fn end_beat(&self) -> f64 {
        let ends = self
            .notes
            .iter()
            .chain(&self.later)
            .filter_map(|note| note.2);
        let grid = f64::from(self.steps_per_beat.max(1));
        let ends = ends.map(|end| end as f64 / grid);
        ends.filter(|&end| is_position(end)).fold(0.0, f64::max)
    }
}

impl Timeline {
    /// The saved form, without imagined notes.
    pub fn save(&self) -> SavedTimeline {
        let note = |note: &NoteRecord| {
            let source = match note.source {
                NoteSource::Player(channel) => (channel & 15) as i8,
                NoteSource::Ear(confidence) => FIRST_EAR + confidence.min(100) as i8,
                NoteSource::Generated(_) => -1,
            };
            let NoteRecord {
                start,
                start_beat,
                end,
                pitch,
                velocity,
                part,
                ..
            } = *note;
            let start_beat = ExactBeats(start_beat);
            SavedNote(start, start_beat, end, pitch, velocity, source, part)
        };
        let time_signature = |&(at, time_signature): &(f64, TimeSignature)| {
            (
                ExactBeats(at),
                time_signature.numerator,
                time_signature.denominator,
            )
        };
        SavedTimeline {
            steps_per_beat: self.steps_per_beat,
            origin: self.origin,
            time_signatures: self.time_signatures.iter().map(time_signature).collect(),
            later_time_signatures: (self.later.time_signatures.iter())
                .map(time_signature)
                .collect(),
            notes: (self.notes.iter().filter(|n| !n.imagined))
                .map(note)
                .collect(),
            later: self.later.notes.iter().map(note).collect(),
        }
    }

    /// Restores a timeline on a grid of `steps_per_beat` steps per quarter note. Returns it with
    /// the number of invalid notes, which it skips. Keys that were held end at `now`, in quarter
    /// notes.
    pub fn restore(saved: &SavedTimeline, steps_per_beat: u32, now: f64) -> (Self, usize) {
        let mut timeline = Timeline::new(steps_per_beat);
        let (old, new) = (
            f64::from(saved.steps_per_beat.max(1)),
            f64::from(steps_per_beat),
        );
        let same = saved.steps_per_beat == steps_per_beat;
        let step = |step: i64| match same {
            true => step,
            false => (step as f64 * new / old).round() as i64,
        };
        let (now_beat, now) = (now, timeline.step(now));
        timeline.time_signatures = known_time_signatures(&saved.time_signatures);
        timeline.later.time_signatures = known_time_signatures(&saved.later_time_signatures);
        let within = |step: i64| is_position(step as f64 / old);
        let entry = |saved: &SavedNote| {
            let &SavedNote(start, ExactBeats(start_beat), end, pitch, velocity, source, part) =
                saved;
            let whole = within(start)
                && end.is_none_or(|end| within(end) && end > start)
                && (end.map_or(now_beat, |end| end as f64 / old) - start_beat) < MAX_LENGTH
                && start_beat.is_finite()
                && (start_beat * old - start as f64).abs() < 2.0 * old
                && pitch < 128
                && (1..128).contains(&velocity)
                && (-1..=FIRST_EAR + 100).contains(&source);
            let (start, end) = (step(start), end.map_or(now, step));
            whole.then_some(NoteRecord {
                start_beat,
                start,
                end: Some(end.max(start + 1)),
                sustained: false,
                ended_at_once: false,
                pitch,
                velocity,
                part,
                imagined: false,
                source: match u8::try_from(source) {
                    Err(_) => NoteSource::Generated(0),
                    Ok(channel) if source < FIRST_EAR => NoteSource::Player(channel),
                    Ok(source) => NoteSource::Ear(source - FIRST_EAR as u8),
                },
            })
        };
        let known = |notes: &[SavedNote]| -> Vec<NoteRecord> {
            let last = &notes[notes.len().saturating_sub(MAX_SAVED_NOTES)..];
            last.iter().filter_map(entry).collect()
        };
        let (notes, later) = (known(&saved.notes), known(&saved.later));
        timeline.notes = notes;
        timeline.later.notes = later;
        timeline.later.sort();
        timeline.recall_channel_parts();
        let first = timeline.notes.iter().map(|n| n.start).min();
        let origin = saved.origin.filter(|&o| within(o)).map(step);
        let origin = origin.filter(|&o| first.is_none_or(|first| o <= first));
        timeline.origin = origin.or_else(|| first.map(|first| timeline.bar_line(first)));
        timeline.notes_removed();
        let kept = timeline.notes.len() + timeline.later.notes.len();
        let lost = saved.notes.len() + saved.later.len() - kept;
        (timeline, lost)
    }

    /// First step after all notes.
    pub fn end(&self) -> Option<i64> {
        self.notes.iter().filter_map(|n| n.end).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;
    use crate::timeline::GeneratedNote;

    fn any_timeline(random: &mut Rng) -> Timeline {
        let mut timeline = Timeline::new(12);
        timeline.add_time_signature(0.0, TimeSignature::COMMON);
        let (mut beat, mut id) = (random.unit(), 1);
        for _ in 0..random.below(60) {
            beat += random.unit();
            let (channel, pitch) = (random.below(16) as u8, random.below(128) as u8);
            let part = Part::ALL[random.below(5) as usize];
            if random.below(3) == 0 {
                timeline.on(beat, channel, pitch, 1 + random.below(127) as u8);
                timeline.off(beat + 0.1, Some(channel), Some(pitch));
            } else {
                let start = timeline.step(beat);
                let exact = timeline.beat(start);
                timeline.play(GeneratedNote {
                    id,
                    start_beat: exact,
                    start,
                    end: start + 5,
                    pitch,
                    velocity: 80,
                    part,
                    imagined: false,
                });
                id += 1;
            }
        }
        timeline
    }

    #[test]
    fn timeline_survives_saving() {
        for seed in 0..50 {
            let timeline = any_timeline(&mut Rng::new(seed));
            let text = serde_json::to_string(&timeline.save()).unwrap();
            let saved: SavedTimeline = serde_json::from_str(&text).unwrap();
            let (back, lost) = Timeline::restore(&saved, 12, 99.0);
            assert_eq!((back.save(), lost), (timeline.save(), 0), "seed {seed}");
            assert_eq!(
                back.score(i64::MAX, i64::MAX),
                timeline.score(i64::MAX, i64::MAX),
                "seed {seed}"
            );
            assert_eq!(back.origin(), timeline.origin(), "seed {seed}");
        }
    }

    #[test]
    fn imagined_notes_are_not_saved_and_earlier_states_are_of_the_keys() {
        let mut timeline = Timeline::new(12);
        let note = GeneratedNote {
            id: 1,
            end: 6,
            pitch: 36,
            velocity: 80,
            part: Part::Drums,
            ..GeneratedNote::default()
        };
        timeline.play(note);
        timeline.play(GeneratedNote {
            imagined: true,
            ..note
        });
        let text = serde_json::to_string(&timeline.save()).unwrap();
        assert!(text.contains(r#"[[0,"0",6,36,80,-1,"drums"]]"#), "{text}");
        let before = text.replace(r#","drums""#, "");
        let saved: SavedTimeline = serde_json::from_str(&before).unwrap();
        let (back, lost) = Timeline::restore(&saved, 12, 9.0);
        let parts: Vec<Part> = back.notes().map(|n| n.part).collect();
        assert_eq!((parts, lost), (vec![Part::Keys], 0));
    }

    #[test]
    fn held_keys_end_where_they_were_saved() {
        let mut timeline = Timeline::new(12);
        timeline.on(1.0, 0, 60, 90);
        let (back, _) = Timeline::restore(&timeline.save(), 12, 2.0);
        assert_eq!((back.first_held(), back.end()), (None, Some(24)));
    }

    #[test]
    fn another_grid_keeps_notes_at_their_beats() {
        let timeline = any_timeline(&mut Rng::new(4));
        let (back, lost) = Timeline::restore(&timeline.save(), 24, 99.0);
        assert_eq!(lost, 0);
        let pitches = |t: &Timeline| {
            t.notes
                .iter()
                .map(|n| (n.start_beat, n.pitch))
                .collect::<Vec<_>>()
        };
        assert_eq!(pitches(&back), pitches(&timeline));
        assert!(
            back.notes
                .iter()
                .zip(&timeline.notes)
                .all(|(b, t)| b.start == 2 * t.start)
        );
    }

    #[test]
    fn invalid_notes_and_time_signatures_are_skipped() {
        let json = r#"{
            "steps_per_beat": 12, "origin": 9000000000000000000,
            "metres": [[0.0, 4, 4], [1e300, 0, 4], [-5.0, 3, 4], [8.0, 3, 5]],
            "notes": [
                [12, 1.0, 24, 60, 90, 0], [12, 1.0, 12, 60, 90, 0], [12, 1.0, 24, 200, 90, 0],
                [12, 1.0, 24, 60, 0, 0], [12, 1.0, 24, 60, 90, 117], [12, 1e300, 24, 60, 90, -1],
                [-9223372036854775808, 1.0, 9223372036854775807, 60, 90, -1]
            ],
            "what later versions know": [1, 2]
        }"#;
        let saved: SavedTimeline = serde_json::from_str(json).unwrap();
        let (back, lost) = Timeline::restore(&saved, 12, 2.0);
        assert_eq!((back.notes.len(), lost), (1, 6));
        assert_eq!((back.time_signatures.len(), back.origin()), (1, Some(0)));
        assert_eq!(back.score(99, 99).notes.len(), 1);
    }
}
