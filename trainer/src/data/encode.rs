//! Encoding: from folders of MIDI files to a corpus.

mod song;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use continuo_files::{Output, Replace, WriteError};
use continuo_score::midi::{Pedal, ReadOptions};
use continuo_score::{Vocabulary, midi};
use rayon::prelude::*;

use crate::data::corpus::{CorpusError, GridRows, Song, hash};
use crate::data::corpus_writer::CorpusWriter;
use crate::data::dedup::{Similarity, SongIndex};
use crate::data::file_kinds::CORPUS;
use crate::data::grooves::Grooves;
use crate::data::journal::{self, EncodedBatch, Journal, JournalKey};
use crate::data::skipped::{SkipReason, Skipped};
use crate::model::config::grid_sizes;
use song::{EncodedSong, song};

/// Files encoded at a time. It limits the memory, whatever the size of the folder, and the work
/// that a killed encoding repeats.
const BATCH: usize = 256;

/// Appended to the path of a song that was divided into parts.
pub const DIVIDED: &str = " (divided)";
/// Appended to the path of a song whose parts were merged into one keyboard part.
pub const MERGED: &str = " (merged)";

/// Appended to the path of a song under which a groove was laid.
pub const WITH_DRUMS: &str = " (with drums)";

/// The path of a song's file, without [`DIVIDED`], [`MERGED`] or [`WITH_DRUMS`].
pub fn original(song: &str) -> &str {
    let mut suffixes = [DIVIDED, MERGED, WITH_DRUMS].into_iter();
    suffixes
        .find_map(|suffix| song.strip_suffix(suffix))
        .unwrap_or(song)
}

/// Options of [`encode`].
pub struct EncodeOptions<'a> {
    /// Folders, searched recursively.
    pub folders: &'a [PathBuf],
    /// The corpus to write.
    pub output: &'a Path,
    /// Existing files that the corpus may replace.
    pub replace: Replace,
    /// Vocabulary of the corpus.
    pub vocabulary: Vocabulary,
    /// Whether a keyboard solo also enters the corpus divided into parts; needs a vocabulary with
    /// parts. See [`crate::data::divide`].
    pub divide: bool,
    /// How a song of several parts enters the corpus as one keyboard part without drums; needs a
    /// vocabulary with parts.
    pub merge: Option<Merge>,
    /// Folders of drum tracks that are laid under songs without drums, in one more form of each; needs a
    /// vocabulary with parts. See [`crate::data::grooves`].
    pub grooves: &'a [PathBuf],
    /// Options of reading files: whether notes sound on while the sustain pedal is down.
    pub reading: ReadOptions,
    /// Choice of the songs that are held out for measurements.
    pub split: Split,
}

/// How songs of several parts enter a corpus as one keyboard part without drums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Merge {
    /// Besides the song with its parts.
    Also,
    /// Instead of it: a model with parts is then measured on the same notes as one without.
    Only,
}

/// Choice of the held-out songs. Versions of a held-out song are held out as well.
#[derive(Clone, Debug)]
pub enum Split {
    /// A share of all songs, chosen by a hash of their content.
    Share {
        /// Share of the songs, 0 to 1.
        share: f64,
        /// Seed that is mixed into the hash.
        seed: u64,
    },
    /// The songs at these paths below the folders, with `/`.
    Listed(BTreeSet<String>),
}

/// Result of an encoding.
#[derive(Debug, Default)]
pub struct EncodeOutcome {
    /// Songs in the corpus.
    pub songs: Vec<Song>,
    /// Files left out, with their reasons.
    pub skipped: Vec<Skipped>,
    /// Files done by an earlier, interrupted encoding.
    pub resumed: usize,
    /// Lines about entries of the folders that are no MIDI files, by reason.
    pub left_out: Vec<String>,
}

/// Error that ends an encoding.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A folder cannot be read.
    #[error(transparent)]
    Folder(#[from] midi::MidiError),
    /// The folders have no MIDI files.
    #[error("no MIDI files (.mid, .midi, .kar, .rmi) below {0}")]
    Empty(String),
    /// None of the files can be used.
    #[error("none of {files} MIDI files could be used; the first: {}: {detail}", path.display())]
    AllSkipped {
        /// Files found.
        files: usize,
        /// The first of them.
        path: PathBuf,
        /// Details of the first file.
        detail: String,
    },
    /// The corpus cannot be written.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A folder argument is a file.
    #[error("{}: is a file; name the folder that it is in", .0.display())]
    NotAFolder(PathBuf),
    /// The folders of grooves have none.
    #[error("--grooves: no MIDI file there has drums alone, in one time signature")]
    NoGrooves,
    /// A listed song is in none of the folders.
    #[error(
        "{0}: listed as held out, but in none of the folders; a list has paths as `songs` prints them"
    )]
    NotFound(String),
}

impl From<WriteError> for EncodeError {
    fn from(error: WriteError) -> Self {
        Self::Corpus(error.into())
    }
}

/// A MIDI file below one of the folders.
struct SourceFile {
    path: PathBuf,
    /// Path below the folder, with `/`.
    relative: String,
    style: String,
}

/// Encodes the songs of folders into a corpus, in parallel, and calls `progress(done, all)` after
/// every file, on any thread. An interrupted encoding of the same files into the same corpus is
/// resumed.
///
/// # Errors
/// A folder cannot be read, no file can be used, or the corpus cannot be written.
pub fn encode(
    options: &EncodeOptions<'_>,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<EncodeOutcome, EncodeError> {
    let output = Output::check(options.output, &CORPUS, options.replace)?;
    let Some(target) = output.target() else {
        let what = "a device or a pipe";
        let path = options.output.into();
        return Err(WriteError::Special { path, what }.into());
    };
    let (mut sources, left_out) = find(options.folders)?;
    if sources.is_empty() {
        let names: Vec<_> = options
            .folders
            .iter()
            .map(|f| f.display().to_string())
            .collect();
        return Err(EncodeError::Empty(names.join(", ")));
    }
    let groove_files = find(options.grooves)?.0;
    let groove_files: Vec<PathBuf> = groove_files.into_iter().map(|file| file.path).collect();
    let grooves = Grooves::read(&groove_files, &options.vocabulary, &options.reading);
    if !options.grooves.is_empty() && grooves.is_empty() {
        return Err(EncodeError::NoGrooves);
    }
    if let Split::Listed(listed) = &options.split {
        let mut missing = listed.clone();
        for source in &sources {
            missing.remove(&source.relative);
        }
        if let Some(path) = missing.pop_first() {
            return Err(EncodeError::NotFound(path));
        }
        // Listed songs come first, so that versions of them are found to be held out.
        sources.sort_by_key(|s| !listed.contains(&s.relative));
    }
    let sizes = grid_sizes(&options.vocabulary);
    let rows = GridRows {
        bars: sizes.bars,
        bar_steps: sizes.bar_steps,
    };
    // An encoding that an earlier version began has no pedal, and does not name it.
    let pedal = match options.reading.pedal {
        Pedal::Ignore => "",
        Pedal::Lengthen => "pedal ",
    };
    let divided = if options.divide { "divided " } else { "" };
    let merged = match options.merge {
        None => "",
        Some(Merge::Also) => "merged ",
        Some(Merge::Only) => "merged only ",
    };
    let drums = match grooves.is_empty() {
        true => String::new(),
        false => format!(
            "grooves {:?} ",
            journal::fingerprint(groove_files.iter().map(PathBuf::as_path))
        ),
    };
    let key = JournalKey {
        options: format!(
            "{} {} {pedal}{divided}{merged}{drums}{rows:?} {}",
            env!("CARGO_PKG_VERSION"),
            match &options.split {
                Split::Share { share, seed } => format!("{share} {seed}"),
                Split::Listed(listed) => format!("{listed:?}"),
            },
            options.vocabulary.to_json()
        ),
        sources: journal::fingerprint(sources.iter().map(|s| s.path.as_path())),
    };
    let (mut journal, before) = Journal::open(target, &key)?;
    let resumed = before.files;
    let mut skipped = before.skipped;
    let (songs, fingerprints): (Vec<_>, Vec<_>) = before.songs.into_iter().unzip();
    let mut index = SongIndex::default();
    for (song, fingerprint) in songs.iter().zip(&fingerprints) {
        index.add(fingerprint, song.held_out);
    }
    let vocabulary = options.vocabulary.clone();
    let mut writer = CorpusWriter::resume(journal.partial(), vocabulary, rows, songs)?;
    let done = AtomicUsize::new(resumed);
    let encode_all = |files: &[SourceFile]| -> Vec<_> {
        let encode = |source| {
            let encoded = song(source, options, &grooves, &sizes);
            progress(1 + done.fetch_add(1, Ordering::Relaxed), sources.len());
            encoded
        };
        files.par_iter().map(encode).collect()
    };
    let mut batches = sources[resumed..].chunks(BATCH).peekable();
    let mut encoded = batches.peek().map(|files| encode_all(files));
    while let (Some(files), Some(songs)) = (batches.next(), encoded.take()) {
        // Songs are assigned one after the other while the next batch is encoded.
        let (assigned, next) = rayon::join(
            || assign(options, files, songs, &mut index, &mut writer),
            || batches.peek().map(|files| encode_all(files)),
        );
        let mut batch = assigned?;
        journal.add(&batch)?;
        skipped.append(&mut batch.skipped);
        encoded = next;
    }
    if writer.songs().is_empty() {
        drop(writer);
        journal.discard();
        // At least one source and no song: at least one was skipped.
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
    Ok(EncodeOutcome {
        songs,
        skipped,
        resumed,
        left_out,
    })
}

/// Writes the new songs of a batch and lists the result of each file.
fn assign(
    options: &EncodeOptions<'_>,
    files: &[SourceFile],
    songs: Vec<Result<EncodedSong, Skipped>>,
    index: &mut SongIndex,
    writer: &mut CorpusWriter,
) -> Result<EncodedBatch, CorpusError> {
    let mut batch = EncodedBatch {
        files: files.len(),
        ..EncodedBatch::default()
    };
    for (source, song) in files.iter().zip(songs) {
        let assigned = song.and_then(|song| {
            let side = side(options, source, &song, index, writer.songs())?;
            Ok((song, side))
        });
        match assigned {
            Err(why) => batch.skipped.push(why),
            Ok((encoded, held_out)) => {
                // All forms of a song are on one side.
                let whole = [("", encoded.whole)].into_iter();
                for (suffix, spelled) in whole.chain(encoded.others) {
                    index.add(&encoded.fingerprint, held_out);
                    let song = Song {
                        path: format!("{}{suffix}", source.relative),
                        style: source.style.clone(),
                        offset: 0,
                        tokens: 0,
                        notes: spelled.notes,
                        hash: spelled.hash,
                        held_out,
                    };
                    writer.add(song, &spelled.records)?;
                    let added = writer.songs().last().cloned();
                    let fingerprint = encoded.fingerprint.clone();
                    batch.songs.extend(added.map(|song| (song, fingerprint)));
                }
            }
        }
    }
    writer.flush()?;
    Ok(batch)
}

/// Whether a song is held out.
///
/// # Errors
/// The corpus has this music already, or versions of it on both sides of the split.
fn side(
    options: &EncodeOptions<'_>,
    source: &SourceFile,
    encoded: &EncodedSong,
    index: &SongIndex,
    songs: &[Song],
) -> Result<bool, Skipped> {
    let duplicate = |detail: String| Skipped {
        path: source.path.clone(),
        reason: SkipReason::Duplicate,
        detail,
    };
    match index.similarity(&encoded.fingerprint) {
        Similarity::New => Ok(match &options.split {
            Split::Share { share, seed } => is_held_out(encoded.whole.hash, *seed, *share),
            Split::Listed(listed) => listed.contains(&source.relative),
        }),
        Similarity::Version { held_out } => Ok(held_out),
        Similarity::Copy(of) if songs[of].hash == encoded.whole.hash => {
            Err(duplicate(format!("the same music as {}", songs[of].path)))
        }
        Similarity::Copy(of) => Err(duplicate(format!(
            "the same music as {}, in another key, at another tempo or with other lengths",
            songs[of].path
        ))),
        Similarity::Between(of) => Err(duplicate(format!(
            "a version of {}, which is held out, and of songs that are not",
            songs[of].path
        ))),
    }
}

/// Whether a song of this content is held out. A copy under another name is on the same side.
fn is_held_out(content: u64, seed: u64, share: f64) -> bool {
    let mixed = hash(content.to_le_bytes().into_iter().chain(seed.to_le_bytes()));
    // The upper 53 bits: a fraction in 0..1.
    ((mixed >> 11) as f64) / ((1u64 << 53) as f64) < share
}

/// All MIDI files below the folders, sorted within each, and lines about other entries.
fn find(folders: &[PathBuf]) -> Result<(Vec<SourceFile>, Vec<String>), EncodeError> {
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
            sources.push(SourceFile {
                relative: parts.join("/"),
                style,
                path,
            });
        }
    }
    Ok((sources, left_out))
}

impl EncodeOutcome {
    /// Number of files left out for each reason.
    pub fn skipped_by_reason(&self) -> BTreeMap<SkipReason, usize> {
        let mut counts = BTreeMap::new();
        for s in &self.skipped {
            *counts.entry(s.reason).or_default() += 1;
        }
        counts
    }
}

/// Songs, held-out songs, tokens and notes of each style.
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
