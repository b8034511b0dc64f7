//! Command-line options that choose the notes to read from a file, the same for every command.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use continuo_cli::{PedalOption, number};
use continuo_score::midi::{MidiFile, Pedal, ReadOptions};
use continuo_score::{Drums, PartFilter, Score, Vocabulary};

use super::music_file::{BeatOptions, Hearing, MusicFile};

/// Options that choose the notes to read from a file.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Input")]
pub(super) struct InputSelection {
    /// Read only these tracks, numbered as in `inspect`: 1,3-5
    #[arg(long, value_name = "LIST", value_parser = numbers::<0, 65_534>)]
    tracks: Option<Numbers>,
    /// Read only these MIDI channels, 1 to 16: 1,3-5
    #[arg(long, value_name = "LIST", value_parser = numbers::<1, 16>)]
    channels: Option<Numbers>,
    /// Read only this number of bars, the last ones
    #[arg(long, value_name = "BARS", value_parser = number(1u32, 100_000))]
    last: Option<u32>,
    #[command(flatten)]
    pedal: PedalOption,
    #[command(flatten)]
    pub(super) beat: BeatOptions,
    /// ONNX Runtime's library for recordings, if the command has an option that names it.
    #[arg(skip)]
    pub(super) runtime: Option<PathBuf>,
}

/// Numbers and ranges of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers(BTreeSet<u16>);

/// Score of the selected notes, and the start of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnswerInput {
    /// Score in which every note ends before the answer begins. With `--last`, its step 0 is
    /// `origin`.
    pub(super) score: Score,
    /// First step of the score, in steps of the file.
    pub(super) origin: u32,
    /// Bar line on which the answer begins, in steps of the file.
    pub(super) entry: u32,
}

/// A file with only the selected notes.
pub(super) struct SelectedFile {
    /// Name of the file in messages.
    pub(super) name: PathBuf,
    /// The file with the selected notes; bars, tempo, tracks and warnings are those of the whole
    /// file.
    pub(super) file: MidiFile,
    /// Number of the first chosen bar, from 1.
    pub(super) first_bar: u32,
    /// First step of that bar.
    pub(super) origin: u32,
    /// Grid of the scores.
    steps_per_beat: u32,
}

impl SelectedFile {
    /// Returns the score from `origin` to the end of the last bar with a note.
    pub(super) fn music(&self, score: &Score) -> Score {
        let mut score = match self.origin {
            0 => score.clone(),
            origin => score.from_step(origin),
        };
        score.end_with_music();
        score
    }

    /// Returns the notes on the grid.
    pub(super) fn score(&self, drums: Drums) -> Score {
        self.music(&Score::from_midi(&self.file, self.steps_per_beat, drums))
    }

    /// Returns the notes on the grid as a model with this vocabulary reads them: with their parts,
    /// or without parts and drums.
    pub(super) fn score_for(&self, vocabulary: &Vocabulary) -> Score {
        self.music(&Score::for_vocabulary(&self.file, vocabulary))
    }

    /// Returns the notes as [`Self::score_for`], or merged into one keyboard, without drums.
    pub(super) fn score_merged_or_for(&self, merged: bool, vocabulary: &Vocabulary) -> Score {
        match merged {
            true => self.score(Drums::Drop),
            false => self.score_for(vocabulary),
        }
    }

    /// Returns the range of ticks from the first chosen bar to the end of the last bar with a note.
    pub(super) fn ticks(&self) -> Range<u64> {
        let whole = Score::from_midi(&self.file, self.steps_per_beat, Drums::Keep);
        let start = self.tick(self.origin);
        // An end between two ticks is rounded up.
        let end = self.tick(self.origin + self.music(&whole).length) + 1;
        start..end.min(self.file.end).max(start)
    }

    /// Returns the tick at a step of the file.
    pub(super) fn tick(&self, step: u32) -> u64 {
        let beat = u64::from(self.file.ticks_per_beat);
        u64::from(step) * beat / u64::from(self.steps_per_beat)
    }
}

impl SelectedFile {
    /// Keeps the notes of the last `bars` bars before the bar line on which an answer would begin.
    /// `keys` is the file read without the pedal.
    fn keep_last(&mut self, bars: u32, keys: &MidiFile) {
        let entry = |drums| Score::from_midi(keys, self.steps_per_beat, drums).answer_start();
        // Drums decide only in a file that has no other notes.
        let Some(entry) = entry(Drums::Drop).or_else(|| entry(Drums::Keep)) else {
            return;
        };
        let whole = Score::from_midi(&self.file, self.steps_per_beat, Drums::Keep);
        self.origin = whole.bars_before(entry, bars);
        self.first_bar = whole.time_signatures.position(self.origin).bar + 1;
        // A note up to half a step early is on the bar line of the grid.
        let half_step = u64::from(self.file.ticks_per_beat) / u64::from(2 * self.steps_per_beat);
        let from = self.tick(self.origin);
        let notes = &mut self.file.notes;
        notes.retain(|note| note.start + half_step >= from);
    }
}

impl InputSelection {
    /// Returns the number of bars to read, if it is limited.
    pub(super) fn last(&self) -> Option<u32> {
        self.last
    }

    /// Returns the options of reading a file; `pedal` is the command's default.
    pub(super) fn reading(&self, pedal: Pedal) -> ReadOptions {
        let is_on = self.pedal.is_on_or(pedal == Pedal::Lengthen);
        ReadOptions {
            pedal: Pedal::from(is_on),
        }
    }

    /// Returns the options of reading a learned file: as a whole, with the beats that are found.
    pub(super) fn whole(&self) -> Self {
        Self {
            tracks: None,
            channels: None,
            last: None,
            beat: BeatOptions::default(),
            ..self.clone()
        }
    }

    /// Returns how the notes of recordings are found.
    pub(super) fn hearing(&self) -> Hearing {
        Hearing {
            beat: self.beat.clone(),
            ..self.hearing_learned()
        }
    }

    /// Returns how the notes of recordings are found whose beats the options do not name.
    pub(super) fn hearing_learned(&self) -> Hearing {
        Hearing {
            runtime: self.runtime.clone(),
            ..Hearing::default()
        }
    }

    /// Opens a MIDI file or a recording, or standard input (`-`).
    ///
    /// # Errors
    /// Fails if the file cannot be read, or if the notes of a recording cannot be found.
    pub(super) fn open(&self, path: &Path) -> Result<MusicFile> {
        let music = MusicFile::open(path, &self.hearing())?;
        let bpm = self.beat.bpm.is_some().then_some("--bpm");
        let first_beat = self.beat.first_beat.is_some().then_some("--first-beat");
        let named: Vec<_> = bpm.into_iter().chain(first_beat).collect();
        music.note_without_effect(&named);
        Ok(music)
    }

    /// Opens a file as [`Self::open`] does, and keeps the chosen notes, with drums. The scores of the
    /// result have `steps_per_beat` steps a beat.
    ///
    /// # Errors
    /// Fails if the file is no readable MIDI file or recording, or lacks a chosen track.
    pub(super) fn read(
        &self,
        path: &Path,
        pedal: Pedal,
        steps_per_beat: u32,
    ) -> Result<SelectedFile> {
        let music = self.open(path)?;
        let mut file = music.read(&self.reading(pedal))?;
        let parts = self.parts(&file);
        let parts = parts.with_context(|| music.name.display().to_string())?;
        file.notes.retain(|note| parts.chooses(note));
        let mut chosen = SelectedFile {
            first_bar: 1,
            origin: 0,
            file,
            steps_per_beat,
            name: music.name.clone(),
        };
        if let Some(bars) = self.last {
            let mut keys = music.read(&ReadOptions::default())?;
            keys.notes.retain(|note| parts.chooses(note));
            chosen.keep_last(bars, &keys);
        }
        Ok(chosen)
    }

    /// Returns the chosen tracks and channels.
    ///
    /// # Errors
    /// Fails if the file lacks a chosen track.
    pub(super) fn parts(&self, file: &MidiFile) -> Result<PartFilter> {
        let list = |numbers: &Numbers| numbers.0.iter().copied().collect::<Vec<u16>>();
        let tracks = self.tracks.as_ref().map(list);
        let count = file.tracks.len();
        if let Some(track) = tracks.iter().flatten().find(|&&t| usize::from(t) >= count) {
            match count {
                0 => bail!("--tracks: there is no track {track}: the file has none"),
                _ => bail!(
                    "--tracks: there is no track {track}: they are 0 to {}",
                    count - 1
                ),
            }
        }
        let channels = self.channels.as_ref().map(list);
        let from_0 = |channels: Vec<u16>| channels.iter().map(|&c| c as u8 - 1).collect();
        Ok(PartFilter {
            tracks,
            channels: channels.map(from_0),
        })
    }

    /// Returns the score of the chosen notes, with their parts if the vocabulary has parts. `keys`
    /// is the file read without the pedal. It decides the start of the answer: an answer begins
    /// after the keys are released, even if the pedal is down.
    ///
    /// Returns `None` if no note is chosen.
    pub(super) fn answer_input(
        &self,
        file: &MidiFile,
        keys: &MidiFile,
        parts: &PartFilter,
        vocabulary: &Vocabulary,
    ) -> Option<AnswerInput> {
        let entry = parts.score(keys, vocabulary).answer_start()?;
        let whole = parts.score(file, vocabulary).ended_at(entry);
        let origin = self.last.map_or(0, |bars| whole.bars_before(entry, bars));
        let score = match origin {
            0 => whole,
            origin => whole.from_step(origin),
        };
        let input = AnswerInput {
            score,
            origin,
            entry,
        };
        (!input.score.notes.is_empty()).then_some(input)
    }
}

/// Parses a list such as `1,3-5`; each number is from `LEAST` to `MOST`.
fn numbers<const LEAST: u16, const MOST: u16>(text: &str) -> Result<Numbers, String> {
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let number: Option<u16> = text.trim().parse().ok();
            number
                .filter(|number| (LEAST..=MOST).contains(number))
                .ok_or(format!("{text:?} is no number from {LEAST} to {MOST}"))
        };
        let (from, to) = (number(from)?, number(to)?);
        if from > to {
            return Err(format!(
                "{part:?} counts backwards; name the lower number first"
            ));
        }
        numbers.extend(from..=to);
    }
    Ok(Numbers(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::midi::MidiNote;

    fn options() -> InputSelection {
        InputSelection::default()
    }

    /// Returns a file of quarter notes, read with and without the pedal. The pedal holds the last
    /// note for two more bars.
    fn files() -> (MidiFile, MidiFile) {
        let note = |beat: u64, end| MidiNote {
            start: beat * 480,
            end,
            pitch: 60 + beat as u8,
            velocity: 80,
            channel: (beat % 2) as u8,
            track: 0,
        };
        let keys = MidiFile {
            ticks_per_beat: 480,
            notes: (0..16).map(|beat| note(beat, beat * 480 + 480)).collect(),
            tracks: vec!["".into()],
            ..MidiFile::default()
        };
        let mut pedalled = keys.clone();
        pedalled.notes[15].end += 8 * 480;
        (pedalled, keys)
    }

    #[test]
    fn lists_of_numbers_are_parsed() {
        let list = |text: &str| numbers::<1, 16>(text).map(|n| n.0.into_iter().collect::<Vec<_>>());
        assert_eq!(list("3,1-2, 16"), Ok(vec![1, 2, 3, 16]));
        for wrong in ["", "0", "17", "2-1", "a", "1,,2", "-3"] {
            assert!(list(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn pedal_lengthens_notes_and_does_not_delay_the_answer() {
        let (pedalled, keys) = files();
        let parts = options().parts(&keys).unwrap();
        let input = options()
            .answer_input(&pedalled, &keys, &parts, &Vocabulary::continuo())
            .unwrap();
        assert_eq!((input.entry, input.origin), (192, 0));
        assert_eq!(input.score.notes[15].end(), 192);
        assert_eq!(input.score.length, 192);
    }

    #[test]
    fn only_the_last_bars_are_read() {
        let (_, keys) = files();
        let two = InputSelection {
            last: Some(2),
            ..options()
        };
        let input = two
            .answer_input(
                &keys,
                &keys,
                &PartFilter::default(),
                &Vocabulary::continuo(),
            )
            .unwrap();
        assert_eq!((input.entry, input.origin), (192, 96));
        assert_eq!(input.score.notes.len(), 8);
        assert_eq!(input.score.notes[0].start, 0);
    }

    #[test]
    fn only_selected_parts_are_read() {
        let (_, keys) = files();
        let channels = InputSelection {
            channels: Some(Numbers([2].into())),
            ..options()
        };
        let parts = channels.parts(&keys).unwrap();
        let input = channels
            .answer_input(&keys, &keys, &parts, &Vocabulary::continuo())
            .unwrap();
        assert_eq!(input.score.notes.len(), 8);
        let none = InputSelection {
            channels: Some(Numbers([3].into())),
            ..options()
        };
        let parts = none.parts(&keys).unwrap();
        assert_eq!(
            none.answer_input(&keys, &keys, &parts, &Vocabulary::continuo()),
            None
        );
        let tracks = InputSelection {
            tracks: Some(Numbers([0, 1].into())),
            ..options()
        };
        let said = tracks.parts(&keys).unwrap_err().to_string();
        assert!(said.contains("no track 1"), "{said}");
    }
}
