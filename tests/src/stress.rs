//! A stress host: changes everything at random, from a seed, and checks the plugin's invariants after
//! every block.

mod changes;
mod invariants;
mod sound;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use anyhow::{Context, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::host::{
    Block, Format, Mode, NoteEvent, ParameterChange, Plugin, Transport, TransportDetail,
};
use crate::transport_quirks::TransportQuirks;

/// MIDI channel of the player, from 0. The plugin is never set to play on it, so that generated notes
/// differ from passed-through ones.
const PLAYER: u8 = 15;

/// Result of a stress run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StressSummary {
    /// Number of blocks processed.
    pub blocks: u64,
    /// Number of generated notes.
    pub generated: u64,
    /// Number of generated notes whose sample was compared with the grid.
    pub placed: u64,
    /// Number of notes that the host sent.
    pub sent: u64,
    /// Number of times the plugin was activated again.
    pub restarts: u64,
    /// Hash of every output event and its sample.
    pub fingerprint: u64,
    /// Growth of the process's memory from a quarter of the run to its end, in bytes.
    pub growth: i64,
}

/// Options of a stress run.
#[derive(Clone, Copy, Debug)]
pub struct StressOptions<'a> {
    /// Seed of all random choices.
    pub seed: u64,
    /// Number of blocks to process.
    pub blocks: u64,
    /// Choice between real time and offline.
    pub mode_choice: ModeChoice,
    /// Another model that is loaded now and then, besides the first model and one that does not exist.
    pub other_model: Option<&'a Path>,
}

/// Choice between real time and offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeChoice {
    /// Switches randomly between real time and offline.
    Either,
    /// Always offline: the same seed must give the same notes.
    Offline,
    /// Always in real time.
    Realtime,
}

struct StressHost<'a> {
    rng: ChaCha8Rng,
    format: Format,
    plugin: Box<dyn Plugin>,
    mode_choice: ModeChoice,
    other_model: Option<&'a Path>,
    states: Vec<Vec<u8>>,
    mode: Mode,
    sample_rate: f64,
    transport: Transport,
    /// Quirks of the reported transport.
    quirks: TransportQuirks,
    longest: u32,
    /// Whether the tempo has just changed or the position has just jumped.
    moved: bool,
    /// End of the loop that came round last, in quarter notes.
    turned_at: Option<f64>,
    /// Whether notes may begin late, on the first sample of the block.
    waits: bool,
    held: Vec<u8>,
    sounding: BTreeMap<(u8, u8), u64>,
    changes: Vec<ParameterChange>,
    /// The last actions, with the numbers of their blocks.
    recent: VecDeque<String>,
    sample: u64,
    out: Vec<NoteEvent>,
    summary: StressSummary,
}

const LONGEST: u32 = 4096;
/// Seconds behind a loop's end in which the plugin expects hosts to turn back.
const LATE_TURN: f64 = 0.1;
/// Number of actions that an error message lists.
const RECENT: usize = 24;

/// Runs the stress host.
///
/// # Errors
///
/// Fails at the first block that violates an invariant; the error names the block and the last actions.
pub fn run(bundle: &Path, format: Format, options: StressOptions) -> Result<StressSummary> {
    run_after(bundle, format, options, &|| Ok(()))
}

/// Runs the stress host as [`run`] does, and calls `ready` after the activation and before the first
/// block.
///
/// # Errors
///
/// Fails as [`run`] does, or if `ready` fails.
pub fn run_after(
    bundle: &Path,
    format: Format,
    options: StressOptions,
    ready: &dyn Fn() -> Result<()>,
) -> Result<StressSummary> {
    let mut host = StressHost {
        rng: ChaCha8Rng::seed_from_u64(options.seed),
        format,
        plugin: format.load(bundle)?,
        mode_choice: options.mode_choice,
        other_model: options.other_model,
        states: Vec::new(),
        mode: Mode::Offline,
        sample_rate: 48_000.0,
        transport: Transport {
            playing: false,
            beat: 0.0,
            bpm: 120.0,
            metre: (4, 4),
            bar_start: 0.0,
            bar: 0,
            loop_range: None,
            detail: TransportDetail::Full,
        },
        quirks: TransportQuirks::EXACT,
        longest: 512,
        moved: true,
        turned_at: None,
        waits: false,
        held: Vec::new(),
        sounding: BTreeMap::new(),
        changes: Vec::new(),
        recent: VecDeque::new(),
        sample: 0,
        out: Vec::new(),
        summary: StressSummary::default(),
    };
    host.restart()?;
    ready()?;
    let mut before = None;
    for block in 0..options.blocks {
        if block == options.blocks / 4 {
            before = resident();
        }
        host.block().with_context(|| {
            format!(
                "block {block} of seed {} ({format:?}): {host}",
                options.seed
            )
        })?;
    }
    host.silence()?;
    let growth = before.zip(resident()).map(|(before, after)| after - before);
    host.summary.growth = growth.unwrap_or(0);
    Ok(host.summary)
}

/// Returns the resident memory of this process in bytes, where the system reports it.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: i64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

impl std::fmt::Display for StressHost<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Transport {
            playing,
            beat,
            bpm,
            metre,
            loop_range,
            ..
        } = self.transport;
        write!(
            f,
            "{:?} at {} Hz, playing {playing}, beat {beat:.3}, {bpm} BPM, {}/{}, loop {loop_range:?}",
            self.mode, self.sample_rate, metre.0, metre.1
        )?;
        self.recent
            .iter()
            .try_for_each(|done| write!(f, "\n  {done}"))
    }
}

impl StressHost<'_> {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    /// Records an action for error messages.
    fn done(&mut self, what: String) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        let block = self.summary.blocks;
        self.recent.push_back(format!("block {block}: {what}"));
    }

    fn restart(&mut self) -> Result<()> {
        self.plugin.deactivate()?;
        self.sample_rate = self.pick(&[44_100.0, 48_000.0, 96_000.0]);
        let offline = self.rng.random_bool(0.6);
        self.mode = match self.mode_choice {
            ModeChoice::Either if offline => Mode::Offline,
            ModeChoice::Offline => Mode::Offline,
            ModeChoice::Either | ModeChoice::Realtime => Mode::Realtime,
        };
        self.plugin.activate(self.sample_rate, LONGEST, self.mode)?;
        self.summary.restarts += 1;
        self.moved = true;
        self.quirks = TransportQuirks::draw(&mut self.rng);
        self.done(format!("{:?}", self.quirks));
        self.done(format!(
            "activated, {:?}, {} Hz",
            self.mode, self.sample_rate
        ));
        Ok(())
    }

    fn block(&mut self) -> Result<()> {
        self.disturb()?;
        if self.mode == Mode::Realtime && self.summary.blocks.is_multiple_of(16) {
            // This is far faster than real time, but slow enough for the composer's notes to arrive.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let frames = self.rng.random_range(1..=self.longest);
        let bar = f64::from(self.transport.metre.0) * 4.0 / f64::from(self.transport.metre.1);
        self.transport.bar_start = (self.transport.beat / bar).floor() * bar;
        self.transport.bar = (self.transport.beat / bar).floor() as i32;
        let notes = self.input(frames);
        self.process(frames, &notes)
    }

    fn process(&mut self, frames: u32, notes: &[NoteEvent]) -> Result<()> {
        let changes = std::mem::take(&mut self.changes);
        self.out.clear();
        let mut transport = self.quirks.report(&self.transport, &mut self.rng);
        if !self.transport.playing {
            // A stopped host reports its stop: the plugin would count through a gap.
            transport.detail = self.transport.detail;
        }
        let gap = transport.detail == TransportDetail::None;
        let sound = self.sound(frames);
        let block = Block {
            frames,
            transport,
            notes,
            parameters: &changes,
            sound: sound.as_deref(),
        };
        self.plugin.process(&block, &mut self.out)?;
        let mut turned = false;
        let samples_per_beat = self.sample_rate * 60.0 / self.transport.bpm;
        let beat = self.transport.beat;
        if self.transport.playing {
            let mut next = beat + f64::from(frames) / samples_per_beat;
            if let Some((from, to)) = self
                .transport
                .loop_range
                .filter(|&(_, to)| beat < to && next >= to)
            {
                turned = true;
                self.turned_at = Some(to);
                // As in hosts that do not end a block at the loop's end. A short loop comes round
                // several times.
                next = from + (next - to) % (to - from);
            }
            self.transport.beat = next;
        }
        // By a rounded position the plugin may turn a little before the host, or after it.
        let error = 2.0 * self.quirks.error();
        let end = beat + f64::from(frames) / samples_per_beat;
        let seam = self.transport.loop_range.filter(|&(from, to)| {
            let near = |point: f64| beat < point + error && end > point - error;
            error > 0.0 && (near(from) || near(to))
        });
        let seam_length = seam.map(|(from, to)| to - from);
        // The plugin sees a jump in a block without a report only with the next report.
        let unseen = self.moved && gap;
        let hidden = self.transport.loop_range.is_some_and(|(from, to)| {
            beat < to && end > from && self.quirks.hides_position_in_loop(to - from)
        });
        // A loop that was inferred may still come round a moment after its end. If the host has
        // switched it off, the notes behind the end wait for that moment in vain.
        let waits = self.turned_at.is_some_and(|to| {
            let latest = (LATE_TURN * self.sample_rate + f64::from(LONGEST)) / samples_per_beat;
            !self.quirks.reports_loop() && end > to && beat < to + latest
        });
        let unknown = turned || unseen || hidden;
        self.waits = waits;
        self.check(frames, beat, samples_per_beat, unknown, seam_length)?;
        self.moved = unknown;
        self.sample += u64::from(frames);
        self.summary.blocks += 1;
        Ok(())
    }

    /// Stops the transport and deactivates the plugin.
    fn silence(&mut self) -> Result<()> {
        self.transport.playing = false;
        self.moved = true;
        self.process(64, &[])?;
        self.plugin.deactivate()
    }
}
