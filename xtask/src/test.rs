//! `cargo xtask test`: formatting, tests, lints, documentation and licences of both workspaces.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use continuo_files::onnx_runtime;

use crate::target::Target;
use crate::{bundle, prerequisites, runtime, shell, wine};

/// Manifests of both workspaces: this program's, and that of all other crates.
const WORKSPACES: [&str; 2] = ["xtask/Cargo.toml", "Cargo.toml"];

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only make the artefacts that the tests need; `cargo test` then works by itself
    #[arg(long)]
    prepare: bool,
    /// Build for Windows with MinGW and test that under Wine, instead of this system: hosts,
    /// commands, the trainer, 20,000 random blocks, and the same notes as here.
    #[arg(long, conflicts_with = "prepare")]
    wine: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.prepare {
        return make_artifacts().map(|_| ());
    }
    if options.wine {
        let tally = wine::run(&make_artifacts()?)?;
        println!("{tally}");
        return Ok(());
    }
    prerequisites::lints()?;
    for manifest in WORKSPACES {
        let fmt = ["fmt", "--manifest-path", manifest, "--all"];
        shell::run(shell::cargo().args(fmt).arg("--check"))
            .with_context(|| format!("the code is not formatted; run `cargo {}`", fmt.join(" ")))?;
    }

    let artifacts = make_artifacts()?;
    let mut tally = Tally::default();
    for manifest in WORKSPACES {
        let mut tests = shell::cargo();
        tests.args(["test", "--manifest-path", manifest]);
        tests.args(["--workspace", "--no-fail-fast"]);
        tests.env(onnx_runtime::VARIABLE, &artifacts.library);
        tests.env("CONTINUO_TEST_BUNDLES", &artifacts.bundled);
        tests.env("CONTINUO_TEST_MODEL", &artifacts.model);
        tests.env("CONTINUO_TEST_XL_MODEL", &artifacts.xl_model);
        run_tests(&mut tests, &mut tally)?;
    }

    for manifest in WORKSPACES {
        let mut clippy = shell::cargo();
        clippy.args(["clippy", "--manifest-path", manifest, "--workspace"]);
        clippy.args(["--all-targets", "--quiet", "--no-deps"]);
        shell::run(clippy.args(["--", "--deny", "warnings"]))?;
    }
    document()?;
    println!("formatting, lints and documentation: clean");
    check_licences()?;
    println!("{tally}");
    Ok(())
}

/// Builds the documentation of both workspaces; a warning of rustdoc is an error.
fn document() -> Result<()> {
    for manifest in WORKSPACES {
        let mut doc = shell::cargo();
        doc.args([
            "doc",
            "--manifest-path",
            manifest,
            "--workspace",
            "--no-deps",
            "--quiet",
        ]);
        shell::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))?;
    }
    Ok(())
}

/// Checks licences, bans and sources of all dependencies by `deny.toml`, if cargo-deny is
/// installed.
fn check_licences() -> Result<()> {
    if !prerequisites::has_deny() {
        return Ok(());
    }
    for manifest in WORKSPACES {
        let mut deny = shell::cargo();
        deny.args(["deny", "--locked", "--manifest-path", manifest]);
        deny.args([
            "--config",
            "deny.toml",
            "check",
            "licenses",
            "bans",
            "sources",
        ]);
        shell::run(&mut deny)?;
    }
    println!("licences, bans and sources of dependencies: clean");
    Ok(())
}

/// Paths of the artefacts that tests use.
pub(crate) struct Artifacts {
    /// Folder of the test bundles.
    pub(crate) bundled: PathBuf,
    /// Test model with a kNN memory.
    pub(crate) model: PathBuf,
    /// Test model without a kNN memory.
    pub(crate) xl_model: PathBuf,
    /// ONNX Runtime's library.
    library: PathBuf,
}

/// Builds the artefacts, and returns their paths.
fn make_artifacts() -> Result<Artifacts> {
    prerequisites::display();
    let bundled = bundle::for_tests(Target::host())?;
    let target = shell::target_dir()?;
    let library = runtime::folder(Target::host())?.join(onnx_runtime::library_name());
    let (model, xl_model) = (target.join("test-model"), target.join("test-model-xl"));
    // The programs are built together with the tests, so that cargo chooses the same features
    // as for `cargo test`. Otherwise half of the dependencies would be compiled twice.
    let targets = ["--bins", "--tests", "--examples"];
    shell::run(shell::cargo().args(["build", "--workspace"]).args(targets))?;
    let program = |name: &str| {
        target
            .join("debug")
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    };
    for (model, knn) in [(&model, true), (&xl_model, false)] {
        let mut maker = Command::new(program("make-test-model"));
        maker.args(knn.then_some("--knn"));
        maker.arg("--trainer").arg(program("continuo-trainer"));
        maker.arg("--runtime").arg(&library);
        shell::run(maker.arg("--out").arg(model))?;
    }
    Ok(Artifacts {
        bundled,
        model,
        xl_model,
        library,
    })
}

/// Numbers of tests by result, over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            passed,
            failed,
            ignored,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {ignored} skipped")
    }
}

impl Tally {
    /// Adds a line like `test result: ok. 12 passed; 0 failed; 1 ignored; ...`. Ignores other
    /// lines.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in result.split(['.', ';']) {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Runs `cargo test`, prints its output, repeats the result lines at the end and adds them to
/// `tally`.
pub(crate) fn run_tests(tests: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut child = tests
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shell::show(tests)))?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    let mut results = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read what cargo test prints")?;
        println!("{line}");
        tally.add(&line);
        if line.starts_with("test result: ") && !line.contains(" 0 passed; 0 failed") {
            results.push(line);
        }
    }
    let status = child.wait()?;
    for result in &results {
        println!("{result}");
    }
    if !status.success() {
        match tally.failed {
            0 => bail!("`cargo test` failed outside of its tests ({status}); its output is above"),
            failed => {
                bail!("tests failed: {failed} ({status}); the output of `cargo test` is above")
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_and_other_lines_ignored() {
        let mut tally = Tally::default();
        tally.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        tally.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; finished in 1s");
        tally.add("test 5 passed ... ok");
        assert_eq!(
            tally,
            Tally {
                passed: 15,
                failed: 2,
                ignored: 1
            }
        );
    }
}
