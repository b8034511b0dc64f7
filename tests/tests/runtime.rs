//! ONNX Runtime beside the plugin.

use std::path::Path;

use continuo_tests::artifacts;
use continuo_tests::host::Format;
use libloading::{Library, Symbol};

/// The address of a library's one entry point.
fn entry(library: &Library) -> usize {
    type GetApiBase = unsafe extern "C" fn() -> *const std::ffi::c_void;
    // SAFETY: the function is only looked up.
    let get: Symbol<GetApiBase> = unsafe { library.get(b"OrtGetApiBase") }.unwrap();
    *get as usize
}

fn load(path: &Path) -> Library {
    // SAFETY: the pinned library, whose initialisers do nothing but set up itself.
    unsafe { Library::new(path) }.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where another plugin, or the host, has loaded ONNX Runtime under its usual name, the
/// loader must not take ours for the same.
#[test]
fn bundled_runtime_is_not_replaced_by_a_loaded_one() {
    let folder = tempfile::tempdir().unwrap();
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let resources = artifacts::bundle(Format::Clap)
        .unwrap()
        .with_extension("resources");
    let ours = resources.join(format!("{prefix}onnxruntime-continuo{suffix}"));
    // A stranger's copy, in another place.
    let theirs = folder.path().join(format!("{prefix}onnxruntime{suffix}"));
    std::fs::copy(artifacts::runtime_library().unwrap(), &theirs).unwrap();
    let (theirs, ours) = (load(&theirs), load(&ours));
    assert_ne!(entry(&theirs), entry(&ours));
    // Unloading ONNX Runtime has crashed hosts.
    std::mem::forget((theirs, ours));
}
