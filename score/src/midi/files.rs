//! MIDI files on disk: one, or all of a folder.

use std::path::Path;

use continuo_files::{Found, Input, MOST_BYTES, kind, read_input, search};

use super::error::{MidiError, ParseError};
use super::file::{MidiFile, ReadOptions};
use super::read;

/// Reads a file, or standard input (`-`), with the default options: the sustain pedal is ignored.
///
/// # Errors
/// Those of [`read_file_with`].
pub fn read_file(path: &Path) -> Result<MidiFile, MidiError> {
    read_file_with(path, &ReadOptions::default())
}

/// Reads a file, or standard input (`-`).
///
/// # Errors
/// Fails if the file cannot be read, has more than [`MOST_BYTES`], or is no MIDI file.
pub fn read_file_with(path: &Path, options: &ReadOptions) -> Result<MidiFile, MidiError> {
    let Input { name, bytes } = read_input(path, MOST_BYTES)?;
    read::read(&bytes, options).map_err(|ParseError { offset, reason }| MidiError::Malformed {
        path: name,
        offset,
        reason,
    })
}

/// Reads a file's bytes with the default options: the sustain pedal is ignored.
///
/// # Errors
/// A [`ParseError`] as text, if nothing of the file can be read.
pub fn read_bytes(bytes: &[u8]) -> Result<MidiFile, String> {
    read::read(bytes, &ReadOptions::default()).map_err(|e| e.to_string())
}

/// The MIDI files of a folder and its subfolders, chosen by file name extension and sorted by
/// name. Hidden and huge files are left out and listed; links are followed once. The search ends
/// once it has found more than `most` files.
///
/// # Errors
/// Fails if the folder cannot be read.
pub fn files_in(folder: &Path, most: usize) -> Result<Found, MidiError> {
    files_with(folder, kind::MIDI.endings, most)
}

/// The MIDI, WAV and FLAC files of a folder and its subfolders, as [`files_in`] finds MIDI files. WAV and
/// FLAC files may have any size.
///
/// # Errors
/// Fails if the folder cannot be read.
pub fn music_in(folder: &Path, most: usize) -> Result<Found, MidiError> {
    files_with(folder, &kind::MUSIC_ENDINGS, most)
}

fn files_with(folder: &Path, endings: &[&str], most: usize) -> Result<Found, MidiError> {
    // A recording is read block by block.
    let most_bytes = |ending: &str| match kind::MIDI.endings.contains(&ending) {
        true => MOST_BYTES,
        false => u64::MAX,
    };
    let found = search(folder, endings, &most_bytes, most);
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
        let music = music_in(folder, usize::MAX).unwrap();
        assert_eq!((music.files.len(), music.others), (5, 1));
        // The system keeps no blocks for a length without content.
        for name in ["x.wav", "z.MID"] {
            let file = std::fs::File::create(folder.join(name)).unwrap();
            file.set_len(MOST_BYTES + 1).unwrap();
        }
        let music = music_in(folder, usize::MAX).unwrap();
        let left_out: Vec<_> = music.left_out.iter().map(|one| &one.path).collect();
        assert_eq!(left_out, [&folder.join("z.MID")]);
        assert!(music.files.contains(&folder.join("x.wav")));
        let gone = files_in(&folder.join("gone"), 1).unwrap_err().to_string();
        assert!(gone.contains("gone"), "{gone}");
    }
}
