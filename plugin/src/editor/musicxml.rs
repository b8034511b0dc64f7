//! A MIDI file of the session as notation. Runs on a thread that may wait.

use std::path::Path;

use continuo_files::{Output, Replace, kind};
use continuo_notation::{Options, write};
use continuo_score::midi::MidiFile;
use continuo_score::{Score, Vocabulary};

/// Writes the notes of a file as a MusicXML file, on a grid of 12 steps a beat.
///
/// # Errors
/// A text for people: the notes cannot be written as notation, or the file cannot be written.
pub(super) fn write_file(file: &MidiFile, path: &Path) -> Result<(), String> {
    let output = Output::check(path, &kind::MUSICXML, Replace::SameKind);
    let output = output.map_err(|why| why.to_string())?;
    let mut score = Score::for_vocabulary(file, &Vocabulary::band());
    score.end_with_music();
    let title = path.file_stem().unwrap_or_default().to_string_lossy();
    let options = Options {
        title: &title,
        first_bar: 1,
    };
    let mut draft = output.begin().map_err(|why| why.to_string())?;
    let written = write(&score, &options, &mut draft);
    written.map_err(|why| format!("{}: {why}", path.display()))?;
    draft.finish().map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_is_written_whole_and_replaces_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("minuet.musicxml");
        let file = continuo_score::tune::minuet().to_midi();
        for _ in 0..2 {
            write_file(&file, &path).unwrap();
        }
        let xml = std::fs::read_to_string(&path).unwrap();
        assert!(xml.contains("<work-title>minuet</work-title>"));
        assert_eq!(xml.matches("<measure ").count(), 16);
        let letter = folder.path().join("letter.xml");
        std::fs::write(&letter, "Dear sir").unwrap();
        let why = write_file(&file, &letter).unwrap_err();
        assert!(why.contains("letter.xml"), "{why}");
        assert_eq!(std::fs::read_to_string(&letter).unwrap(), "Dear sir");
    }
}
