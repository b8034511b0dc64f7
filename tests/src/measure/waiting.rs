//! Measures whether instances delay each other: the time until a loaded project plays, alone and with
//! sixteen at once, and the effect of loading one instance on the answers of others.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use continuo_score::{TimeSignature, TimeSignatureMap};
use serde_json::{Value, json};

use super::trades;
use crate::daw::{Blocks, Daw, Setup};
use crate::host::{Format, Mode};
use crate::{artifacts, state_file};

/// Sample rate in Hz, and block length in samples.
const SAMPLE_RATE: f64 = 48_000.0;
const FRAMES: u32 = 256;
/// Tempo in quarter notes a minute.
const BPM: f64 = 120.0;
/// Steps in a quarter note.
const STEPS: u64 = 12;
/// Longest wait for a first note.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Timing of a loaded instance and its first notes.
#[derive(Clone, Copy, Debug)]
pub struct LoadedInstance {
    /// Time when the host had loaded and activated the instance.
    pub loaded: Instant,
    /// Duration of loading and activation in milliseconds.
    pub load_ms: f64,
    /// Time of the first note.
    pub played: Instant,
    /// Samples from the step of the first note to the note; 0 if it is in time.
    pub late: u64,
    /// Number of notes in the following seconds, and number of those off their step's sample.
    pub after: (usize, usize),
}

/// Work of another instance during the measurement of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// There is no other instance.
    Nothing,
    /// It repeatedly loads a project of this number of notes.
    Project(usize),
    /// It repeatedly learns this number of notes from files.
    Album(usize),
    /// It repeatedly loads another model.
    Model,
}

fn state(bundle: &Path, session: &Value) -> Result<Vec<u8>> {
    let empty = Format::Clap.load(bundle)?.save()?;
    state_file::with_session(Format::Clap, &empty, session)
}

fn setup() -> Setup {
    Setup {
        sample_rate: SAMPLE_RATE,
        blocks: Blocks::Fixed(FRAMES),
        tempos: vec![(0.0, BPM)],
        time_signatures: TimeSignatureMap::constant(TimeSignature::COMMON, STEPS as u32),
        mode: Mode::Realtime,
    }
}

/// Opens a project and continues from its end in the mode Free, in real time.
fn open(
    bundle: &Path,
    state: &[u8],
    notes: usize,
    seed: usize,
    wait: &Barrier,
) -> Result<LoadedInstance> {
    wait.wait();
    let began = Instant::now();
    let mut plugin = Format::Clap.load(bundle)?;
    plugin.load(state)?;
    let mut daw = Daw::new(plugin, setup(), &[])?;
    let loaded = Instant::now();
    let seed = (seed + 1).to_string();
    let free = [("mode", "Free"), ("enter", "Step"), ("thru", "Off")];
    daw.set(&free)?;
    daw.set(&[("seed", &seed)])?;
    let from = notes as f64 / 4.0;
    daw.seek(from);
    let origin = daw.now();
    let began_to_play = Instant::now();
    let pace = |sample: u64| {
        let due = Duration::from_secs_f64((sample - origin) as f64 / SAMPLE_RATE);
        std::thread::sleep(due.saturating_sub(began_to_play.elapsed()));
    };
    let mut beat = from;
    let (mut played, mut until) = (None, f64::INFINITY);
    while beat < until {
        beat += 1.0 / STEPS as f64;
        daw.play_paced(beat, &mut { pace })?;
        ensure!(began_to_play.elapsed() < TIMEOUT, "no note came out");
        if played.is_none() && daw.sent().iter().any(|sent| sent.event.on) {
            played = Some(Instant::now());
            until = beat + 16.0;
        }
    }
    let per_step = SAMPLE_RATE * 60.0 / BPM / STEPS as f64;
    let late = |sample: u64| {
        let since = sample - origin;
        let step = (since as f64 / per_step).floor();
        since - (step * per_step + 0.5).floor() as u64
    };
    let ons = daw.sent().iter().filter(|sent| sent.event.on);
    let ons: Vec<u64> = ons.map(|sent| late(sent.sample)).collect();
    let off = ons.iter().filter(|&&late| late > 0).count();
    let opened = LoadedInstance {
        loaded,
        load_ms: loaded.duration_since(began).as_secs_f64() * 1e3,
        played: played.context("no note came out")?,
        late: ons.first().copied().unwrap_or(0),
        after: (ons.len(), off),
    };
    daw.finish()?;
    Ok(opened)
}

/// Opens `instances` projects of `notes` notes each at once, each on a thread of its own.
///
/// # Errors
///
/// Fails if an instance cannot be loaded, or no note comes out.
pub fn opened(bundle: &Path, instances: usize, notes: usize) -> Result<Vec<LoadedInstance>> {
    let state = state(bundle, &state_file::long_session(notes))?;
    let wait = Barrier::new(instances);
    std::thread::scope(|scope| {
        let (state, wait) = (&state, &wait);
        let instance = |number| scope.spawn(move || open(bundle, state, notes, number, wait));
        let instances: Vec<_> = (0..instances).map(instance).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<LoadedInstance>>| {
            thread
                .join()
                .map_err(|_| anyhow!("an instance's thread panicked"))?
        };
        instances.into_iter().map(join).collect()
    })
}

/// Measures [`opened`], and returns a row of the table.
///
/// # Errors
///
/// Fails as [`opened`] does.
pub fn opened_row(bundle: &Path, instances: usize, notes: usize) -> Result<String> {
    let opened = opened(bundle, instances, notes)?;
    let last = opened
        .iter()
        .map(|o| o.loaded)
        .max()
        .context("no instance")?;
    let mut waits: Vec<f64> = opened
        .iter()
        .map(|o| o.played.saturating_duration_since(last).as_secs_f64() * 1e3)
        .collect();
    waits.sort_by(f64::total_cmp);
    let load = opened.iter().map(|o| o.load_ms).fold(0.0, f64::max);
    let first_late = opened.iter().filter(|o| o.late > 0).count();
    let (sent, late) = opened.iter().fold((0, 0), |(sent, late), o| {
        (sent + o.after.0, late + o.after.1)
    });
    Ok(format!(
        "| {instances} | {notes} | {load:.0} | {:.0} | {:.0} | {first_late} | {sent} | {late} |",
        super::quantile(&waits, 0.5),
        super::quantile(&waits, 1.0),
    ))
}

/// Header of the table of [`opened_row`].
pub const OPENED: &str = "\
| instances | notes each | load and activate (ms) | until the first note: median (ms) | last | first \
notes late | notes in eight seconds | of them late |
|---|---|---|---|---|---|---|---|";

/// Measures trades of instances while another instance works.
///
/// # Errors
///
/// Fails if an instance cannot be loaded or run.
pub fn disturbed(
    bundle: &Path,
    options: trades::Options,
    disturbance: Disturbance,
) -> Result<trades::Outcome> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let other = scope.spawn(move || disturb(bundle, disturbance, over));
        let outcome = trades::measure(bundle, options);
        over.store(true, Ordering::Relaxed);
        let loads = other
            .join()
            .map_err(|_| anyhow!("the other instance's thread panicked"))??;
        ensure!(
            disturbance == Disturbance::Nothing || loads > 2,
            "only {loads} loads: nothing was disturbed"
        );
        outcome
    })
}

fn disturb(bundle: &Path, disturbance: Disturbance, over: &AtomicBool) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let states = match disturbance {
        Disturbance::Nothing => return Ok(0),
        Disturbance::Project(notes) => {
            vec![
                state(bundle, &state_file::long_session(notes))?,
                state(bundle, &state_file::long_session(1))?,
            ]
        }
        Disturbance::Album(notes) => {
            vec![
                state(bundle, &state_file::album(notes, 0))?,
                state(bundle, &state_file::album(notes, 1))?,
            ]
        }
        Disturbance::Model => {
            let copy = folder.path().join("copy");
            artifacts::copy_folder(&model(bundle)?, &copy)?;
            let with = |model: Value| json!({ "version": 1, "model": model });
            let copy = state(bundle, &with(json!(copy)))?;
            vec![copy, state(bundle, &with(Value::Null))?]
        }
    };
    let mut plugin = Format::Clap.load(bundle)?;
    plugin.load(&states[0])?;
    let mut daw = Daw::new(plugin, setup(), &[])?;
    let mut loads = 0;
    for state in states.iter().cycle() {
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            if over.load(Ordering::Relaxed) {
                daw.finish()?;
                return Ok(loads);
            }
            std::thread::sleep(Duration::from_millis(5));
            daw.run_stopped(u64::from(FRAMES))?;
        }
        daw.plugin().load(state)?;
        loads += 1;
    }
    Ok(loads)
}

/// Returns the path of the model beside a CLAP.
fn model(bundle: &Path) -> Result<PathBuf> {
    let model = bundle.with_extension("resources").join("models/default");
    ensure!(model.is_dir(), "no model at {}", model.display());
    Ok(model)
}
