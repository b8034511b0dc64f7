//! The copy of ONNX Runtime that is bundled with the plugin.

use std::path::Path;

use continuo_files::onnx_runtime;
use continuo_tests::artifacts;
use continuo_tests::host::Format;
use libloading::{Library, Symbol};

/// Address of a library's entry point.
fn entry_point(library: &Library) -> usize {
    type GetApiBase = unsafe extern "C" fn() -> *const std::ffi::c_void;
    // SAFETY: the function is not called.
    let get: Symbol<GetApiBase> = unsafe { library.get(b"OrtGetApiBase") }.unwrap();
    *get as usize
}

fn load(path: &Path) -> Library {
    // SAFETY: this is the pinned library, whose initialisers affect only itself.
    unsafe { Library::new(path) }.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// If another plugin or the host has loaded ONNX Runtime under its usual name, the loader must still load
/// ours.
#[test]
fn bundled_runtime_is_not_replaced_by_a_loaded_one() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = artifacts::bundle(Format::Clap).unwrap();
    let resources = onnx_runtime::resources_beside(&bundle).unwrap();
    let ours = resources.join(onnx_runtime::bundled_library_name());
    // Another plugin's copy, in another folder.
    let theirs = folder.path().join(onnx_runtime::library_name());
    std::fs::copy(artifacts::runtime_library().unwrap(), &theirs).unwrap();
    let (theirs, ours) = (load(&theirs), load(&ours));
    assert_ne!(entry_point(&theirs), entry_point(&ours));
    // Unloading ONNX Runtime has crashed hosts.
    std::mem::forget((theirs, ours));
}
