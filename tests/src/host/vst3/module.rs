//! The shared library inside a VST3 bundle.

use std::ffi::c_void;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use libloading::Library;
use vst3::ComPtr;
use vst3::Steinberg::IPluginFactory;

/// A loaded library, between its entry and its exit.
pub(super) struct Module {
    library: Library,
}

/// Names of the functions that begin and end a library's use.
#[cfg(target_os = "linux")]
const ENTRY_POINTS: (&[u8], &[u8]) = (b"ModuleEntry", b"ModuleExit");
#[cfg(target_os = "macos")]
const ENTRY_POINTS: (&[u8], &[u8]) = (b"bundleEntry", b"bundleExit");
#[cfg(windows)]
const ENTRY_POINTS: (&[u8], &[u8]) = (b"InitDll", b"ExitDll");

type Entry = unsafe extern "C" fn(*mut c_void) -> bool;
type Exit = unsafe extern "C" fn() -> bool;
type GetFactory = unsafe extern "system" fn() -> *mut IPluginFactory;

/// Where a bundle keeps the library for this machine.
fn library_path(bundle: &Path) -> Result<PathBuf> {
    let arch = std::env::consts::ARCH;
    let folder = match std::env::consts::OS {
        "linux" => format!("{arch}-linux"),
        "windows" => format!("{}-win", arch.replace("aarch64", "arm_64")),
        _ => "MacOS".to_string(),
    };
    let name = bundle
        .file_stem()
        .context("a VST3 bundle without a name")?
        .to_os_string();
    let path = bundle.join("Contents").join(folder).join(name);
    let path = match std::env::consts::OS {
        "linux" => path.with_extension("so"),
        "windows" => path.with_extension("vst3"),
        _ => path,
    };
    if !path.is_file() {
        bail!(
            "the VST3 has no library for this machine at {}",
            path.display()
        );
    }
    Ok(path)
}

impl Module {
    pub(super) fn load(bundle: &Path) -> Result<Self> {
        let path = library_path(bundle)?;
        // SAFETY: loading a plugin runs its code; these are the ones this project built.
        let library = unsafe { Library::new(&path) }
            .with_context(|| format!("cannot load {}", path.display()))?;
        // SAFETY: the format gives this function this type. Some plugins look at the handle
        // of the library; ours does not, and the real one is private to `libloading`.
        let entered = unsafe { library.get::<Entry>(ENTRY_POINTS.0)?(std::ptr::null_mut()) };
        if !entered {
            bail!("{} refused to start", path.display());
        }
        Ok(Self { library })
    }

    /// The maker of plugins in this library. Must be dropped before the module is.
    pub(super) fn factory(&self) -> Result<ComPtr<IPluginFactory>> {
        // SAFETY: the format gives this function this type, and the pointer with a count of 1.
        unsafe {
            let factory = self.library.get::<GetFactory>(b"GetPluginFactory")?();
            ComPtr::from_raw(factory).context("the VST3 has no plugin factory")
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: the format gives this function this type; nothing of the library is in use.
        if let Ok(exit) = unsafe { self.library.get::<Exit>(ENTRY_POINTS.1) } {
            // SAFETY: as above.
            let _ = unsafe { exit() };
        }
    }
}
