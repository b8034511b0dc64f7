//! Corpus: encoded songs in one memory-mapped file.
//!
//! ```text
//! magic (8 bytes) | version u32 | record size u32 | table offset u64 | table length u64
//! records: id u16, step-in-bar row u16, bar row u16, bar-length row u16, song after song
//! table: JSON (vocabulary, rows, songs)
//! ```
//!
//! All numbers are little-endian. The table is at the end, so that songs are written while they
//! are encoded, whatever their number. The table is written last and the file then renamed into
//! place: a corpus that can be opened is complete.

use std::fs::File;
use std::path::{Path, PathBuf};

use continuo_files::{ReadError, WriteError, is_standard, read_input};
use continuo_score::Vocabulary;
use continuo_score::manifest::Sizes;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

pub(crate) const MAGIC: &[u8; 8] = b"CNTCORP\n";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER: usize = 32;
/// Largest corpus, in bytes, that is kept in memory.
const MOST_BYTES: u64 = 1 << 40;
/// Bytes per token.
pub(crate) const RECORD: usize = 8;

/// Sizes of the time-grid embeddings that the records index; those of the model must be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridRows {
    /// Rows of the bar-number embedding.
    pub bars: usize,
    /// Rows of the step-in-bar and bar-length embeddings.
    pub bar_steps: usize,
}

/// One song of a corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Song {
    /// Path of its file below the encoded folder.
    pub path: String,
    /// First folder of that path; the training balances styles.
    pub style: String,
    /// Index of its first token in the corpus.
    pub offset: u64,
    /// Tokens, `<sos>` and `<eos>` included.
    pub tokens: u64,
    /// Notes.
    pub notes: u64,
    /// Hash of its base tokens.
    pub hash: u64,
    /// Whether it is held out for measurements and never trained on.
    pub held_out: bool,
}

/// One token with its rows in the time-grid embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Id in the vocabulary.
    pub id: u16,
    /// Step-in-bar row.
    pub bar_step: u16,
    /// Bar-number row.
    pub bar: u16,
    /// Bar-length row.
    pub metre: u16,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CorpusTable {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) rows: GridRows,
    pub(crate) songs: Vec<Song>,
}

/// Error of a corpus that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The system refuses a read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The file is no corpus, or incomplete.
    #[error("{}: not a corpus of this version: {reason}; make it with `continuo-trainer encode`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// FILE.journal is not a journal of `encode`.
    #[error("{}: is not the journal of an encoding, so it is not written over; move it, or name another corpus", .0.display())]
    NotAJournal(PathBuf),
    /// Another process encodes into the same corpus.
    #[error("{}: another encoding is writing it", .0.display())]
    InUse(PathBuf),
    /// Another file is in the way of the corpus, or it cannot be put into its place.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The input cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Storage of a corpus's tokens while it is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// In the memory-mapped file, read on demand.
    #[default]
    Mmap,
    /// In memory, for slow disks.
    Cpu,
    /// In memory and on the training device.
    Gpu,
}

impl std::str::FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mmap" => Ok(Self::Mmap),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            _ => Err("mmap, cpu or gpu".into()),
        }
    }
}

enum Bytes {
    Mapped(Mmap),
    Memory(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }
}

/// An open corpus. It is read-only and shared between threads.
pub struct Corpus {
    /// Vocabulary of the tokens.
    pub vocabulary: Vocabulary,
    /// Sizes of the time-grid embeddings.
    pub rows: GridRows,
    /// Songs, in the order of their tokens.
    pub songs: Vec<Song>,
    path: PathBuf,
    location: Location,
    bytes: Bytes,
}

impl Corpus {
    /// Opens a corpus memory-mapped and checks that it is complete.
    ///
    /// # Errors
    /// The file cannot be read, or is not a complete corpus.
    pub fn open(path: &Path) -> Result<Self, CorpusError> {
        Self::open_in(path, Location::Mmap)
    }

    /// Opens a corpus with a given storage and checks that it is complete. The contents of a pipe
    /// or of standard input (`-`) are kept in memory.
    ///
    /// # Errors
    /// The file cannot be read, or is not a complete corpus.
    pub fn open_in(path: &Path, location: Location) -> Result<Self, CorpusError> {
        let io = |source| CorpusError::Io {
            path: path.into(),
            source,
        };
        let fail = |reason: String| CorpusError::Malformed {
            path: path.into(),
            reason,
        };
        let is_file =
            !is_standard(path) && std::fs::metadata(path).is_ok_and(|data| data.is_file());
        let map = if is_file && location == Location::Mmap {
            let file = File::open(path).map_err(io)?;
            Bytes::Mapped(Self::map(&file).map_err(io)?)
        } else {
            Bytes::Memory(read_input(path, MOST_BYTES)?.bytes)
        };
        let number = |at: usize, bytes: usize| {
            map.get(at..at + bytes)
                .map(|b| b.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b)))
        };
        if map.get(..8) != Some(MAGIC) {
            return Err(fail("its first bytes are not those of a corpus".into()));
        }
        if number(8, 4) != Some(u64::from(VERSION)) || number(12, 4) != Some(RECORD as u64) {
            return Err(fail(format!("not version {VERSION}")));
        }
        let table = number(16, 8)
            .zip(number(24, 8))
            .and_then(|(offset, length)| {
                let end = offset.checked_add(length)?;
                Some((
                    offset,
                    map.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)?,
                ))
            });
        let Some((end, table)) = table else {
            return Err(fail("it is cut short".into()));
        };
        let table: CorpusTable =
            serde_json::from_slice(table).map_err(|e| fail(format!("its table: {e}")))?;
        let vocabulary =
            Vocabulary::from_json(&table.vocabulary.to_json()).map_err(|e| fail(e.to_string()))?;
        let records = (end as usize).saturating_sub(HEADER) / RECORD;
        let within = |s: &Song| {
            s.offset
                .checked_add(s.tokens)
                .is_some_and(|e| e <= records as u64)
        };
        if let Some(song) = table.songs.iter().find(|s| !within(s) || s.tokens < 2) {
            return Err(fail(format!("song {} lies outside it", song.path)));
        }
        let corpus = Self {
            vocabulary,
            rows: table.rows,
            songs: table.songs,
            path: path.into(),
            location,
            bytes: map,
        };
        for (i, song) in corpus.songs.iter().enumerate() {
            if !corpus
                .records(i, 0, song.tokens as usize)
                .all(|r| corpus.holds(r))
            {
                return Err(fail(format!(
                    "song {} has tokens outside its vocabulary",
                    song.path
                )));
            }
        }
        Ok(corpus)
    }

    fn map(file: &File) -> std::io::Result<Mmap> {
        // SAFETY: a corpus is renamed into place once it is complete and never written again. As
        // with every mapped file, another program that truncates it while it is open would end
        // this one.
        unsafe { Mmap::map(file) }
    }

    fn holds(&self, r: TokenRecord) -> bool {
        usize::from(r.id) < self.vocabulary.size()
            && usize::from(r.bar) < self.rows.bars
            && usize::from(r.bar_step.max(r.metre)) < self.rows.bar_steps
    }

    /// Storage of its tokens.
    pub fn location(&self) -> Location {
        self.location
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tokens `from..to` of a song.
    ///
    /// # Panics
    /// Panics outside the song, as a slice does.
    pub fn records(
        &self,
        song: usize,
        from: usize,
        to: usize,
    ) -> impl ExactSizeIterator<Item = TokenRecord> + '_ {
        let song = &self.songs[song];
        assert!(
            from <= to && to as u64 <= song.tokens,
            "tokens {from}..{to} of {}",
            song.path
        );
        let at = |i: usize| HEADER + (song.offset as usize + i) * RECORD;
        self.bytes[at(from)..at(to)].chunks_exact(RECORD).map(|b| {
            let field = |i: usize| u16::from_le_bytes([b[2 * i], b[2 * i + 1]]);
            TokenRecord {
                id: field(0),
                bar_step: field(1),
                bar: field(2),
                metre: field(3),
            }
        })
    }

    /// Checks that this corpus fits a model's vocabulary and sizes.
    ///
    /// # Errors
    /// One line that names the difference and the remedy.
    pub fn fits(&self, vocabulary: &Vocabulary, sizes: &Sizes) -> Result<(), String> {
        let path = self.path().display();
        if self.vocabulary != *vocabulary {
            return Err(format!(
                "{path}: its vocabulary ({}, {} ids) is not the model's ({}, {} ids); encode \
                 the songs with --vocabulary and the vocabulary.json of the model or its checkpoint",
                self.vocabulary.name(),
                self.vocabulary.size(),
                vocabulary.name(),
                vocabulary.size(),
            ));
        }
        let rows = GridRows {
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

    /// Every n-th song on one side of the split, from all of the corpus; `every` returns n for
    /// the number of tokens on that side.
    pub fn spread(&self, held_out: bool, every: impl FnOnce(u64) -> u64) -> Vec<usize> {
        let songs: Vec<usize> = (0..self.songs.len())
            .filter(|&song| self.songs[song].held_out == held_out)
            .collect();
        let tokens: u64 = songs.iter().map(|&song| self.songs[song].tokens).sum();
        let every = usize::try_from(every(tokens)).unwrap_or(1).max(1);
        songs.into_iter().step_by(every).collect()
    }

    /// Hash of the songs' contents, their order, styles and the split.
    pub fn fingerprint(&self) -> u64 {
        hash(self.songs.iter().flat_map(|s| {
            let style = hash(s.style.bytes());
            [s.hash, u64::from(s.held_out), style]
                .into_iter()
                .flat_map(u64::to_le_bytes)
        }))
    }

    /// Whether [`Corpus::fingerprint`] was `fingerprint` when a training began with this corpus.
    pub fn has_fingerprint(&self, fingerprint: u64) -> bool {
        fingerprint == self.fingerprint() || fingerprint == self.fingerprint_without_styles()
    }

    /// Fingerprint in checkpoints of before 2026-12, which left out the styles.
    fn fingerprint_without_styles(&self) -> u64 {
        hash(self.songs.iter().flat_map(|s| {
            let held_out = u64::from(s.held_out);
            [s.hash, held_out].into_iter().flat_map(u64::to_le_bytes)
        }))
    }
}

/// FNV-1a hash. It is the same on every machine and in every version; the split between training
/// and held-out songs depends on it.
pub fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
