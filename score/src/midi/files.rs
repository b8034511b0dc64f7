//! MIDI files in folders.

use std::fs;
use std::path::{Path, PathBuf};

use super::MidiError;

/// Names of MIDI files end so; only those are looked for in folders.
const ENDINGS: [&str; 4] = ["mid", "midi", "kar", "rmi"];

/// The MIDI files in a folder and the folders in it, by name. Links to folders are not
/// followed: they may lead in circles. It stops looking once it has found more than `most`.
pub fn files_in(folder: &Path, most: usize) -> Result<Vec<PathBuf>, MidiError> {
    let (mut folders, mut files) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        let fail = |source| MidiError::Io {
            path: folder.clone(),
            source,
        };
        for entry in fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            let ending = path.extension().map(|e| e.to_ascii_lowercase());
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(path);
            } else if ending.is_some_and(|e| ENDINGS.iter().any(|known| e == *known)) {
                files.push(path);
            }
            if files.len() > most {
                return Ok(files);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_midi_files_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("continuo-files-{}", std::process::id()));
        let below = folder.join("b").join("c.mid");
        fs::create_dir_all(&below).unwrap();
        for name in [
            "z.MID",
            "a.kar",
            "b/c.mid/d.midi",
            "b/e.rmi",
            "mid",
            "x.wav",
        ] {
            fs::write(folder.join(name), "").unwrap();
        }
        let found = files_in(&folder, usize::MAX);
        let few = files_in(&folder, 2);
        fs::remove_dir_all(&folder).unwrap();
        let expected = ["a.kar", "b/c.mid/d.midi", "b/e.rmi", "z.MID"];
        assert_eq!(found.unwrap(), expected.map(|name| folder.join(name)));
        assert_eq!(few.unwrap().len(), 3);

        let gone = files_in(&folder, usize::MAX).unwrap_err().to_string();
        assert!(gone.contains(&*folder.to_string_lossy()), "{gone}");
    }
}
