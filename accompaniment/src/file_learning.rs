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

    /// Refused files with the reason, oldest first, as lines for the user.
    pub fn refused(&self) -> impl Iterator<Item = &String> {
        self.refused.iter()
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
                let (piece, score) = *found;
                if self.learned.contains(&piece) {
                    self.refuse(format!("{}: learned already", path.display()));
                    return;
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
    Piece(Box<(SavedPiece, Score)>),
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
) -> Result<(SavedPiece, Score), String> {
    let refused = |why: String| format!("{}: {why}", path.display());
    let data = fs::metadata(path).map_err(|e| refused(e.to_string()))?;
    // Reading a pipe would block the thread.
    if !data.is_file() {
        return Err(refused("no file".into()));
    }
    let file = if kind::is_audio_file(path) {
        transcribe(path)?
    } else {
        read_midi(path, data.len()).map_err(refused)?
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
            Ok((piece, score))
        }
    }
}

fn read_midi(path: &Path, bytes: u64) -> Result<MidiFile, String> {
    if bytes > MAX_BYTES {
        return Err(format!("{bytes} bytes are no piece of music"));
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    // The pedal lengthens notes, as in live input.
    let pedal = midi::Pedal::Lengthen;
    let file = midi::read(&bytes, &midi::ReadOptions { pedal });
    file.map_err(|e| format!("{}: {e}", kind::refuse_music(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::{Note, tune};

    /// Opens a file where there is no way to the notes of recordings.
    fn open(path: PathBuf, steps_per_beat: u32, has_parts: bool) -> OpenedPath {
        let deaf = |path: &Path| Err(format!("{}: no ear", path.display()));
        super::open(path, steps_per_beat, has_parts, &deaf)
    }

    /// Writes a file of `notes` notes, which differ for each `first`.
    fn write(path: &Path, notes: u32, first: u32) {
        let mut score = Score::new(12);
        score.notes.extend((0..notes).map(|n| Note {
            start: (n + first) * 3,
            length: 3,
            pitch: 40 + (n % 40) as u8,
            velocity: 80,
            ..Note::default()
        }));
        score.normalise();
        score.to_midi().write_file(path).unwrap();
    }

    /// Opens all files. Returns the number of unread pieces, and whether older ones were evicted.
    fn all(file_learning: &mut FileLearning) -> Option<(usize, bool)> {
        while file_learning.waiting() > 0 {
            assert!(file_learning.unread().is_none());
            let path = file_learning.next_file().unwrap();
            assert!(file_learning.unread().is_none() && file_learning.next_file().is_none());
            file_learning.file_opened(open(path, 12, false));
        }
        let unread = file_learning.unread()?;
        Some((unread.scores.len(), unread.evicted))
    }

    #[test]
    fn silence_at_the_end_of_a_file_is_not_learned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("silence.mid");
        let mut score = tune::minuet();
        let length = score.length;
        score.length += 10_000;
        score.to_midi().write_file(&path).unwrap();
        let PathContents::Piece(piece) = open(path, 12, false).contents else {
            panic!("not learned");
        };
        assert_eq!(piece.1.length, length);
    }

    #[test]
    fn files_and_folders_are_learned_and_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        tune::minuet().to_midi().write_file(&at("b.MID")).unwrap();
        fs::create_dir(at("deeper")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        write(&at("deeper/c.midi"), 9, 0);
        write(&at("a.mid"), 9, 0);
        write(&at("none.mid"), 0, 0);
        fs::write(at("broken.mid"), b"MThd no more").unwrap();
        fs::write(at("notes.txt"), b"not looked at").unwrap();

        let mut file_learning = FileLearning::default();
        file_learning.enqueue(vec![folder.path().into(), at("gone.mid"), at("empty")]);
        let taken = all(&mut file_learning);
        let names: Vec<_> = file_learning
            .learned()
            .iter()
            .map(|l| l.name.as_str())
            .collect();
        // `c` has the notes of `a`, yet counts as another piece.
        assert_eq!(names, ["a.mid", "b.MID", "c.midi"]);
        assert_eq!(taken, Some((3, false)));
        let refused: Vec<_> = file_learning.refused().cloned().collect();
        assert_eq!(refused.len(), 4, "{refused:?}");
        for (line, name) in refused.iter().zip(["broken", "none", "gone", "empty"]) {
            assert!(line.contains(name), "{line}");
        }

        file_learning.enqueue(vec![at("a.mid")]);
        assert_eq!(all(&mut file_learning), None);
        assert!(file_learning.refused().last().unwrap().contains("already"));
        file_learning.clear();
        assert_eq!(
            (
                file_learning.learned().len(),
                file_learning.refused().count()
            ),
            (0, 0)
        );
    }

    #[test]
    fn recordings_are_learned_by_their_content_and_may_lie_beside_midi_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("a.mid"), 9, 0);
        // A recording may have more bytes than a MIDI file.
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        bytes.resize(MAX_BYTES as usize + 1, 0);
        fs::write(at("b.wav"), bytes).unwrap();
        fs::write(at("c.mid"), b"fLaC, whatever its name").unwrap();
        fs::write(at("d.wav"), b"ID3\x04").unwrap();
        let transcribe = |path: &Path| match path == at("b.wav") {
            true => Ok(tune::minuet().to_midi()),
            false => Err(format!("{}: the ear's model is missing", path.display())),
        };
        let mut file_learning = FileLearning::default();
        file_learning.enqueue(vec![folder.path().into()]);
        while let Some(path) = file_learning.next_file() {
            file_learning.file_opened(super::open(path, 12, false, &transcribe));
        }
        let learned = file_learning.learned().iter();
        let learned: Vec<_> = learned.map(|l| (l.name.as_str(), l.notes)).collect();
        assert_eq!(
            learned,
            [("a.mid", 9), ("b.wav", tune::minuet().notes.len())]
        );
        let refused: Vec<_> = file_learning.refused().cloned().collect();
        let missing = format!("{}: the ear's model is missing", at("c.mid").display());
        assert_eq!((refused.len(), &refused[0]), (2, &missing));
        assert!(
            refused[1].contains("d.wav: not a MIDI, WAV or FLAC file, but an MP3 file"),
            "{refused:?}"
        );
    }

    #[test]
    fn newest_pieces_are_kept_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut file_learning = FileLearning::default();
        for number in 0..4 {
            let path = folder.path().join(format!("{number}.mid"));
            write(&path, MAX_NOTES as u32 / 3, number);
            file_learning.enqueue(vec![path]);
        }
        assert_eq!(all(&mut file_learning), Some((4, true)));
        let names: Vec<_> = file_learning
            .learned()
            .iter()
            .map(|l| l.name.as_str())
            .collect();
        assert_eq!(names, ["1.mid", "2.mid", "3.mid"]);
        let long = folder.path().join("long.mid");
        write(&long, MAX_NOTES as u32 + 1, 0);
        file_learning.enqueue(vec![long]);
        assert_eq!(all(&mut file_learning), None);
        assert!(file_learning.refused().last().unwrap().contains("cut it"));
    }

    #[test]
    fn saved_pieces_are_restored_and_invalid_notes_counted() {
        let minuet = SavedPiece::new("minuet", &tune::minuet());
        let json = serde_json::to_value(&minuet).unwrap();
        let read: SavedPiece = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read, minuet);
        assert_eq!(read.score().unwrap().notes, tune::minuet().notes);
        let mut wrong = json;
        wrong["piece"]["notes"][0][2] = 200.into();
        let wrong: SavedPiece = serde_json::from_value(wrong).unwrap();
        let mut file_learning = FileLearning::default();
        let lost = file_learning.restore(&[wrong.clone(), minuet.clone()]);
        assert_eq!(
            (lost, file_learning.learned()),
            (wrong.notes, &[minuet][..])
        );
    }

    #[test]
    fn learned_file_has_its_parts_where_the_player_knows_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drums.mid");
        let mut score = Score::new(12);
        score.notes.extend((0..8).map(|beat| continuo_score::Note {
            start: 12 * beat,
            length: 1,
            pitch: 36,
            velocity: 90,
            part: continuo_score::Part::Drums,
        }));
        score.normalise();
        score.to_midi().write_file(&path).unwrap();
        let PathContents::Piece(piece) = open(path.clone(), 12, true).contents else {
            panic!("not learned");
        };
        assert!(piece.1.notes.iter().all(|n| !n.part.is_pitched()));
        let saved = piece.0.score().unwrap();
        assert_eq!(saved.notes, piece.1.notes, "a project keeps the parts");
        let PathContents::Refused(why) = open(path, 12, false).contents else {
            panic!("learned");
        };
        assert!(why.contains("drums aside"), "{why}");
    }
}
