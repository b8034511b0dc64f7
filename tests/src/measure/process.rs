//! Measures the duration of `process()` while both the plugin and the player play.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{prioritise, quantile};
use crate::host::{Block, Format, Mode, NoteEvent, Transport, TransportDetail};

/// Sample rate in Hz.
const SAMPLE_RATE: f64 = 48_000.0;

/// Options of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Block length in samples.
    pub frames: u32,
    /// Number of the player's notes a second.
    pub notes: u32,
    /// Number of blocks to measure.
    pub blocks: usize,
    /// Longest wait between blocks. Long blocks are then processed faster than in real time.
    pub wait: Duration,
    /// Whether the host's thread has real-time priority, like audio threads of hosts.
    pub priority: bool,
    /// Whether the host's thread sleeps for only a quarter of the time between blocks and spins for the
    /// rest, so that its caches and its core's clock stay warm. It does not spin for all of it: Linux
    /// suspends a real-time thread for 50 ms after 950 ms of work in a second, and the next block would
    /// find cold caches.
    pub spin: bool,
}

/// Quantiles of a duration, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Maximum.
    pub worst: f64,
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            p50: quantile(&times, 0.5),
            p99: quantile(&times, 0.99),
            p999: quantile(&times, 0.999),
            worst: quantile(&times, 1.0),
        }
    }
}

/// Result of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Duration of `process()`.
    pub process: Times,
    /// Delay by interruptions of the machine: half a block later, the host spins for as long as the
    /// last `process()` took, and this is the excess.
    pub machine: Times,
    /// Duration of a block in microseconds.
    pub block: f64,
    /// Number of notes that the plugin generated.
    pub played: u64,
}

/// Runs the bundle in real time: the plugin plays in the mode Free beside the player, and passes no
/// notes through.
///
/// # Errors
///
/// Fails if the bundle cannot be loaded or run.
pub fn measure(bundle: &Path, format: Format, options: Options) -> Result<Cost> {
    let mut plugin = format.load(bundle)?;
    plugin.activate(SAMPLE_RATE, options.frames, Mode::Realtime)?;
    if options.priority {
        prioritise()?;
    }
    let mut changes = Vec::new();
    for (id, value) in [("mode", "Free"), ("thru", "Off")] {
        changes.push(plugin.parameter(id, value)?);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut held, mut due, mut sample) = (Vec::new(), 0.0, 0u64);
    let (mut out, mut played) = (Vec::new(), 0);
    let mut dump = Vec::new();
    let (mut times, mut machine) = (Vec::new(), Vec::new());
    let beats = 120.0 / 60.0 / SAMPLE_RATE;
    let block_time = f64::from(options.frames) / SAMPLE_RATE;
    let wait = Duration::from_secs_f64(block_time).min(options.wait);
    // The model is loaded now; the first blocks fill caches.
    let warm_up = (3.0 / wait.as_secs_f64()) as usize;
    let mut next = Instant::now();
    for number in 0..warm_up + options.blocks {
        let mut notes: Vec<NoteEvent> = Vec::new();
        while options.notes > 0 && due < (sample + u64::from(options.frames)) as f64 {
            let offset = (due as u64 - sample) as u32;
            let event = |on, key| NoteEvent {
                offset,
                on,
                channel: 0,
                key,
                velocity: 0.7,
            };
            let key = rng.random_range(30..100);
            if held.len() >= 8 {
                notes.push(event(false, held.remove(0)));
            }
            if !held.contains(&key) {
                held.push(key);
                notes.push(event(true, key));
            }
            due += SAMPLE_RATE / f64::from(options.notes);
        }
        let beat = sample as f64 * beats;
        let transport = Transport {
            playing: true,
            beat,
            bpm: 120.0,
            metre: (4, 4),
            bar_start: (beat / 4.0).floor() * 4.0,
            bar: (beat / 4.0) as i32,
            loop_range: None,
            detail: TransportDetail::Full,
        };
        let block = Block {
            frames: options.frames,
            transport,
            notes: &notes,
            parameters: &std::mem::take(&mut changes),
            sound: None,
        };
        out.clear();
        plugin.process(&block, &mut out)?;
        let half = wait / 2;
        options.wait_until(next + half, half / 2);
        let interrupted = watch(plugin.process_time());
        if number >= warm_up {
            times.push(plugin.process_time().as_secs_f64() * 1e6);
            machine.push(interrupted.as_secs_f64() * 1e6);
            if std::env::var_os("DUMP").is_some() {
                dump.push((
                    number,
                    beat,
                    notes.len(),
                    out.len(),
                    plugin.process_time().as_secs_f64() * 1e6,
                ));
            }
            played += out.iter().filter(|event| event.on).count() as u64;
        }
        sample += u64::from(options.frames);
        next += wait;
        options.wait_until(next, half);
    }
    plugin.deactivate()?;
    dump.sort_by(|a, b| b.4.total_cmp(&a.4));
    for d in dump.iter().take(60) {
        eprintln!("{:6} {:9.4} in {} out {} {:.1}", d.0, d.1, d.2, d.3, d.4);
    }
    Ok(Cost {
        process: Times::of(times),
        machine: Times::of(machine),
        block: block_time * 1e6,
        played,
    })
}

impl Options {
    /// Sleeps until `then`, or until `awake` before it and spins from there on.
    fn wait_until(&self, then: Instant, awake: Duration) {
        let awake = if self.spin { awake } else { Duration::ZERO };
        std::thread::sleep((then - awake).saturating_duration_since(Instant::now()));
        while self.spin && Instant::now() < then {
            std::hint::spin_loop();
        }
    }
}

/// Spins until `time` has passed, and returns the delay beyond it.
fn watch(time: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let passed = began.elapsed();
        if passed >= time {
            return passed - time;
        }
    }
}
