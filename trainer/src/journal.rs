//! How far an encoding has come, in FILE.journal: a line of JSON for what is encoded and where,
//! then one for every batch of files. The songs are in a file beside it whose name the journal
//! says. A killed encoding goes on after the last whole line.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::corpus::{CorpusError, HEADER, RECORD, Song, hash};
use crate::encode::Skipped;
use crate::near::Print;
use crate::writer::io_at;

/// What must be the same for an encoding to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The vocabulary, the split and this program's version, as text.
    pub(crate) options: String,
    /// Hash of the files: names, sizes, times of change.
    pub(crate) sources: u64,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Title {
    #[serde(flatten)]
    task: Task,
    /// The name of the file with the songs, in the journal's folder. Journals of earlier builds
    /// have none: there it is FILE.partial.
    #[serde(default)]
    partial: Option<String>,
}

/// What came of some files.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) files: usize,
    pub(crate) songs: Vec<(Song, Print)>,
    pub(crate) skipped: Vec<Skipped>,
}

/// The open journal, locked: two encodings into one file would spoil each other's songs.
pub(crate) struct Journal {
    path: PathBuf,
    out: File,
    partial: PathBuf,
}

impl Journal {
    /// The journal of the corpus at `corpus`, and what it says was done already: nothing,
    /// unless it is of the same task and the songs are there.
    ///
    /// # Errors
    /// When FILE.journal is no journal, is in use by another encoding, or cannot be written.
    pub(crate) fn open(corpus: &Path, task: &Task) -> Result<(Self, Batch), CorpusError> {
        let path = beside(corpus, ".journal");
        let mut options = File::options();
        let options = options.create(true).truncate(false).read(true).write(true);
        let mut out = options.open(&path).map_err(io_at(&path))?;
        match out.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(CorpusError::InUse(corpus.into())),
            // A file system without locks is used by one program, as far as anybody can know.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map_err(io_at(&path))?;
        let old = Old::read(&bytes);
        // One that was stopped within its first line has nothing but its beginning.
        if old.is_none() && !(bytes.is_empty() || bytes.starts_with(b"{\"options\":")) {
            return Err(CorpusError::NoJournal(path));
        }
        let place = |old: &Old| place(corpus, old.title.partial.as_deref());
        let resumed = old.as_ref().and_then(|old| {
            let partial = place(old)?;
            let done = (old.title.task == *task).then(|| old.done(&partial))??;
            (done.files > 0).then_some((partial, done, old.whole))
        });
        if let Some((partial, done, whole)) = resumed {
            // What the last line lacks is done again.
            let cut = out.set_len(whole as u64);
            cut.and_then(|()| out.seek(SeekFrom::End(0)))
                .map_err(io_at(&path))?;
            return Ok((Self { path, out, partial }, done));
        }
        // Another task's songs are of no use any more, and its journal says that they are ours.
        if let Some(partial) = old.as_ref().and_then(place) {
            let _ = fs::remove_file(partial);
        }
        let partial = new_partial(corpus).map_err(io_at(corpus))?;
        let emptied = out.set_len(0).and_then(|()| out.rewind());
        emptied.map_err(io_at(&path))?;
        let name = partial.file_name().unwrap_or_default();
        let title = Title {
            task: task.clone(),
            partial: Some(name.to_string_lossy().into_owned()),
        };
        let mut journal = Self { path, out, partial };
        match journal.line(&title) {
            Ok(()) => Ok((journal, Batch::default())),
            Err(why) => {
                // There is nothing yet to go on with.
                journal.discard();
                Err(why)
            }
        }
    }

    /// Where the songs are until the corpus is whole.
    pub(crate) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Adds a batch whose songs have been written and flushed.
    pub(crate) fn add(&mut self, batch: &Batch) -> Result<(), CorpusError> {
        self.line(batch)
    }

    fn line(&mut self, of: &impl Serialize) -> Result<(), CorpusError> {
        // Structs of numbers and strings always serialise.
        let mut line = serde_json::to_vec(of).unwrap_or_default();
        line.push(b'\n');
        let written = self.out.write_all(&line);
        written.map_err(io_at(&self.path))
    }

    /// Removes it, and the songs if they are not in their place: the corpus is whole, or given up.
    pub(crate) fn discard(self) {
        // A journal that stays is of no harm: its songs are gone.
        let _ = fs::remove_file(&self.partial);
        let _ = fs::remove_file(&self.path);
    }
}

/// A journal that an earlier encoding left.
struct Old {
    title: Title,
    batches: Vec<Batch>,
    /// Bytes of its whole lines.
    whole: usize,
}

impl Old {
    fn read(bytes: &[u8]) -> Option<Self> {
        let whole = bytes.iter().rposition(|&byte| byte == b'\n')? + 1;
        let text = std::str::from_utf8(&bytes[..whole]).ok()?;
        let mut lines = text.lines();
        let title = serde_json::from_str(lines.next()?).ok()?;
        // A line that makes no sense ends what can be gone on with: nothing can.
        let batches = lines.map(serde_json::from_str).collect::<Result<_, _>>();
        let batches = batches.unwrap_or_default();
        Some(Self {
            title,
            batches,
            whole,
        })
    }

    /// All batches together, if their songs are in `partial`.
    fn done(&self, partial: &Path) -> Option<Batch> {
        let mut done = Batch::default();
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

/// Where the songs of a journal are: beside the corpus, whatever the journal says.
fn place(corpus: &Path, partial: Option<&str>) -> Option<PathBuf> {
    let Some(name) = partial else {
        return Some(beside(corpus, ".partial"));
    };
    let own = corpus.file_name()?.to_string_lossy();
    let is_own = name.starts_with(&*own) && name.ends_with(".partial");
    let is_name = Path::new(name).file_name() == Some(name.as_ref());
    (is_own && is_name).then(|| corpus.with_file_name(name))
}

/// A new file for songs beside the corpus. It stays when this process ends, whatever ends it.
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

/// The name of something that belongs to `corpus`.
pub(crate) fn beside(corpus: &Path, suffix: &str) -> PathBuf {
    let mut name = corpus.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    corpus.with_file_name(name)
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
