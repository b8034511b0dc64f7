//! `cargo xtask`: every task besides compilation. Each command has a module. It first installs its
//! prerequisites, so that it works on a machine with nothing but Rust.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use target::Target;

mod bundle;
mod check;
mod demo;
mod dist;
mod ear;
mod install;
mod linkage;
mod patch;
mod prerequisites;
mod resources;
mod runtime;
mod shell;
mod soname;
mod standalone;
mod target;
mod test;
mod wheel;
mod wine;

/// Builds, bundles, shows and tests Continuo.
///
/// Every command first fetches or installs its prerequisites (a C compiler, pip, ONNX Runtime), or
/// prints the command that installs them.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a tune to the built plugin in a real host and let it continue
    ///
    /// Bundles the plugin, loads the CLAP, plays the opening of a tune to it with a running
    /// transport, lets it continue the tune, and writes heard.mid, played.mid, both.mid, both.wav
    /// and roll.png.
    Demo(demo::Options),
    /// Test everything: units, built bundles in real hosts, formatting, lints, documentation,
    /// licences
    Test(test::Options),
    /// Build Continuo.clap and Continuo.vst3 into target/bundled, with what they need beside them
    Bundle(bundle::Options),
    /// Make the archives of a release: bundles, command, install script, licences
    Dist(dist::Options),
    /// Check the types of all code for another platform, without linking it
    Check(check::Options),
    /// Copy the bundles to this user's plugin folders
    Install(install::Options),
    /// Build continuo-standalone into target/standalone: MIDI and sound through the system
    Standalone(standalone::Options),
    /// Fetch ONNX Runtime (pinned version and hash) into target/runtime
    Runtime,
    /// Fetch basic-pitch's model (pinned version and hash) into target/runtime: audio to notes
    Ear,
    /// Apply our patches to the released crates that need them; other commands do it too
    ///
    /// Afterwards plain cargo and editors work. Each file in third_party/patches is applied to
    /// the release it pins, and the result is a folder that git ignores. To change a patch: edit
    /// that folder, then run this with --save.
    Patch(patch::Options),
}

fn main() {
    if let Err(error) = run(Cli::parse()) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn run(cli: Cli) -> Result<()> {
    // Cargo, the bundler and the paths below are relative to the repository's root.
    shell::enter_root()?;
    // Without the patched crates, cargo cannot resolve the workspace.
    if !matches!(cli.command, Command::Patch(_)) {
        patch::make()?;
    }
    match cli.command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Bundle(options) => bundle::run(&options),
        Command::Dist(options) => dist::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Install(options) => install::run(&options),
        Command::Standalone(options) => standalone::run(&options),
        Command::Runtime => runtime::run(Target::host()).map(|_: PathBuf| ()),
        Command::Ear => ear::run().map(|_: PathBuf| ()),
        Command::Patch(options) => patch::run(&options),
    }
}
