//! `cargo xtask runtime`: fetches ONNX Runtime from its Python wheel.
//!
//! One wheel for each platform is pinned by its hash. The version of the installed Python does not
//! matter, since only the library inside the wheel is used.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use continuo_files::onnx_runtime::{BUNDLED_NAME, FOLDER, NAME};

use crate::soname;
use crate::target::{System, Target};
use crate::wheel::{Archive, Wheel, put, sha256};

/// Version of ONNX Runtime. The hashes below belong to it.
const VERSION: &str = "1.31.1";

/// The pinned wheel of one platform.
struct Platform {
    system: System,
    arch: &'static str,
    /// Platform tag for pip.
    platform: &'static str,
    /// Path of the library in the wheel.
    member: &'static str,
    /// SHA-256 of the wheel.
    sha256: &'static str,
    /// SHA-256 of the library.
    library_sha256: &'static str,
}

/// Pinned wheels of all platforms.
const WHEELS: &[Platform] = &[
    Platform {
        system: System::Linux,
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        member: "onnxruntime/capi/libonnxruntime.so.1.31.1",
        sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
        library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Platform {
        system: System::Linux,
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        member: "onnxruntime/capi/libonnxruntime.so.1.31.1",
        sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
    Platform {
        system: System::Windows,
        arch: "x86_64",
        platform: "win_amd64",
        member: "onnxruntime/capi/onnxruntime.dll",
        sha256: "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
        library_sha256: "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306",
    },
    Platform {
        system: System::Windows,
        arch: "aarch64",
        platform: "win_arm64",
        member: "onnxruntime/capi/onnxruntime.dll",
        sha256: "fe8b9ac1ae8e894e12c47ee82e4f6dfc1835768133687257866469fda80d0bf1",
        library_sha256: "dc9e2fe646a72829386a24ac9185a7a4e26d7dbe5dc433d41df063603c00bbc7",
    },
    Platform {
        system: System::MacOs,
        arch: "aarch64",
        platform: "macosx_14_0_arm64",
        member: "onnxruntime/capi/libonnxruntime.1.31.1.dylib",
        sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
        library_sha256: "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36",
    },
];

/// Licence files that accompany the library: path in the wheel, and name in the runtime folder.
pub(crate) const LICENCES: [(&str, &str); 2] = [
    ("onnxruntime/LICENSE", "ONNXRUNTIME-LICENSE.txt"),
    (
        "onnxruntime/ThirdPartyNotices.txt",
        "ONNXRUNTIME-ThirdPartyNotices.txt",
    ),
];

/// The runtime folder of a platform, in cargo's folder for it.
///
/// # Errors
///
/// Fails if cargo's folder cannot be resolved.
pub(crate) fn folder(target: Target) -> Result<PathBuf> {
    Ok(target.folder()?.join(FOLDER))
}

/// Puts both copies of the library and the licences into the platform's runtime folder, unless they
/// are there already. Returns the folder.
///
/// # Errors
///
/// Fails if the platform has no pinned wheel, or if pip cannot download the pinned one.
pub(crate) fn run(target: Target) -> Result<PathBuf> {
    let names = [NAME, BUNDLED_NAME].map(|name| target.library(name));
    let dir = folder(target)?;
    let Some(wheel) = WHEELS
        .iter()
        .find(|wheel| wheel.system == target.system && wheel.arch == target.arch)
    else {
        bail!(
            "there is no pinned ONNX Runtime for {}; put its library into {} as {} and {}",
            target.name(),
            dir.display(),
            names[0],
            names[1]
        );
    };
    let [library, _] = &names;
    if is_complete(&dir, wheel, &names) {
        eprintln!(
            "ONNX Runtime {VERSION}: {} is there",
            dir.join(library).display()
        );
        return Ok(dir);
    }
    let choice = [
        "--implementation",
        "cp",
        "--python-version",
        "3.12",
        "--platform",
        wheel.platform,
    ];
    let pinned = Wheel {
        contents: "ONNX Runtime",
        package: &format!("onnxruntime=={VERSION}"),
        choice: &choice,
        sha256: wheel.sha256,
        command: "cargo xtask runtime",
    };
    pinned.fetch(&dir, |archive| unpack(wheel, archive, &dir, &names))?;
    eprintln!("ONNX Runtime {VERSION}: {}", dir.join(library).display());
    Ok(dir)
}

/// Whether all files exist and both copies are made of the pinned library.
fn is_complete(dir: &Path, wheel: &Platform, [theirs, ours]: &[String; 2]) -> bool {
    let Ok(mut library) = fs::read(dir.join(theirs)) else {
        return false;
    };
    sha256(&library) == wheel.library_sha256
        && rename(wheel.system, &mut library).is_ok()
        && fs::read(dir.join(ours)).is_ok_and(|ours| ours == library)
        && LICENCES.iter().all(|(_, name)| dir.join(name).is_file())
}

/// Extracts the library and its licences from the wheel.
fn unpack(
    wheel: &Platform,
    archive: &mut Archive,
    dir: &Path,
    [theirs, ours]: &[String; 2],
) -> Result<()> {
    for (from, to) in LICENCES {
        put(&dir.join(to), &archive.read(from)?)?;
    }
    let mut library = archive.read(wheel.member)?;
    if sha256(&library) != wheel.library_sha256 {
        bail!(
            "the library in the ONNX Runtime wheel is not the pinned one; correct library_sha256 \
             in xtask/src/runtime.rs"
        );
    }
    put(&dir.join(theirs), &library)?;
    rename(wheel.system, &mut library)?;
    put(&dir.join(ours), &library)
}

/// Turns the library's bytes into the plugin's copy. Only ELF libraries are identified by a name
/// inside them; Windows and macOS load by path.
fn rename(system: System, library: &mut [u8]) -> Result<()> {
    match system {
        System::Linux => soname::rename(library),
        System::Windows | System::MacOs => Ok(()),
    }
}
