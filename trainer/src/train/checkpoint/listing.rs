//! Checkpoints in a folder.

use std::fs;
use std::path::{Path, PathBuf};

/// Steps and paths of all checkpoints in a folder, oldest first.
pub fn steps(folder: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut steps: Vec<_> = entries
        .filter_map(|e| {
            let path = e.ok()?.path();
            let step = path
                .file_name()?
                .to_str()?
                .strip_prefix("step-")?
                .parse()
                .ok()?;
            path.join("config.json").is_file().then_some((step, path))
        })
        .collect();
    steps.sort();
    steps
}
