//! Measures the built plugin in a host and prints tables for docs/benchmarks.md.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use continuo_tests::host::Format;
use continuo_tests::measure::waiting::{Disturbance, OPENED, disturbed, opened_row};
use continuo_tests::measure::{band, process, trades};

/// Measures the bundles of `cargo xtask bundle`, with the model that ships.
#[derive(Parser)]
struct Cli {
    /// Folder with the bundles
    #[arg(long, default_value = "target/bundled")]
    bundles: PathBuf,
    #[command(subcommand)]
    what: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Measure the duration of process()
    Process {
        /// Block lengths, in samples
        #[arg(long, value_delimiter = ',', default_values_t = [32, 64, 128, 256, 512, 1024, 2048, 4096])]
        samples: Vec<u32>,
        /// Number of the player's notes a second
        #[arg(long)]
        notes: u32,
        /// Number of blocks of each length
        #[arg(long, default_value_t = 4_000)]
        blocks: usize,
        /// Use real-time priority, like audio threads of hosts
        #[arg(long)]
        realtime: bool,
        /// Keep the host's thread awake between blocks
        #[arg(long)]
        spin: bool,
    },
    /// Measure whether answers are in time
    Trades {
        /// Number of instances
        #[arg(long, default_value_t = 8)]
        instances: usize,
        /// Duration in minutes
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Number of additional threads that load the processor
        #[arg(long, default_value_t = 2)]
        load: usize,
        /// Seed of tempos and notes
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Use real-time priority, like audio threads of hosts
        #[arg(long)]
        realtime: bool,
    },
    /// Measure the time until loaded projects play, and whether answers are in time while others load
    Waiting {
        /// Number of instances that trade
        #[arg(long, default_value_t = 4)]
        instances: usize,
        /// Duration in minutes for each row
        #[arg(long, default_value_t = 0.5)]
        minutes: f64,
        /// Use real-time priority, like audio threads of hosts
        #[arg(long)]
        realtime: bool,
    },
    /// Measure the processor time of a band of five parts
    Band {
        /// Notes a beat
        #[arg(long, value_delimiter = ',', default_values_t = [4.0, 8.0, 16.0])]
        density: Vec<f64>,
        /// Tempo in beats a minute
        #[arg(long, value_name = "X", default_value_t = 120.0)]
        bpm: f64,
        /// Number of bars
        #[arg(long, default_value_t = 32)]
        bars: u32,
    },
    /// Count the system calls of process() in a stress run in real time
    Syscalls {
        /// Number of blocks for each format
        #[arg(long, default_value_t = 100_000)]
        blocks: u64,
        /// Seed of all random choices
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let bundle = |format: Format| {
        let name = PathBuf::from("Continuo").with_extension(format.extension());
        cli.bundles.join(name).canonicalize()
    };
    match cli.what {
        Measurement::Process {
            samples,
            notes,
            blocks,
            realtime,
            spin,
        } => {
            println!(
                "| samples | µs a block | p50 | p99 | p99.9 | worst | p99.9 of the block's time | \
                 the machine: p99 | p99.9 | worst | notes sent |"
            );
            println!("|---|---|---|---|---|---|---|---|---|---|---|");
            for frames in samples {
                let options = process::Options {
                    frames,
                    notes,
                    blocks,
                    wait: Duration::from_millis(4),
                    priority: realtime,
                    spin,
                };
                let cost = process::measure(&bundle(Format::Clap)?, Format::Clap, options)?;
                let process::Times {
                    p50,
                    p99,
                    p999,
                    worst,
                } = cost.process;
                let (machine, share) = (cost.machine, 100.0 * p999 / cost.block);
                println!(
                    "| {frames} | {:.0} | {p50:.1} | {p99:.1} | {p999:.1} | {worst:.1} | {share:.2} % | \
                     {:.1} | {:.1} | {:.1} | {} |",
                    cost.block, machine.p99, machine.p999, machine.worst, cost.played
                );
            }
        }
        Measurement::Trades {
            instances,
            minutes,
            load,
            seed,
            realtime,
        } => {
            let options = trades::Options {
                instances,
                time: Duration::from_secs_f64(minutes * 60.0),
                load,
                seed,
                priority: realtime,
            };
            let all = trades::measure(&bundle(Format::Clap)?, options)?;
            print!("{}", trades::table(&all.trades));
            println!(
                "The host itself was {:.1} ms late for a block at worst.",
                all.host_late
            );
        }
        Measurement::Waiting {
            instances,
            minutes,
            realtime,
        } => {
            let bundle = bundle(Format::Clap)?;
            println!("{OPENED}");
            for (instances, notes) in [(1, 0), (1, 3_000), (1, 65_000), (16, 3_000)] {
                println!("{}", opened_row(&bundle, instances, notes)?);
            }
            let disturbances = [
                ("nothing", Disturbance::Nothing),
                ("a project of 65,000 notes", Disturbance::Project(65_000)),
                ("an album of 32,000 notes", Disturbance::Album(32_000)),
                ("a model", Disturbance::Model),
            ];
            println!(
                "\n| loaded beside them every two seconds | trades | first note on its sample | late | latest (ms) | not played | host late (ms) |\n|---|---|---|---|---|---|---|"
            );
            for (name, disturbance) in disturbances {
                let options = trades::Options {
                    instances,
                    time: Duration::from_secs_f64(minutes * 60.0),
                    load: 0,
                    seed: 1,
                    priority: realtime,
                };
                let all = disturbed(&bundle, options, disturbance)?;
                let row = trades::row(&all.trades);
                println!("| {name} | {row} | {:.1} |", all.host_late);
            }
        }
        Measurement::Band { density, bpm, bars } => {
            println!("| density | notes a beat | parts | processor time |\n|---|---|---|---|");
            for density in density {
                let cost = band::measure(&bundle(Format::Clap)?, density, bpm, bars)?;
                println!(
                    "| {density} | {:.1} | {} | {:.1} % of a core |",
                    cost.notes_a_beat,
                    cost.parts,
                    100.0 * cost.processor
                );
            }
        }
        Measurement::Syscalls { blocks, seed } => syscalls(&bundle, blocks, seed)?,
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn syscalls(
    bundle: &dyn Fn(Format) -> std::io::Result<PathBuf>,
    blocks: u64,
    seed: u64,
) -> Result<()> {
    use continuo_tests::syscalls;
    println!(
        "| format | blocks | notes in | notes sent | calls within process() | the host's own, outside |"
    );
    println!("|---|---|---|---|---|---|");
    let mut made = 0;
    for format in Format::ALL {
        let seen = syscalls::trace_stress(&bundle(format)?, format, seed, blocks)?;
        let total = |calls: &syscalls::Calls| calls.values().sum::<u64>();
        let (inside, outside) = (total(&seen.inside), total(&seen.outside));
        let summary = seen.result;
        println!(
            "| {format:?} | {} | {} | {} | {inside} {:?} | {outside} |",
            summary.blocks, summary.sent, summary.generated, seen.inside
        );
        made += inside;
    }
    if made > 0 {
        bail!("process() called the system");
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn syscalls(_: &dyn Fn(Format) -> std::io::Result<PathBuf>, _: u64, _: u64) -> Result<()> {
    bail!("system calls are watched with Linux's seccomp")
}
