//! The `continuo` command from end to end.

use std::path::Path;
use std::process::Output;

use continuo_score::{Drums, Note, Score, TokenSequence, Vocabulary, midi, tune};
use continuo_tests::artifacts;

fn continuo(arguments: &[&str]) -> Output {
    artifacts::command("continuo")
        .unwrap()
        .args(arguments)
        .output()
        .unwrap()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

#[test]
fn continue_appends_whole_bars_in_tempo_and_metre_of_the_tune() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        path(folder.path(), "in.mid"),
        path(folder.path(), "out.mid"),
    );
    let minuet = tune::minuet();
    minuet.to_midi().write_file(Path::new(&input)).unwrap();
    let run = |seed: &str| {
        let done = continuo(&[
            "continue", &input, "-o", &output, "--bars", "4", "--seed", seed, "--json",
        ]);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(
            (&report["from_bar"], &report["heard_notes"]),
            (&17.into(), &minuet.notes.len().into())
        );
        midi::read_file(Path::new(&output)).unwrap()
    };
    let file = run("1");
    assert!(
        file.warnings.is_empty(),
        "nothing is left open: {:?}",
        file.warnings
    );
    let both = Score::from_midi(&file, 12, Drums::Drop);
    assert_eq!(both.time_signatures, minuet.time_signatures);
    // The file stores a tempo as microseconds a beat.
    assert!((both.tempos.bpm(0) - minuet.tempos.bpm(0)).abs() < 1e-3);
    assert_eq!(both.length, minuet.length + 4 * 36);
    let (heard, played): (Vec<&Note>, Vec<&Note>) =
        both.notes.iter().partition(|n| n.start < minuet.length);
    assert!(
        heard.into_iter().eq(&minuet.notes),
        "what was there stays as it was"
    );
    assert_eq!(played[0].start, minuet.length, "it begins on the bar line");
    assert_eq!(run("1"), file, "the same seed");
    assert_ne!(run("2"), file, "another seed");

    let picture = path(folder.path(), "roll.png");
    assert!(
        continuo(&["view", &output, "-o", &picture])
            .status
            .success()
    );
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn file_is_shown_as_music_and_as_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let input = path(folder.path(), "in.mid");
    let minuet = tune::minuet();
    minuet.to_midi().write_file(Path::new(&input)).unwrap();
    let said = |arguments: &[&str]| {
        let done = continuo(arguments);
        assert!(
            done.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap()
    };
    let report: serde_json::Value =
        serde_json::from_str(&said(&["inspect", &input, "--json"])).unwrap();
    assert_eq!(report["bars"], 16);
    assert_eq!(
        report["notes"].as_array().map(Vec::len),
        Some(minuet.notes.len())
    );
    assert!(said(&["inspect", &input]).contains("3/4"));

    for vocabulary in [Vocabulary::continuo(), Vocabulary::midigen()] {
        let file = path(folder.path(), "vocabulary.json");
        std::fs::write(&file, vocabulary.to_json()).unwrap();
        let on_its_grid = Score::from_midi(
            &midi::read_file(Path::new(&input)).unwrap(),
            vocabulary.steps_per_beat,
            Drums::Drop,
        );
        let ids = TokenSequence::encode(&on_its_grid, &vocabulary).ids(&vocabulary);
        let expected = ids.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
        let by_name = said(&["tokens", &input, "--ids", "--preset", vocabulary.name()]);
        assert_eq!(by_name.trim(), expected);
        assert_eq!(
            said(&["tokens", &input, "--ids", "--vocabulary", &file]),
            by_name
        );
    }
    assert!(said(&["tokens", &input]).contains("<sos> n74 d12 v10 n62 d24 v8"));
}

#[test]
fn rendered_sound_lasts_as_long_as_the_music() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let (input, output) = (at("in.mid"), at("out.wav"));
    let mut minuet = tune::minuet().until(144);
    minuet.tempos = continuo_score::TempoMap::new(vec![(0, 90.0), (72, 180.0)]);
    minuet.to_midi().write_file(Path::new(&input)).unwrap();
    let done = continuo(&["render", &input, "-o", &output, "--rate", "22050", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["notes"], minuet.notes.len());
    // Six beats at 90 BPM, six at 180, and the release of the last chord.
    let seconds = report["seconds"].as_f64().unwrap();
    assert!((6.0..8.0).contains(&seconds), "{seconds}");
    let frames = (std::fs::metadata(&output).unwrap().len() - 44) as f64 / 4.0;
    assert_eq!(frames, seconds * 22_050.0);
    assert!(report["peak"].as_f64().unwrap() > 0.05);
    fails(&["render", &at("no.mid"), "-o", &output], "no.mid");
    fails(&["render", &input, "-o", &at("no/out.wav")], "out.wav");
}

#[test]
fn continue_keeps_range_scale_and_voice_limits() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        path(folder.path(), "in.mid"),
        path(folder.path(), "out.mid"),
    );
    let minuet = tune::minuet();
    minuet.to_midi().write_file(Path::new(&input)).unwrap();
    let line = format!(
        "continue {input} -o {output} --bars 12 --scale auto --range C4..C5 --polyphony 1 \
         --density 2 --longest 1 --velocity 50..60 --temperature 1.5 --json"
    );
    let done = continuo(&line.split_whitespace().collect::<Vec<_>>());
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["heard_scale"], "G major");
    let both = Score::from_midi(
        &midi::read_file(Path::new(&output)).unwrap(),
        12,
        Drums::Drop,
    );
    let played = both.notes.iter().filter(|n| n.start >= minuet.length);
    let played: Vec<&Note> = played.collect();
    assert!(played.len() > 4);
    for note in &played {
        assert!((60..=72).contains(&note.pitch), "{note:?}");
        assert!(
            [7, 9, 11, 0, 2, 4, 6].contains(&(note.pitch % 12)),
            "{note:?}"
        );
        assert!(note.length <= 12, "{note:?}");
        assert!((50..=60).contains(&note.velocity), "{note:?}");
    }
    let one_by_one = played.windows(2).all(|w| w[0].end() <= w[1].start);
    assert!(one_by_one, "one note at a time");
}

/// If CUDA is unavailable, the command reports that and uses the next device.
#[test]
fn bench_measures_sessions_and_names_the_device() {
    let done = continuo(&[
        "bench", "--json", "--notes", "60,20", "--tokens", "16", "--device", "cuda,cpu",
    ]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let refusals = report["refusals"].as_array().unwrap();
    match report["device"].as_str().unwrap() {
        "CUDA" => assert!(refusals.is_empty() && said.is_empty(), "{said}"),
        device => {
            assert_eq!((device, refusals.len()), ("CPU", 1));
            assert!(refusals[0].as_str().unwrap().starts_with("CUDA: "));
            assert!(
                said.contains("not on CUDA") && said.contains("running on CPU"),
                "{said}"
            );
        }
    }
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let sessions = report["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    for (session, notes) in sessions.iter().zip([20, 60]) {
        assert_eq!(session["notes"], notes);
        assert!(number(&session["tokens"]) >= f64::from(notes) * 3.0);
        assert!(number(&session["decode_tokens"]) >= 16.0);
        let decode = &session["decode_ms"];
        let [median, p95, p99] = ["median", "p95", "p99"].map(|name| number(&decode[name]));
        assert!(0.0 < median && median <= p95 && p95 <= p99, "{decode}");
        assert!(number(&session["prefill_ms_per_token"]) > 0.0);
    }
    let graphs = number(&report["weights_bytes"]);
    assert!(graphs > 1000.0 && number(&report["read_gb_per_s"]) > 0.0);
}

/// Asserts exit code 1 and one line on standard error that contains `about`, without a panic.
fn fails(arguments: &[&str], about: &str) {
    let done = continuo(arguments);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{arguments:?}: {said}");
    assert_eq!(said.trim().lines().count(), 1, "{arguments:?}: {said}");
    assert!(
        said.contains(about) && !said.contains("panicked"),
        "{arguments:?}: {said}"
    );
}

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
    for (option, value) in [
        ("--top-p", "2"),
        ("--temperature", "-1"),
        ("--scale", "H major"),
        ("--range", "C3"),
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
    run("model.json");
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

/// Measures with each memory and without. Repetitions in the piece and learned pieces lower the loss.
#[test]
fn eval_prints_how_well_a_piece_is_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let [piece, other] = ["piece.mid", "other.mid"].map(|name| path(folder.path(), name));
    let minuet = tune::minuet();
    minuet.to_midi().write_file(Path::new(&piece)).unwrap();
    // The same piece in another key.
    let higher = minuet.transposed(3).unwrap();
    higher.to_midi().write_file(Path::new(&other)).unwrap();
    // A model with high weights of its suffix memory.
    let model = folder.path().join("model");
    artifacts::copy_folder(&artifacts::model().unwrap(), &model).unwrap();
    let manifest = model.join("model.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["suffix"] = vec![0.5; 9].into();
    json["suffix_transposed"] = vec![0.5; 9].into();
    std::fs::write(&manifest, json.to_string()).unwrap();
    let model = model.display().to_string();
    let cells = |arguments: &[&str]| {
        let done = continuo(&[&["eval", &piece, "--model", &model, "--json"], arguments].concat());
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{arguments:?}: {said}");
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        report["cells"].as_array().unwrap().clone()
    };
    let nats = |cell: &serde_json::Value, sum: &str| cell[sum]["nats"].as_f64().unwrap();
    let all = cells(&[]);
    let rows: Vec<_> = all
        .iter()
        .map(|c| (c["xl"] == true, c["knn"] == true))
        .collect();
    let expected = [(false, false), (false, true), (true, false), (true, true)];
    assert_eq!(rows, expected);
    for cell in &all {
        assert_eq!(cell["all"]["notes"], minuet.notes.len());
        assert!(nats(cell, "all") > 0.0 && nats(cell, "suffix") < nats(cell, "all"));
    }
    let quick = cells(&["--quick"]);
    assert_eq!(quick, all[3..], "the last row alone");
    let learned = cells(&["--quick", "--learn", &other]);
    assert_eq!(
        learned[0]["all"], quick[0]["all"],
        "the network has not learned it"
    );
    let (with, without) = (nats(&learned[0], "suffix"), nats(&quick[0], "suffix"));
    assert!(with < 0.7 * without, "{with} nats, and {without}");
    let nothing = cells(&["--quick", "--learn", &other, "--recall", "0"]);
    assert_eq!(nats(&nothing[0], "suffix"), nats(&nothing[0], "all"));
    // The loss of the averaged prediction in three keys is below the mean of the three losses, and
    // equals none of them.
    let three = cells(&["--quick", "--keys", "3"]);
    let each: Vec<f64> = [0, 1, -1]
        .map(|shift| {
            let moved = minuet.transposed(shift).unwrap().to_midi();
            moved.write_file(Path::new(&piece)).unwrap();
            nats(&cells(&["--quick"])[0], "all")
        })
        .to_vec();
    let three = nats(&three[0], "all");
    assert!(three < each.iter().sum::<f64>() / 3.0, "{three}, {each:?}");
    assert!(!each.contains(&three), "{three}, {each:?}");
}
