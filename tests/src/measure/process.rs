//! How long `process()` takes, while the plugin plays and is played to.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{prioritise, quantile};
use crate::host::{Block, Format, Mode, NoteEvent, Transport, TransportDetail};

/// Samples a second.
const SAMPLE_RATE: f64 = 48_000.0;

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Block length in samples.
    pub frames: u32,
    /// Notes the player plays a second.
    pub notes: u32,
    /// Blocks measured.
    pub blocks: usize,
    /// The longest wait for a block's time to pass: long blocks come faster than by the clock.
    pub wait: Duration,
    /// The host's thread has real-time priority, as audio threads of hosts do.
    pub priority: bool,
    /// The host's thread sleeps for a quarter of the time between blocks and looks at the clock
    /// for the rest: its caches and its core's clock stay warm. Not all of it, for Linux takes the
    /// core away for 50 ms from a real-time thread that ran for 950 ms of a second, and the block
    /// after that finds its caches cold.
    pub spin: bool,
}

/// How long something took, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Half of the times stay within this.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// All.
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

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// `process()`.
    pub process: Times,
    /// The same host, half a block later, only looks at the clock, for as long as `process()` took
    /// just now: how much longer that lasted is what the machine takes by its interruptions.
    pub machine: Times,
    /// What a block lasts, in microseconds.
    pub block: f64,
    /// Notes the plugin sent, the player's not counted.
    pub played: u64,
}

/// Plays to the bundle in real time: the plugin plays freely beside the player, and nothing of
/// the player's passes.
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
    // The model is loaded, and the first blocks fill caches.
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
    /// Sleeps until `then`, or until `awake` before it and looks at the clock from there on.
    fn wait_until(&self, then: Instant, awake: Duration) {
        let awake = if self.spin { awake } else { Duration::ZERO };
        std::thread::sleep((then - awake).saturating_duration_since(Instant::now()));
        while self.spin && Instant::now() < then {
            std::hint::spin_loop();
        }
    }
}

/// Looks at the clock until `time` has passed, and says by how much it came too late.
fn watch(time: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let passed = began.elapsed();
        if passed >= time {
            return passed - time;
        }
    }
}
