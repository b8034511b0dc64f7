//! What an instance learns from MIDI files. Owned by the composer thread; files are opened one
//! at a time on a thread beside it ([`open`]), and the audio thread knows nothing of it.
//!
//! A project keeps the notes themselves, not the files' names: it sounds the same on another
//! machine, and when the files are gone. No more than [`MAX_NOTES`] are kept; beyond, the oldest
//! pieces are let go of.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use continuo_engine::composer::SavedScore;
use continuo_score::quantise::Drums;
use continuo_score::{Score, midi};
use serde::{Deserialize, Serialize};

/// Notes of all pieces together, at most.
pub const MAX_NOTES: usize = 32_768;

/// Files of one folder, at most.
const MAX_FILES: usize = 4_096;

/// Bytes of one file, at most: far more than any piece of music.
const MAX_BYTES: u64 = 8 << 20;

/// Refusals remembered.
const MAX_REFUSALS: usize = 50;

/// A piece that was learned, as a project keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPiece {
    /// What it is called: the file's name.
    pub name: String,
    /// How many notes it has.
    pub notes: usize,
    piece: SavedScore,
}

impl SavedPiece {
    /// A piece of this name.
    pub fn new(name: impl Into<String>, score: &Score) -> Self {
        Self {
            name: name.into(),
            notes: score.notes.len(),
            piece: SavedScore::new(score),
        }
    }

    /// Its music. `None` where what a project kept makes no sense.
    pub fn score(&self) -> Option<Score> {
        let score = self.piece.score().ok()?;
        (score.notes.len() == self.notes && self.notes <= MAX_NOTES).then_some(score)
    }
}

/// What a player is to read.
#[derive(Debug, Default)]
pub struct UnreadPieces {
    /// New pieces.
    pub scores: Vec<Score>,
    /// Older ones made room for them: all that is kept is to be learned anew instead.
    pub evicted: bool,
}

/// The files still to be read, and what came of the others.
#[derive(Debug, Default)]
pub struct FileLearning {
    waiting: VecDeque<PathBuf>,
    /// The file that is being opened.
    open: Option<PathBuf>,
    learned: Vec<SavedPiece>,
    /// Of the learned, what the player was not given yet.
    unread: UnreadPieces,
    refused: VecDeque<String>,
}

impl FileLearning {
    /// Files, or folders of them, are to be learned, in this order.
    pub fn enqueue(&mut self, paths: Vec<PathBuf>) {
        self.waiting.extend(paths);
    }

    /// Files and folders not looked at yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + usize::from(self.open.is_some())
    }

    /// What was learned, oldest first.
    pub fn learned(&self) -> &[SavedPiece] {
        &self.learned
    }

    /// Files that were refused, each a line that says why, oldest first.
    pub fn refused(&self) -> impl Iterator<Item = &String> {
        self.refused.iter()
    }

    /// Everything is forgotten, also what was still to be learned.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// What a project kept takes the place of what was learned; what waits goes on waiting. Gives
    /// how many notes of it made no sense.
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

    /// Nothing that waits can be learned, for this reason.
    pub fn refuse_all(&mut self, why: &str) {
        if !self.waiting.is_empty() {
            self.waiting.clear();
            self.refuse(why.to_string());
        }
    }

    /// The next file or folder to open, unless one is open.
    pub fn next_file(&mut self) -> Option<PathBuf> {
        if self.open.is_none() {
            self.open = self.waiting.pop_front();
            return self.open.clone();
        }
        None
    }

    /// What was found in it. Does nothing where everything was forgotten meanwhile.
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

    /// Whether [`FileLearning::unread`] gives something.
    pub fn has_unread(&self) -> bool {
        self.waiting() == 0 && !self.unread.scores.is_empty()
    }

    /// What is new, once nothing waits any more.
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

/// What was found where a file or a folder was to be opened.
#[derive(Debug)]
pub struct OpenedPath {
    path: PathBuf,
    contents: PathContents,
}

#[derive(Debug)]
enum PathContents {
    /// The files of a folder, and lines about what in it was left out.
    Files {
        files: Vec<PathBuf>,
        left_out: Vec<String>,
    },
    Piece(Box<(SavedPiece, Score)>),
    /// Why nothing is learned from it.
    Refused(String),
}

impl OpenedPath {
    /// A file or folder of which nothing is learned.
    pub fn refused(path: PathBuf, why: String) -> Self {
        let contents = PathContents::Refused(why);
        Self { path, contents }
    }
}

/// Opens a file or a folder of them. A piece has a grid of so many steps a quarter note. A large
/// file takes some hundred milliseconds. Any thread.
pub fn open(path: PathBuf, steps_per_beat: u32) -> OpenedPath {
    let name = path.display();
    let contents = if path.is_dir() {
        match midi::files_in(&path, MAX_FILES) {
            Ok(found) if found.files.is_empty() => {
                PathContents::Refused(format!("{name}: no MIDI files in this folder"))
            }
            Ok(found) if found.files.len() > MAX_FILES => PathContents::Refused(format!(
                "{name}: more than {MAX_FILES} MIDI files; choose fewer"
            )),
            Ok(found) => PathContents::Files {
                left_out: found.summary(&path),
                files: found.files,
            },
            Err(why) => PathContents::Refused(why.to_string()),
        }
    } else {
        match read(&path, steps_per_beat) {
            Ok(piece) => PathContents::Piece(Box::new(piece)),
            Err(why) => PathContents::Refused(why),
        }
    };
    OpenedPath { path, contents }
}

fn read(path: &Path, steps_per_beat: u32) -> Result<(SavedPiece, Score), String> {
    let refused = |why: String| format!("{}: {why}", path.display());
    let data = fs::metadata(path).map_err(|e| refused(e.to_string()))?;
    // A pipe would make the composer thread wait.
    if !data.is_file() {
        return Err(refused("no file".into()));
    }
    let bytes = data.len();
    if bytes > MAX_BYTES {
        return Err(refused(format!("{bytes} bytes are no piece of music")));
    }
    // The pedal is heard as it is when played live. The error names the file itself.
    let pedal = midi::Pedal::Lengthen;
    let file =
        midi::read_file_with(path, &midi::ReadOptions { pedal }).map_err(|e| e.to_string())?;
    let score = Score::from_midi(&file, steps_per_beat, Drums::Drop);
    match score.notes.len() {
        0 => Err(refused("no notes in it, drums aside".into())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::{Note, tune};

    /// A file of `notes` notes, none like those of another `first`.
    fn write(path: &Path, notes: u32, first: u32) {
        let mut score = Score::new(12);
        score.notes.extend((0..notes).map(|n| Note {
            start: (n + first) * 3,
            length: 3,
            pitch: 40 + (n % 40) as u8,
            velocity: 80,
        }));
        score.normalise();
        score.to_midi().write_file(path).unwrap();
    }

    /// What there is to read, once all files are open: how many pieces, and whether they crowd.
    fn all(file_learning: &mut FileLearning) -> Option<(usize, bool)> {
        while file_learning.waiting() > 0 {
            assert!(file_learning.unread().is_none());
            let path = file_learning.next_file().unwrap();
            assert!(file_learning.unread().is_none() && file_learning.next_file().is_none());
            file_learning.file_opened(open(path, 12));
        }
        let unread = file_learning.unread()?;
        Some((unread.scores.len(), unread.evicted))
    }

    #[test]
    fn files_and_folders_are_learned_and_the_rest_is_refused_by_name() {
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
        // `c` has the notes of `a`, yet is another piece to its player.
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
    fn the_newest_are_kept_where_there_is_no_room_for_all() {
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
    fn a_project_brings_them_back_and_nonsense_is_counted() {
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
}
