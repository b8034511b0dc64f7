//! Writing a corpus, song by song; it can be stopped at any time and gone on with.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use continuo_score::Vocabulary;

use crate::corpus::{CorpusError, HEADER, MAGIC, RECORD, Record, Rows, Song, Table, VERSION};
use crate::files::{Staged, remove};

/// Bytes gathered before they are written: a song is some ten thousand.
const BUFFER: usize = 1 << 20;

/// Writes a corpus song by song.
pub struct Writer {
    staged: Staged,
    out: BufWriter<File>,
    table: Table,
    tokens: u64,
}

impl Writer {
    /// Begins a corpus that will stand at `path` once it is finished.
    pub fn create(path: &Path, vocabulary: Vocabulary, rows: Rows) -> Result<Self, CorpusError> {
        Self::go_on(path, vocabulary, rows, Vec::new())
    }

    /// Goes on after these songs, which another writer of the same corpus has written and
    /// flushed; what is behind them is dropped.
    pub fn go_on(
        path: &Path,
        vocabulary: Vocabulary,
        rows: Rows,
        songs: Vec<Song>,
    ) -> Result<Self, CorpusError> {
        let staged = Staged::lasting(path);
        let io = |source| CorpusError::Io {
            path: staged.temporary().into(),
            source,
        };
        let tokens = songs.last().map_or(0, |s| s.offset + s.tokens);
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false);
        let mut file = options.open(staged.temporary()).map_err(io)?;
        if songs.is_empty() {
            file.set_len(0).map_err(io)?;
            file.write_all(&[0; HEADER]).map_err(io)?;
        }
        // Of a file cut short this makes zeros: the caller has looked at its length.
        file.set_len(HEADER as u64 + tokens * RECORD as u64)
            .map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok(Self {
            staged,
            out: BufWriter::with_capacity(BUFFER, file),
            table: Table {
                vocabulary,
                rows,
                songs,
            },
            tokens,
        })
    }

    /// Where it is written until it is finished.
    pub fn temporary(&self) -> &Path {
        self.staged.temporary()
    }

    /// The songs so far.
    pub fn songs(&self) -> &[Song] {
        &self.table.songs
    }

    /// Adds a song; `offset` and `tokens` are filled in here.
    pub fn add(&mut self, song: Song, records: &[Record]) -> Result<(), CorpusError> {
        let fields = records
            .iter()
            .flat_map(|r| [r.id, r.bar_step, r.bar, r.metre]);
        let bytes: Vec<u8> = fields.flat_map(u16::to_le_bytes).collect();
        let written = self.out.write_all(&bytes);
        written.map_err(io_at(self.staged.temporary()))?;
        let tokens = records.len() as u64;
        self.table.songs.push(Song {
            offset: self.tokens,
            tokens,
            ..song
        });
        self.tokens += tokens;
        Ok(())
    }

    /// Everything so far is in the file.
    pub fn flush(&mut self) -> Result<(), CorpusError> {
        self.out.flush().map_err(io_at(self.staged.temporary()))
    }

    /// Removes what was written.
    pub fn discard(self) {
        // Nothing more can be done about a leftover that cannot be removed.
        let _ = remove(self.staged.temporary());
    }

    /// Writes the table and puts the corpus in its place.
    pub fn finish(mut self) -> Result<Vec<Song>, CorpusError> {
        let path = self.staged.temporary().to_owned();
        let io = || io_at(&path);
        // A struct of numbers and strings always serialises.
        let table = serde_json::to_vec(&self.table).unwrap_or_default();
        let offset = HEADER as u64 + self.tokens * RECORD as u64;
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&(RECORD as u32).to_le_bytes());
        header.extend_from_slice(&offset.to_le_bytes());
        header.extend_from_slice(&(table.len() as u64).to_le_bytes());
        self.out.write_all(&table).map_err(io())?;
        self.out.seek(SeekFrom::Start(0)).map_err(io())?;
        self.out.write_all(&header).map_err(io())?;
        self.out.flush().map_err(io())?;
        self.out.get_ref().sync_all().map_err(io())?;
        drop(self.out);
        self.staged.keep().map_err(io())?;
        Ok(self.table.songs)
    }
}

/// Makes an error of a file system's.
pub(crate) fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> CorpusError {
    let path: PathBuf = path.into();
    move |source| CorpusError::Io { path, source }
}
