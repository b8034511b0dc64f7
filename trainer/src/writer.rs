//! Writing a corpus, song by song; it can be stopped at any time and gone on with.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use continuo_files::Output;
use continuo_score::Vocabulary;

use crate::corpus::{CorpusError, HEADER, MAGIC, RECORD, Record, Rows, Song, Table, VERSION};

/// Bytes gathered before they are written: a song is some ten thousand.
const BUFFER: usize = 1 << 20;

/// Writes a corpus song by song, into a file beside its place.
pub(crate) struct Writer {
    partial: PathBuf,
    out: BufWriter<File>,
    table: Table,
    tokens: u64,
}

impl Writer {
    /// Goes on in `partial` after these songs, which another writer of the same corpus has written
    /// and flushed; what is behind them is dropped.
    pub(crate) fn go_on(
        partial: &Path,
        vocabulary: Vocabulary,
        rows: Rows,
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
        // Of a file cut short this makes zeros: the caller has looked at its length.
        file.set_len(HEADER as u64 + tokens * RECORD as u64)
            .map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok(Self {
            partial: partial.into(),
            out: BufWriter::with_capacity(BUFFER, file),
            table: Table {
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

    /// Adds a song; `offset` and `tokens` are filled in here.
    pub(crate) fn add(&mut self, song: Song, records: &[Record]) -> Result<(), CorpusError> {
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

    /// Everything so far is on the disk.
    pub(crate) fn flush(&mut self) -> Result<(), CorpusError> {
        let flushed = self.out.flush();
        let flushed = flushed.and_then(|()| self.out.get_ref().sync_data());
        flushed.map_err(io_at(&self.partial))
    }

    /// Writes the table and puts the corpus in its place.
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

/// Makes an error of a file system's.
pub(crate) fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> CorpusError {
    let path: PathBuf = path.into();
    move |source| CorpusError::Io { path, source }
}
