//! `cargo xtask standalone`: builds the plugin as a program, with its resources beside it.

use anyhow::{Context, Result};
use continuo_files::onnx_runtime;

use crate::target::Target;
use crate::{bundle, prerequisites, resources, shell};

/// Name of the program.
const PROGRAM: &str = "continuo-standalone";

/// Options of `cargo xtask standalone`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build with checks instead of optimisation
    #[arg(long)]
    debug: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    prerequisites::compilers()?;
    prerequisites::sound()?;
    let fetched = resources::fetch(Target::host())?;
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
    resources::copy(&target.join(folder).join(&file), &program)?;
    // The program finds its resources as the plugin does: beside its file, by the file's name.
    let resources = onnx_runtime::resources_beside(&program).context("the program has no name")?;
    resources::add_resources(&resources, &fetched)?;
    eprintln!("{}", program.display());
    Ok(())
}
