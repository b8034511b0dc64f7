//! `encode`: folders of MIDI files become a corpus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use continuo_files::{Output, Replace, WriteError};
use continuo_score::manifest::Sizes;
use continuo_score::midi::{Pedal, Reading};
use continuo_score::{Drums, PositionScore, Score, Token, Vocabulary, midi};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::corpus::{CorpusError, Record, Rows, Song, hash};
use crate::journal::{self, Batch, Journal, Task};
use crate::kinds::CORPUS;
use crate::near::{self, Kin, Print};
use crate::writer::Writer;

/// A song with fewer notes teaches nothing about music.
pub const FEWEST_NOTES: usize = 16;
/// A file with more is no piece of music, and would fill a lane for hours.
pub const MOST_NOTES: usize = 100_000;
/// Files encoded at a time: bounds the memory, whatever the size of the folder, and what a
/// killed encoding does twice.
const BATCH: usize = 256;

/// What to encode.
pub struct Options<'a> {
    /// Folders, searched recursively.
    pub folders: &'a [PathBuf],
    /// The corpus to write.
    pub output: &'a Path,
    /// Which existing files the corpus may replace.
    pub replace: Replace,
    /// Its vocabulary.
    pub vocabulary: Vocabulary,
    /// How files are read: whether notes sound on while the sustain pedal is down.
    pub reading: Reading,
    /// Share of songs kept apart for measuring, 0 to 1.
    pub held_out: f64,
    /// Which songs those are.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Songs in the corpus.
    pub songs: Vec<Song>,
    /// Files left out, and why.
    pub skipped: Vec<Skipped>,
    /// Files that an earlier, interrupted encoding had done.
    pub resumed: usize,
    /// Lines about what was left out of the folders, by reason.
    pub left_out: Vec<String>,
}

/// In which way a file was unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No MIDI file, or a damaged one.
    Broken,
    /// No notes.
    Empty,
    /// Fewer than [`FEWEST_NOTES`].
    TooShort,
    /// More than [`MOST_NOTES`].
    TooLong,
    /// The same music as another, perhaps in another key or at another tempo; or a version of
    /// pieces on both sides of the split.
    Duplicate,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Broken => "broken",
            Self::Empty => "empty",
            Self::TooShort => "too short",
            Self::TooLong => "too long",
            Self::Duplicate => "duplicate",
        })
    }
}

/// A file that is not in the corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The file.
    #[serde(with = "lossy")]
    pub path: PathBuf,
    /// In which way it was unusable.
    pub reason: Reason,
    /// What exactly was wrong.
    pub detail: String,
}

/// Paths in JSON, which is text: what is not UTF-8 in a name is replaced.
mod lossy {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&path.to_string_lossy())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        String::deserialize(from).map(PathBuf::from)
    }
}

/// Why nothing was encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A folder could not be read.
    #[error(transparent)]
    Folder(#[from] midi::MidiError),
    /// There was nothing to encode.
    #[error("no MIDI files (.mid, .midi, .kar, .rmi) below {0}")]
    Empty(String),
    /// There were files, but none could be used.
    #[error("none of {files} MIDI files could be used; the first: {}: {detail}", path.display())]
    AllSkipped {
        /// Files found.
        files: usize,
        /// The first of them.
        path: PathBuf,
        /// What was wrong with it.
        detail: String,
    },
    /// The corpus could not be written.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A file was named as a folder.
    #[error("{}: is a file; name the folder that it is in", .0.display())]
    NotAFolder(PathBuf),
}

impl From<WriteError> for EncodeError {
    fn from(error: WriteError) -> Self {
        Self::Corpus(error.into())
    }
}

/// A MIDI file below one of the folders.
struct Source {
    path: PathBuf,
    /// Below the folder, with `/`.
    relative: String,
    style: String,
}

struct Encoded {
    records: Vec<Record>,
    notes: u64,
    hash: u64,
    print: Print,
}

/// Encodes; `progress(done, all)` is told after every file. What an interrupted encoding of the
/// same files into the same corpus has done is not done again.
pub fn encode(
    options: &Options<'_>,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Outcome, EncodeError> {
    let output = Output::check(options.output, &CORPUS, options.replace)?;
    let Some(target) = output.target() else {
        let what = "a device or a pipe";
        let path = options.output.into();
        return Err(WriteError::Special { path, what }.into());
    };
    let (sources, left_out) = find(options.folders)?;
    if sources.is_empty() {
        let names: Vec<_> = options
            .folders
            .iter()
            .map(|f| f.display().to_string())
            .collect();
        return Err(EncodeError::Empty(names.join(", ")));
    }
    let sizes = config::grid_sizes(&options.vocabulary);
    let rows = Rows {
        bars: sizes.bars,
        bar_steps: sizes.bar_steps,
    };
    // An encoding that an earlier version began has no pedal, and does not name it.
    let pedal = match options.reading.pedal {
        Pedal::Ignore => "",
        Pedal::Lengthen => "pedal ",
    };
    let task = Task {
        options: format!(
            "{} {} {} {pedal}{rows:?} {}",
            env!("CARGO_PKG_VERSION"),
            options.held_out,
            options.seed,
            options.vocabulary.to_json()
        ),
        sources: journal::fingerprint(sources.iter().map(|s| s.path.as_path())),
    };
    let (mut journal, before) = Journal::open(target, &task)?;
    let resumed = before.files;
    let mut skipped = before.skipped;
    let (songs, prints): (Vec<_>, Vec<_>) = before.songs.into_iter().unzip();
    let mut known = near::Songs::default();
    for (song, print) in songs.iter().zip(&prints) {
        known.add(print, song.held_out);
    }
    let vocabulary = options.vocabulary.clone();
    let mut writer = Writer::go_on(journal.partial(), vocabulary, rows, songs)?;
    let done = AtomicUsize::new(resumed);
    let encode_all = |files: &[Source]| -> Vec<_> {
        let encode = |source| {
            let encoded = song(source, options, &sizes);
            progress(1 + done.fetch_add(1, Ordering::Relaxed), sources.len());
            encoded
        };
        files.par_iter().map(encode).collect()
    };
    let mut batches = sources[resumed..].chunks(BATCH).peekable();
    let mut encoded = batches.peek().map(|files| encode_all(files));
    while let (Some(files), Some(songs)) = (batches.next(), encoded.take()) {
        // One after the other is decided where songs go; meanwhile the next ones are encoded.
        let (placed, next) = rayon::join(
            || place(options, files, songs, &mut known, &mut writer),
            || batches.peek().map(|files| encode_all(files)),
        );
        let mut batch = placed?;
        journal.add(&batch)?;
        skipped.append(&mut batch.skipped);
        encoded = next;
    }
    if writer.songs().is_empty() {
        drop(writer);
        journal.discard();
        // No song and at least one source: at least one was skipped.
        let (path, detail) = skipped
            .first()
            .map(|s| (s.path.clone(), s.detail.clone()))
            .unwrap_or_default();
        return Err(EncodeError::AllSkipped {
            files: sources.len(),
            path,
            detail,
        });
    }
    let songs = writer.finish(&output)?;
    journal.discard();
    Ok(Outcome {
        songs,
        skipped,
        resumed,
        left_out,
    })
}

/// Writes the songs of a batch that are new, and gives what came of each file.
fn place(
    options: &Options<'_>,
    files: &[Source],
    songs: Vec<Result<Encoded, Skipped>>,
    known: &mut near::Songs,
    writer: &mut Writer,
) -> Result<Batch, CorpusError> {
    let mut batch = Batch {
        files: files.len(),
        ..Batch::default()
    };
    for (source, song) in files.iter().zip(songs) {
        let placed = song.and_then(|song| {
            let side = side(options, source, &song, known, writer.songs())?;
            Ok((song, side))
        });
        match placed {
            Err(why) => batch.skipped.push(why),
            Ok((encoded, held_out)) => {
                known.add(&encoded.print, held_out);
                let song = Song {
                    path: source.relative.clone(),
                    style: source.style.clone(),
                    offset: 0,
                    tokens: 0,
                    notes: encoded.notes,
                    hash: encoded.hash,
                    held_out,
                };
                writer.add(song, &encoded.records)?;
                let added = writer.songs().last().cloned();
                batch.songs.extend(added.map(|song| (song, encoded.print)));
            }
        }
    }
    writer.flush()?;
    Ok(batch)
}

/// Whether a song is held out; or why it is in the corpus already.
fn side(
    options: &Options<'_>,
    source: &Source,
    encoded: &Encoded,
    known: &near::Songs,
    songs: &[Song],
) -> Result<bool, Skipped> {
    let duplicate = |detail: String| Skipped {
        path: source.path.clone(),
        reason: Reason::Duplicate,
        detail,
    };
    match known.kin(&encoded.print) {
        Kin::New => Ok(is_held_out(encoded.hash, options.seed, options.held_out)),
        Kin::Version { held_out } => Ok(held_out),
        Kin::Copy(of) if songs[of].hash == encoded.hash => {
            Err(duplicate(format!("the same music as {}", songs[of].path)))
        }
        Kin::Copy(of) => Err(duplicate(format!(
            "the same music as {}, in another key, at another tempo or with other lengths",
            songs[of].path
        ))),
        Kin::Between(of) => Err(duplicate(format!(
            "a version of {}, which is held out, and of songs that are not",
            songs[of].path
        ))),
    }
}

/// By content, so that a song copied under another name is on the same side.
fn is_held_out(content: u64, seed: u64, share: f64) -> bool {
    let mixed = hash(content.to_le_bytes().into_iter().chain(seed.to_le_bytes()));
    // The upper 53 bits: a fraction in 0..1.
    ((mixed >> 11) as f64) / ((1u64 << 53) as f64) < share
}

fn song(source: &Source, options: &Options<'_>, sizes: &Sizes) -> Result<Encoded, Skipped> {
    let vocabulary = &options.vocabulary;
    let skip = |reason, detail| Skipped {
        path: source.path.clone(),
        reason,
        detail,
    };
    if std::fs::metadata(&source.path).is_ok_and(|data| data.len() == 0) {
        return Err(skip(Reason::Empty, "0 bytes".into()));
    }
    let file = midi::read_file_with(&source.path, &options.reading)
        .map_err(|e| skip(Reason::Broken, e.to_string()))?;
    let mut score = Score::from_midi(&file, vocabulary.steps_per_beat, Drums::Drop);
    let reason = match score.notes.len() {
        0 => Some(Reason::Empty),
        n if n < FEWEST_NOTES => Some(Reason::TooShort),
        n if n > MOST_NOTES => Some(Reason::TooLong),
        _ => None,
    };
    if let Some(reason) = reason {
        let detail = format!("{} notes (drums left out)", score.notes.len());
        return Err(skip(reason, detail));
    }
    score.end_with_music();
    let encoded = PositionScore::encode(&score, vocabulary);
    let mut last = (0, sizes.rows(score.metres.place(0)));
    let records = encoded.placed_ids(vocabulary).into_iter().map(|p| {
        // Many tokens stand on one step.
        if p.step != last.0 {
            last = (p.step, sizes.rows(score.metres.place(p.step)));
        }
        let rows = last.1;
        Record {
            id: p.id,
            bar_step: rows.bar_step,
            bar: rows.bar,
            metre: rows.metre,
        }
    });
    let records = records.collect();
    let pitches = encoded.tokens.iter().map(|p| p.token);
    let notes = pitches.filter(|t| matches!(t, Token::Pitch(_))).count() as u64;
    // Of the base ids, so that a song is on one side of the split whatever the merges.
    let base = encoded.base_ids(vocabulary).into_iter();
    let hash = hash(base.flat_map(u16::to_le_bytes));
    Ok(Encoded {
        records,
        notes,
        hash,
        print: Print::of(&score),
    })
}

/// All MIDI files below the folders, sorted within each, and lines about what was left out.
fn find(folders: &[PathBuf]) -> Result<(Vec<Source>, Vec<String>), EncodeError> {
    let (mut sources, mut left_out) = (Vec::new(), Vec::new());
    for folder in folders {
        // "." and ".." have a name as well.
        let real = folder.canonicalize();
        let real = real.as_deref().unwrap_or(folder);
        let own = folder.file_name().or(real.file_name());
        let own = own.unwrap_or_default().to_string_lossy().into_owned();
        if folder.is_file() {
            return Err(EncodeError::NotAFolder(folder.clone()));
        }
        let found = midi::files_in(folder, usize::MAX)?;
        left_out.extend(found.summary(folder));
        for path in found.files {
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let parts: Vec<_> = below
                .components()
                .map(|c| c.as_os_str().to_string_lossy().into_owned())
                .collect();
            let style = if parts.len() > 1 {
                parts[0].clone()
            } else {
                own.clone()
            };
            sources.push(Source {
                relative: parts.join("/"),
                style,
                path,
            });
        }
    }
    Ok((sources, left_out))
}

impl Outcome {
    /// How many files were left out for each reason.
    pub fn skipped_by_reason(&self) -> BTreeMap<Reason, usize> {
        let mut counts = BTreeMap::new();
        for s in &self.skipped {
            *counts.entry(s.reason).or_default() += 1;
        }
        counts
    }
}

/// Songs, tokens and notes of each style, and of them the held-out ones.
pub fn by_style(songs: &[Song]) -> BTreeMap<&str, [u64; 4]> {
    let mut styles: BTreeMap<&str, [u64; 4]> = BTreeMap::new();
    for s in songs {
        let style = styles.entry(&s.style).or_default();
        for (sum, more) in style
            .iter_mut()
            .zip([1, u64::from(s.held_out), s.tokens, s.notes])
        {
            *sum += more;
        }
    }
    styles
}
