//! Learning from files, MIDI or recordings: the queue of files, and the learned pieces. Owned by the
//! composer thread; [`open`] runs on a worker thread, one file at a time.
//!
//! A project keeps the notes, not the file names, so it sounds the same on another machine. It
//! keeps [`MAX_NOTES`] at most, and drops the oldest pieces beyond.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use continuo_engine::composer::SavedScore;
use continuo_files::kind;
use continuo_score::midi::MidiFile;
use continuo_score::quantise::Drums;
use continuo_score::{Score, midi};
use serde::{Deserialize, Serialize};

/// Number of notes in all pieces at most.
pub const MAX_NOTES: usize = 32_768;

/// Number of files in a folder at most.
const MAX_FILES: usize = 4_096;

/// Size of a MIDI file at most, in bytes. A recording may be of any length.
const MAX_BYTES: u64 = 8 << 20;

/// Number of refusals kept.
const MAX_REFUSALS: usize = 50;

/// A learned piece, as a project keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPiece {
    /// The file's name.
    pub name: String,
    /// Number of notes.
    pub notes: usize,
    piece: SavedScore,
}

impl SavedPiece {
    /// A piece with this name.
    pub fn new(name: impl Into<String>, score: &Score) -> Self {
        Self {
            name: name.into(),
            notes: score.notes.len(),
            piece: SavedScore::new(score),
        }
    }

    /// Its score; `None` if the saved form is invalid.
    pub fn score(&self) -> Option<Score> {
        let score = self.piece.score().ok()?;
        (score.notes.len() == self.notes && self.notes <= MAX_NOTES).then_some(score)
    }
}

/// Pieces that the player has not read.
#[derive(Debug, Default)]
pub struct UnreadPieces {
    /// New pieces.
    pub scores: Vec<Score>,
    /// Whether older pieces made room: the player learns all pieces from the beginning instead.
    pub evicted: bool,
}

/// Queue of files, learned pieces and refusals.
#[derive(Debug, Default)]
pub struct FileLearning {
    waiting: VecDeque<PathBuf>,
    /// The file that a worker opens.
    open: Option<PathBuf>,
    learned: Vec<SavedPiece>,
    /// Learned pieces that the player has not read.
    unread: UnreadPieces,
    refused: VecDeque<String>,
    /// Number of all refusals, also of those no longer kept.
    refusals: u64,
}

impl FileLearning {
    /// Enqueues files and folders.
    pub fn enqueue(&mut self, paths: Vec<PathBuf>) {
        self.waiting.extend(paths);
    }

    /// Number of files and folders in the queue or open.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + usize::from(self.open.is_some())
    }

    /// Learned pieces, oldest first.
    pub fn learned(&self) -> &[SavedPiece] {
        &self.learned
    }

    /// Refused files with the reason, and learned recordings with odd sound, oldest first, as lines for
    /// the user.
    pub fn refused(&self) -> impl Iterator<Item = &String> {
        self.refused.iter()
    }

    /// Number of all refusals since the last [`FileLearning::clear`], also of those no longer kept.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Clears pieces, queue and refusals.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Replaces the learned pieces by saved ones; the queue stays. Returns the number of invalid
    /// notes.
    pub fn restore(&mut self, learned: &[SavedPiece]) -> usize {
        self.learned.clear();
        let mut lost = 0;
        for piece in learned {
            match piece.score() {
                Some(_) => self.keep(piece.clone()),
                None => lost += piece.notes.max(1),
            }
        }
        self.unread = UnreadPieces::default();
        lost
    }

    /// Refuses all files in the queue for this reason.
    pub fn refuse_all(&mut self, why: &str) {
        if !self.waiting.is_empty() {
            self.waiting.clear();
            self.refuse(why.to_string());
        }
    }

    /// The file or folder that is open; `None` if the queue was cleared since.
    pub fn open_path(&self) -> Option<&Path> {
        self.open.as_deref()
    }

    /// The next file or folder to open; `None` while one is open.
    pub fn next_file(&mut self) -> Option<PathBuf> {
        if self.open.is_none() {
            self.open = self.waiting.pop_front();
            return self.open.clone();
        }
        None
    }

    /// Takes the result of [`open`]. Does nothing if the queue was cleared meanwhile.
    pub fn file_opened(&mut self, OpenedPath { path, contents }: OpenedPath) {
        if self.open.as_ref() != Some(&path) {
            return;
        }
        self.open = None;
        match contents {
            PathContents::Files { files, left_out } => {
                left_out.into_iter().for_each(|line| self.refuse(line));
                let files = files.into_iter().rev();
                files.for_each(|file| self.waiting.push_front(file));
            }
            PathContents::Piece(found) => {
                let (piece, score, odd) = *found;
                if self.learned.contains(&piece) {
                    self.refuse(format!("{}: learned already", path.display()));
                    return;
                }
                for line in odd {
                    self.refuse(format!("{}: {line}", path.display()));
                }
                self.keep(piece);
                self.unread.scores.push(score);
            }
            PathContents::Refused(why) => self.refuse(why),
        }
    }

    /// Whether [`FileLearning::unread`] returns pieces.
    pub fn has_unread(&self) -> bool {
        self.waiting() == 0 && !self.unread.scores.is_empty()
    }

    /// Removes and returns unread pieces, once the queue is empty.
    pub fn unread(&mut self) -> Option<UnreadPieces> {
        self.has_unread().then(|| std::mem::take(&mut self.unread))
    }

    fn keep(&mut self, piece: SavedPiece) {
        self.learned.push(piece);
        let mut notes: usize = self.learned.iter().map(|piece| piece.notes).sum();
        while notes > MAX_NOTES && self.learned.len() > 1 {
            notes -= self.learned.remove(0).notes;
            self.unread.evicted = true;
        }
    }

    fn refuse(&mut self, why: String) {
        if self.refused.len() == MAX_REFUSALS {
            self.refused.pop_front();
        }
        self.refused.push_back(why);
        self.refusals += 1;
    }
}

/// Result of opening a file or folder.
#[derive(Debug)]
pub struct OpenedPath {
    path: PathBuf,
    contents: PathContents,
}

#[derive(Debug)]
enum PathContents {
    /// Files of a folder, with lines about files left out.
    Files {
        files: Vec<PathBuf>,
        left_out: Vec<String>,
    },
    /// A piece, with lines about odd sound in its recording.
    Piece(Box<(SavedPiece, Score, Vec<String>)>),
    /// The reason for a refusal.
    Refused(String),
}

impl OpenedPath {
    /// A refusal.
    pub fn refused(path: PathBuf, why: String) -> Self {
        let contents = PathContents::Refused(why);
        Self { path, contents }
    }
}

/// Finds the notes of a recording (WAV, FLAC), or says why not. This crate has no model for it.
pub type Transcribe<'a> = &'a dyn Fn(&Path) -> Result<MidiFile, String>;

/// Opens a file or folder, with `steps_per_beat` grid steps per quarter note. With `has_parts` its notes
/// have their parts, for a player that knows them; without, drums are left out. A large MIDI file takes
/// some hundred milliseconds, a recording as long as `transcribe` needs. Any thread.
pub fn open(
    path: PathBuf,
    steps_per_beat: u32,
    has_parts: bool,
    transcribe: Transcribe,
) -> OpenedPath {
    let name = path.display();
    let contents = if path.is_dir() {
        match midi::music_in(&path, MAX_FILES) {
            Ok(found) if found.files.is_empty() => {
                PathContents::Refused(format!("{name}: no MIDI, WAV or FLAC files in this folder"))
            }
            Ok(found) if found.files.len() > MAX_FILES => PathContents::Refused(format!(
                "{name}: more than {MAX_FILES} MIDI, WAV and FLAC files; choose fewer"
            )),
            Ok(found) => PathContents::Files {
                left_out: found.summary(&path),
                files: found.files,
            },
            Err(why) => PathContents::Refused(why.to_string()),
        }
    } else {
        match read(&path, steps_per_beat, has_parts, transcribe) {
            Ok(piece) => PathContents::Piece(Box::new(piece)),
            Err(why) => PathContents::Refused(why),
        }
    };
    OpenedPath { path, contents }
}

fn read(
    path: &Path,
    steps_per_beat: u32,
    has_parts: bool,
    transcribe: Transcribe,
) -> Result<(SavedPiece, Score, Vec<String>), String> {
    let refused = |why: String| format!("{}: {why}", path.display());
    let data = fs::metadata(path).map_err(|e| refused(e.to_string()))?;
    // Reading a pipe would block the thread.
    if !data.is_file() {
        return Err(refused("no file".into()));
    }
    let (file, odd) = if kind::is_audio_file(path) {
        let mut file = transcribe(path)?;
        let odd = std::mem::take(&mut file.warnings);
        (file, odd)
    } else {
        let file = read_midi(path, data.len()).map_err(refused)?;
        (file, Vec::new())
    };
    let mut score = match has_parts {
        true => Score::from_midi_parts(&file, steps_per_beat),
        false => Score::from_midi(&file, steps_per_beat, Drums::Drop),
    };
    score.end_with_music();
    match score.notes.len() {
        0 if !has_parts => Err(refused("no notes in it, drums aside".into())),
        0 => Err(refused("no notes in it".into())),
        notes if notes > MAX_NOTES => Err(refused(format!(
            "{notes} notes are more than the {MAX_NOTES} there is room for; cut it into pieces"
        ))),
        _ => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            let piece = SavedPiece::new(name.to_string_lossy(), &score);
            Ok((piece, score, odd))
        }
    }
}

fn read_midi(path: &Path, bytes: u64) -> Result<MidiFile, String> {
    if bytes > MAX_BYTES {
        let other = kind::refuse_music_file(path);
        return Err(other.unwrap_or_else(|| format!("{bytes} bytes are no piece of music")));
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    // The pedal lengthens notes, as in live input.
    let pedal = midi::Pedal::Lengthen;
    let file = midi::read(&bytes, &midi::ReadOptions { pedal });
    file.map_err(|e| format!("{}: {e}", kind::refuse_music(&bytes)))
}

#[cfg(test)]
mod tests;
