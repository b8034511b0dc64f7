//! How far an encoding has come, in FILE.journal beside FILE.partial: a line of JSON for what
//! is encoded, then one for every batch of files. A killed encoding goes on after the last
//! whole line.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::corpus::{CorpusError, HEADER, RECORD, Song, hash};
use crate::encode::Skipped;
use crate::files::{beside, remove};
use crate::near::Print;
use crate::writer::io_at;

/// What must be the same for an encoding to go on.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The vocabulary, the split and this program's version, as text.
    pub(crate) options: String,
    /// Hash of the files: names, sizes, times of change.
    pub(crate) sources: u64,
}

/// What came of some files.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) files: usize,
    pub(crate) songs: Vec<(Song, Print)>,
    pub(crate) skipped: Vec<Skipped>,
}

/// The open journal.
pub(crate) struct Journal {
    path: PathBuf,
    out: File,
}

impl Journal {
    /// The journal of the corpus at `corpus`, and what it says was done already: nothing,
    /// unless it is of the same task and the songs are there.
    pub(crate) fn open(corpus: &Path, task: &Task) -> Result<(Self, Batch), CorpusError> {
        let path = beside(corpus, "journal");
        let done = Self::read(&path, corpus, task).unwrap_or_default();
        let begun = done.files > 0;
        let file = File::options()
            .create(true)
            .append(begun)
            .write(true)
            .truncate(!begun)
            .open(&path);
        let mut journal = Self {
            out: file.map_err(io_at(&path))?,
            path,
        };
        if !begun {
            journal.line(task)?;
        }
        Ok((journal, done))
    }

    fn read(path: &Path, corpus: &Path, task: &Task) -> Option<Batch> {
        let text = fs::read_to_string(path).ok()?;
        let whole = text.rfind('\n')? + 1;
        let mut lines = text[..whole].lines();
        let of: Task = serde_json::from_str(lines.next()?).ok()?;
        if of != *task {
            return None;
        }
        let mut done = Batch::default();
        for line in lines {
            let batch: Batch = serde_json::from_str(line).ok()?;
            done.files += batch.files;
            done.songs.extend(batch.songs);
            done.skipped.extend(batch.skipped);
        }
        let tokens = done.songs.last().map_or(0, |(s, _)| s.offset + s.tokens);
        let bytes = fs::metadata(beside(corpus, "partial")).ok()?.len();
        if bytes < HEADER as u64 + tokens * RECORD as u64 {
            return None;
        }
        // What the last line lacks is done again.
        let file = File::options().write(true).open(path).ok()?;
        file.set_len(whole as u64).ok()?;
        Some(done)
    }

    /// Adds a batch whose songs have been written and flushed.
    pub(crate) fn add(&mut self, batch: &Batch) -> Result<(), CorpusError> {
        self.line(batch)
    }

    fn line(&mut self, of: &impl Serialize) -> Result<(), CorpusError> {
        // Structs of numbers and strings always serialise.
        let mut line = serde_json::to_vec(of).unwrap_or_default();
        line.push(b'\n');
        self.out.write_all(&line).map_err(io_at(&self.path))
    }

    /// Removes it: the corpus is whole, or given up.
    pub(crate) fn discard(self) {
        // A journal that stays is of no harm: its partial file is gone.
        let _ = remove(&self.path);
    }
}

/// Hash of the names, sizes and times of change of files.
pub(crate) fn fingerprint<'a>(paths: impl Iterator<Item = &'a Path>) -> u64 {
    let mut all = Vec::new();
    for path in paths {
        all.extend_from_slice(path.to_string_lossy().as_bytes());
        if let Ok(data) = fs::metadata(path) {
            let changed = data.modified().ok();
            let changed = changed.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            all.extend_from_slice(&data.len().to_le_bytes());
            all.extend_from_slice(&changed.map_or(0, |d| d.as_nanos()).to_le_bytes());
        }
        // Hashed in parts: of 200,000 names only a number is kept.
        all = hash(all.iter().copied()).to_le_bytes().to_vec();
    }
    hash(all)
}
