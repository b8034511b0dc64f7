//! Microsoft's Visual C++ library on Windows, which ONNX Runtime is linked against.
//!
//! An old one, such as a DAW may have brought and loaded, ends the process with an access violation
//! in ONNX Runtime's first lock: from 14.40 on, a lock needs no constructor, and ONNX Runtime calls
//! none. So its version is read before ONNX Runtime is loaded. Any thread.

use std::path::{Path, PathBuf};

use windows::Win32::Foundation::HMODULE;
use windows::Win32::Storage::FileSystem::{
    GetFileVersionInfoSizeW, GetFileVersionInfoW, VS_FIXEDFILEINFO, VerQueryValueW,
};
use windows::Win32::System::LibraryLoader::{
    GetModuleFileNameW, GetModuleHandleW, GetProcAddress, LoadLibraryW,
};
use windows::core::{HSTRING, s, w};

/// Oldest version that works: 14.40, as Windows writes it.
const OLDEST: u32 = 14 << 16 | 40;

/// The remedy for the user.
const REMEDY: &str = if cfg!(target_arch = "aarch64") {
    "install the current Microsoft Visual C++ Redistributable for ARM64 (14.40 or newer)"
} else {
    "install the current Microsoft Visual C++ Redistributable for x64 (14.40 or newer)"
};

/// Fails if the library is missing or too old. Wine has one of its own, with another version.
///
/// # Errors
/// The reason, with the remedy.
pub(crate) fn check() -> Result<(), String> {
    // SAFETY: the name is a string that lives.
    let library = unsafe { LoadLibraryW(w!("MSVCP140.dll")) };
    let library = library.map_err(|_| format!("MSVCP140.dll is missing; {REMEDY}"))?;
    if is_wine() {
        return Ok(());
    }
    let Some(path) = path_of(library) else {
        return Ok(());
    };
    verdict(&path, version_of(&path))
}

/// Fails if a version, major and minor in one number, is too old. An unknown one may work.
fn verdict(path: &Path, version: Option<u32>) -> Result<(), String> {
    match version {
        Some(version) if version < OLDEST => Err(format!(
            "{} has version {}.{}, which is too old; {REMEDY}",
            path.display(),
            version >> 16,
            version & 0xffff
        )),
        _ => Ok(()),
    }
}

fn is_wine() -> bool {
    // SAFETY: the library is always loaded, and only looked at.
    unsafe {
        GetModuleHandleW(w!("ntdll.dll"))
            .is_ok_and(|ntdll| GetProcAddress(ntdll, s!("wine_get_version")).is_some())
    }
}

fn path_of(library: HMODULE) -> Option<PathBuf> {
    let mut name = vec![0; 32_768];
    // SAFETY: the handle is a loaded library's.
    let length = unsafe { GetModuleFileNameW(Some(library), &mut name) };
    let name = name.get(..usize::try_from(length).ok()?)?;
    Some(HSTRING::from_wide(name).to_os_string().into())
}

/// Major version and, in the lower half, minor version of a library.
fn version_of(path: &Path) -> Option<u32> {
    let path = HSTRING::from(path);
    // SAFETY: the buffer has the size that is passed, and outlives the pointer into it.
    unsafe {
        let size = GetFileVersionInfoSizeW(&path, None);
        let mut data = vec![0_u64; usize::try_from(size).ok()?.div_ceil(8)];
        GetFileVersionInfoW(&path, None, size, data.as_mut_ptr().cast()).ok()?;
        let (mut at, mut length) = (std::ptr::null_mut(), 0);
        let found = VerQueryValueW(data.as_ptr().cast(), w!("\\"), &mut at, &mut length);
        let is_whole = usize::try_from(length).ok()? >= size_of::<VS_FIXEDFILEINFO>();
        if !found.as_bool() || at.is_null() || !is_whole {
            return None;
        }
        Some((*at.cast::<VS_FIXEDFILEINFO>()).dwFileVersionMS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_a_system_library_is_read() {
        // SAFETY: the name is a string that lives.
        let kernel = unsafe { GetModuleHandleW(w!("kernel32.dll")) }.unwrap();
        let version = version_of(&path_of(kernel).unwrap()).unwrap();
        assert!(version >> 16 >= 5, "{version:x}");
        assert_eq!(version_of(Path::new("nothing.dll")), None);
        check().unwrap();
    }

    #[test]
    fn an_old_library_is_named_with_its_version_and_the_remedy() {
        let library = Path::new("MSVCP140.dll");
        let refused = verdict(library, Some(14 << 16 | 16)).unwrap_err();
        assert!(
            refused.contains("MSVCP140.dll has version 14.16"),
            "{refused}"
        );
        assert!(refused.contains("14.40 or newer"), "{refused}");
        for fine in [Some(OLDEST), Some(15 << 16), None] {
            assert_eq!(verdict(library, fine), Ok(()));
        }
    }
}
