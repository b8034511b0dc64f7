//! Chooses the tracks and channels of a file that count as input, and the step at which an answer to them begins.

use crate::midi::{MidiFile, MidiNote};
use crate::midi_tracks::midi_tracks;
use crate::quantise::Drums;
use crate::score::{Note, Score};
use crate::time::TimeSignatureMap;
use crate::vocabulary::Vocabulary;

/// Bars by which a note may outlast all others without counting as hanging.
const HANGING_BARS: usize = 4;

/// A choice of notes of a file, by track and channel. The default is all pitches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartFilter {
    /// Only these tracks, as indices into [`MidiFile::tracks`].
    pub tracks: Option<Vec<u16>>,
    /// Only these channels, 0 to 15.
    pub channels: Option<Vec<u8>>,
}

impl PartFilter {
    /// Whether a note is on a chosen track and channel.
    pub fn chooses(&self, note: &MidiNote) -> bool {
        self.chooses_track(note.track, note.channel)
    }

    fn chooses_track(&self, track: u16, channel: u8) -> bool {
        let among_tracks = self.tracks.as_ref().is_none_or(|t| t.contains(&track));
        let among_channels = (self.channels.as_ref()).is_none_or(|c| c.contains(&channel));
        among_tracks && among_channels
    }

    /// Whether a note is chosen; drums never are.
    pub fn accepts(&self, file: &MidiFile, note: &MidiNote) -> bool {
        self.chooses(note) && !file.is_drum(note)
    }

    /// The chosen notes as a model with this vocabulary hears them, as [`Score::for_vocabulary`].
    /// Parts are those that the tracks have in the whole file.
    pub fn score(&self, file: &MidiFile, vocabulary: &Vocabulary) -> Score {
        if *self == Self::default() {
            return Score::for_vocabulary(file, vocabulary);
        }
        let steps_per_beat = vocabulary.steps_per_beat;
        if vocabulary.has_parts() {
            let mut score = Score::bars_of(file, steps_per_beat);
            let tracks = midi_tracks(file, steps_per_beat, Drums::Keep).into_iter();
            let chosen = tracks.filter(|t| self.chooses_track(t.track, t.channel));
            score.notes = chosen.flat_map(|track| track.notes).collect();
            score.normalise();
            return score;
        }
        let notes = file.notes.iter().copied();
        let heard = MidiFile {
            notes: notes.filter(|note| self.accepts(file, note)).collect(),
            ..file.clone()
        };
        Score::from_midi(&heard, steps_per_beat, Drums::Drop)
    }
}

impl Score {
    /// The bar line on which an answer to this score begins: the first one at or after the end
    /// of its last note. Two kinds of notes do not put it off:
    /// - one that ends up to half a beat beyond a bar line, where no note has begun since that
    ///   line: a player lets go a little late;
    /// - one that outlasts all others by more than four bars, and is more than twice as long
    ///   as any of them: its note-off is missing or lost.
    ///
    /// Absent where there are no notes.
    pub fn answer_start(&self) -> Option<u32> {
        let last_onset = self.notes.iter().map(|note| note.start).max()?;
        let end = self.music_end(last_onset);
        let line = self.time_signatures.next_bar(end);
        let before = self.time_signatures.bar_line(end.saturating_sub(1));
        let late = end - before.min(end);
        if before > last_onset && late <= self.steps_per_beat / 2 {
            return Some(before);
        }
        Some(line)
    }

    /// The end of the last note, without hanging notes.
    fn music_end(&self, last_onset: u32) -> u32 {
        let mut notes: Vec<&Note> = self.notes.iter().collect();
        notes.sort_unstable_by_key(|note| note.end());
        let mut end = 0;
        let mut longest = 0;
        for (index, note) in notes.iter().enumerate() {
            let reach = (0..HANGING_BARS).fold(end.max(last_onset), |at, _| {
                self.time_signatures.next_bar(at + 1)
            });
            let hanging = &notes[index..];
            let twice = |note: &&&Note| note.length > 2 * longest;
            if index > 0 && note.end() > reach && hanging.iter().all(|note| twice(&note)) {
                // One that begins last of all sounds for its bar.
                let begins_last = hanging.iter().any(|note| note.start >= end);
                return match begins_last {
                    true => self.time_signatures.next_bar(last_onset + 1),
                    false => end,
                };
            }
            end = end.max(note.end());
            longest = longest.max(note.length);
        }
        end
    }

    /// Ends the score with the bar in which its last note ends: the silence that a file has after
    /// that is no music.
    pub fn end_with_music(&mut self) {
        let end = self.notes.iter().map(|note| note.end()).max().unwrap_or(0);
        self.length = self.length.min(self.time_signatures.next_bar(end));
    }

    /// The score up to `step`, in [`Score::normalise`]'s order: notes that sound there end there.
    pub fn ended_at(&self, step: u32) -> Score {
        let mut score = self.clone();
        score.notes.retain(|note| note.start < step);
        for note in &mut score.notes {
            note.length = note.length.min(step - note.start);
        }
        score.length = step;
        score.normalise();
        score
    }

    /// The score from `step` on, which becomes step 0: notes that begin before it are left
    /// out. Should lie on a bar line.
    pub fn from_step(&self, step: u32) -> Score {
        let mut score = Score::new(self.steps_per_beat);
        let later = self.notes.iter().filter(|note| note.start >= step);
        score.notes = later
            .map(|note| Note {
                start: note.start - step,
                ..*note
            })
            .collect();
        let moved = |at: u32| at.max(step) - step;
        let changes = self
            .time_signatures
            .changes()
            .map(|(at, metre)| (moved(at), metre));
        score.time_signatures = TimeSignatureMap::new(self.steps_per_beat, changes.collect());
        let changes = self.tempos.changes().iter();
        let changes = changes.map(|&(at, bpm)| (moved(at), bpm));
        score.tempos = crate::time::TempoMap::new(changes.collect());
        score.length = self.length.saturating_sub(step);
        score.normalise();
        score
    }

    /// The bar line `bars` bars before the bar line `line`; the beginning if there are fewer.
    pub fn bars_before(&self, line: u32, bars: u32) -> u32 {
        let lines = self.time_signatures.bar_lines(line);
        let index = lines.len().saturating_sub(bars as usize);
        lines.get(index).copied().unwrap_or(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Part;
    use crate::time::TimeSignature;

    /// Notes as `(start, end)` at 12 steps a beat, in 4/4 (48 steps a bar).
    fn score(notes: &[(u32, u32)]) -> Score {
        let mut score = Score::new(12);
        let note = |(index, &(start, end)): (usize, &(u32, u32))| Note {
            start,
            length: end - start,
            pitch: 40 + index as u8,
            velocity: 80,
            ..Note::default()
        };
        score.notes = notes.iter().enumerate().map(note).collect();
        score.normalise();
        score
    }

    #[test]
    fn the_answer_begins_on_the_next_bar_line() {
        assert_eq!(score(&[]).answer_start(), None);
        assert_eq!(score(&[(0, 12)]).answer_start(), Some(48));
        assert_eq!(score(&[(0, 48)]).answer_start(), Some(48));
        assert_eq!(score(&[(0, 40), (50, 60)]).answer_start(), Some(96));
    }

    #[test]
    fn silence_after_the_last_bar_is_no_music() {
        let ends = |length: u32, notes: &[(u32, u32)]| {
            let mut score = score(notes);
            score.length = length;
            score.end_with_music();
            score.length
        };
        assert_eq!(ends(4_800, &[(0, 40), (48, 60)]), 96);
        assert_eq!(ends(4_800, &[(0, 96)]), 96);
        // A piece that ends within its last bar stays as it is.
        assert_eq!(ends(70, &[(0, 40), (48, 60)]), 70);
        assert_eq!(ends(4_800, &[]), 0);
    }

    #[test]
    fn a_late_release_does_not_put_it_off() {
        // Up to half a beat late.
        assert_eq!(score(&[(0, 36), (36, 49)]).answer_start(), Some(48));
        assert_eq!(score(&[(0, 36), (36, 54)]).answer_start(), Some(48));
        assert_eq!(score(&[(0, 36), (36, 55)]).answer_start(), Some(96));
        // Struck since the bar line: not late, but short.
        assert_eq!(score(&[(0, 48), (48, 54)]).answer_start(), Some(96));
        assert_eq!(score(&[(0, 54), (51, 54)]).answer_start(), Some(96));
        // At the very beginning there is no bar line to be late for.
        assert_eq!(score(&[(0, 3)]).answer_start(), Some(48));
        let mut waltz = score(&[(0, 40)]);
        let metre = TimeSignature {
            numerator: 3,
            denominator: 4,
        };
        waltz.time_signatures = TimeSignatureMap::constant(metre, 12);
        assert_eq!(waltz.answer_start(), Some(36));
    }

    #[test]
    fn a_note_that_outlasts_all_others_by_bars_does_not_put_it_off() {
        let tune = [(0, 12), (12, 24), (24, 36), (36, 48)];
        let with = |hanging: (u32, u32)| score(&[&tune[..], &[hanging]].concat()).answer_start();
        assert_eq!(with((12, 48 * 200)), Some(48));
        // One that begins last sounds for its bar.
        assert_eq!(with((48, 48 * 200)), Some(96));
        // A long last note is music.
        assert_eq!(with((48, 48 * 5)), Some(48 * 5));
        // So are notes that are all long.
        let slow = [(0, 48 * 6), (48 * 6, 48 * 12)];
        assert_eq!(score(&slow).answer_start(), Some(48 * 12));
        assert_eq!(score(&[(0, 48 * 9)]).answer_start(), Some(48 * 9));
    }

    #[test]
    fn a_score_is_cut_on_both_sides() {
        let whole = score(&[(0, 12), (40, 60), (96, 108)]);
        let ended = whole.ended_at(48);
        assert_eq!(
            (ended.notes.len(), ended.notes[1].length, ended.length),
            (2, 8, 48)
        );
        assert_eq!(whole.bars_before(144, 1), 96);
        assert_eq!(whole.bars_before(144, 9), 0);
        let later = whole.from_step(96);
        assert_eq!(
            (later.notes.len(), later.notes[0].start, later.length),
            (1, 0, 12)
        );
        assert_eq!(later.answer_start(), Some(48));
    }

    #[test]
    fn tracks_and_channels_choose() {
        let note = |track, channel| MidiNote {
            start: 0,
            end: 480,
            pitch: 40 + u8::try_from(track).unwrap_or(0) * 4 + channel,
            velocity: 80,
            channel,
            track,
        };
        let file = MidiFile {
            ticks_per_beat: 480,
            notes: vec![note(0, 0), note(0, 9), note(1, 0), note(1, 2)],
            tracks: vec!["a".into(), "b".into()],
            ..MidiFile::default()
        };
        let pitches = |tracks: Option<Vec<u16>>, channels: Option<Vec<u8>>| {
            let score = PartFilter { tracks, channels }.score(&file, &Vocabulary::continuo());
            score.notes.iter().map(|n| n.pitch).collect::<Vec<_>>()
        };
        assert_eq!(pitches(None, None), [40, 44, 46]);
        assert_eq!(pitches(Some(vec![1]), None), [44, 46]);
        assert_eq!(pitches(None, Some(vec![0])), [40, 44]);
        assert_eq!(pitches(Some(vec![0]), Some(vec![2])), [0u8; 0]);
        // Drums are not heard, whatever is chosen.
        assert_eq!(pitches(None, Some(vec![9])), [0u8; 0]);
        // A band hears them, and the parts are those of the whole file.
        let parts = |filter: PartFilter| {
            let score = filter.score(&file, &Vocabulary::band());
            let parts = score.notes.iter().map(|n| (n.part, n.pitch));
            parts.collect::<Vec<_>>()
        };
        let whole = parts(PartFilter::default());
        for (channel, part, pitch) in [(9, Part::Drums, 49), (2, Part::Bass, 46)] {
            let one = PartFilter {
                tracks: None,
                channels: Some(vec![channel]),
            };
            assert_eq!(parts(one), [(part, pitch)], "{whole:?}");
            assert!(whole.contains(&(part, pitch)), "{whole:?}");
        }
    }
}
