//! Replaces the SONAME of a Linux library.
//!
//! Every build of ONNX Runtime has the SONAME `libonnxruntime.so.1`, and the loader identifies
//! libraries by it. If the host or another plugin has loaded its own version, ours would not be
//! loaded. The new name has the same length, so that nothing else in the file moves.

use anyhow::{Result, bail};

/// SONAME of ONNX Runtime.
const THEIRS: &[u8] = b"\0libonnxruntime.so.1\0";
/// SONAME of the plugin's copy.
const OURS: &[u8] = b"\0libcontinuo-rt.so.1\0";
const _: () = assert!(THEIRS.len() == OURS.len());

/// Replaces the SONAME in a library's bytes.
///
/// # Errors
///
/// Fails if the library is no ELF file or does not contain the old name exactly once.
pub(crate) fn rename(library: &mut [u8]) -> Result<()> {
    if !library.starts_with(b"\x7fELF") {
        bail!("the ONNX Runtime library is no ELF file");
    }
    let mut found = library
        .windows(THEIRS.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == THEIRS);
    let (Some((at, _)), None) = (found.next(), found.next()) else {
        bail!(
            "the ONNX Runtime library does not hold its SONAME exactly once; \
             look at its dynamic section with readelf -d and adapt xtask/src/soname.rs"
        );
    };
    library[at..at + OURS.len()].copy_from_slice(OURS);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_occurrence_is_replaced() {
        let mut library = b"\x7fELF...\0libc.so.6\0libonnxruntime.so.1\0onnx\0".to_vec();
        rename(&mut library).unwrap();
        assert_eq!(
            library,
            b"\x7fELF...\0libc.so.6\0libcontinuo-rt.so.1\0onnx\0"
        );
    }

    #[test]
    fn other_formats_and_repeated_names_are_refused() {
        assert!(rename(&mut b"MZ\0libonnxruntime.so.1\0".to_vec()).is_err());
        assert!(rename(&mut b"\x7fELF\0libonnxruntime.so.2\0".to_vec()).is_err());
        let twice = b"\x7fELF\0libonnxruntime.so.1\0..\0libonnxruntime.so.1\0";
        assert!(rename(&mut twice.to_vec()).is_err());
    }
}
