//! Real files in the folder that `CONTINUO_SHARED` names, or else in `shared` beside the workspace.
//! None of them is part of the project.

use std::io::Write;
use std::path::{Path, PathBuf};

use continuo_files::{MOST_BYTES, kind, search};

/// Returns `most` MIDI files of the shared folder, spread evenly over all of them. If there are none,
/// prints that the test is skipped and returns an empty list.
pub(crate) fn files(most: usize) -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("CONTINUO_SHARED")
        .map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let data = shared.join("data");
    let found = search(&data, kind::MIDI.endings, &|_| MOST_BYTES, usize::MAX);
    let files = found.map(|found| found.files).unwrap_or_default();
    if files.is_empty() {
        // Writes directly to standard error, since the test harness hides the output of passing tests.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: needs data of the shared folder (CONTINUO_SHARED, or shared beside the workspace)"
        );
    }
    let step = files.len().div_ceil(most).max(1);
    files.into_iter().step_by(step).collect()
}
