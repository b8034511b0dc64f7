//! Command `continuo bench`: measures prefill and decode speed on this machine, in sessions of
//! several lengths.

use std::path::Path;
use std::time::Instant;

use crate::options::{ComputeOptions, ModelPaths};
use anyhow::{Context, Result};
use continuo_cli::{Progress, number, print};
use continuo_engine::{Composer, Model, Sampling};
use continuo_score::{Note, Score};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::bandwidth::{self, Bandwidth};

/// Measure the prefill and decode speed of a model, in sessions of several lengths
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Numbers of notes to read before generation, separated by commas; each is a session
    #[arg(long, value_delimiter = ',', default_value = "1000,4000,16000,64000",
        value_parser = number(1usize, 1_000_000))]
    notes: Vec<usize>,
    /// Number of tokens to generate in each session
    #[arg(long, default_value_t = 512, value_parser = number(1u32, 4096))]
    tokens: u32,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: ModelPaths,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut lengths = args.notes.clone();
    lengths.sort_unstable();
    lengths.dedup();
    let longest = *lengths.last().context("--notes: no length")?;
    let directory = args.places.model_directory()?;
    let options = args.compute.model_options()?;
    let model = super::load(&args.places, &args.compute)?;
    let bytes = weights(&directory, &model)?;
    let bandwidth = Bandwidth::measure();
    // Time to read this number of bytes once from memory.
    let floor_ms = |bytes: u64| bytes as f64 / bandwidth.read * 1e3;
    let piece = piece(model.vocabulary().steps_per_beat, longest);
    let mut composer = Composer::new(model.clone());
    let mut sessions = Vec::new();
    for &notes in &lengths {
        let mut session = session(&mut composer, &piece, notes, args.tokens)?;
        let median = session["decode_ms"]["median"].as_f64().unwrap_or(0.0);
        let tokens = session["tokens"].as_u64().unwrap_or(0) as usize;
        let bytes = bytes + model.bytes_read_per_token(tokens) as u64;
        session["bytes_per_token"] = json!(bytes);
        session["bytes_ms"] = json!(floor_ms(bytes));
        session["times_bytes"] = json!(median / floor_ms(bytes));
        // Bytes that fit into a cache are read faster than from memory.
        session["cached_gb_per_s"] = json!(bandwidth::read_again(bytes as usize) / 1e9);
        sessions.push(session);
    }
    let report = json!({
        "model": model.manifest().name, "variant": model.variant(),
        "device": model.device().name(), "threads": options.threads,
        "memories": model.knn_capacity(),
        "refusals": model.unavailable_devices().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "weights_bytes": bytes, "weights_ms": floor_ms(bytes),
        "read_gb_per_s": bandwidth.read / 1e9, "triad_gb_per_s": bandwidth.triad / 1e9,
        "sessions": sessions,
    });
    print(&match args.json {
        true => format!("{report:#}\n"),
        false => as_text(&report),
    })
}

/// Runs one session: reads the first `notes` notes of the piece, then generates at least `tokens`
/// tokens.
fn session(composer: &mut Composer, piece: &Score, notes: usize, tokens: u32) -> Result<Value> {
    let mut heard = piece.clone();
    heard.notes.truncate(notes);
    heard.length = 0;
    heard.normalise();
    // The previous session has removed its answer, so that this is not part of the prefill time.
    let before = composer.tokens();
    let started = Instant::now();
    let progress = Progress::new(&format!("a session of {notes} notes"), "tokens", 0);
    let mut report = |p: continuo_engine::composer::Progress| {
        progress.set(p.done as u64, p.all as u64);
    };
    let listened = composer.listen_with(&heard, &mut report);
    listened.context("while reading the notes")?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    let read = composer.tokens().saturating_sub(before);
    drop(progress);
    let from = heard.time_signatures.next_bar(heard.length);
    let progress = Progress::new("playing", "tokens", u64::from(tokens));
    composer.answer(from, &Sampling::default(), 1)?;
    composer.take_stats();
    let mut until = from;
    while composer.stats().tokens() < u64::from(tokens) {
        until += piece.steps_per_beat;
        composer.play_until(until)?;
        progress.set(composer.stats().tokens(), u64::from(tokens));
    }
    drop(progress);
    let stats = composer.take_stats();
    let ms = |share| f64::from(stats.quantile(share).unwrap_or(f32::NAN));
    // Rewinds to the input for the next session.
    composer.listen(&heard)?;
    Ok(json!({
        "notes": notes, "tokens": composer.tokens(),
        "prefill_tokens": read, "prefill_ms_per_token": took / read.max(1) as f64,
        "decode_tokens": stats.tokens(),
        "decode_ms": { "median": ms(0.5), "p95": ms(0.95), "p99": ms(0.99) },
        "resident_mb": resident().map(|bytes| bytes as f64 / 1e6),
    }))
}

/// Returns a piece of at least `notes` notes: random eighths and quarters over some half notes. The
/// piece is the same on every machine.
fn piece(steps_per_beat: u32, notes: usize) -> Score {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut score = Score::new(steps_per_beat);
    let scale = [0u8, 2, 4, 5, 7, 9, 11];
    let (mut step, mut degree) = (0, 14i32);
    while score.notes.len() < notes {
        let length = steps_per_beat / [1, 2, 2][rng.random_range(0..3)];
        degree = (degree + rng.random_range(-2..=2)).clamp(7, 21);
        let mut note = |degree: i32, length| {
            let pitch = 48 + 12 * (degree / 7) as u8 + scale[degree as usize % 7];
            score.notes.push(Note {
                start: step,
                length,
                pitch,
                velocity: 64 + (degree as u8 % 5) * 8,
                ..Note::default()
            });
        };
        note(degree, length);
        if step % (2 * steps_per_beat) == 0 {
            note(degree % 7, 2 * steps_per_beat);
        }
        step += length;
    }
    score.normalise();
    score
}

/// Returns the number of bytes of all files in the folders of the variant's graphs. Nearly all of
/// them are weights.
fn weights(directory: &Path, model: &Model) -> Result<u64> {
    let graphs = &model.manifest().variants[model.variant()].graphs;
    let mut folders: Vec<_> = graphs
        .iter()
        .filter_map(|graph| directory.join(graph).parent().map(Path::to_path_buf))
        .collect();
    folders.sort();
    folders.dedup();
    let mut bytes = 0;
    for folder in folders {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            bytes += entry?.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Returns the resident memory of this process in bytes, where the system reports it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn as_text(report: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut text = format!(
        "{} ({}) on {}, {} thread(s); weights {:.1} MB, read once in {:.2} ms at {:.1} GB/s (triad \
         {:.1})\n",
        report["model"].as_str().unwrap_or(""),
        report["variant"].as_str().unwrap_or(""),
        report["device"].as_str().unwrap_or(""),
        report["threads"],
        number(&report["weights_bytes"]) / 1e6,
        number(&report["weights_ms"]),
        number(&report["read_gb_per_s"]),
        number(&report["triad_gb_per_s"]),
    );
    text += "   notes  prefill ms/token  decode ms: median    p95    p99    x bytes  resident MB\n";
    for session in report["sessions"].as_array().into_iter().flatten() {
        let decode = &session["decode_ms"];
        text += &format!(
            "{:>8}  {:>16.3}  {:>17.2} {:>6.2} {:>6.2} {:>10.2} {:>12.0}\n",
            session["notes"],
            number(&session["prefill_ms_per_token"]),
            number(&decode["median"]),
            number(&decode["p95"]),
            number(&decode["p99"]),
            number(&session["times_bytes"]),
            number(&session["resident_mb"]),
        );
    }
    text
}
