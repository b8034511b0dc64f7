//! `cargo xtask demo`: bundles the plugin and plays to it in a host.

use std::path::PathBuf;

use anyhow::Result;

use crate::target::Target;
use crate::{bundle, shell};

/// Options of `cargo xtask demo`: those of the program that it runs, `demo` of the tests crate.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// MIDI file to play instead of the tune that comes with Continuo
    #[arg(long, value_name = "FILE")]
    midi: Option<PathBuf>,
    /// Number of bars to generate [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    bars: Option<u32>,
    /// Tempo in quarter notes a minute [default: the tune's own]
    #[arg(long, value_name = "X")]
    bpm: Option<f64>,
    /// Seed: the same one gives the same notes [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=9999))]
    seed: Option<u32>,
    /// Play the opening as sound to the side chain, instead of as MIDI
    #[arg(long)]
    sound: bool,
    /// Play in real time, as on stage, instead of as fast as the machine can
    #[arg(long)]
    realtime: bool,
    /// Folder for the files [default: target/demo]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Checked before the long build.
    if let Some(midi) = &options.midi {
        anyhow::ensure!(
            midi.is_file(),
            "there is no MIDI file {}; check --midi",
            midi.display()
        );
    }
    let bundled = bundle::plugin(Target::host(), true)?;
    let mut demo = shell::cargo();
    demo.args([
        "run",
        "--release",
        "--quiet",
        "--package",
        "continuo-tests",
        "--bin",
        "demo",
    ]);
    demo.arg("--")
        .arg("--bundle")
        .arg(bundled.join(format!("{}.clap", bundle::NAME)));
    if let Some(midi) = &options.midi {
        demo.arg("--midi").arg(midi);
    }
    for (name, value) in [
        ("--bars", options.bars.map(|bars| bars.to_string())),
        ("--bpm", options.bpm.map(|bpm| bpm.to_string())),
        ("--seed", options.seed.map(|seed| seed.to_string())),
    ] {
        if let Some(value) = value {
            demo.args([name, &value]);
        }
    }
    if options.sound {
        demo.arg("--sound");
    }
    if options.realtime {
        demo.arg("--realtime");
    }
    let out = options
        .out
        .clone()
        .map_or_else(|| Ok(shell::target_dir()?.join("demo")), anyhow::Ok)?;
    demo.arg("--out").arg(out);
    shell::run(&mut demo)
}
