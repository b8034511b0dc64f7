//! Gives a Linux library another SONAME.
//!
//! Every build of ONNX Runtime calls itself `libonnxruntime.so.1`. The loader knows libraries
//! by that name: where another plugin of the same host brings its own, or the host does, one
//! may be handed the other's, of another version. Ours has a name of its own. The new name is
//! as long as the old one, so it is written over it and nothing in the file moves.

use anyhow::{Result, bail};

/// What ONNX Runtime calls itself.
const THEIRS: &[u8] = b"\0libonnxruntime.so.1\0";
/// What the plugin's copy calls itself.
const OURS: &[u8] = b"\0libcontinuo-rt.so.1\0";
const _: () = assert!(THEIRS.len() == OURS.len());

/// Renames a library given as its bytes.
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
    fn renames_the_only_occurrence() {
        let mut library = b"\x7fELF...\0libc.so.6\0libonnxruntime.so.1\0onnx\0".to_vec();
        rename(&mut library).unwrap();
        assert_eq!(
            library,
            b"\x7fELF...\0libc.so.6\0libcontinuo-rt.so.1\0onnx\0"
        );
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        assert!(rename(&mut b"MZ\0libonnxruntime.so.1\0".to_vec()).is_err());
        assert!(rename(&mut b"\x7fELF\0libonnxruntime.so.2\0".to_vec()).is_err());
        let twice = b"\x7fELF\0libonnxruntime.so.1\0..\0libonnxruntime.so.1\0";
        assert!(rename(&mut twice.to_vec()).is_err());
    }
}
