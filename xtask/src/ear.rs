//! `cargo xtask ear`: fetches basic-pitch's model from its Python wheel. Nothing else of the wheel is
//! used, so its dependencies do not matter.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use continuo_files::ear_model::NAME;
use continuo_files::onnx_runtime::FOLDER;

use crate::shell;
use crate::wheel::{Wheel, put, sha256};

/// Version of basic-pitch. The hashes below belong to it.
const PACKAGE: &str = "basic-pitch==0.4.0";
/// SHA-256 of the wheel, which is the same for all platforms.
const WHEEL_SHA256: &str = "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0";
/// Path of the model in the wheel.
const MODEL: &str = "basic_pitch/saved_models/icassp_2022/nmp.onnx";
/// SHA-256 of the model.
const MODEL_SHA256: &str = "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec";

/// Licence files that accompany the model: path in the wheel, and name in the runtime folder.
pub(crate) const LICENCES: [(&str, &str); 2] = [
    (
        "basic_pitch-0.4.0.dist-info/LICENSE",
        "BASIC-PITCH-LICENSE.txt",
    ),
    (
        "basic_pitch-0.4.0.dist-info/NOTICE",
        "BASIC-PITCH-NOTICE.txt",
    ),
];

/// Puts the model and its licences into the runtime folder, unless they are there already. Returns
/// the model's path.
///
/// # Errors
///
/// Fails if pip cannot download the pinned wheel.
pub(crate) fn run() -> Result<PathBuf> {
    // The same file serves every platform.
    let dir = shell::target_dir()?.join(FOLDER);
    let path = dir.join(NAME);
    if is_complete(&dir) {
        eprintln!("{PACKAGE}: {} is there", path.display());
        return Ok(path);
    }
    let wheel = Wheel {
        contents: "basic-pitch",
        package: PACKAGE,
        choice: &[],
        sha256: WHEEL_SHA256,
        command: "cargo xtask ear",
    };
    wheel.fetch(&dir, |archive| {
        for (from, to) in LICENCES {
            put(&dir.join(to), &archive.read(from)?)?;
        }
        let model = archive.read(MODEL)?;
        if sha256(&model) != MODEL_SHA256 {
            bail!(
                "the model in the basic-pitch wheel is not the pinned one; correct MODEL_SHA256 in \
                 xtask/src/ear.rs"
            );
        }
        put(&path, &model)
    })?;
    eprintln!("{PACKAGE}: {}", path.display());
    Ok(path)
}

/// Whether all files exist and the model is the pinned one.
fn is_complete(dir: &Path) -> bool {
    fs::read(dir.join(NAME)).is_ok_and(|model| sha256(&model) == MODEL_SHA256)
        && LICENCES.iter().all(|(_, name)| dir.join(name).is_file())
}
