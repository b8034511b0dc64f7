//! Writing of a corpus, song by song. It can be interrupted at any time and resumed.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use continuo_files::Output;
use continuo_score::Vocabulary;

use crate::data::corpus::{
    CorpusError, CorpusTable, GridRows, HEADER, MAGIC, RECORD, Song, TokenRecord, VERSION,
};

/// Bytes of the write buffer; a song has about ten thousand.
const BUFFER: usize = 1 << 20;

/// A corpus that is being written, into a temporary file beside its target.
pub(crate) struct CorpusWriter {
    partial: PathBuf,
    out: BufWriter<File>,
    table: CorpusTable,
    tokens: u64,
}

impl CorpusWriter {
    /// Resumes in `partial` after `songs`, which an earlier writer of the same corpus has written
    /// and flushed; the rest of the file is dropped.
    ///
    /// # Errors
    /// The file cannot be opened or written.
    pub(crate) fn resume(
        partial: &Path,
        vocabulary: Vocabulary,
        rows: GridRows,
        songs: Vec<Song>,
    ) -> Result<Self, CorpusError> {
        let io = |source| CorpusError::Io {
            path: partial.into(),
            source,
        };
        let tokens = songs.last().map_or(0, |s| s.offset + s.tokens);
        let mut options = File::options();
        let mut file = options.write(true).open(partial).map_err(io)?;
        if songs.is_empty() {
            file.set_len(0).map_err(io)?;
            file.write_all(&[0; HEADER]).map_err(io)?;
        }
        // A shorter file would be filled with zeros; the caller has checked its length.
        file.set_len(HEADER as u64 + tokens * RECORD as u64)
            .map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok(Self {
            partial: partial.into(),
            out: BufWriter::with_capacity(BUFFER, file),
            table: CorpusTable {
                vocabulary,
                rows,
                songs,
            },
            tokens,
        })
    }

    /// The songs so far.
    pub(crate) fn songs(&self) -> &[Song] {
        &self.table.songs
    }

    /// Appends a song and sets its `offset` and `tokens`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn add(&mut self, song: Song, records: &[TokenRecord]) -> Result<(), CorpusError> {
        let fields = records
            .iter()
            .flat_map(|r| [r.id, r.bar_step, r.bar, r.metre]);
        let bytes: Vec<u8> = fields.flat_map(u16::to_le_bytes).collect();
        let written = self.out.write_all(&bytes);
        written.map_err(io_at(&self.partial))?;
        let tokens = records.len() as u64;
        self.table.songs.push(Song {
            offset: self.tokens,
            tokens,
            ..song
        });
        self.tokens += tokens;
        Ok(())
    }

    /// Writes all songs so far to the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), CorpusError> {
        let flushed = self.out.flush();
        let flushed = flushed.and_then(|()| self.out.get_ref().sync_data());
        flushed.map_err(io_at(&self.partial))
    }

    /// Writes the table and moves the corpus to its target.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn finish(mut self, output: &Output) -> Result<Vec<Song>, CorpusError> {
        let path = self.partial;
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
        output.adopt(&path)?;
        Ok(self.table.songs)
    }
}

/// Adds the path to an error of the system.
pub(crate) fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> CorpusError {
    let path: PathBuf = path.into();
    move |source| CorpusError::Io { path, source }
}
