//! `cargo xtask check`: checks types for a platform that this machine cannot link for. faiss and
//! other C and C++ code is left out, so no compiler of that platform is needed.

use anyhow::Result;

use crate::shell;
use crate::target::{Target, standard_library};

/// Libraries of C and C++ code that crates compile, by cargo's `links` key. A build script is not run
/// if the platform's configuration says what it would print.
const COMPILED: [&str; 2] = ["faiss_c", "mimalloc"];

/// Options of `cargo xtask check`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Platform, by Rust's name, such as aarch64-apple-darwin; all of Continuo's if left out
    #[arg(long, value_name = "PLATFORM")]
    target: Option<String>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let targets = match &options.target {
        Some(triple) => vec![Target::named(Some(triple))?],
        None => Target::all().collect(),
    };
    for target in targets {
        let Some(triple) = target.triple() else {
            continue;
        };
        standard_library(triple)?;
        let mut cargo = shell::cargo();
        // Without tests, which also compile C code.
        cargo.args([
            "check",
            "--workspace",
            "--lib",
            "--bins",
            "--target",
            triple,
        ]);
        for links in COMPILED {
            cargo.arg("--config");
            cargo.arg(format!(
                "target.{triple}.{links}.rustc-link-lib=[{links:?}]"
            ));
        }
        shell::run(&mut cargo)?;
        println!("{triple}: types are right; nothing was linked");
    }
    Ok(())
}
