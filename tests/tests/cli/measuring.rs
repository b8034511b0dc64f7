//! `bench` and `eval`, which measure a model.

use std::path::Path;

use continuo_score::tune;
use continuo_tests::artifacts;

use super::{continuo, path};

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

/// Measures with each memory and without. Repetitions in the piece and learned pieces lower the loss.
#[test]
fn eval_measures_the_loss_with_each_memory() {
    let folder = tempfile::tempdir().unwrap();
    let [piece, other] = ["piece.mid", "other.mid"].map(|name| path(folder.path(), name));
    let minuet = tune::minuet();
    minuet.to_midi().write_file(Path::new(&piece)).unwrap();
    // The same piece in another key.
    let higher = minuet.transposed(3).unwrap();
    higher.to_midi().write_file(Path::new(&other)).unwrap();
    // A model with high weights of its n-gram memory.
    let model = folder.path().join("model");
    artifacts::copy_folder(&artifacts::model().unwrap(), &model).unwrap();
    let manifest = model.join("model.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["suffix"] = vec![0.5; 9].into();
    json["suffix_transposed"] = vec![0.5; 9].into();
    json["gate"] = serde_json::Value::Null;
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
