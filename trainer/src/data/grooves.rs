//! Grooves: recordings of drums alone, laid under songs without drums, so that a model learns how drums go
//! with the other parts. Few bands with drums are free, and many grooves.

use std::collections::HashMap;
use std::path::PathBuf;

use continuo_score::midi::{self, ReadOptions};
use continuo_score::{Part, Score, TimeSignature, Vocabulary};

use super::skipped::FEWEST_NOTES;

/// Drum tracks by their only time signature, each list in the order of its files.
#[derive(Default)]
pub struct Grooves {
    by_time_signature: HashMap<TimeSignature, Vec<Score>>,
}

impl Grooves {
    /// Reads the files that have drums alone, in one time signature, for at least a bar.
    pub fn read(files: &[PathBuf], vocabulary: &Vocabulary, reading: &ReadOptions) -> Self {
        let mut grooves = Self::default();
        for path in files {
            let Ok(file) = midi::read_file_with(path, reading) else {
                continue;
            };
            let mut score = Score::for_vocabulary(&file, vocabulary);
            score.end_with_music();
            let is_drums = score.notes.iter().all(|note| note.part == Part::Drums);
            match time_signature(&score) {
                Some(own) if is_drums && score.notes.len() >= FEWEST_NOTES => {
                    grooves
                        .by_time_signature
                        .entry(own)
                        .or_default()
                        .push(score);
                }
                _ => {}
            }
        }
        grooves
    }

    /// Number of grooves.
    pub fn len(&self) -> usize {
        self.by_time_signature.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_time_signature.is_empty()
    }

    /// The song with one of the grooves of its time signature, again and again from its first bar to its
    /// end; `number` chooses among them. `None` if the song has drums, changes its time signature, or has
    /// one of no groove.
    pub fn lay(&self, song: &Score, number: u64) -> Option<Score> {
        let grooves = self.by_time_signature.get(&time_signature(song)?)?;
        if song.notes.iter().any(|note| note.part == Part::Drums) {
            return None;
        }
        let groove = &grooves[(number % grooves.len() as u64) as usize];
        // A last hit on a bar line begins the groove's next turn.
        let last = groove.notes.last()?.start;
        let bars = groove.time_signatures.next_bar(last).max(1);
        let period = groove.time_signatures.next_bar(bars);
        let end = song.length;
        let mut banded = song.clone();
        for turn in (0..end).step_by(period as usize) {
            let hits = groove.notes.iter().filter(|note| note.start < period);
            banded.notes.extend(hits.map(|note| {
                let mut note = *note;
                note.start += turn;
                note
            }));
        }
        banded.notes.retain(|note| note.start < end);
        banded.normalise();
        Some(banded)
    }
}

/// The time signature of a score that has only one.
fn time_signature(score: &Score) -> Option<TimeSignature> {
    let mut changes = score.time_signatures.changes();
    let (_, only) = changes.next()?;
    changes.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::{Note, TimeSignatureMap, tune};

    /// A hit on each beat of `beats` beats in `numerator`/4, written as a file.
    fn groove(numerator: u16, beats: u32, folder: &std::path::Path) -> PathBuf {
        let metre = TimeSignature {
            numerator,
            denominator: 4,
        };
        let mut score = Score::new(12);
        score.time_signatures = TimeSignatureMap::constant(metre, 12);
        score.notes = (0..beats)
            .map(|beat| Note {
                start: 12 * beat,
                pitch: if beat % u32::from(numerator) == 0 {
                    36
                } else {
                    42
                },
                part: Part::Drums,
                ..Note::default()
            })
            .collect();
        score.normalise();
        let path = folder.join(format!("{numerator}-{beats}.mid"));
        score.to_midi().write_file(&path).unwrap();
        path
    }

    #[test]
    fn groove_of_the_metre_plays_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let vocabulary = Vocabulary::band();
        let files = [(4, 32), (3, 18), (3, 6)].map(|(n, beats)| groove(n, beats, folder.path()));
        let grooves = Grooves::read(&files, &vocabulary, &ReadOptions::default());
        assert_eq!(grooves.len(), 2, "six hits are too few");
        let minuet = tune::minuet();
        let banded = grooves.lay(&minuet, 7).unwrap();
        let (drums, others): (Vec<Note>, Vec<Note>) =
            (banded.notes.iter()).partition(|note| note.part == Part::Drums);
        assert_eq!(others, minuet.notes);
        let beats: Vec<(u32, u8)> = drums.iter().map(|note| (note.start, note.pitch)).collect();
        let expected: Vec<(u32, u8)> = (0..minuet.length / 12)
            .map(|beat| (12 * beat, if beat % 3 == 0 { 36 } else { 42 }))
            .collect();
        assert_eq!(beats, expected);
        assert_eq!(grooves.lay(&banded, 7), None, "it has drums");
        let mut waltz = minuet.clone();
        let common = TimeSignature::COMMON;
        waltz.time_signatures.change(36, common);
        assert_eq!(grooves.lay(&waltz, 7), None, "it has two metres");
    }
}
