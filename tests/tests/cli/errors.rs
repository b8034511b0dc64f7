//! Errors are one line on standard error, with the exit code that fits.

use std::path::Path;

use continuo_score::{Score, tune};
use continuo_tests::artifacts;

use super::{continuo, fails, path};

#[test]
fn bad_input_prints_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let (input, output) = (at("in.mid"), at("out.mid"));
    tune::minuet()
        .to_midi()
        .write_file(Path::new(&input))
        .unwrap();
    std::fs::write(at("broken.mid"), b"MThd\0\0\0\x06\0\x01").unwrap();
    Score::new(12)
        .to_midi()
        .write_file(Path::new(&at("empty.mid")))
        .unwrap();
    std::fs::write(at("noise.so"), b"no library").unwrap();

    fails(
        &["continue", &at("missing.mid"), "-o", &output],
        "missing.mid",
    );
    fails(
        &["continue", &at("broken.mid"), "-o", &output],
        "broken.mid",
    );
    fails(&["continue", &at("empty.mid"), "-o", &output], "no notes");
    fails(
        &["continue", &input, "-o", &at("no/such/folder.mid")],
        "folder.mid",
    );
    fails(
        &["continue", &input, "-o", &input],
        "in.mid: is the input, and it would get the new track",
    );
    fails(&["transcribe", &input, "-o", &output], "a MIDI file");
    fails(&["eval", &input, "--from-bar", "5000"], "bar 5000");
    fails(&["eval", &at("empty.mid")], "nothing to measure");
    fails(&["view", &input, "--notation"], "continuo notate");
    std::fs::write(at("nothing.mid"), b"").unwrap();
    fails(&["inspect", &at("nothing.mid")], "the file is empty");
    std::fs::create_dir(at("folder")).unwrap();
    fails(
        &["continue", &input, "-o", &output, "--model", &at("folder")],
        "not a model directory",
    );
    for (option, value) in [
        ("--top-p", "2"),
        ("--temperature", "-1"),
        ("--scale", "H major"),
        ("--range", "C3"),
        ("--part-limit", "bass=E1"),
    ] {
        let done = continuo(&[
            "continue",
            &input,
            "-o",
            &output,
            &format!("{option}={value}"),
        ]);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "a wrong command line: {said}");
        assert!(said.contains(option) && said.contains(value), "{said}");
    }
    fails(
        &["continue", &input, "-o", &output, "--device", "gpu"],
        "directml",
    );
    // No available library has both providers.
    fails(
        &[
            "continue",
            &input,
            "-o",
            &output,
            "--device",
            "directml,coreml",
        ],
        "CoreML",
    );
    fails(
        &[
            "continue",
            &input,
            "-o",
            &output,
            "--runtime",
            &at("none.so"),
        ],
        "xtask runtime",
    );
    fails(
        &[
            "continue",
            &input,
            "-o",
            &output,
            "--runtime",
            &at("noise.so"),
        ],
        "noise.so",
    );
    fails(&["view", &at("empty.mid"), "-o", &at("x.png")], "no notes");
    fails(
        &["notate", &at("empty.mid"), "-o", &at("x.xml")],
        "no notes",
    );
    assert!(!Path::new(&at("x.xml")).exists());
    assert!(
        !Path::new(&output).exists(),
        "nothing half done is left behind"
    );
}

#[test]
fn malformed_model_directory_prints_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let (input, output, model) = (at("in.mid"), at("out.mid"), at("model"));
    tune::minuet()
        .to_midi()
        .write_file(Path::new(&input))
        .unwrap();
    let run = |about: &str| {
        fails(
            &["continue", &input, "-o", &output, "--model", &model],
            about,
        );
    };
    run("CONTINUO_MODEL");
    copy(&artifacts::model().unwrap(), Path::new(&model));
    let manifest = format!("{model}/model.json");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        std::fs::write(&manifest, whole.replacen(from, to, 1)).unwrap();
    };
    edit("{", "[");
    run("model.json");
    edit("\"format\": 1", "\"format\": 99");
    run("format 99");
    edit("plain/", "../plain/");
    run("inside the model directory");
    edit("\"layers\": 2", "\"layers\": 3");
    run("past_key.2");
    edit("\"layers\": 2", "\"layers\": 1000000000");
    run("layers");
    std::fs::write(&manifest, &whole).unwrap();
    std::fs::write(format!("{model}/cpu/lower.onnx"), b"no graph").unwrap();
    run("lower.onnx");
    std::fs::remove_file(format!("{model}/vocabulary.json")).unwrap();
    run("vocabulary.json");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
