//! Each program in the top-level `examples/`, run once as its first lines say.

use std::ffi::OsStr;
use std::process::Command;

use continuo_score::{midi, tune};
use continuo_tests::artifacts;
use continuo_tests::host::Format;

/// Runs an example with the test model and returns its output.
fn run(name: &str, arguments: &[&OsStr]) -> String {
    let program = artifacts::program(&format!("examples/{name}")).unwrap();
    let mut example = Command::new(program);
    example.env("CONTINUO_MODEL", artifacts::model().unwrap());
    let output = example.args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn embed_engine_prints_the_answer() {
    let (model, library) = (artifacts::model(), artifacts::runtime_library());
    let (model, library) = (model.unwrap(), library.unwrap());
    let output = run("embed_engine", &[model.as_ref(), library.as_ref()]);
    assert!(output.lines().count() > 3, "{output:?}");
    assert!(output.lines().all(|line| line.contains(": key ")));
}

#[test]
fn continue_file_writes_input_and_answer() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.mid", "out.mid"].map(|name| folder.path().join(name));
    let minuet = tune::minuet();
    minuet.to_midi().write_file(&input).unwrap();
    let (model, library) = (artifacts::model(), artifacts::runtime_library());
    let (model, library) = (model.unwrap(), library.unwrap());
    let paths = [&model, &library, &input, &output].map(|path| path.as_os_str());
    run("continue_file", &paths);
    let written = midi::read_file(&output).unwrap();
    let count = |channel| {
        written
            .notes
            .iter()
            .filter(|n| n.channel == channel)
            .count()
    };
    assert_eq!(count(0), minuet.notes.len());
    assert!(count(1) > 3, "{} notes", count(1));
}

#[test]
fn clap_host_prints_the_answer_of_the_plugin() {
    let bundle = artifacts::bundle(Format::Clap).unwrap();
    let output = run("clap_host", &[bundle.as_ref()]);
    assert!(output.lines().count() > 3, "{output:?}");
}
