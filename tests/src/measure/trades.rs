//! Measures whether answers are in time: many instances trade bars with their players in real time, and
//! each answer is compared with that of an offline pass.
//!
//! An instance reads eight bars of 2/4. It plays nothing in them, since its own notes, late or not,
//! would change its answers. Then it repeats the player's last bar and its own bar, with another seed
//! each round. In Song memory a round does not depend on the one before, so the right answer is known:
//! that of the offline pass for the same seed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use continuo_score::{TimeSignature, TimeSignatureMap};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{prioritise, quantile};
use crate::daw::{Blocks, Daw, Sent, Setup, TrackNote};
use crate::host::{Format, Mode};

/// Beats of a bar, and of a turn.
const BAR: f64 = 2.0;
/// Start of the round in beats; its second half is the plugin's turn.
const ROUND: f64 = 16.0;
/// Number of seeds with known answers.
const SEEDS: usize = 8;
/// Sample rate in Hz, and block length in samples.
const SAMPLE_RATE: f64 = 48_000.0;
const FRAMES: u32 = 256;

/// Options of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number of instances, each on a thread of its own.
    pub instances: usize,
    /// Duration of the measurement.
    pub time: Duration,
    /// Number of additional threads that load the processor.
    pub load: usize,
    /// Seed of tempos and notes.
    pub seed: u64,
    /// Whether the hosts' threads have real-time priority.
    pub priority: bool,
}

/// Result of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    /// Tempo in quarter notes a minute.
    pub bpm: f64,
    /// Result of its first note.
    pub first: FirstNote,
}

/// Result of the measurement.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// All trades of all instances.
    pub trades: Vec<Trade>,
    /// Greatest delay of a block by the host itself, in milliseconds.
    pub host_late: f64,
}

/// Result of an answer's first note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FirstNote {
    /// The note is on its sample.
    Exact,
    /// The note is late by this number of milliseconds.
    Late(f64),
    /// The note is missing: another one is first, or there is none.
    Missing,
}

/// Measures trades in real time with all instances.
///
/// # Errors
///
/// Fails if an instance cannot be loaded or run.
pub fn measure(bundle: &Path, options: Options) -> Result<Outcome> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let instance = |number: usize| {
            let seed = options.seed.wrapping_mul(1000) + number as u64;
            // The instances start one after the other, so that their rounds do not coincide.
            let wait = Duration::from_millis(300) * number as u32;
            scope.spawn(move || {
                std::thread::sleep(wait);
                trade(bundle, seed, options)
            })
        };
        let instances: Vec<_> = (0..options.instances).map(instance).collect();
        for _ in 0..options.load {
            scope.spawn(|| {
                let mut x = 1u64;
                while !over.load(Ordering::Relaxed) {
                    x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005) + 1);
                }
            });
        }
        let mut all = Outcome::default();
        let mut failed = None;
        for instance in instances {
            match instance.join() {
                Ok(Ok(one)) => {
                    all.trades.extend(one.trades);
                    all.host_late = all.host_late.max(one.host_late);
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => failed = Some(anyhow::anyhow!("an instance's thread panicked")),
            }
        }
        over.store(true, Ordering::Relaxed);
        failed.map_or(Ok(all), Err)
    })
}

fn setup(bpm: f64, mode: Mode) -> Setup {
    let metre = TimeSignature {
        numerator: 2,
        denominator: 4,
    };
    Setup {
        sample_rate: SAMPLE_RATE,
        blocks: Blocks::Fixed(FRAMES),
        tempos: vec![(0.0, bpm)],
        time_signatures: TimeSignatureMap::constant(metre, 12),
        mode,
    }
}

/// Returns the player's notes, in every other bar.
fn notes(rng: &mut ChaCha8Rng) -> Vec<TrackNote> {
    let mut notes = Vec::new();
    for turn in 0..=(ROUND / BAR) as u32 / 2 {
        for eighth in 0..4 {
            let start = f64::from(turn) * 2.0 * BAR + f64::from(eighth) * 0.5;
            notes.push(TrackNote {
                start,
                end: start + 0.4,
                key: 60 + [0, 2, 4, 5, 7, 9, 11, 12][rng.random_range(0..8)],
                velocity: rng.random_range(0.4..0.9),
            });
        }
    }
    notes
}

fn start(bundle: &Path, setup: Setup, notes: &[TrackNote]) -> Result<Daw> {
    let mut daw = Daw::new(Format::Clap.load(bundle)?, setup, notes)?;
    daw.set(&[("thru", "Off"), ("mode", "Off"), ("bars", "1")])?;
    daw.run_stopped(1_000)?;
    Ok(daw)
}

/// Plays one round. Returns the start of the answer's bar in samples, and the plugin's notes in it.
fn round(daw: &mut Daw, seed: usize, pace: &mut dyn FnMut(u64)) -> Result<(f64, Vec<Sent>)> {
    daw.set(&[("seed", &(seed + 1).to_string()), ("mode", "Trade")])?;
    daw.seek(ROUND);
    daw.play_paced(ROUND + BAR, pace)?;
    let line = daw.clock().sample_at(ROUND + BAR, daw.now());
    let before = daw.sent().len();
    daw.play_paced(ROUND + 2.0 * BAR, pace)?;
    Ok((line, daw.sent()[before..].to_vec()))
}

fn first(sent: &[Sent]) -> Option<&Sent> {
    sent.iter().find(|sent| sent.event.on)
}

fn trade(bundle: &Path, seed: u64, options: Options) -> Result<Outcome> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bpm = rng.random_range(60.0..200.0);
    let notes = notes(&mut rng);
    let mut offline = start(bundle, setup(bpm, Mode::Offline), &notes)?;
    offline.play_to(ROUND)?;
    let mut right = Vec::new();
    for seed in 0..SEEDS {
        let (line, sent) = round(&mut offline, seed, &mut |_| ())?;
        // Position in the bar in beats, and key.
        let place = |sent: &Sent| {
            let beats = (sent.sample as f64 - line) * bpm / 60.0 / SAMPLE_RATE;
            ((beats * 12.0).round() / 12.0, sent.event.key)
        };
        right.push(first(&sent).map(place));
    }
    ensure!(right.iter().any(Option::is_some), "it never answers");
    drop(offline);

    let mut daw = start(bundle, setup(bpm, Mode::Realtime), &notes)?;
    if options.priority {
        prioritise()?;
    }
    let began = Instant::now();
    let origin = daw.now();
    let mut late: f64 = 0.0;
    let mut pace = |sample: u64| {
        let due = Duration::from_secs_f64((sample - origin) as f64 / SAMPLE_RATE);
        let passed = began.elapsed();
        std::thread::sleep(due.saturating_sub(passed));
        late = late.max(began.elapsed().saturating_sub(due).as_secs_f64() * 1e3);
    };
    daw.play_paced(ROUND, &mut pace)?;
    let mut trades = Vec::new();
    for seed in (0..SEEDS).cycle() {
        if began.elapsed() > options.time {
            break;
        }
        let (line, sent) = round(&mut daw, seed, &mut pace)?;
        let Some((beats, key)) = right[seed] else {
            continue;
        };
        let wanted = (line + beats * 60.0 / bpm * SAMPLE_RATE + 0.5).floor() as u64;
        let first = match first(&sent) {
            Some(sent) if sent.event.key == key && sent.sample == wanted => FirstNote::Exact,
            Some(sent) if sent.event.key == key && sent.sample > wanted => {
                FirstNote::Late((sent.sample - wanted) as f64 / SAMPLE_RATE * 1e3)
            }
            _ => FirstNote::Missing,
        };
        trades.push(Trade { bpm, first });
    }
    Ok(Outcome {
        trades,
        host_late: late,
    })
}

/// Returns a table of results by tempo.
pub fn table(trades: &[Trade]) -> String {
    let mut text = String::from(
        "| BPM | trades | first note on its sample | late | latest (ms) | not played |\n\
         |---|---|---|---|---|---|\n",
    );
    for (from, to) in [(60.0, 100.0), (100.0, 150.0), (150.0, 200.0), (60.0, 200.0)] {
        let within: Vec<_> = trades
            .iter()
            .filter(|trade| (from..to).contains(&trade.bpm))
            .copied()
            .collect();
        text += &format!("| {from:.0} to {to:.0} | {} |\n", row(&within));
    }
    text
}

/// Returns cells of a table: number of trades, on their sample, late, latest in milliseconds, and
/// missing.
pub fn row(trades: &[Trade]) -> String {
    let count = |first: fn(&FirstNote) -> bool| trades.iter().filter(|t| first(&t.first)).count();
    let exact = count(|first| *first == FirstNote::Exact);
    let late = |trade: &Trade| match trade.first {
        FirstNote::Late(ms) => Some(ms),
        FirstNote::Exact | FirstNote::Missing => None,
    };
    let mut late: Vec<f64> = trades.iter().filter_map(late).collect();
    late.sort_by(f64::total_cmp);
    let latest = match late.is_empty() {
        true => "-".to_string(),
        false => format!("{:.1}", quantile(&late, 1.0)),
    };
    format!(
        "{} | {exact} ({:.2} %) | {} | {latest} | {}",
        trades.len(),
        100.0 * exact as f64 / trades.len().max(1) as f64,
        late.len(),
        count(|first| *first == FirstNote::Missing),
    )
}
