//! Journal of an encoding, FILE.journal: a line of JSON that identifies the encoding, then one for
//! every finished batch of files. The songs are in a file beside it that the journal names. A
//! killed encoding resumes after the last complete line.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::data::corpus::{CorpusError, HEADER, RECORD, Song, hash};
use crate::data::corpus_writer::io_at;
use crate::data::dedup::Fingerprint;
use crate::data::skipped::Skipped;

/// Identity of an encoding; only the same encoding is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalKey {
    /// Vocabulary, split and version of this program, as text.
    pub(crate) options: String,
    /// Hash of the files' names, sizes and modification times.
    pub(crate) sources: u64,
}

/// First line of a journal.
#[derive(Serialize, Deserialize)]
struct JournalHeader {
    #[serde(flatten)]
    key: JournalKey,
    /// Name of the file with the songs, in the journal's folder. Journals of earlier builds have
    /// none: their file is FILE.partial.
    #[serde(default)]
    partial: Option<String>,
}

/// Result of a batch of files.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct EncodedBatch {
    pub(crate) files: usize,
    pub(crate) songs: Vec<(Song, Fingerprint)>,
    pub(crate) skipped: Vec<Skipped>,
}

/// The open journal. It is locked, because two encodings into one file would damage each other.
pub(crate) struct Journal {
    path: PathBuf,
    out: File,
    partial: PathBuf,
}

impl Journal {
    /// Opens the journal of the corpus at `corpus`, and returns the batches done already: none,
    /// unless the key is the same and the songs are complete.
    ///
    /// # Errors
    /// FILE.journal is no journal, is in use by another encoding, or cannot be written.
    pub(crate) fn open(
        corpus: &Path,
        key: &JournalKey,
    ) -> Result<(Self, EncodedBatch), CorpusError> {
        let path = beside(corpus, ".journal");
        let mut options = File::options();
        let options = options.create(true).truncate(false).read(true).write(true);
        let mut out = options.open(&path).map_err(io_at(&path))?;
        match out.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(CorpusError::InUse(corpus.into())),
            // A file system without locks cannot tell whether another program uses the file.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map_err(io_at(&path))?;
        let old = SavedJournal::read(&bytes);
        // A journal that was interrupted in its first line holds only the beginning of it.
        if old.is_none() && !(bytes.is_empty() || bytes.starts_with(b"{\"options\":")) {
            return Err(CorpusError::NotAJournal(path));
        }
        let partial_of = |old: &SavedJournal| partial_path(corpus, old.header.partial.as_deref());
        let resumed = old.as_ref().and_then(|old| {
            let partial = partial_of(old)?;
            let done = (old.header.key == *key).then(|| old.done(&partial))??;
            (done.files > 0).then_some((partial, done, old.whole))
        });
        if let Some((partial, done, whole)) = resumed {
            // An incomplete last line is done again.
            let cut = out.set_len(whole as u64);
            cut.and_then(|()| out.seek(SeekFrom::End(0)))
                .map_err(io_at(&path))?;
            return Ok((Self { path, out, partial }, done));
        }
        // The songs of another encoding are useless now, and its journal proves that `encode` wrote
        // them.
        if let Some(partial) = old.as_ref().and_then(partial_of) {
            let _ = fs::remove_file(partial);
        }
        let partial = new_partial(corpus).map_err(io_at(corpus))?;
        let emptied = out.set_len(0).and_then(|()| out.rewind());
        emptied.map_err(io_at(&path))?;
        let name = partial.file_name().unwrap_or_default();
        let header = JournalHeader {
            key: key.clone(),
            partial: Some(name.to_string_lossy().into_owned()),
        };
        let mut journal = Self { path, out, partial };
        match journal.line(&header) {
            Ok(()) => Ok((journal, EncodedBatch::default())),
            Err(why) => {
                // There is nothing yet to go on with.
                journal.discard();
                Err(why)
            }
        }
    }

    /// File of the songs until the corpus is complete.
    pub(crate) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Adds a batch whose songs are written and flushed.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn add(&mut self, batch: &EncodedBatch) -> Result<(), CorpusError> {
        self.line(batch)
    }

    fn line(&mut self, of: &impl Serialize) -> Result<(), CorpusError> {
        // Structs of numbers and strings always serialise.
        let mut line = serde_json::to_vec(of).unwrap_or_default();
        line.push(b'\n');
        let written = self.out.write_all(&line);
        written.map_err(io_at(&self.path))
    }

    /// Removes the journal and the songs file: the corpus is complete or given up.
    pub(crate) fn discard(self) {
        // A journal that stays is harmless: its songs are gone.
        let _ = fs::remove_file(&self.partial);
        let _ = fs::remove_file(&self.path);
    }
}

/// A journal that an earlier encoding left.
struct SavedJournal {
    header: JournalHeader,
    batches: Vec<EncodedBatch>,
    /// Bytes of its complete lines.
    whole: usize,
}

impl SavedJournal {
    fn read(bytes: &[u8]) -> Option<Self> {
        let whole = bytes.iter().rposition(|&byte| byte == b'\n')? + 1;
        let text = std::str::from_utf8(&bytes[..whole]).ok()?;
        let mut lines = text.lines();
        let header = serde_json::from_str(lines.next()?).ok()?;
        // A malformed line makes the whole journal unusable.
        let batches = lines.map(serde_json::from_str).collect::<Result<_, _>>();
        let batches = batches.unwrap_or_default();
        Some(Self {
            header,
            batches,
            whole,
        })
    }

    /// All batches together; `None` if `partial` does not hold their songs.
    fn done(&self, partial: &Path) -> Option<EncodedBatch> {
        let mut done = EncodedBatch::default();
        for batch in &self.batches {
            done.files += batch.files;
            done.songs.extend_from_slice(&batch.songs);
            done.skipped.extend_from_slice(&batch.skipped);
        }
        let tokens = done.songs.last().map_or(0, |(s, _)| s.offset + s.tokens);
        let bytes = fs::metadata(partial).ok()?.len();
        (bytes >= HEADER as u64 + tokens * RECORD as u64).then_some(done)
    }
}

/// Path of a journal's songs; only a file beside the corpus is accepted.
fn partial_path(corpus: &Path, partial: Option<&str>) -> Option<PathBuf> {
    let Some(name) = partial else {
        return Some(beside(corpus, ".partial"));
    };
    let own = corpus.file_name()?.to_string_lossy();
    let is_own = name.starts_with(&*own) && name.ends_with(".partial");
    let is_name = Path::new(name).file_name() == Some(name.as_ref());
    (is_own && is_name).then(|| corpus.with_file_name(name))
}

/// Creates a file for songs beside the corpus. It stays when this process ends.
fn new_partial(corpus: &Path) -> std::io::Result<PathBuf> {
    let mut prefix = corpus.file_name().unwrap_or_default().to_os_string();
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".partial");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let folder = match corpus.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (_, path) = builder.tempfile_in(folder)?.keep().map_err(|e| e.error)?;
    Ok(path)
}

/// Path of `corpus` with a suffix added to its name.
pub(crate) fn beside(corpus: &Path, suffix: &str) -> PathBuf {
    let mut name = corpus.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    corpus.with_file_name(name)
}

/// Hash of the names, sizes and modification times of files.
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
        // Hashed file by file, so that 200,000 names need no memory.
        all = hash(all.iter().copied()).to_le_bytes().to_vec();
    }
    hash(all)
}
