//! What most tests play: the first four bars of the minuet, in 3/4, and then nothing.

use anyhow::Result;
use continuo_score::{TimeSignature, TimeSignatureMap, tune};

use crate::check::{self, Placed};
use crate::host::{Format, Mode, Plugin};
use crate::lab;
use crate::player::{Blocks, Player, Setup, TrackNote, track};

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
    let waltz = TimeSignature {
        numerator: 3,
        denominator: 4,
    };
    Setup {
        sample_rate,
        blocks,
        tempos: vec![(0.0, bpm)],
        time_signatures: TimeSignatureMap::constant(waltz, STEPS_PER_BEAT),
        mode: Mode::Offline,
    }
}

/// The setup for tests in which it does not matter.
pub fn any_setup() -> Setup {
    setup(48_000.0, 120.0, Blocks::Fixed(256))
}

/// A host that stands at the beginning, with the plugin set to play on, and to keep the
/// player's notes to itself.
pub fn stage(format: Format, setup: Setup, seed: u32, notes: &[TrackNote]) -> Result<Player> {
    stage_with(lab::load(format)?, setup, seed, notes)
}

/// The same with a plugin that is loaded already.
pub fn stage_with(
    plugin: Box<dyn Plugin>,
    setup: Setup,
    seed: u32,
    notes: &[TrackNote],
) -> Result<Player> {
    let mut player = Player::new(plugin, setup, notes)?;
    let seed = seed.to_string();
    player.set(&[
        ("thru", "Off"),
        ("mode", "Continue"),
        ("gap", "2"),
        ("enter", "Bar"),
        ("lookahead", "4"),
        ("seed", &seed),
    ])?;
    // Hosts run a plugin for a while before anyone presses play.
    player.stand(1000)?;
    Ok(player)
}

/// Plays the opening, lets the plugin play on to [`END`], stops, and gives what it played:
/// every note on the sample nearest to its place, and none left sounding.
pub fn play_on(format: Format, setup: Setup, seed: u32) -> Result<Vec<Placed>> {
    let mut player = stage(format, setup, seed, &opening())?;
    player.play_to(END)?;
    let end = player.now();
    player.stand(1000)?;
    let notes = check::pair(player.sent())?;
    let placed = check::place(&notes, player.clock(), STEPS_PER_BEAT, end)?;
    player.finish()?;
    Ok(placed)
}
