//! What an instance learns from MIDI files. Owned by the composer thread; files are opened one
//! at a time on a thread beside it ([`open`]), and the audio thread knows nothing of it.
//!
//! A project keeps the notes themselves, not the files' names: it sounds the same on another
//! machine, and when the files are gone. No more than [`MOST_NOTES`] are kept; beyond, the oldest
//! pieces are let go of.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use continuo_engine::composer::SavedScore;
use continuo_score::quantise::Drums;
use continuo_score::{Score, midi};
use serde::{Deserialize, Serialize};

/// Notes of all pieces together, at most.
pub const MOST_NOTES: usize = 32_768;

/// Files of one folder, at most.
const MOST_FILES: usize = 4_096;

/// Bytes of one file, at most: far more than any piece of music.
const MOST_BYTES: u64 = 8 << 20;

/// Refusals remembered.
const MOST_REFUSALS: usize = 50;

/// A piece that was learned, as a project keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// What it is called: the file's name.
    pub name: String,
    /// How many notes it has.
    pub notes: usize,
    piece: SavedScore,
}

impl Learned {
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
        (score.notes.len() == self.notes && self.notes <= MOST_NOTES).then_some(score)
    }
}

/// What a player is to read.
#[derive(Debug, Default)]
pub struct Fresh {
    /// New pieces.
    pub scores: Vec<Score>,
    /// Older ones made room for them: all that is kept is to be learned anew instead.
    pub crowded: bool,
}

/// The files still to be read, and what came of the others.
#[derive(Debug, Default)]
pub struct LearnedFiles {
    waiting: VecDeque<PathBuf>,
    /// The file that is being opened.
    open: Option<PathBuf>,
    learned: Vec<Learned>,
    /// Of the learned, what the player was not given yet.
    fresh: Fresh,
    refused: VecDeque<String>,
}

impl LearnedFiles {
    /// Files, or folders of them, are to be learned, in this order.
    pub fn ask(&mut self, paths: Vec<PathBuf>) {
        self.waiting.extend(paths);
    }

    /// Files and folders not looked at yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + usize::from(self.open.is_some())
    }

    /// What was learned, oldest first.
    pub fn learned(&self) -> &[Learned] {
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
    pub fn restore(&mut self, learned: &[Learned]) -> usize {
        self.learned.clear();
        let mut lost = 0;
        for piece in learned {
            match piece.score() {
                Some(_) => self.keep(piece.clone()),
                None => lost += piece.notes.max(1),
            }
        }
        self.fresh = Fresh::default();
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
    pub fn opened(&mut self, Opened { path, found }: Opened) {
        if self.open.as_ref() != Some(&path) {
            return;
        }
        self.open = None;
        match found {
            Found::Files { files, left_out } => {
                left_out.into_iter().for_each(|line| self.refuse(line));
                let files = files.into_iter().rev();
                files.for_each(|file| self.waiting.push_front(file));
            }
            Found::Piece(found) => {
                let (piece, score) = *found;
                if self.learned.contains(&piece) {
                    self.refuse(format!("{}: learned already", path.display()));
                    return;
                }
                self.keep(piece);
                self.fresh.scores.push(score);
            }
            Found::Nothing(why) => self.refuse(why),
        }
    }

    /// Whether [`LearnedFiles::fresh`] gives something.
    pub fn has_fresh(&self) -> bool {
        self.waiting() == 0 && !self.fresh.scores.is_empty()
    }

    /// What is new, once nothing waits any more.
    pub fn fresh(&mut self) -> Option<Fresh> {
        self.has_fresh().then(|| std::mem::take(&mut self.fresh))
    }

    fn keep(&mut self, piece: Learned) {
        self.learned.push(piece);
        let mut notes: usize = self.learned.iter().map(|piece| piece.notes).sum();
        while notes > MOST_NOTES && self.learned.len() > 1 {
            notes -= self.learned.remove(0).notes;
            self.fresh.crowded = true;
        }
    }

    fn refuse(&mut self, why: String) {
        if self.refused.len() == MOST_REFUSALS {
            self.refused.pop_front();
        }
        self.refused.push_back(why);
    }
}

/// What was found where a file or a folder was to be opened.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    found: Found,
}

#[derive(Debug)]
enum Found {
    /// The files of a folder, and lines about what in it was left out.
    Files {
        files: Vec<PathBuf>,
        left_out: Vec<String>,
    },
    Piece(Box<(Learned, Score)>),
    /// Why nothing is learned from it.
    Nothing(String),
}

impl Opened {
    /// A file or folder of which nothing is learned.
    pub fn nothing(path: PathBuf, why: String) -> Self {
        let found = Found::Nothing(why);
        Self { path, found }
    }
}

/// Opens a file or a folder of them. A piece has a grid of so many steps a quarter note. A large
/// file takes some hundred milliseconds. Any thread.
pub fn open(path: PathBuf, steps_per_beat: u32) -> Opened {
    let name = path.display();
    let found = if path.is_dir() {
        match midi::files_in(&path, MOST_FILES) {
            Ok(found) if found.files.is_empty() => {
                Found::Nothing(format!("{name}: no MIDI files in this folder"))
            }
            Ok(found) if found.files.len() > MOST_FILES => Found::Nothing(format!(
                "{name}: more than {MOST_FILES} MIDI files; choose fewer"
            )),
            Ok(found) => Found::Files {
                left_out: found.summary(&path),
                files: found.files,
            },
            Err(why) => Found::Nothing(why.to_string()),
        }
    } else {
        match read(&path, steps_per_beat) {
            Ok(piece) => Found::Piece(Box::new(piece)),
            Err(why) => Found::Nothing(why),
        }
    };
    Opened { path, found }
}

fn read(path: &Path, steps_per_beat: u32) -> Result<(Learned, Score), String> {
    let refused = |why: String| format!("{}: {why}", path.display());
    let data = fs::metadata(path).map_err(|e| refused(e.to_string()))?;
    // A pipe would make the composer thread wait.
    if !data.is_file() {
        return Err(refused("no file".into()));
    }
    let bytes = data.len();
    if bytes > MOST_BYTES {
        return Err(refused(format!("{bytes} bytes are no piece of music")));
    }
    // The pedal is heard as it is when played live. The error names the file itself.
    let pedal = midi::Pedal::Lengthen;
    let file =
        midi::read_file_with(path, &midi::ReadOptions { pedal }).map_err(|e| e.to_string())?;
    let score = Score::from_midi(&file, steps_per_beat, Drums::Drop);
    match score.notes.len() {
        0 => Err(refused("no notes in it, drums aside".into())),
        notes if notes > MOST_NOTES => Err(refused(format!(
            "{notes} notes are more than the {MOST_NOTES} there is room for; cut it into pieces"
        ))),
        _ => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            let piece = Learned::new(name.to_string_lossy(), &score);
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
    fn all(lessons: &mut LearnedFiles) -> Option<(usize, bool)> {
        while lessons.waiting() > 0 {
            assert!(lessons.fresh().is_none());
            let path = lessons.next_file().unwrap();
            assert!(lessons.fresh().is_none() && lessons.next_file().is_none());
            lessons.opened(open(path, 12));
        }
        let fresh = lessons.fresh()?;
        Some((fresh.scores.len(), fresh.crowded))
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

        let mut lessons = LearnedFiles::default();
        lessons.ask(vec![folder.path().into(), at("gone.mid"), at("empty")]);
        let taken = all(&mut lessons);
        let names: Vec<_> = lessons.learned().iter().map(|l| l.name.as_str()).collect();
        // `c` has the notes of `a`, yet is another piece to its player.
        assert_eq!(names, ["a.mid", "b.MID", "c.midi"]);
        assert_eq!(taken, Some((3, false)));
        let refused: Vec<_> = lessons.refused().cloned().collect();
        assert_eq!(refused.len(), 4, "{refused:?}");
        for (line, name) in refused.iter().zip(["broken", "none", "gone", "empty"]) {
            assert!(line.contains(name), "{line}");
        }

        lessons.ask(vec![at("a.mid")]);
        assert_eq!(all(&mut lessons), None);
        assert!(lessons.refused().last().unwrap().contains("already"));
        lessons.clear();
        assert_eq!((lessons.learned().len(), lessons.refused().count()), (0, 0));
    }

    #[test]
    fn the_newest_are_kept_where_there_is_no_room_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut lessons = LearnedFiles::default();
        for number in 0..4 {
            let path = folder.path().join(format!("{number}.mid"));
            write(&path, MOST_NOTES as u32 / 3, number);
            lessons.ask(vec![path]);
        }
        assert_eq!(all(&mut lessons), Some((4, true)));
        let names: Vec<_> = lessons.learned().iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["1.mid", "2.mid", "3.mid"]);
        let long = folder.path().join("long.mid");
        write(&long, MOST_NOTES as u32 + 1, 0);
        lessons.ask(vec![long]);
        assert_eq!(all(&mut lessons), None);
        assert!(lessons.refused().last().unwrap().contains("cut it"));
    }

    #[test]
    fn a_project_brings_them_back_and_nonsense_is_counted() {
        let minuet = Learned::new("minuet", &tune::minuet());
        let json = serde_json::to_value(&minuet).unwrap();
        let read: Learned = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read, minuet);
        assert_eq!(read.score().unwrap().notes, tune::minuet().notes);
        let mut wrong = json;
        wrong["piece"]["notes"][0][2] = 200.into();
        let wrong: Learned = serde_json::from_value(wrong).unwrap();
        let mut lessons = LearnedFiles::default();
        let lost = lessons.restore(&[wrong.clone(), minuet.clone()]);
        assert_eq!((lost, lessons.learned()), (wrong.notes, &[minuet][..]));
    }
}
