//! `cargo xtask install`: the bundles into the user's plugin folders.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use continuo_files::ScratchFolder;

use crate::{bundle, shell};

/// `cargo xtask install`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only say what would be copied where
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bundled = shell::target_dir()?.join("bundled");
    let places = bundle::places(&bundled);
    // All of them before the first is copied.
    if let Some((missing, _)) = places.iter().find(|(from, _)| !from.exists()) {
        bail!(
            "{} is not built yet; run `cargo xtask bundle` first",
            missing.display()
        );
    }
    for ((from, from_resources), folder) in places.into_iter().zip(folders()?) {
        // What lies inside the bundle comes with it.
        let beside = (!from_resources.starts_with(&from)).then_some(from_resources);
        for path in std::iter::once(from).chain(beside) {
            let name = path.file_name().context("a bundle without a name")?;
            let to = folder.join(name);
            println!("{} -> {}", path.display(), to.display());
            if !options.dry_run {
                place(&path, &folder, &to)?;
            }
        }
    }
    Ok(())
}

/// Copies a bundle into a folder: beside its place first, so that a full disk leaves the bundle
/// that is there.
fn place(from: &Path, folder: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let scratch = ScratchFolder::within(folder).with_context(failed)?;
    let [new, old] = ["new", "old"].map(|name| scratch.path().join(name));
    bundle::copy(from, &new)?;
    if fs::symlink_metadata(to).is_ok() {
        fs::rename(to, &old).with_context(|| format!("cannot replace {}", to.display()))?;
    }
    if let Err(why) = fs::rename(&new, to) {
        let words = format!("cannot write {}", to.display());
        if old.exists() && fs::rename(&old, to).is_err() {
            let words = format!("{words}; the bundle that was there is {}", old.display());
            scratch.keep();
            return Err(why).context(words);
        }
        return Err(why).context(words);
    }
    Ok(())
}

/// This user's folders for CLAP and for VST3 plugins, as each format's own pages have them.
fn folders() -> Result<[PathBuf; 2]> {
    let variable = if cfg!(windows) {
        "LOCALAPPDATA"
    } else {
        "HOME"
    };
    let home = std::env::var_os(variable)
        .map(PathBuf::from)
        // An empty one would lead to the folder the command runs in.
        .filter(|home| home.is_absolute())
        .with_context(|| format!("{variable} is no folder's full path, so there is no folder to install to"))?;
    Ok(if cfg!(windows) {
        ["CLAP", "VST3"].map(|format| home.join("Programs").join("Common").join(format))
    } else if cfg!(target_os = "macos") {
        ["CLAP", "VST3"].map(|format| home.join("Library/Audio/Plug-Ins").join(format))
    } else {
        [".clap", ".vst3"].map(|format| home.join(format))
    })
}
