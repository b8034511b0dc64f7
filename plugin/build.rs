//! Refuses to compile with a patched crate that is not made from its patch file as it is now.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let third_party = Path::new("../third_party");
    let patches = third_party.join("patches");
    println!("cargo::rerun-if-changed={}", patches.display());
    // Each patched crate holds the part of the patch file that it was made from: see `STAMP` in
    // xtask/src/patch.rs.
    let mut stamps = Vec::new();
    for folder in fs::read_dir(third_party.join("if-missing-run-cargo-xtask-patch"))? {
        let stamp = folder?.path().join(".patch");
        if let Ok(made_from) = fs::read_to_string(&stamp) {
            println!("cargo::rerun-if-changed={}", stamp.display());
            stamps.push(made_from);
        }
    }
    for patch in fs::read_dir(patches)? {
        let path = patch?.path();
        let text = fs::read_to_string(&path)?;
        if !stamps.iter().any(|made_from| text.ends_with(made_from)) {
            let path = path.display();
            println!("cargo::error={path} is newer than its crate; run `cargo xtask patch`");
        }
    }
    Ok(())
}
