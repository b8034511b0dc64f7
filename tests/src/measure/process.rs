//! How long `process()` takes, while the plugin plays and is played to.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::quantile;
use crate::host::{Block, Format, Mode, NoteEvent, Tells, Transport};

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
}

/// What came of it, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Half of the blocks stay within this.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// All.
    pub worst: f64,
    /// What a block lasts.
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
    let (mut out, mut times, mut played) = (Vec::new(), Vec::new(), 0);
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
            cycle: None,
            tells: Tells::Everything,
        };
        let block = Block {
            frames: options.frames,
            transport,
            notes: &notes,
            parameters: &std::mem::take(&mut changes),
        };
        out.clear();
        plugin.process(&block, &mut out)?;
        if number >= warm_up {
            times.push(plugin.took().as_secs_f64() * 1e6);
            played += out.iter().filter(|event| event.on).count() as u64;
        }
        sample += u64::from(options.frames);
        next += wait;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    plugin.deactivate()?;
    times.sort_by(f64::total_cmp);
    Ok(Cost {
        p50: quantile(&times, 0.5),
        p99: quantile(&times, 0.99),
        p999: quantile(&times, 0.999),
        worst: quantile(&times, 1.0),
        block: block_time * 1e6,
        played,
    })
}

/// Gives this thread, and none it starts, the priority that JACK gives its audio thread.
fn prioritise() -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
        let parameters = libc::sched_param { sched_priority: 70 };
        // SAFETY: 0 is the calling thread; the parameters live as long as the call.
        if unsafe { libc::sched_setscheduler(0, policy, &parameters) } == 0 {
            return Ok(());
        }
    }
    bail!("this user may not have real-time priority (RLIMIT_RTPRIO), or not on this system");
}
