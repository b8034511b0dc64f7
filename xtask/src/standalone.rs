//! `cargo xtask standalone`: the plugin as a program of its own, with what it needs beside it.

use anyhow::Result;

use crate::{bundle, prepare, runtime, shell};

/// The program's name.
const PROGRAM: &str = "continuo-standalone";

/// `cargo xtask standalone`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build with checks instead of optimised
    #[arg(long)]
    debug: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    prepare::compilers()?;
    prepare::sound()?;
    let runtime = runtime::run()?;
    let (profile, folder): (&[&str], _) = match options.debug {
        true => (&[], "debug"),
        false => (&["--release"], "release"),
    };
    shell::run(
        shell::cargo()
            .args(["build", "--package", bundle::PACKAGE])
            .args(["--features", "standalone", "--bin", PROGRAM])
            .args(profile),
    )?;
    let target = shell::target_dir()?;
    let home = target.join("standalone");
    let file = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let program = home.join(&file);
    bundle::copy(&target.join(folder).join(&file), &program)?;
    // It finds them as the plugin does: beside the file, under the file's name.
    bundle::add_resources(&home.join(format!("{PROGRAM}.resources")), &runtime)?;
    eprintln!("{}", program.display());
    Ok(())
}
