//! The scenario of most tests: four bars of the minuet in 3/4, then silence that the plugin fills.

use anyhow::Result;
use continuo_score::{Note, Part, Score, TimeSignature, TimeSignatureMap, tune};

use crate::artifacts;
use crate::assertions::{self, GridNote};
use crate::daw::{Blocks, Daw, Setup, TrackNote, track};
use crate::host::{Format, Mode, Plugin};

/// Steps per quarter note of the minuet and of the test model.
pub const STEPS_PER_BEAT: u32 = 12;
/// Song position at which the player's last note ends, in quarter notes.
pub const SILENT: f64 = 12.0;
/// First bar line after two beats of silence, in quarter notes: the plugin's earliest entry.
pub const ENTRY: f64 = 15.0;
/// Song position at which most tests stop, in quarter notes: four bars after [`ENTRY`].
pub const END: f64 = 27.0;

/// The minuet as a band: its tune is the lead, what lies below middle C the bass, and drums mark the
/// beats.
pub fn band() -> Score {
    let mut score = tune::minuet();
    for note in &mut score.notes {
        note.part = match note.pitch < 60 {
            true => Part::Bass,
            false => Part::Lead,
        };
    }
    let beats = (0..score.length).step_by(STEPS_PER_BEAT as usize);
    score.notes.extend(beats.map(|start| Note {
        start,
        length: 1,
        pitch: if start % 36 == 0 { 36 } else { 42 },
        velocity: 80,
        part: Part::Drums,
    }));
    score.normalise();
    score
}

/// The player's notes: the minuet up to [`SILENT`].
pub fn opening() -> Vec<TrackNote> {
    track(&tune::minuet().until((SILENT as u32) * STEPS_PER_BEAT))
}

/// An offline host in 3/4. `sample_rate` is in Hz, `bpm` in quarter notes per minute.
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

/// The setup for tests that do not depend on it: 48 kHz, 120 BPM, blocks of 256 samples.
pub fn default_setup() -> Setup {
    setup(48_000.0, 120.0, Blocks::Fixed(256))
}

/// Loads the test bundle into a host at beat 0, in mode Continue and without MIDI through.
///
/// # Errors
///
/// Fails when the bundle cannot be loaded, or refuses the setup.
pub fn start(format: Format, setup: Setup, seed: u32, notes: &[TrackNote]) -> Result<Daw> {
    start_with(artifacts::load(format)?, setup, seed, notes)
}

/// As [`start`], with a plugin that is loaded already.
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
        // The test model knows little; less random, it plays more notes.
        ("temp", "0.95"),
        ("temp_rhythm", "0.95"),
        ("top_p", "0.95"),
    ])?;
    // Hosts process blocks before the user starts the transport.
    daw.run_stopped(1000)?;
    Ok(daw)
}

/// Plays the opening, lets the plugin play to [`END`] and stops. Returns the plugin's notes.
///
/// # Errors
///
/// Fails when a note is not on the sample nearest to its step, or has no end.
pub fn play_on(format: Format, setup: Setup, seed: u32) -> Result<Vec<GridNote>> {
    let mut daw = start(format, setup, seed, &opening())?;
    daw.play_to(END)?;
    let placed = stop(&mut daw)?;
    daw.finish()?;
    Ok(placed)
}

/// Stops the transport. Returns the plugin's notes.
///
/// # Errors
///
/// Fails when a note is not on the sample nearest to its step, or has no end.
pub fn stop(daw: &mut Daw) -> Result<Vec<GridNote>> {
    let end = daw.now();
    daw.run_stopped(1000)?;
    let notes = assertions::pair_notes(daw.sent())?;
    assertions::place_on_grid(&notes, daw.clock(), STEPS_PER_BEAT, end)
}
