//! What most tests play: the first four bars of the minuet, in 3/4, and then nothing.

use anyhow::Result;
use continuo_score::{Metre, MetreMap, tune};

use crate::artifacts;
use crate::assertions::{self, GridNote};
use crate::daw::{Blocks, Daw, Setup, TrackNote, track};
use crate::host::{Format, Mode, Plugin};

/// Steps a beat of the minuet and of the test model.
pub const STEPS_PER_BEAT: u32 = 12;
/// Where the player falls silent, in quarter notes.
pub const SILENT: f64 = 12.0;
/// The bar line on which the plugin may first play: the next one after two beats of silence.
pub const ENTRY: f64 = 15.0;
/// Where most tests end: four bars later.
pub const END: f64 = 27.0;

/// The player's notes.
pub fn opening() -> Vec<TrackNote> {
    track(&tune::minuet().until((SILENT as u32) * STEPS_PER_BEAT))
}

/// A host in 3/4 that lets the plugin take its time.
pub fn setup(sample_rate: f64, bpm: f64, blocks: Blocks) -> Setup {
    let waltz = Metre {
        numerator: 3,
        denominator: 4,
    };
    Setup {
        sample_rate,
        blocks,
        tempos: vec![(0.0, bpm)],
        metres: MetreMap::constant(waltz, STEPS_PER_BEAT),
        mode: Mode::Offline,
    }
}

/// The setup for tests in which it does not matter.
pub fn default_setup() -> Setup {
    setup(48_000.0, 120.0, Blocks::Fixed(256))
}

/// A host that stands at the beginning, with the plugin set to play on, and to keep the
/// player's notes to itself.
pub fn start(format: Format, setup: Setup, seed: u32, notes: &[TrackNote]) -> Result<Daw> {
    start_with(artifacts::load(format)?, setup, seed, notes)
}

/// The same with a plugin that is loaded already.
pub fn start_with(
    plugin: Box<dyn Plugin>,
    setup: Setup,
    seed: u32,
    notes: &[TrackNote],
) -> Result<Daw> {
    let mut daw = Daw::new(plugin, setup, notes)?;
    let seed = seed.to_string();
    daw.set(&[
        ("thru", "Off"),
        ("mode", "Continue"),
        ("gap", "2"),
        ("enter", "Bar"),
        ("lookahead", "4"),
        ("seed", &seed),
    ])?;
    // Hosts run a plugin for a while before anyone presses play.
    daw.run_stopped(1000)?;
    Ok(daw)
}

/// Plays the opening, lets the plugin play on to [`END`], stops, and gives what it played:
/// every note on the sample nearest to its place, and none left sounding.
pub fn play_on(format: Format, setup: Setup, seed: u32) -> Result<Vec<GridNote>> {
    let mut daw = start(format, setup, seed, &opening())?;
    daw.play_to(END)?;
    let end = daw.now();
    daw.run_stopped(1000)?;
    let notes = assertions::pair_notes(daw.sent())?;
    let placed = assertions::place_on_grid(&notes, daw.clock(), STEPS_PER_BEAT, end)?;
    daw.finish()?;
    Ok(placed)
}
