//! Generates ONNX's messages from the schema that the released crate `onnx-ir` carries.

use std::error::Error;
use std::path::Path;

/// Folder of the schema in that crate, which `cargo xtask patch` fetches.
const FOLDER: &str = "../third_party/if-missing-run-cargo-xtask-patch/onnx-ir/src/protos";
const SCHEMA: &str = "onnx.proto";

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(FOLDER).join(SCHEMA);
    println!("cargo::rerun-if-changed={}", file.display());
    if !file.exists() {
        println!(
            "cargo::error=there is no {}; run `cargo xtask patch`",
            file.display()
        );
        return Ok(());
    }
    let mut compiler = protox::Compiler::new([FOLDER])?;
    let mut schema = compiler.open_file(SCHEMA)?.file_descriptor_set();
    for file in &mut schema.file {
        // The schema is in proto3, whose code omits values equal to their type's default. ONNX's own
        // tools use proto2, which writes an axis of 0.
        file.syntax = Some("proto2".into());
    }
    prost_build::Config::new().compile_fds(schema)?;
    Ok(())
}
