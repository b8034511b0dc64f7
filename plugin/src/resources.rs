//! Files that ship with the plugin: ONNX Runtime's library and the default model.

use std::path::{Path, PathBuf};

use crate::ear::EarFiles;
use continuo_files::ear_model;
use continuo_files::onnx_runtime::{
    RESOURCES_VARIABLE, bundled_library_name, find_bundled, resource_folders,
};

/// Environment variable with the model directory, instead of the default model.
pub const MODEL_VARIABLE: &str = "CONTINUO_MODEL";

/// Files that an instance needs to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// ONNX Runtime's library.
    pub library: PathBuf,
    /// The model directory.
    pub model: PathBuf,
}

/// Finds the resources for the plugin library `own`, with the model in `choice` if one was chosen.
/// Composer thread.
///
/// # Errors
///
/// A line with the folders searched, if a file is missing.
pub fn find(own: Option<&Path>, choice: Option<&Path>) -> Result<Resources, String> {
    let variable = || std::env::var_os(MODEL_VARIABLE).filter(|v| !v.is_empty());
    let model = choice.map(Path::to_path_buf);
    locate(
        &resource_folders(own),
        model.or_else(|| variable().map(PathBuf::from)),
    )
}

/// Finds what the ear needs for the plugin library `own`. Composer thread.
///
/// # Errors
///
/// A line with the folders searched, if a file is missing.
pub fn find_ear(own: Option<&Path>) -> Result<EarFiles, String> {
    let folders = resource_folders(own);
    let library = find_bundled(&folders).ok_or("ONNX Runtime is missing")?;
    let named = std::env::var_os(ear_model::VARIABLE).filter(|v| !v.is_empty());
    let model = named.map(PathBuf::from);
    let model = model.or_else(|| ear_model::find_bundled(&folders));
    let model = model.ok_or_else(|| {
        let list: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
        format!(
            "{} not found in {}: `cargo xtask bundle` puts it beside the plugin",
            ear_model::NAME,
            list.join(", ")
        )
    })?;
    Ok(EarFiles { library, model })
}

fn locate(folders: &[PathBuf], model: Option<PathBuf>) -> Result<Resources, String> {
    let list = || {
        let list: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
        if list.is_empty() {
            "no folder: the plugin's own is unknown".into()
        } else {
            list.join(", ")
        }
    };
    let library = find_bundled(folders).ok_or_else(|| {
        let name = bundled_library_name();
        format!(
            "ONNX Runtime ({name}) not found in {}: `cargo xtask bundle` puts \
             it beside the plugin, or set {RESOURCES_VARIABLE} to the folder that has it",
            list()
        )
    })?;
    let model = match model {
        Some(model) => model,
        None => folders
            .iter()
            .map(|f| f.join("models").join("default"))
            .find(|p| p.is_dir())
            .ok_or_else(|| {
                format!(
                    "no model: models/default not found in {}; set {MODEL_VARIABLE} to a model \
                     directory",
                    list()
                )
            })?,
    };
    Ok(Resources { library, model })
}

/// The plugin's own library as an absolute path; `None` if the system does not know it. Call it
/// before the working directory can change.
pub fn own_library() -> Option<PathBuf> {
    let path = own_library_path()?;
    // On Windows it is absolute. Canonicalised it would begin with `\\?\`, and some drives refuse that.
    if cfg!(windows) {
        Some(path)
    } else {
        path.canonicalize().ok()
    }
}

#[cfg(unix)]
fn own_library_path() -> Option<PathBuf> {
    use std::ffi::{CStr, OsStr};
    use std::os::unix::ffi::OsStrExt;

    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is one of this library's own, and `info` is a valid place to write.
    let found = unsafe { libc::dladdr(own_library as *const libc::c_void, info.as_mut_ptr()) };
    // SAFETY: zeroed is a valid `Dl_info`, whether or not dladdr wrote to it.
    let info = unsafe { info.assume_init() };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr succeeded: a C string that lives as long as the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(windows)]
fn own_library_path() -> Option<PathBuf> {
    use std::os::windows::ffi::OsStringExt;

    let module = windows::own_module(0)?;
    let mut name = vec![0u16; 32_768];
    // SAFETY: `name` has room for the length passed.
    let length = unsafe { windows::GetModuleFileNameW(module, name.as_mut_ptr(), 32_768) };
    let name = name
        .get(..usize::try_from(length).ok()?)
        .filter(|n| !n.is_empty())?;
    Some(PathBuf::from(std::ffi::OsString::from_wide(name)))
}

/// Keeps the plugin's library in memory until the process ends. ONNX Runtime is never unloaded
/// and calls back into it, so it must not go away either. Call before loading ONNX Runtime.
pub fn stay_loaded(own: Option<&Path>) {
    #[cfg(unix)]
    if let Some(path) = own {
        use std::os::unix::ffi::OsStrExt;
        if let Ok(name) = std::ffi::CString::new(path.as_os_str().as_bytes()) {
            // SAFETY: the library is loaded already, so nothing of it runs; this only counts
            // it as used for ever.
            unsafe {
                libc::dlopen(
                    name.as_ptr(),
                    libc::RTLD_NOLOAD | libc::RTLD_NODELETE | libc::RTLD_NOW,
                )
            };
        }
    }
    #[cfg(windows)]
    {
        let _ = own;
        windows::own_module(windows::PIN);
    }
}

#[cfg(windows)]
mod windows {
    use std::ffi::c_void;

    /// GET_MODULE_HANDLE_EX_FLAG_PIN: never unload.
    pub(super) const PIN: u32 = 1;
    const UNCHANGED_REFCOUNT: u32 = 2;
    const FROM_ADDRESS: u32 = 4;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
        pub(super) fn GetModuleFileNameW(module: *mut c_void, name: *mut u16, size: u32) -> u32;
    }

    pub(super) fn own_module(pin: u32) -> Option<*mut c_void> {
        let flags = FROM_ADDRESS | if pin == 0 { UNCHANGED_REFCOUNT } else { pin };
        let mut module = std::ptr::null_mut();
        let address = super::own_library as *const c_void;
        // SAFETY: an address of this library's own, and a valid place for the handle.
        let found = unsafe { GetModuleHandleExW(flags, address, &mut module) };
        (found != 0).then_some(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_resources_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [PathBuf::from("/nowhere"), folder.path().to_path_buf()];
        let problem = locate(&folders, None).unwrap_err();
        assert!(
            problem.contains(&bundled_library_name()) && problem.contains("/nowhere"),
            "{problem}"
        );
        std::fs::write(folder.path().join(bundled_library_name()), "").unwrap();
        let problem = locate(&folders, None).unwrap_err();
        assert!(problem.contains("models/default"), "{problem}");
        assert_eq!(
            locate(&folders, Some("m".into())).unwrap().model,
            Path::new("m")
        );
        std::fs::create_dir_all(folder.path().join("models/default")).unwrap();
        let found = locate(&folders, None).unwrap();
        assert_eq!(found.model, folder.path().join("models/default"));
        assert_eq!(found.library, folder.path().join(bundled_library_name()));
    }

    #[test]
    fn the_own_library_is_a_file() {
        let own = own_library().unwrap();
        assert!(own.is_absolute() && own.is_file(), "{own:?}");
    }
}
