//! Sound for the side chain, and the notes that a plugin heard in it.

use anyhow::{Context, Result};
use continuo_score::{Note, Score};
use continuo_synth::Ensemble;
use serde_json::Value;

use crate::host::Format;
use crate::state_file;

/// First source, in a saved session, of the notes that were found in sound.
const FIRST_EAR: i64 = 16;

/// Renders a score from step `from` on with the built-in piano, at one tempo: one channel of
/// `sample_rate` samples a second, and half a second after the last note.
pub fn render(score: &Score, from: u32, bpm: f64, sample_rate: f64) -> Vec<f32> {
    let samples_per_step = sample_rate * 60.0 / bpm / f64::from(score.steps_per_beat);
    let sample = |step: u32| (f64::from(step.saturating_sub(from)) * samples_per_step) as usize;
    // A key is released a little before its note ends, so that the next one is heard.
    let release = (samples_per_step / 10.0) as usize;
    let mut events: Vec<_> = (score.notes.iter())
        .flat_map(|note| {
            let end = sample(note.end()).saturating_sub(release);
            let velocity = f32::from(note.velocity) / 127.0;
            [
                (sample(note.start), note.pitch, Some(velocity)),
                (end, note.pitch, None),
            ]
        })
        .collect();
    events.sort_by_key(|&(at, pitch, velocity)| (at, velocity.is_some(), pitch));
    let mut ensemble = Ensemble::new(sample_rate);
    let mut left = vec![0.0; sample(score.length) + sample_rate as usize / 2];
    let mut right = left.clone();
    let mut done = 0;
    for (at, pitch, velocity) in events {
        ensemble.render(&mut left[done..at], &mut right[done..at]);
        match velocity {
            Some(velocity) => ensemble.note_on(0, pitch, velocity),
            None => ensemble.note_off(0, pitch),
        }
        done = at;
    }
    ensemble.render(&mut left[done..], &mut right[done..]);
    left
}

/// The notes that a plugin found in sound, from its saved state, in the order of the song.
///
/// # Errors
///
/// Fails if the state cannot be decoded.
pub fn heard(format: Format, state: &[u8]) -> Result<Vec<Note>> {
    let session = state_file::session(format, state)?;
    let notes = session["session"]["timeline"]["notes"].as_array();
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let heard = notes.context("no notes in the session")?.iter();
    let heard = heard.filter(|note| number(&note[5]) >= FIRST_EAR);
    let mut heard: Vec<Note> = heard
        .map(|note| {
            let (start, end) = (number(&note[0]), number(&note[2]));
            Note {
                start: u32::try_from(start).unwrap_or(0),
                length: u32::try_from(end - start).unwrap_or(1).max(1),
                pitch: number(&note[3]) as u8,
                velocity: number(&note[4]) as u8,
                ..Note::default()
            }
        })
        .collect();
    heard.sort_by_key(|note| (note.start, note.pitch));
    Ok(heard)
}
