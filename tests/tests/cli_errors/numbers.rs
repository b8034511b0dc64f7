//! Invalid numbers for every option of every command.

use crate::commands::rows;
use crate::fixture::{Fixture, options};

/// Options with names or paths as values, which accept any text. All other options refuse `NaN`.
const TEXTS: [&str; 22] = [
    "--all",
    "--output",
    "--learn",
    "--model",
    "--runtime",
    "--device",
    "--ear",
    "--variant",
    "--vocabulary",
    "--preset",
    "--man",
    "--corpus",
    "--checkpoint",
    "--calibrate",
    "--name",
    "--title",
    "--licence",
    "--training-data",
    "--held-out-json",
    "--held-out-songs",
    "--from",
    "--grooves",
];

/// Options, and further invalid values that each refuses.
const SENSELESS: [(&str, &[&str]); 39] = [
    ("--balance", &["-5", "inf", "2"]),
    ("--transpose", &["200", "-1"]),
    ("--loudness", &["200"]),
    ("--steps", &["0", "-1", "1.5"]),
    ("--minutes", &["0", "-1", "inf"]),
    ("--lr", &["0", "-0.1", "inf"]),
    ("--batch", &["0"]),
    ("--micro-batch", &["0"]),
    ("--segment", &["0"]),
    ("--accumulation-steps", &["0"]),
    ("--window", &["0"]),
    ("--layers", &["0"]),
    ("--width", &["0"]),
    ("--knn-k", &["0"]),
    ("--knn-rate", &["-1"]),
    ("--dropout", &["1", "-0.1"]),
    ("--weight-decay", &["-1", "inf"]),
    ("--held-out", &["1", "2", "-0.1"]),
    ("--ids", &["0", "70000"]),
    ("--checkpoint-every", &["-5m", "5x", ""]),
    ("--bars", &["0", "100000", "eight"]),
    ("--recall", &["-1", "2"]),
    ("--keys", &["0", "13"]),
    ("--from-bar", &["0"]),
    ("--rate", &["0", "1000000"]),
    ("--notes", &["0", "-1"]),
    ("--tokens", &["0"]),
    ("--temperature", &["-1", "inf"]),
    ("--top-p", &["1.5"]),
    ("--warmest", &["0.5"]),
    ("--longest", &["0"]),
    ("--memories", &["0"]),
    ("--threads", &["0"]),
    ("--seed", &["-1", "1.5"]),
    ("--last", &["0", "-1"]),
    ("--bpm", &["0", "-1", "inf", "2000"]),
    ("--first-beat", &["-1", "inf", "40000"]),
    ("--channels", &["0", "17", "2-1"]),
    ("--tracks", &["-1", "x"]),
];

#[test]
fn nonsensical_numbers_are_refused_with_a_message() {
    let fixture = Fixture::new();
    let mut tried = Vec::new();
    for row in rows() {
        for option in options(row) {
            let more = SENSELESS.iter().find(|(name, _)| *name == option);
            let more = more.map_or(&[][..], |(_, values)| values);
            let nan = (!TEXTS.contains(&&*option)).then_some("NaN");
            for value in nan.iter().chain(more) {
                let command = row.command.to_string();
                let joined = vec![command.clone(), format!("{option}={value}")];
                // As a separate argument, a negative number is a value and not another option.
                let apart = value.parse::<f64>().is_ok_and(|value| value < 0.0);
                let apart = apart.then(|| vec![command, option.clone(), value.to_string()]);
                for arguments in std::iter::once(joined).chain(apart) {
                    let done = fixture.run(row, &arguments);
                    let said = String::from_utf8_lossy(&done.stderr).into_owned();
                    assert_eq!(done.status.code(), Some(2), "{arguments:?}: {said}");
                    let refused = format!("invalid value '{value}' for '{option}");
                    assert!(said.contains(&refused), "{arguments:?}: {said}");
                }
            }
            tried.push(option);
        }
    }
    for (option, _) in SENSELESS {
        assert!(
            tried.iter().any(|name| name == option),
            "{option}: no such option"
        );
    }
    fixture.is_unchanged();
}
