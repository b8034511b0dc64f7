//! Errors of the command line: one clear line, a non-zero exit code, no partial output.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fixtures;

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
fn each_error_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::write(&at.join("midi"), 8, 40);
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
    for option in ["--divide", "--merge", "--grooves midi"] {
        let command = format!("encode midi -o c {option}");
        fails(at, &command, &["no parts", "--preset band"]);
    }
    fails(
        at,
        "encode midi -o c --preset band --grooves midi",
        &["--grooves", "drums alone"],
    );
    fails(
        at,
        "encode midi -o c --preset band --grooves missing",
        &["missing"],
    );
    fails(at, "encode midi -o missing/c", &["missing"]);
    // Nothing of any of them is left.
    let left = fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name());
    let left: Vec<_> = left.collect();
    assert_eq!(left.len(), 4, "{left:?}");

    let table = succeeds(at, "encode midi broken -o songs --held-out 0.3 --json");
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    assert_eq!(
        (&table["songs"], &table["skipped"]["broken"]),
        (&8.into(), &1.into())
    );
    // The path stands once in each line.
    let skipped = fs::read_to_string(at.join("songs.skipped.tsv")).unwrap();
    assert_eq!(skipped.matches("a.mid").count(), 1, "{skipped}");
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
    fails(
        at,
        "train --corpus songs -o m --batch 100",
        &["6 songs", "100 batch rows", "--batch 6"],
    );
    fails(
        at,
        "train --corpus songs -o m --from nowhere",
        &["nowhere", "no checkpoint"],
    );
    #[cfg(not(feature = "cuda"))]
    fails(
        at,
        "train --corpus songs -o m --device cuda",
        &["--device cuda", "--features cuda"],
    );
    assert!(!at.join("m").exists());
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
        "train --corpus other -o n --from m --steps 1",
        &["vocabulary", "midigen"],
    );
    assert!(!at.join("n").exists());

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
    let json = succeeds(at, "eval --quick --checkpoint m --corpus songs --json");
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
    let like = "--like-midigen norm,feed-forward,positions";
    succeeds(
        at,
        &format!("train --corpus songs -o like --preset tiny --steps 2 {like}"),
    );
    succeeds(at, "train --corpus songs -o like --resume --steps 3");
    succeeds(at, "eval --quick --checkpoint like --corpus songs");
    fails(
        at,
        "export --checkpoint like --corpus songs -o model",
        &["like", "--like-midigen"],
    );
    assert!(!at.join("model").exists());
    succeeds(
        at,
        &format!("{export} --held-out-json eval.json --name N --licence MIT"),
    );
    let manifest = fs::read_to_string(at.join("model/model.json")).unwrap();
    assert!(manifest.contains("nats_per_token"), "{manifest}");
    // A model directory can be measured and trained on, as long as it has its parameters.
    let nats = |json: &str| {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let all = |key: &str| json["all"][key].as_f64().unwrap();
        all("nats") / all("tokens")
    };
    let again = succeeds(at, "eval --quick --checkpoint model --corpus songs --json");
    let before = fs::read_to_string(at.join("eval.json")).unwrap();
    // The parameters are stored with 16 bits.
    let lost = nats(&again) - nats(&before);
    assert!(lost.abs() < 1e-3, "{lost}: {again} {before}");
    // An export of the export is the same.
    succeeds(
        at,
        "export --checkpoint model --corpus songs -o model-again --name N --licence MIT",
    );
    let weights = |model: &str| fs::read(at.join(model).join("weights.safetensors")).unwrap();
    assert_eq!(weights("model"), weights("model-again"));
    let size = |model: &str| weights(model).len();
    let checkpoint = fs::read_dir(at.join("m")).unwrap().find_map(|entry| {
        let file = entry.unwrap().path().join("weights.safetensors");
        fs::metadata(file).ok().map(|data| data.len() as usize)
    });
    assert!(2 * size("model") < checkpoint.unwrap() + 20_000);
    succeeds(at, "train --corpus songs -o n --from model --steps 1");
    fs::remove_file(at.join("model/weights.safetensors")).unwrap();
    fails(
        at,
        "train --corpus songs -o o --from model",
        &["model", "weights.safetensors", "export"],
    );
    assert!(!at.join("o").exists());

    // The parts of a checkpoint do not fit each other.
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
    // A checkpoint with another config is not resumed and stays as it is.
    let whole = fs::read(at.join("m/step-00000003/training.safetensors")).unwrap();
    fs::write(&config, text.replace("\"layers\": 2", "\"layers\": 3")).unwrap();
    fails(
        at,
        "train --corpus songs -o m --resume --steps 4",
        &["weights", "layers.2", "missing"],
    );
    assert_eq!(
        continuo_trainer::train::checkpoint::steps(&at.join("m")).len(),
        2
    );
    assert!(fs::read(at.join("m/step-00000003/training.safetensors")).unwrap() == whole);
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
fn ctrl_c_saves_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::corpus(at, 6, 40);
    let mut child = Command::new(env!("CARGO_BIN_EXE_continuo-trainer"))
        .args("train --corpus songs.corpus -o m --preset tiny --minutes 10".split(' '))
        .current_dir(at)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line of progress appears once it trains.
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
    let saved = continuo_trainer::train::checkpoint::steps(&at.join("m"));
    assert_eq!(saved.len(), 1);
    assert!(saved[0].0 >= 1);
}

/// Step and loss columns of `losses.csv`.
fn losses(folder: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("losses.csv")).unwrap();
    let row = |line: &str| {
        let columns: Vec<_> = line.split(',').collect();
        (columns[0].to_owned(), columns[3].to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn killed_training_resumes_with_the_same_losses() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::corpus(at, 8, 40);
    let train = "train --corpus songs.corpus --preset tiny --steps 60 --threads 2";
    succeeds(at, &format!("{train} -o whole"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_continuo-trainer"))
        .args(format!("{train} -o killed --checkpoint-every 0s").split(' '))
        .current_dir(at)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Killed outright (SIGKILL) once there are checkpoints, whatever it is doing then.
    let killed = at.join("killed");
    let saved = || continuo_trainer::train::checkpoint::steps(&killed);
    while saved().last().is_none_or(|s| s.0 < 5) {
        assert!(child.try_wait().unwrap().is_none(), "still training");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let step = saved().last().unwrap().0;
    assert!(step < 60, "killed too late: {step}");
    succeeds(at, "train --corpus songs.corpus -o killed --resume");
    assert_eq!(
        losses(&killed),
        losses(&at.join("whole")),
        "killed at {step}"
    );
}

#[test]
fn finished_training_says_that_nothing_is_left_and_is_not_averaged_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::corpus(at, 8, 40);
    let train = "train --corpus songs.corpus -o m";
    succeeds(at, &format!("{train} --preset tiny --steps 3"));
    let checkpoint = at.join("m/step-00000003");
    let state = fs::read(checkpoint.join("training.json")).unwrap();
    let changed = || {
        fs::metadata(checkpoint.join("training.json"))
            .unwrap()
            .modified()
    };
    let before = changed().unwrap();
    for end in ["", " --steps 2"] {
        let output = run(at, &format!("{train} --resume{end}"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("nothing left to train"), "{text}");
        assert_eq!(changed().unwrap(), before);
    }
    for force in ["", " --force"] {
        let output = run(at, &format!("average m m -o m/step-00000003{force}"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("a checkpoint of a training"), "{text}");
    }
    assert_eq!(fs::read(checkpoint.join("training.json")).unwrap(), state);
    // An average replaces an average.
    succeeds(at, "average m m -o mean");
    succeeds(at, "average m m -o mean");
    succeeds(at, &format!("{train} --resume --steps 4"));
    for ignored in [
        "--transpose 0",
        "--seed 3",
        "--balance 0",
        "--batches random",
        "--loudness 0",
    ] {
        let output = run(at, &format!("{train} --resume {ignored}"));
        assert_eq!(output.status.code(), Some(2), "{ignored}");
    }
}

#[test]
fn corpus_without_held_out_songs_is_named_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::write(&at.join("songs"), 8, 40);
    let output = run(at, "encode songs -o none.corpus --held-out 0.0001");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains("no song is held out"), "{text}");
    let output = run(
        at,
        "train --corpus none.corpus -o m --preset tiny --steps 1",
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no held-out songs"), "{text}");
}

#[test]
fn nan_loss_stops_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::corpus(at, 8, 40);
    succeeds(
        at,
        "train --corpus songs.corpus -o m --preset tiny --steps 3",
    );
    // Parameters that are no numbers: as after a step that was far too long.
    let file = at.join("m/step-00000003/weights.safetensors");
    let mut weights = fs::read(&file).unwrap();
    let end = weights.len();
    weights[end - 128..].fill(0xff);
    fs::write(&file, &weights).unwrap();
    let output = run(at, "train --corpus songs.corpus -o m --resume --steps 9");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.contains("step 4: the loss is NaN"), "{text}");
    let steps = continuo_trainer::train::checkpoint::steps(&at.join("m"));
    assert_eq!(steps.last().unwrap().0, 3, "nothing was saved after it");
    assert!(
        fs::read(&file).unwrap() == weights,
        "or over what was there"
    );
}

/// A limit on the size of files stands in for a full disk.
#[cfg(unix)]
#[test]
fn full_disk_keeps_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::corpus(at, 8, 40);
    succeeds(
        at,
        "train --corpus songs.corpus -o m --preset tiny --steps 3",
    );
    let program = env!("CARGO_BIN_EXE_continuo-trainer");
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f 64; exec {program} train --corpus songs.corpus -o m --resume --steps 9"
        ))
        .current_dir(at)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let last = text.lines().last().unwrap();
    assert!(
        last.contains("safetensors") && last.contains("m/step-"),
        "{text}"
    );
    let steps = continuo_trainer::train::checkpoint::steps(&at.join("m"));
    assert_eq!(steps.last().unwrap().0, 3);
    // With free space again, it resumes.
    succeeds(at, "train --corpus songs.corpus -o m --resume --steps 9");
    succeeds(
        at,
        "train --corpus songs.corpus -o n --preset tiny --steps 9",
    );
    assert_eq!(losses(&at.join("m")).len(), 9);
}
