//! The shared library inside a VST3 bundle.

use std::ffi::c_void;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use libloading::Library;
use vst3::ComPtr;
use vst3::Steinberg::IPluginFactory;

/// A loaded library, between its entry and exit functions.
pub(super) struct Module {
    library: Library,
}

/// Names of the entry function and the exit function.
#[cfg(target_os = "linux")]
const ENTRY_POINTS: (&[u8], &[u8]) = (b"ModuleEntry", b"ModuleExit");
#[cfg(target_os = "macos")]
const ENTRY_POINTS: (&[u8], &[u8]) = (b"bundleEntry", b"bundleExit");
#[cfg(windows)]
const ENTRY_POINTS: (&[u8], &[u8]) = (b"InitDll", b"ExitDll");

type Entry = unsafe extern "C" fn(*mut c_void) -> bool;
type Exit = unsafe extern "C" fn() -> bool;
type GetFactory = unsafe extern "system" fn() -> *mut IPluginFactory;

/// Path of the library for this platform in a bundle.
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
            "the VST3 has no library for this platform at {}",
            path.display()
        );
    }
    Ok(path)
}

impl Module {
    /// Loads the library of a bundle and calls its entry function.
    pub(super) fn load(bundle: &Path) -> Result<Self> {
        let path = library_path(bundle)?;
        // SAFETY: loading a plugin runs its code; the bundles here are built by this project.
        let library = unsafe { Library::new(&path) }
            .with_context(|| format!("cannot load {}", path.display()))?;
        // SAFETY: VST3 defines this function's type. Some plugins use the library handle that it
        // takes; ours does not, and `libloading` keeps the real one private.
        let entered = unsafe { library.get::<Entry>(ENTRY_POINTS.0)?(std::ptr::null_mut()) };
        if !entered {
            bail!("{} refused to start", path.display());
        }
        Ok(Self { library })
    }

    /// The library's plugin factory. Must be dropped before the module.
    pub(super) fn factory(&self) -> Result<ComPtr<IPluginFactory>> {
        // SAFETY: VST3 defines this function's type; it returns a pointer with one reference.
        unsafe {
            let factory = self.library.get::<GetFactory>(b"GetPluginFactory")?();
            ComPtr::from_raw(factory).context("the VST3 has no plugin factory")
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: VST3 defines this function's type; nothing of the library is in use.
        if let Ok(exit) = unsafe { self.library.get::<Exit>(ENTRY_POINTS.1) } {
            // SAFETY: as above.
            let _ = unsafe { exit() };
        }
    }
}
