//! Processor time of a band: all five parts, as dense as a band gets.

use std::path::Path;

use anyhow::Result;
use continuo_score::TimeSignatureMap;
use continuo_score::{TimeSignature, tune};

use crate::assertions;
use crate::daw::{Blocks, Daw, Setup, track};
use crate::host::{Format, Mode};

/// Sample rate in Hz.
const SAMPLE_RATE: f64 = 48_000.0;

/// Cost of a band.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Notes that the plugin sent, a beat.
    pub notes_a_beat: f64,
    /// Parts that sounded.
    pub parts: usize,
    /// Processor time for each second of music, in seconds: plugin and host, all threads.
    pub processor: f64,
}

/// Plays the minuet to the plugin, and then `bars` bars of 4/4 of its own in *Free*: five parts, at
/// `density` notes a beat and `bpm` beats a minute, offline. The bars alone are measured.
///
/// # Errors
/// The bundle cannot be played, or the system does not tell processor times.
pub fn measure(bundle: &Path, density: f64, bpm: f64, bars: u32) -> Result<Cost> {
    let opening = tune::minuet();
    let setup = Setup {
        sample_rate: SAMPLE_RATE,
        blocks: Blocks::Fixed(480),
        tempos: vec![(0.0, bpm)],
        time_signatures: TimeSignatureMap::constant(TimeSignature::COMMON, opening.steps_per_beat),
        mode: Mode::Offline,
    };
    let mut daw = Daw::new(Format::Clap.load(bundle)?, setup, &track(&opening))?;
    daw.set(&[
        ("thru", "Off"),
        ("mode", "Off"),
        ("density", &density.to_string()),
        ("play_keys", "On"),
        ("play_lead", "On"),
        ("play_chords", "On"),
        ("play_bass", "On"),
        ("play_drums", "On"),
        ("out_keys", "1"),
        ("out_lead", "2"),
        ("out_chords", "3"),
        ("out_bass", "4"),
        ("out_drums", "10"),
    ])?;
    let heard = f64::from(opening.length / opening.steps_per_beat);
    daw.play_to(heard)?;
    daw.set(&[("mode", "Free")])?;
    let (before, began) = (processor_time()?, daw.sent().len());
    let beats = f64::from(4 * bars);
    daw.play_to(heard + beats)?;
    let processor = processor_time()? - before;
    daw.run_stopped(480)?;
    let notes = assertions::pair_notes(&daw.sent()[began..])?;
    let mut channels: Vec<u8> = notes.iter().map(|note| note.channel).collect();
    channels.sort_unstable();
    channels.dedup();
    daw.finish()?;
    Ok(Cost {
        notes_a_beat: notes.len() as f64 / beats,
        parts: channels.len(),
        processor: processor / (beats * 60.0 / bpm),
    })
}

/// Processor time of this process so far, in seconds.
#[cfg(unix)]
fn processor_time() -> Result<f64> {
    // SAFETY: a `rusage` of zeros is valid, and lives as long as the call that fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        anyhow::ensure!(libc::getrusage(libc::RUSAGE_SELF, &mut usage) == 0);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

#[cfg(not(unix))]
fn processor_time() -> Result<f64> {
    anyhow::bail!("processor times are read with getrusage, which this system does not have")
}
