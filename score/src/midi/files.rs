//! MIDI files in folders.

use std::path::Path;

use continuo_files::{Found, MOST_BYTES, kind, search};

use super::MidiError;

/// The MIDI files in a folder and the folders in it, by name: those whose names end as MIDI files'
/// do. Hidden and huge ones are left out and listed; links are followed once. The search ends
/// once it has found more than `most`.
///
/// # Errors
/// When the folder cannot be read.
pub fn files_in(folder: &Path, most: usize) -> Result<Found, MidiError> {
    let found = search(folder, kind::MIDI.endings, MOST_BYTES, most);
    found.map_err(|source| MidiError::Io {
        path: folder.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_midi_files_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for name in ["z.MID", "a.kar", "d.midi", "e.rmi", "mid", "x.wav"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let found = files_in(folder, usize::MAX).unwrap();
        let expected = ["a.kar", "d.midi", "e.rmi", "z.MID"];
        assert_eq!(found.files, expected.map(|name| folder.join(name)));
        assert_eq!(found.others, 2);
        let gone = files_in(&folder.join("gone"), 1).unwrap_err().to_string();
        assert!(gone.contains("gone"), "{gone}");
    }
}
