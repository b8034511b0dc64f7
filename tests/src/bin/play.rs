//! A host in a process of its own, for tests that need other environment variables. It plays the
//! opening of the minuet to a bundle and prints the number of output notes.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use continuo_tests::daw::Daw;
use continuo_tests::host::Format;
use continuo_tests::{assertions, scenario};

/// Plays the opening of the minuet to a plugin, stops four bars later, and prints the number of output
/// notes.
#[derive(Parser)]
struct Options {
    /// Bundle to load: a .clap or .vst3
    bundle: PathBuf,
    /// Parameter to set, such as thru=Off
    #[arg(long = "set", value_name = "ID=VALUE")]
    set: Vec<String>,
    /// File with the state to load first
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
}

fn main() {
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> Result<()> {
    let extension = options.bundle.extension().unwrap_or_default();
    let Some(format) = Format::ALL.into_iter().find(|f| extension == f.extension()) else {
        bail!(
            "{} is neither a .clap nor a .vst3",
            options.bundle.display()
        );
    };
    let mut plugin = format.load(&options.bundle)?;
    if let Some(path) = &options.load {
        let state = std::fs::read(path).with_context(|| path.display().to_string())?;
        plugin.load(&state)?;
    }
    let mut daw = Daw::new(plugin, scenario::default_setup(), &scenario::opening())?;
    for setting in &options.set {
        let Some((id, value)) = setting.split_once('=') else {
            bail!("--set {setting} has no =; write ID=VALUE");
        };
        daw.set(&[(id, value)])?;
    }
    daw.play_to(scenario::END)?;
    daw.run_stopped(1000)?;
    println!("{}", assertions::pair_notes(daw.sent())?.len());
    daw.finish()
}
