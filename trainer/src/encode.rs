//! `encode`: folders of MIDI files become a corpus.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use continuo_score::manifest::Sizes;
use continuo_score::{Drums, PositionScore, Score, Token, Vocabulary, midi};
use rayon::prelude::*;

use crate::config;
use crate::corpus::{Corpus, CorpusError, Record, Rows, Song, Writer, hash};

/// A song with fewer notes teaches nothing about music.
pub const FEWEST_NOTES: usize = 16;
/// Files encoded at a time: bounds the memory, whatever the size of the folder.
const BATCH: usize = 1024;

/// What to encode.
pub struct Options<'a> {
    /// Folders, searched recursively.
    pub folders: &'a [PathBuf],
    /// The corpus to write.
    pub output: &'a Path,
    /// Its vocabulary.
    pub vocabulary: Vocabulary,
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
}

/// A file that is not in the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// In which way it was unusable.
    pub reason: &'static str,
    /// What exactly was wrong.
    pub detail: String,
}

/// Why nothing was encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A folder could not be read.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// There was nothing to encode.
    #[error("no MIDI files (.mid, .midi) below {0}")]
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
}

/// Encodes; `progress(done, all)` is told after every file.
pub fn encode(
    options: &Options<'_>,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Outcome, EncodeError> {
    let sources = find(options.folders)?;
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
    let mut writer = Writer::create(options.output, options.vocabulary.clone(), rows)?;
    // Songs by hash, with the path of the first of each content.
    let mut seen: HashMap<u64, String> = HashMap::new();
    let mut skipped = Vec::new();
    let done = std::sync::atomic::AtomicUsize::new(0);
    for batch in sources.chunks(BATCH) {
        let encoded: Vec<_> = batch
            .par_iter()
            .map(|source| {
                let encoded = song(source, &options.vocabulary, &sizes);
                let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                progress(done, sources.len());
                encoded
            })
            .collect();
        for (source, encoded) in batch.iter().zip(encoded) {
            let encoded = match encoded {
                Ok(encoded) => encoded,
                Err(why) => {
                    skipped.push(why);
                    continue;
                }
            };
            if let Some(first) = seen.get(&encoded.hash) {
                skipped.push(Skipped {
                    path: source.path.clone(),
                    reason: "duplicate",
                    detail: format!("the same music as {first}"),
                });
                continue;
            }
            seen.insert(encoded.hash, source.relative.clone());
            let song = Song {
                path: source.relative.clone(),
                style: source.style.clone(),
                offset: 0,
                tokens: 0,
                notes: encoded.notes,
                hash: encoded.hash,
                held_out: is_held_out(encoded.hash, options.seed, options.held_out),
            };
            writer.add(song, &encoded.records)?;
        }
    }
    if seen.is_empty() {
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
    Ok(Outcome {
        songs: writer.finish()?,
        skipped,
    })
}

/// By content, so that a song copied under another name is on the same side.
fn is_held_out(content: u64, seed: u64, share: f64) -> bool {
    let mixed = hash(content.to_le_bytes().into_iter().chain(seed.to_le_bytes()));
    // The upper 53 bits: a fraction in 0..1.
    ((mixed >> 11) as f64) / ((1u64 << 53) as f64) < share
}

fn song(source: &Source, vocabulary: &Vocabulary, sizes: &Sizes) -> Result<Encoded, Skipped> {
    let skip = |reason, detail| Skipped {
        path: source.path.clone(),
        reason,
        detail,
    };
    let file = midi::read_file(&source.path).map_err(|e| skip("unreadable", e.to_string()))?;
    let mut score = Score::from_midi(&file, vocabulary.steps_per_beat, Drums::Drop);
    if score.notes.len() < FEWEST_NOTES {
        let detail = format!("{} notes (drums left out)", score.notes.len());
        return Err(skip("too short", detail));
    }
    // A piece ends with its last bar; what silence a file has after that is no music.
    let end = score.notes.iter().map(|n| n.end()).max().unwrap_or(0);
    score.length = score.length.min(score.metres.next_bar(end));
    let placed = PositionScore::encode(&score, vocabulary).tokens;
    let mut records = Vec::with_capacity(placed.len());
    for p in &placed {
        let Some(id) = vocabulary.id(p.token) else {
            return Err(skip("outside the vocabulary", p.token.to_string()));
        };
        let rows = sizes.rows(score.metres.place(p.step));
        records.push(Record {
            id,
            bar_step: rows.bar_step as u16,
            bar: rows.bar as u16,
            metre: rows.metre as u16,
        });
    }
    let notes = placed
        .iter()
        .filter(|p| matches!(p.token, Token::Pitch(_)))
        .count() as u64;
    let hash = hash(records.iter().flat_map(|r| r.id.to_le_bytes()));
    Ok(Encoded {
        records,
        notes,
        hash,
    })
}

/// All MIDI files below the folders, sorted within each.
fn find(folders: &[PathBuf]) -> Result<Vec<Source>, EncodeError> {
    let mut sources = Vec::new();
    for folder in folders {
        let mut paths = Vec::new();
        walk(folder, &mut paths)?;
        paths.sort();
        let own = folder
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        for path in paths {
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
    Ok(sources)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), EncodeError> {
    let fail = |source| EncodeError::Folder {
        path: folder.into(),
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let path = entry.path();
        // Links are not followed: they may lead in circles.
        if entry.file_type().map_err(fail)?.is_dir() {
            walk(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("mid") || e.eq_ignore_ascii_case("midi"))
        {
            found.push(path);
        }
    }
    Ok(())
}

impl Outcome {
    /// How many files were left out for each reason.
    pub fn skipped_by_reason(&self) -> BTreeMap<&'static str, usize> {
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

impl Corpus {
    /// Fails with one clear line if this corpus is not one for `vocabulary` and `sizes`.
    pub fn fits(&self, vocabulary: &Vocabulary, sizes: &Sizes) -> Result<(), String> {
        let path = self.path().display();
        if self.vocabulary != *vocabulary {
            return Err(format!(
                "{path}: its vocabulary ({}, {} ids) is not the model's ({}, {} ids); encode \
                 the songs with the model's preset",
                self.vocabulary.name(),
                self.vocabulary.size(),
                vocabulary.name(),
                vocabulary.size(),
            ));
        }
        let rows = Rows {
            bars: sizes.bars,
            bar_steps: sizes.bar_steps,
        };
        if self.rows != rows {
            return Err(format!(
                "{path}: its bars count to {} and their steps to {}, the model's to {} and {}; \
                 encode the songs again",
                self.rows.bars, self.rows.bar_steps, rows.bars, rows.bar_steps,
            ));
        }
        Ok(())
    }
}
