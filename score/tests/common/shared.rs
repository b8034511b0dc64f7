//! Real files in the folder that `CONTINUO_SHARED` names, or else in `shared` beside the workspace.
//! None of them is part of the project.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Returns the MIDI files below `data/FOLDER` of the shared folder, in order. If there are none, prints
/// that the test is skipped and returns an empty list.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("CONTINUO_SHARED")
        .map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let mut files = Vec::new();
    walk(&shared.join("data").join(folder), &mut files);
    files.sort();
    if files.is_empty() {
        // Writes directly to standard error, since the test harness hides the output of passing tests.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: needs data/{folder} of the shared folder (CONTINUO_SHARED, or shared beside the workspace)"
        );
    }
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let midi = |e: &std::ffi::OsStr| {
            ["mid", "midi", "kar", "rmi"]
                .iter()
                .any(|m| e.eq_ignore_ascii_case(m))
        };
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(midi) {
            files.push(path);
        }
    }
}

/// Runs `check` for each file, on all cores; a panic names the file.
pub(crate) fn each(files: &[PathBuf], check: impl Fn(&Path) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(file) =
                    files.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let run = std::panic::AssertUnwindSafe(|| check(file));
                    if std::panic::catch_unwind(run).is_err() {
                        panic!("in {}", file.display());
                    }
                }
            });
        }
    });
}
