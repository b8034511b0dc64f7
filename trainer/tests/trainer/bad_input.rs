//! Whatever is wrong: one clear line, a non-zero exit, nothing half-written.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::songs;

fn run(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_continuo-trainer"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn fails(folder: &Path, arguments: &str, says: &[&str]) {
    let output = run(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments}: {text}");
    assert_eq!(text.lines().count(), 1, "{arguments}: {text}");
    for words in says {
        assert!(
            text.contains(words),
            "{arguments}: {text} says nothing of {words}"
        );
    }
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &str) -> String {
    let output = run(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_mistake_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    songs::write(&at.join("midi"), 8, 40);
    fs::create_dir(at.join("none")).unwrap();
    fs::create_dir(at.join("broken")).unwrap();
    fs::write(at.join("broken/a.mid"), "no music").unwrap();
    fs::write(at.join("text"), "no corpus, whatever else it may be").unwrap();

    fails(at, "encode none -o c", &["no MIDI files", "none"]);
    fails(at, "encode missing -o c", &["missing"]);
    fails(at, "encode broken -o c", &["none of 1", "a.mid"]);
    fails(
        at,
        "encode midi -o c --preset x",
        &["--preset x", "continuo"],
    );
    fails(at, "encode midi -o c --held-out 2", &["--held-out 2"]);
    fails(at, "encode midi -o missing/c", &["missing"]);
    assert!(!at.join("c").exists() && !at.join("c.partial").exists());

    let table = succeeds(at, "encode midi broken -o songs --held-out 0.3 --json");
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    assert_eq!(
        (&table["songs"], &table["skipped"]["unreadable"]),
        (&8.into(), &1.into())
    );
    assert!(
        fs::read_to_string(at.join("songs.skipped.tsv"))
            .unwrap()
            .contains("a.mid")
    );
    succeeds(at, "encode midi -o all --held-out 0");
    succeeds(at, "encode midi -o other --preset midigen --held-out 0.3");

    fails(at, "train --corpus missing -o m --steps 1", &["missing"]);
    fails(
        at,
        "train --corpus text -o m --steps 1",
        &["not a corpus", "encode"],
    );
    fails(
        at,
        "train --corpus songs -o m --preset x",
        &["--preset x", "tiny"],
    );
    fails(at, "train --corpus songs -o m --batch 0", &["--batch 0"]);
    fails(
        at,
        "train --corpus songs -o m --minutes 0",
        &["--minutes 0"],
    );
    fails(
        at,
        "train --corpus songs -o m --resume",
        &["no checkpoint", "train"],
    );
    succeeds(at, "train --corpus songs -o m --preset tiny --steps 2");
    fails(
        at,
        "train --corpus songs -o m --preset tiny --steps 2",
        &["--resume"],
    );
    fails(
        at,
        "train --corpus all -o m --resume --steps 3",
        &["not the corpus"],
    );
    fails(
        at,
        "train --corpus other -o m --resume --steps 3",
        &["vocabulary", "midigen"],
    );
    succeeds(at, "train --corpus songs -o m --resume --steps 3");

    fails(
        at,
        "eval --checkpoint missing --corpus songs",
        &["missing", "no checkpoint"],
    );
    fails(
        at,
        "eval --checkpoint m --corpus other",
        &["vocabulary", "midigen"],
    );
    fails(
        at,
        "eval --checkpoint m --corpus all",
        &["no held-out songs"],
    );
    let table = succeeds(at, "eval --checkpoint m --corpus songs");
    assert!(
        table.contains("unigram") && table.lines().any(|l| l.starts_with("all ")),
        "{table}"
    );
    let json = succeeds(at, "eval --checkpoint m --corpus songs --json");
    fs::write(at.join("eval.json"), json).unwrap();

    let export = "export --checkpoint m --corpus songs -o model";
    fails(
        at,
        &format!("{export} --runtime gone"),
        &["gone", "cargo xtask runtime"],
    );
    fails(
        at,
        &format!("{export} --runtime text"),
        &["text", "does not load"],
    );
    fails(at, &format!("{export} --held-out-json text"), &["text"]);
    assert!(!at.join("model").exists() && !at.join("model.partial").exists());
    succeeds(
        at,
        &format!("{export} --held-out-json eval.json --name N --licence MIT"),
    );
    let manifest = fs::read_to_string(at.join("model/model.json")).unwrap();
    assert!(manifest.contains("nats_per_token"), "{manifest}");

    // A checkpoint whose parts do not belong together.
    let config = at.join("m/step-00000003/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"width\": 32", "\"width\": 48")).unwrap();
    fails(
        at,
        "eval --checkpoint m --corpus songs",
        &["weights", "embedding.token", "48"],
    );
    fs::write(
        &config,
        text.replace("\"vocabulary\": 340", "\"vocabulary\": 341"),
    )
    .unwrap();
    fails(
        at,
        "eval --checkpoint m --corpus songs",
        &["config.json", "340"],
    );
    fs::write(&config, &text[..50]).unwrap();
    fails(at, "eval --checkpoint m --corpus songs", &["config.json"]);
    fs::write(&config, &text).unwrap();
    let weights = at.join("m/step-00000003/weights.safetensors");
    fs::write(&weights, "x").unwrap();
    fails(
        at,
        "eval --checkpoint m --corpus songs",
        &["weights.safetensors"],
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    songs::corpus(at, 6, 40);
    let mut child = Command::new(env!("CARGO_BIN_EXE_continuo-trainer"))
        .args("train --corpus songs.corpus -o m --preset tiny --minutes 10".split(' '))
        .current_dir(at)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line of progress says that it is training.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    lines
        .by_ref()
        .map(Result::unwrap)
        .find(|l| l.starts_with("step "))
        .expect("a step");
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.iter().any(|l| l.contains("--resume")), "{rest:?}");
    let saved = continuo_trainer::checkpoint::steps(&at.join("m"));
    assert_eq!(saved.len(), 1);
    assert!(saved[0].0 >= 1);
}
