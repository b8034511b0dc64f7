//! Whether answers come in time: many instances trade bars with their players by the clock, and
//! each answer is compared with what the same instance plays when it may take its time.
//!
//! An instance hears eight bars of 2/4 (it plays nothing yet, for what it played, late or not,
//! would be part of what it answers to), and then goes round the last player's bar and
//! its own, with another seed each round. In Song memory a round forgets the one before, so the
//! right answer is known: what an offline pass gave for that seed.

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
/// Where the round begins; its second half is the plugin's.
const ROUND: f64 = 16.0;
/// Seeds whose answers are known.
const SEEDS: usize = 8;
/// Samples a second, and in a block.
const SAMPLE_RATE: f64 = 48_000.0;
const FRAMES: u32 = 256;

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Instances at once, each on a thread of its own.
    pub instances: usize,
    /// How long each goes round and round.
    pub time: Duration,
    /// Threads that do nothing but compute, beside them.
    pub load: usize,
    /// What tempos and notes follow from.
    pub seed: u64,
    /// The hosts' threads have real-time priority.
    pub priority: bool,
}

/// An answer, or what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    /// Quarter notes a minute.
    pub bpm: f64,
    /// What became of its first note.
    pub first: FirstNote,
}

/// What came of it all.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// All trades of all instances.
    pub trades: Vec<Trade>,
    /// How late the host itself was for a block at worst, in milliseconds.
    pub host_late: f64,
}

/// What became of an answer's first note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FirstNote {
    /// It began on its sample.
    Exact,
    /// It began so many milliseconds late.
    Late(f64),
    /// It was not played; another one was the first, or there was none.
    Missing,
}

/// Trades in real time, with every instance.
pub fn measure(bundle: &Path, options: Options) -> Result<Outcome> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let instance = |number: usize| {
            let seed = options.seed.wrapping_mul(1000) + number as u64;
            // One after the other, so that they do not all begin at once.
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

/// Notes in every other bar.
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

/// One round: where its answer's bar begins, in samples, and the plugin's notes since.
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
        // Where in the bar, in beats, and which key.
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

/// A table, by tempo.
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

/// How many, those on their sample, those late, the latest and those not played: cells of a table.
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
