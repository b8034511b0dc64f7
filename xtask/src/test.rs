//! `cargo xtask test`: everything the project tests, from a bare machine.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{bundle, prepare, runtime, shell};

/// This program's workspace, and the one with all the rest.
const WORKSPACES: [&str; 2] = ["xtask/Cargo.toml", "Cargo.toml"];

/// `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only make what the tests need; `cargo test` then works by itself
    #[arg(long)]
    prepare: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.prepare {
        return make().map(|_| ());
    }
    prepare::lints()?;
    for manifest in WORKSPACES {
        let fmt = ["fmt", "--manifest-path", manifest, "--all"];
        shell::run(shell::cargo().args(fmt).arg("--check"))
            .with_context(|| format!("the code is not formatted; run `cargo {}`", fmt.join(" ")))?;
    }

    let things = make()?;
    let mut tally = Tally::default();
    for manifest in WORKSPACES {
        let mut tests = shell::cargo();
        tests.args(["test", "--manifest-path", manifest]);
        tests.args(["--workspace", "--no-fail-fast"]);
        tests.env("CONTINUO_RUNTIME", &things.library);
        tests.env("CONTINUO_TEST_BUNDLES", &things.bundled);
        tests.env("CONTINUO_TEST_MODEL", &things.model);
        tests.env("CONTINUO_TEST_XL_MODEL", &things.xl_model);
        run_tests(&mut tests, &mut tally)?;
    }

    for manifest in WORKSPACES {
        let mut clippy = shell::cargo();
        clippy.args(["clippy", "--manifest-path", manifest, "--workspace"]);
        clippy.args(["--all-targets", "--quiet", "--no-deps"]);
        shell::run(clippy.args(["--", "--deny", "warnings"]))?;
    }
    println!("formatting and lints: clean");
    println!(
        "{} passed, {} failed, {} skipped",
        tally.passed, tally.failed, tally.ignored
    );
    Ok(())
}

/// What the tests need beside the code.
struct Things {
    /// The folder of bundles for the host tests.
    bundled: PathBuf,
    /// The model the host tests play with.
    model: PathBuf,
    /// One without kNN memory.
    xl_model: PathBuf,
    /// ONNX Runtime's library.
    library: PathBuf,
}

/// Makes it.
fn make() -> Result<Things> {
    prepare::display();
    let bundled = bundle::for_tests()?;
    let target = shell::target_dir()?;
    let library = target.join("runtime").join(runtime::plain_name());
    let (model, xl_model) = (target.join("test-model"), target.join("test-model-xl"));
    // Its weights mean nothing: what is tested is when notes sound, not which.
    // With the tests, for then cargo settles on the features that `cargo test` wants: by
    // themselves the programs would need half the dependencies compiled twice.
    shell::run(shell::cargo().args(["build", "--workspace", "--bins", "--tests"]))?;
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
    Ok(Things {
        bundled,
        model,
        xl_model,
        library,
    })
}

/// What every test program together reports.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tally {
    /// Adds a line like `test result: ok. 12 passed; 0 failed; 1 ignored; ...`.
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

/// Runs `cargo test`, shows what it prints, repeats its result lines at the end, and adds them up.
fn run_tests(tests: &mut Command, tally: &mut Tally) -> Result<()> {
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
        bail!(
            "{} tests failed ({status}); what they said is above",
            tally.failed
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_results() {
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
