//! `cargo xtask install`: builds the bundles and copies them into the user's plugin folders.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use continuo_files::ScratchFolder;

use crate::target::Target;
use crate::{bundle, resources, shell};

/// Options of `cargo xtask install`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only print which file or folder would be copied to which place
    #[arg(long)]
    dry_run: bool,
    /// Copy the existing bundles, and build none
    #[arg(long)]
    no_build: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Checked before the build, which is useless without them.
    let folders = folders()?;
    let bundled = match options.dry_run || options.no_build {
        true => shell::target_dir()?.join("bundled"),
        false => bundle::plugin(Target::host(), true)?,
    };
    let places = bundle::places(&bundled, Target::host());
    let mut missing = places.iter().filter(|(from, _)| !from.exists());
    if let Some((missing, _)) = missing.next()
        && !options.dry_run
    {
        bail!(
            "{} is not built yet; leave --no-build out",
            missing.display()
        );
    }
    for ((from, from_resources), folder) in places.into_iter().zip(folders) {
        for path in bundle::installed(from, from_resources) {
            let name = path.file_name().context("a bundle without a name")?;
            let to = folder.join(name);
            println!("{} -> {}", path.display(), to.display());
            if !options.dry_run {
                replace(&path, &folder, &to)?;
            }
        }
    }
    Ok(())
}

/// Copies a bundle into a folder under a temporary name and renames it, so that the installed
/// bundle survives a full disk.
fn replace(from: &Path, folder: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let scratch = ScratchFolder::within(folder).with_context(failed)?;
    let [new, old] = ["new", "old"].map(|name| scratch.path().join(name));
    resources::copy(from, &new)?;
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

/// Returns this user's folders for CLAP and VST3 plugins, from the formats' specifications.
fn folders() -> Result<[PathBuf; 2]> {
    let variable = if cfg!(windows) {
        "LOCALAPPDATA"
    } else {
        "HOME"
    };
    below(std::env::var_os(variable).map(PathBuf::from)).with_context(|| {
        format!("{variable} is no folder's full path, so there is no folder to install to; set it")
    })
}

/// Returns the folders for plugins below a home folder. Returns `None` if its path is missing or
/// not absolute, since a relative path would lead to the folder in which the command runs.
fn below(home: Option<PathBuf>) -> Option<[PathBuf; 2]> {
    let home = home.filter(|home| home.is_absolute())?;
    Some(if cfg!(windows) {
        ["CLAP", "VST3"].map(|format| home.join("Programs").join("Common").join(format))
    } else if cfg!(target_os = "macos") {
        ["CLAP", "VST3"].map(|format| home.join("Library/Audio/Plug-Ins").join(format))
    } else {
        [".clap", ".vst3"].map(|format| home.join(format))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_folders_lie_below_a_full_path() {
        assert_eq!(below(None), None);
        assert_eq!(below(Some("".into())), None);
        assert_eq!(below(Some("home".into())), None);
        let home = std::env::temp_dir();
        let folders = below(Some(home.clone())).unwrap();
        assert!(folders.iter().all(|folder| folder.starts_with(&home)));
        assert_ne!(folders[0], folders[1]);
    }

    #[test]
    fn bundle_is_replaced_whole_and_its_neighbours_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let bundle = at("built/Continuo.vst3");
        fs::create_dir_all(bundle.join("Contents")).unwrap();
        fs::write(bundle.join("Contents/new"), "new").unwrap();
        let plugins = at("plugins");
        let to = plugins.join("Continuo.vst3");
        for _ in 0..2 {
            replace(&bundle, &plugins, &to).unwrap();
            assert!(to.join("Contents/new").is_file() && !to.join("old").exists());
            fs::write(to.join("old"), "old").unwrap();
            fs::write(plugins.join("Other.vst3"), "mine").unwrap();
        }
        replace(&bundle, &plugins, &to).unwrap();
        let mut names: Vec<_> = fs::read_dir(&plugins)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["Continuo.vst3", "Other.vst3"]);
    }
}
