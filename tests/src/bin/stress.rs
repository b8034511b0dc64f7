//! Runs the stress host for any number of blocks. See [`continuo_tests::stress`].

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use continuo_tests::artifacts;
use continuo_tests::host::Format;
use continuo_tests::stress::{self, ModeChoice, StressOptions};

/// Changes everything at random in a host and checks the plugin's invariants after every block. Prints a table.
#[derive(Parser)]
struct Arguments {
    /// Number of blocks for each format
    #[arg(long, default_value_t = 20_000)]
    blocks: u64,
    /// Seed of the run [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Folder with the bundles [default: the test bundles]
    #[arg(long)]
    bundles: Option<PathBuf>,
    /// Only this format: clap or vst3
    #[arg(long, value_parser = format)]
    format: Option<Format>,
    /// Run twice, offline only, and compare the notes
    #[arg(long)]
    twice: bool,
}

fn format(text: &str) -> Result<Format, String> {
    let named = |format: &Format| text.eq_ignore_ascii_case(format.extension());
    let known = Format::ALL.into_iter().find(named);
    known.ok_or_else(|| "clap or vst3".into())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64 % 1_000_000)
    });
    println!("seed {seed}");
    println!("| format | blocks | sent | generated | on their grid | restarts | growth (MB) | s |");
    println!("|---|---|---|---|---|---|---|---|");
    let other_model = artifacts::xl_model()?;
    let wanted = |format: &Format| arguments.format.is_none_or(|only| only == *format);
    for format in Format::ALL.into_iter().filter(wanted) {
        let bundle = match &arguments.bundles {
            Some(folder) => folder.join("Continuo").with_extension(format.extension()),
            None => artifacts::bundle(format)?,
        };
        artifacts::use_test_model()?;
        artifacts::use_ear_model()?;
        let options = StressOptions {
            seed,
            blocks: arguments.blocks,
            mode_choice: match arguments.twice {
                true => ModeChoice::Offline,
                false => ModeChoice::Either,
            },
            other_model: Some(&other_model),
        };
        let began = std::time::Instant::now();
        let summary = stress::run(&bundle, format, options)?;
        println!(
            "| {format:?} | {} | {} | {} | {} | {} | {:.1} | {:.0} |",
            summary.blocks,
            summary.sent,
            summary.generated,
            summary.placed,
            summary.restarts,
            summary.growth as f64 / 1e6,
            began.elapsed().as_secs_f64()
        );
        if arguments.twice {
            let again = stress::run(&bundle, format, options)?;
            ensure!(
                again.fingerprint == summary.fingerprint,
                "{format:?}: the second run has other notes"
            );
        }
    }
    Ok(())
}
