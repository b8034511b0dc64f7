//! The file of a drag: in a folder of its own, which only the user can read, in the system's temporary folder.
//! A target may read it late, so it stays when the drag has begun. When the next file is written, folders of
//! drags that are a week old are removed; the system may empty its temporary folder sooner. Thread
//! "continuo files".

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use continuo_accompaniment::bar_grid::BarGrid;
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_score::MidiFile;
use tempfile::TempDir;

use crate::editor::bar_selection::bars_text;

/// Beginning of the names of the folders.
const PREFIX: &str = "Continuo-dragged-";

/// Age at which a folder is removed.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Name of the file for these notes, such as "Continuo bars 9 to 12.mid".
pub fn file_name(part: ExportPart, range: ExportRange, grid: &BarGrid) -> String {
    let who = match part {
        ExportPart::Input => "Heard",
        ExportPart::Generated => "Continuo",
        ExportPart::Both => "Heard and Continuo",
    };
    let range = match range {
        ExportRange::All => "everything".into(),
        ExportRange::LastBars(bars) => format!("last {bars} bars"),
        ExportRange::LastAnswer => "last answer".into(),
        ExportRange::Between(from, to) => bars_text(grid, from, to),
    };
    format!("{who} {range}.mid")
}

/// A file that is written and not yet dragged. Dropping it removes its folder. The window's thread owns it.
#[derive(Debug)]
pub struct PreparedFile {
    folder: TempDir,
    path: PathBuf,
}

impl PreparedFile {
    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps it from here on, until its age decides; returns its absolute path.
    pub fn keep(self) -> PathBuf {
        let _ = self.folder.keep();
        self.path
    }
}

/// Writes the notes to a file of this name in a new folder.
///
/// # Errors
/// A text for people: the folder or the file cannot be written.
pub(super) fn write(notes: &MidiFile, name: &str) -> Result<PreparedFile, String> {
    let temporary = std::env::temp_dir();
    let describe = |why: std::io::Error| format!("{}: {why}", temporary.display());
    let temporary = std::path::absolute(&temporary).map_err(describe)?;
    remove_older(&temporary, KEPT);
    write_in(&temporary, notes, name)
}

fn write_in(temporary: &Path, notes: &MidiFile, name: &str) -> Result<PreparedFile, String> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    let folder = builder.tempdir_in(temporary);
    let folder = folder.map_err(|why| format!("{}: {why}", temporary.display()))?;
    let path = folder.path().join(name);
    notes.write_file(&path).map_err(|why| why.to_string())?;
    Ok(PreparedFile { folder, path })
}

/// Removes the folders of drags that have at least this age. What cannot be removed stays.
fn remove_older(temporary: &Path, age: Duration) {
    let entries = std::fs::read_dir(temporary).into_iter().flatten();
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let is_old = || {
            // Of a link, its own: links are left alone.
            let metadata = entry.metadata().ok()?;
            let modified = metadata.modified().ok()?;
            let since = SystemTime::now().duration_since(modified).ok()?;
            Some(metadata.is_dir() && since >= age)
        };
        if ours && is_old() == Some(true) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_until_they_are_old() {
        let temporary = tempfile::tempdir().unwrap();
        let minuet = continuo_score::tune::minuet().to_midi();
        let write = || write_in(temporary.path(), &minuet, "Continuo last answer.mid").unwrap();
        let (one, other, unused) = (write().keep(), write().keep(), write());
        assert_ne!(one, other);
        let folder = unused.path().parent().unwrap().to_path_buf();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = folder.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        drop(unused);
        assert!(!folder.exists());
        let foreign = temporary.path().join("Continuo");
        std::fs::create_dir(&foreign).unwrap();
        remove_older(temporary.path(), KEPT);
        assert!(one.is_file() && other.is_file());
        remove_older(temporary.path(), Duration::ZERO);
        assert!(!one.exists() && !other.exists() && foreign.is_dir());
    }

    #[test]
    fn names_say_whose_notes_of_which_time() {
        let name = |part, range| file_name(part, range, &BarGrid::default());
        assert_eq!(
            name(ExportPart::Generated, ExportRange::LastAnswer),
            "Continuo last answer.mid"
        );
        assert_eq!(
            name(ExportPart::Both, ExportRange::Between(32.0, 48.0)),
            "Heard and Continuo bars 9 to 12.mid"
        );
        assert_eq!(
            name(ExportPart::Input, ExportRange::All),
            "Heard everything.mid"
        );
    }
}
