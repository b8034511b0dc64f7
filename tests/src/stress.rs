//! A host at its worst: everything changes at random, from a seed, and what must never happen
//! is looked for after every block.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::host::{
    Block, Format, Mode, NoteEvent, ParameterChange, Plugin, Transport, TransportDetail,
};
use crate::state_file;
use crate::transport_quirks::TransportQuirks;

/// The player's channel. The plugin is never told to play on it, so that what it generates can
/// be told from what passes through.
const PLAYER: u8 = 15;

const MOSTLY_OFF: &[&str] = &[
    "On", "Off", "Off", "Off", "Off", "Off", "Off", "Off", "Off", "Off",
];

/// Parameters that change, each with values as a user would type them.
const PARAMETERS: &[(&str, &[&str])] = &[
    (
        "mode",
        &["Off", "Continue", "Trade", "Trade", "Along", "Free", "Free"],
    ),
    ("enter", &["Step", "Beat", "Bar"]),
    ("memory", &["Song", "Session"]),
    ("thru", &["On", "Off"]),
    ("bypass", MOSTLY_OFF),
    ("hold", &["On", "Off"]),
    ("panic", MOSTLY_OFF),
    ("clear", &["On", "Off", "Off"]),
    ("regen", &["On", "Off"]),
    ("freeze", &["On", "Off", "Off"]),
    ("variation", &["A", "B", "C", "D"]),
    ("gap", &["0.25", "1", "2"]),
    ("lead", &["0", "0.25", "1"]),
    ("bars", &["1", "2", "4"]),
    ("lookahead", &["1", "4", "16"]),
    ("temp", &["0.1", "0.9", "2"]),
    ("temp_rhythm", &["0.1", "0.9", "2"]),
    ("top_p", &["0.05", "0.9", "1"]),
    ("scale", &["Off", "Detected", "Dorian", "Blues"]),
    ("key", &["C", "F#", "Bb"]),
    ("voices", &["Any", "1", "4"]),
    ("density", &["Model", "0.5", "8"]),
    ("length", &["10", "100", "200"]),
    ("vel_from", &["Model", "Player", "Fixed"]),
    ("seed", &["1", "2", "9999"]),
    ("out_ch", &["1", "2", "15"]),
    ("in_ch", &["All", "16", "3"]),
];

/// What a run went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StressSummary {
    /// Blocks processed.
    pub blocks: u64,
    /// Notes the plugin generated.
    pub generated: u64,
    /// Those of them whose sample was checked against the grid.
    pub placed: u64,
    /// Notes the host sent.
    pub sent: u64,
    /// Times the plugin was deactivated and activated anew.
    pub restarts: u64,
    /// Depends on every event that came out and on its sample.
    pub fingerprint: u64,
    /// Growth of the process from a quarter of the run to its end, in bytes.
    pub growth: i64,
}

/// How a run is to be.
#[derive(Clone, Copy, Debug)]
pub struct StressOptions<'a> {
    /// What it follows from.
    pub seed: u64,
    /// How long it is.
    pub blocks: u64,
    /// Whether the plugin may take its time.
    pub mode_choice: ModeChoice,
    /// A model to change to now and then, beside the one it begins with and one that is not
    /// there.
    pub other_model: Option<&'a Path>,
}

/// Whether the plugin may take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeChoice {
    /// Now so, now so.
    Either,
    /// Always: the same seed must give the same notes.
    Offline,
    /// Never.
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
    /// How it is reported.
    quirks: TransportQuirks,
    longest: u32,
    /// The tempo has just changed, or the position jumped.
    moved: bool,
    held: Vec<u8>,
    sounding: BTreeMap<(u8, u8), u64>,
    changes: Vec<ParameterChange>,
    /// What was done last, and in which block.
    recent: VecDeque<String>,
    sample: u64,
    out: Vec<NoteEvent>,
    summary: StressSummary,
}

const LONGEST: u32 = 4096;
/// Deeds that are told when something went wrong.
const RECENT: usize = 24;

/// Plays to the plugin as long as asked. An error says what went wrong in which block.
pub fn run(bundle: &Path, format: Format, options: StressOptions) -> Result<StressSummary> {
    run_after(bundle, format, options, &|| Ok(()))
}

/// The same; before the first block, when the plugin is active, `ready` is called.
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

/// Resident memory of this process in bytes, where the system says.
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

    /// Keeps in mind what was done.
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

    /// Something changes, or not.
    fn disturb(&mut self) -> Result<()> {
        match self.rng.random_range(0..400) {
            0 => {
                self.transport.playing = !self.transport.playing;
                self.moved = true;
                self.done(format!("playing {}", self.transport.playing));
            }
            1 | 2 => {
                let beat = self.rng.random_range(-4.0..60.0);
                self.transport.beat = if self.rng.random_bool(0.5) {
                    f64::floor(beat)
                } else {
                    beat
                };
                self.moved = true;
                self.done(format!("beat {}", self.transport.beat));
            }
            3 => {
                self.transport.bpm = self.rng.random_range(20.0..400.0);
                self.moved = true;
                self.done(format!("{} BPM", self.transport.bpm));
            }
            4 => {
                self.transport.metre =
                    self.pick(&[(4, 4), (3, 4), (7, 8), (1, 16), (5, 4), (6, 8)]);
                self.done(format!("metre {:?}", self.transport.metre));
            }
            5 => {
                self.transport.loop_range = self.pick(&[
                    None,
                    Some((0.0, 4.0)),
                    Some((1.0, 3.3)),
                    Some((4.0, 4.01)),
                    Some((8.0, 16.0)),
                ]);
            }
            6 | 60..70 => self.longest = self.pick(&[1, 64, 512, 512, 4096, 4096]),
            7 => self.restart()?,
            70 => self.keep()?,
            71 => self.go_back()?,
            8..30 => {
                let (id, values) = self.pick(PARAMETERS);
                let value = self.pick(values);
                let change = self.plugin.parameter(id, value)?;
                self.changes.push(change);
                self.done(format!("{id} {value}"));
            }
            30..60 => {
                self.moved |= !self.transport.playing;
                self.transport.playing = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// The host saves the project.
    fn keep(&mut self) -> Result<()> {
        let state = self.plugin.save()?;
        self.done("saved".into());
        if self.states.len() == 4 {
            self.states.remove(0);
        }
        self.states.push(state);
        Ok(())
    }

    /// It loads one that was saved: whole, damaged, or with another model. What the plugin says of it is all right; it
    /// must only go on.
    fn go_back(&mut self) -> Result<()> {
        if self.states.is_empty() {
            return Ok(());
        }
        let which = self.rng.random_range(0..self.states.len());
        let mut state = self.states[which].clone();
        if self.rng.random_bool(0.3) {
            let other = self.other_model.map(Path::to_path_buf);
            let model = self.rng.random_range(0..4);
            let mut session = state_file::session(self.format, &state)?;
            session["model"] = match model {
                0 | 1 => json!(other),
                2 => json!("nowhere"),
                _ => json!(null),
            };
            state = state_file::with_session(self.format, &state, &session)?;
            self.done(format!("model {}", session["model"]));
        }
        if self.rng.random_bool(0.2) {
            let at = self.rng.random_range(0..state.len());
            state[at] = state[at].wrapping_add(self.rng.random_range(1..=255));
            let around = at.saturating_sub(24)..state.len().min(at + 8);
            let around = String::from_utf8_lossy(&state[around]).into_owned();
            self.done(format!("byte {at} of it damaged: {around:?}"));
        }
        // Refusing a damaged one is fine.
        let loaded = self.plugin.load(&state).is_ok();
        self.done(format!("loaded state {which}: {loaded}"));
        self.moved = true;
        Ok(())
    }

    /// What the player does in a block.
    fn input(&mut self, frames: u32) -> Vec<NoteEvent> {
        let count = match self.rng.random_range(0..200) {
            0 => 400,
            1..20 => self.rng.random_range(1..6),
            _ => 0,
        };
        let mut offsets: Vec<u32> = (0..count)
            .map(|_| self.rng.random_range(0..frames))
            .collect();
        offsets.sort_unstable();
        let mut notes = Vec::new();
        for offset in offsets {
            // Mostly sense; also keys struck twice, and let go that were never down.
            let known = !self.held.is_empty() && self.rng.random_bool(0.6);
            let key = if known {
                let index = self.rng.random_range(0..self.held.len());
                self.held.swap_remove(index)
            } else {
                self.rng.random_range(0..128)
            };
            let on = !known && self.rng.random_bool(0.9);
            if on {
                self.held.push(key);
                self.summary.sent += 1;
            }
            notes.push(NoteEvent {
                offset,
                on,
                channel: PLAYER,
                key,
                velocity: self.rng.random_range(0.01..1.0),
            });
        }
        notes
    }

    fn block(&mut self) -> Result<()> {
        self.disturb()?;
        if self.mode == Mode::Realtime && self.summary.blocks.is_multiple_of(16) {
            // Far faster than by the clock, but not so fast that the composer is never heard.
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
            // A host that stands still says so: a gap would be counted through.
            transport.detail = self.transport.detail;
        }
        let gap = transport.detail == TransportDetail::None;
        let block = Block {
            frames,
            transport,
            notes,
            parameters: &changes,
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
                // As hosts do that end no block there.
                next = from + (next - to).min(to - from);
            }
            self.transport.beat = next;
        }
        // A jump in a block that reports nothing is seen with the next block that does.
        let unseen = self.moved && gap;
        self.check(frames, beat, samples_per_beat, turned || unseen)?;
        self.moved = turned || unseen;
        self.sample += u64::from(frames);
        self.summary.blocks += 1;
        Ok(())
    }

    fn check(&mut self, frames: u32, beat: f64, samples_per_beat: f64, turned: bool) -> Result<()> {
        let mut last = 0;
        for event in &self.out {
            ensure!(
                event.offset < frames && event.offset >= last,
                "{event:?} after offset {last} in a block of {frames}"
            );
            last = event.offset;
            let hash = [
                event.on.into(),
                event.channel.into(),
                event.key.into(),
                self.sample + u64::from(event.offset),
            ];
            for x in hash {
                self.summary.fingerprint =
                    (self.summary.fingerprint ^ x).wrapping_mul(0x0100_0000_01B3);
            }
            if event.channel == PLAYER {
                continue;
            }
            let key = (event.channel, event.key);
            let at = self.sample + u64::from(event.offset);
            if !event.on {
                let began = self.sounding.remove(&key);
                ensure!(
                    began.is_some_and(|b| b < at),
                    "{event:?} ends what does not sound"
                );
                continue;
            }
            ensure!(
                self.transport.playing,
                "{event:?} while the transport stands still"
            );
            ensure!(
                self.sounding.insert(key, at).is_none(),
                "{event:?} sounds already"
            );
            self.summary.generated += 1;
            // In real time a note may come late, and the first after a jump may be rounded.
            // A rounded position moves everything after a jump by up to its rounding.
            if self.mode == Mode::Offline && !turned && !(self.moved && event.offset == 0) {
                let here = beat + f64::from(event.offset) / samples_per_beat;
                let step = (here * 12.0).round() / 12.0;
                let off_by = ((step - here) * samples_per_beat).abs();
                let rounding = 2.0 * self.quirks.error() * samples_per_beat;
                ensure!(
                    off_by < 0.502 + rounding || event.offset == 0 && off_by < 1.502 + rounding,
                    "{event:?} is {off_by} samples beside its step, {rounding} are allowed"
                );
                self.summary.placed += 1;
            }
        }
        ensure!(
            self.transport.playing || self.sounding.is_empty(),
            "sounding after the stop: {:?}",
            self.sounding
        );
        Ok(())
    }

    /// At the very end everything stops.
    fn silence(&mut self) -> Result<()> {
        self.transport.playing = false;
        self.moved = true;
        self.process(64, &[])?;
        self.plugin.deactivate()
    }
}
