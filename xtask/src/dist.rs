//! `cargo xtask dist`: the archives that a release attaches, for one platform.
//!
//! | platform | archive |
//! |---|---|
//! | Linux | `continuo-VERSION-linux-ARCH.tar.gz` and `continuo_VERSION_ARCH.deb` |
//! | Windows | `continuo-VERSION-windows-ARCH.zip` |
//! | macOS | `continuo-VERSION-macos-ARCH.zip` |
//!
//! Each has both bundles, the command `continuo`, a script that installs the bundles, and the
//! licences of everything inside. The same sources give the same bytes on the same machine.

mod archive;
mod notices;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::target::{System, Target};
use crate::{bundle, linkage, shell};

use archive::{Contents, Data, Entry};

/// Package and file name of the command that archives contain.
const COMMAND: (&str, &str) = ("continuo-command", "continuo");

/// Folder of the Debian package's files that are not links.
const DEB_FOLDER: &str = "usr/lib/continuo";

/// The script that installs the plugin on Windows. It also runs in Wine 8's `cmd`, which ignores
/// `exit /b` inside parentheses, and for which `if exist FILE\` is true.
pub(crate) const INSTALL_CMD: &str = include_str!("dist/install.cmd");

/// Options of `cargo xtask dist`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Make the archive of another platform, by Rust's name, such as x86_64-pc-windows-gnu
    #[arg(long, value_name = "PLATFORM")]
    target: Option<String>,
    /// Folder for the archives [default: target/dist]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let target = Target::named(options.target.as_deref())?;
    let out = match &options.out {
        Some(out) => out.clone(),
        None => shell::target_dir()?.join("dist"),
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let bundled = bundle::plugin(target, true)?;
    let program = build_command(target)?;
    let notices = notices::notices(&[bundle::PACKAGE, COMMAND.0], target)?;
    let release = Release {
        target,
        time: commit_time(),
        bundled,
        program,
        notices,
    };
    let stem = format!("continuo-{}-{}", env!("CARGO_PKG_VERSION"), target.name());
    let root = format!("{stem}/");
    let contents = release.contents()?;
    match target.system {
        System::Linux => {
            write(
                &out.join(format!("{stem}.tar.gz")),
                &contents.tar_gz(&root)?,
            )?;
            let arch = debian_arch(target)?;
            let name = format!("continuo_{}_{arch}.deb", env!("CARGO_PKG_VERSION"));
            write(&out.join(name), &release.deb(arch)?)
        }
        System::Windows | System::MacOs => {
            write(&out.join(format!("{stem}.zip")), &contents.zip(&root)?)
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    crate::wheel::put(path, bytes)?;
    let mebibytes = bytes.len() as f64 / f64::from(1 << 20);
    let hash = crate::wheel::sha256(bytes);
    println!("{}: {mebibytes:.1} MiB, SHA-256 {hash}", path.display());
    Ok(())
}

/// Builds the command and returns its path.
fn build_command(target: Target) -> Result<PathBuf> {
    let (package, name) = COMMAND;
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--package", package, "--bin", name]);
    target.configure(&mut cargo);
    shell::run(&mut cargo)?;
    let program = target.folder()?.join("release").join(target.program(name));
    linkage::check(&program, &[])?;
    Ok(program)
}

/// Seconds since 1970 of the commit, or of `SOURCE_DATE_EPOCH` if that is set; 0 if neither is known.
fn commit_time() -> u64 {
    let variable = std::env::var("SOURCE_DATE_EPOCH").ok();
    let commit = || {
        let git = Command::new("git")
            .args(["log", "-1", "--format=%ct"])
            .output();
        String::from_utf8(git.ok()?.stdout).ok()
    };
    let text = variable.or_else(commit).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// The parts of a release.
struct Release {
    target: Target,
    time: u64,
    /// Folder of the bundles.
    bundled: PathBuf,
    /// The command.
    program: PathBuf,
    notices: String,
}

impl Release {
    /// The files of an archive that is unpacked anywhere.
    fn contents(&self) -> Result<Contents> {
        let mut entries = self.bundles(|_| false)?;
        let name = self.target.program(COMMAND.1);
        entries.push(Entry {
            path: name,
            data: Data::Program(read(&self.program)?),
        });
        let script = match self.target.system {
            System::Windows => ("install.cmd", INSTALL_CMD),
            System::Linux | System::MacOs => ("install.sh", include_str!("dist/install.sh")),
        };
        entries.push(Entry {
            path: script.0.into(),
            data: Data::Program(script.1.into()),
        });
        entries.extend(self.texts()?);
        entries.push(Entry {
            path: "README.txt".into(),
            data: Data::File(texts::readme(self.target).into()),
        });
        Ok(self.sorted(entries))
    }

    /// The Debian package: plugins for all users, their resources once, and the command.
    fn deb(&self, arch: &str) -> Result<Vec<u8>> {
        // The VST3's resources are those of the CLAP.
        let inside = format!("{}.vst3/Contents/Resources/", bundle::NAME);
        let mut entries = self.bundles(|path| path.starts_with(&inside))?;
        let resources = format!("{}.resources", bundle::NAME);
        for entry in &mut entries {
            let folder = match entry.path.split('/').next() {
                Some(first) if first == resources => DEB_FOLDER,
                Some(first) if first.ends_with(".vst3") => "usr/lib/vst3",
                _ => "usr/lib/clap",
            };
            entry.path = format!("{folder}/{}", entry.path);
        }
        entries.push(Entry {
            path: format!("{DEB_FOLDER}/{}", COMMAND.1),
            data: Data::Program(read(&self.program)?),
        });
        for (path, target) in [
            ("usr/bin/continuo", format!("../lib/continuo/{}", COMMAND.1)),
            (
                "usr/lib/clap/Continuo.resources",
                format!("../continuo/{resources}"),
            ),
            (
                "usr/lib/vst3/Continuo.vst3/Contents/Resources",
                format!("../../../continuo/{resources}"),
            ),
        ] {
            entries.push(Entry {
                path: path.into(),
                data: Data::Link(target),
            });
        }
        let texts = self.texts()?.into_iter().map(|text| Entry {
            path: format!("usr/share/doc/continuo/{}", text.path),
            ..text
        });
        entries.extend(texts);
        entries.push(Entry {
            path: "usr/share/doc/continuo/copyright".into(),
            data: Data::File(texts::COPYRIGHT.into()),
        });
        let size: usize = entries.iter().map(|entry| entry.data.len()).sum();
        let control = format!(
            "Package: continuo\n\
             Version: {}\n\
             Architecture: {arch}\n\
             Maintainer: The Continuo authors <continuo@localhost>\n\
             Installed-Size: {}\n\
             Depends: libc6 (>= {}), libgcc-s1, libstdc++6\n\
             Recommends: libgl1, libx11-6, libx11-xcb1, libxcursor1, libxkbcommon-x11-0\n\
             Section: sound\n\
             Priority: optional\n\
             Description: instrument that listens to a track and plays on, in time\n \
             Continuo is a CLAP and VST3 plugin, and a command for MIDI files. A small transformer\n \
             writes the notes, on one processor core.\n",
            env!("CARGO_PKG_VERSION"),
            size.div_ceil(1024),
            glibc()?,
        );
        self.sorted(entries).deb(&control)
    }

    fn sorted(&self, mut entries: Vec<Entry>) -> Contents {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Contents {
            time: self.time,
            entries,
        }
    }

    /// The files of both bundles, without those that `is_left_out` says.
    fn bundles(&self, is_left_out: impl Fn(&str) -> bool) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (bundle, resources) in bundle::places(&self.bundled, self.target) {
            for path in bundle::installed(bundle, resources) {
                let name = path.file_name().context("a bundle without a name")?;
                let name = name
                    .to_str()
                    .context("a bundle's name is not text")?
                    .to_owned();
                collect(&path, name, &mut entries)?;
            }
        }
        entries.retain(|entry| !is_left_out(&entry.path));
        Ok(entries)
    }

    /// Licences and the change log.
    fn texts(&self) -> Result<Vec<Entry>> {
        let file = |path: &str, bytes| Entry {
            path: path.into(),
            data: Data::File(bytes),
        };
        let mut entries = vec![file(
            "THIRD-PARTY-LICENSES.txt",
            self.notices.clone().into(),
        )];
        for name in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"] {
            entries.push(file(name, read(Path::new(name))?));
        }
        Ok(entries)
    }
}

/// Adds a file, or all files of a folder, under a name.
fn collect(path: &Path, name: String, entries: &mut Vec<Entry>) -> Result<()> {
    if !path.is_dir() {
        entries.push(Entry {
            path: name,
            data: match is_program(path)? {
                true => Data::Program(read(path)?),
                false => Data::File(read(path)?),
            },
        });
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
        let path = entry?.path();
        let last = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        collect(&path, format!("{name}/{last}"), entries)?;
    }
    Ok(())
}

/// Whether a file may be executed, on systems that say so.
fn is_program(path: &Path) -> Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Ok(fs::metadata(path)?.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    Ok(path.extension().is_some_and(|ending| ending == "exe"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Debian's name of a processor.
fn debian_arch(target: Target) -> Result<&'static str> {
    Ok(match target.arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("there is no Debian package for the processor {other}"),
    })
}

/// Version of the C library that the binaries were linked with. They may run with an older one; this
/// one is certain.
fn glibc() -> Result<String> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let output = output.context("cannot start getconf")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .trim()
        .strip_prefix("glibc ")
        .context("this system has no glibc")?;
    Ok(version.into())
}
