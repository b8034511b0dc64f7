//! The demo: plays the opening of a tune to the built CLAP in a host and lets it continue; then plays it
//! again, and lets it play bass and drums along. Writes input and output as MIDI, sound and picture.

mod opening;
mod outputs;
mod performance;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use continuo_files::ScratchFolder;
use continuo_score::Part;
use continuo_tests::artifacts;

use opening::Opening;
use outputs::Outputs;
use performance::{Performance, Scene, perform};

/// Plays the opening of a tune to Continuo, lets it continue, and writes heard.mid, played.mid,
/// both.mid, both.wav and roll.png; then lets a model with parts play bass and drums along, and writes
/// band.mid, band.wav and band.png.
#[derive(Parser)]
#[command(name = "demo")]
pub(crate) struct Options {
    /// MIDI file to play instead of the tune that comes with Continuo
    #[arg(long, value_name = "FILE")]
    pub(crate) midi: Option<PathBuf>,
    /// Number of bars to generate
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) bars: u32,
    /// Tempo in quarter notes a minute [default: the tune's own]
    #[arg(long, value_name = "X", value_parser = tempo)]
    pub(crate) bpm: Option<f64>,
    /// Seed: the same seed gives the same notes
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=9999))]
    pub(crate) seed: u32,
    /// Play the opening as sound to the side chain instead of as MIDI
    #[arg(long)]
    pub(crate) sound: bool,
    /// Play in real time instead of as fast as possible
    #[arg(long)]
    pub(crate) realtime: bool,
    /// Folder for the files [default: target/demo]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// CLAP plugin to load [default: target/bundled/Continuo.clap]
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
}

fn tempo(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(bpm) if (10.0..=500.0).contains(&bpm) => Ok(bpm),
        _ => Err("a tempo is a number from 10 to 500".into()),
    }
}

fn main() {
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> Result<()> {
    let opening = match &options.midi {
        None => Opening::of_the_minuet(),
        Some(path) => Opening::of_file(path)?,
    };
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| artifacts::target_dir().join("demo"));
    let make_out = || format!("cannot make the folder {}", out.display());
    fs::create_dir_all(&out).with_context(make_out)?;
    let outputs = Outputs::check(&out)?;
    // The plugin's report is temporary; other files in the output folder stay.
    let scratch = ScratchFolder::within(&out)?;
    let report = std::path::absolute(scratch.path().join("report.json"))?;
    // SAFETY: this process has no other thread yet.
    unsafe { std::env::set_var("CONTINUO_REPORT", &report) };
    let answer = perform(options, &opening, Scene::Answer, &report)?;
    if let Some(problem) = answer.report.problem() {
        bail!("the plugin could not continue: {problem}");
    }
    outputs.write_answer(&opening, &answer)?;
    let band = perform(options, &opening, Scene::Along, &report)?;
    // A model without parts plays as one instrument, on the first channel.
    let has_parts = band.played.notes.iter().any(|note| note.part != Part::Keys);
    if has_parts {
        outputs.write_band(&opening, &band)?;
    }
    print_table(options, &opening, &answer, has_parts.then_some(&band), &out);
    ensure!(
        !answer.played.notes.is_empty(),
        "the plugin played nothing; try another --seed"
    );
    Ok(())
}

fn print_table(
    options: &Options,
    opening: &Opening,
    performance: &Performance,
    band: Option<&Performance>,
    out: &Path,
) {
    let Performance { played, report, .. } = performance;
    let score = &performance.heard;
    let bars = |from: u32, to: u32| {
        score
            .time_signatures
            .bar_lines(to)
            .into_iter()
            .filter(|&line| line >= from)
            .count()
    };
    let metre = score.time_signatures.time_signature(opening.begin);
    let bpm = options
        .bpm
        .unwrap_or_else(|| score.tempos.bpm(opening.begin));
    let bpm = (bpm * 100.0).round() / 100.0;
    let time = |ms: Option<f64>| ms.map_or("-".to_string(), |ms| format!("{ms:.2}"));
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_string());
    let pace = if options.realtime {
        "by the clock"
    } else {
        "offline"
    };
    let rows = [
        ("tune", opening.title.clone()),
        (
            "metre, tempo",
            format!("{}/{}, {bpm} BPM", metre.numerator, metre.denominator),
        ),
        (
            "notes heard",
            format!(
                "{} in {} bars{}",
                score.notes.len(),
                bars(opening.begin, opening.end),
                if options.sound {
                    format!(
                        ", found in sound; {} were played",
                        opening.score.notes.len()
                    )
                } else {
                    String::new()
                }
            ),
        ),
        (
            "notes played",
            format!(
                "{} in {} bars",
                played.notes.len(),
                bars(performance.entry, played.length)
            ),
        ),
        (
            "played along",
            match band {
                None => "nothing: the model has no parts".to_string(),
                Some(band) => {
                    let of = |part| band.played.notes.iter().filter(|n| n.part == part).count();
                    let (bass, drums) = (of(Part::Bass), of(Part::Drums));
                    format!("{bass} notes of a bass, {drums} of drums")
                }
            },
        ),
        (
            "ms per token",
            format!(
                "{} median, {} p95 ({} tokens)",
                time(report.ms_per_token_median),
                time(report.ms_per_token_p95),
                report.tokens
            ),
        ),
        (
            "notes late, dropped",
            format!("{}, {}", report.late, report.dropped),
        ),
        ("messages lost", report.overflow.to_string()),
        ("device", or_none(&report.device)),
        (
            "model",
            format!("{} ({})", or_none(&report.model), or_none(&report.variant)),
        ),
        (
            "took",
            format!(
                "{:.1} s, {pace}, seed {}",
                performance.took.as_secs_f64(),
                options.seed
            ),
        ),
        (
            "written",
            format!(
                "heard.mid played.mid both.mid both.wav roll.png{} in {}",
                band.map_or("", |_| " band.mid band.wav band.png"),
                out.display()
            ),
        ),
    ];
    println!("Continuo plays on");
    for (name, value) in rows {
        println!("  {name:<20} {value}");
    }
}
