//! Saved plugin states: decodes and encodes their JSON for either plugin format.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::host::Format;

/// Steps in a quarter note of generated sessions.
const STEPS: u64 = 12;

/// Returns the JSON of a state. In CLAP its length precedes it.
///
/// # Errors
///
/// Fails if the state is too short or has no valid JSON.
pub fn read(format: Format, state: &[u8]) -> Result<Value> {
    let at = if format == Format::Clap { 8 } else { 0 };
    let json = state.get(at..).context("the state is too short")?;
    Ok(serde_json::from_slice(json)?)
}

/// Encodes a state from JSON text, which may be invalid.
pub fn write(format: Format, json: &[u8]) -> Vec<u8> {
    match format {
        Format::Clap => [&(json.len() as u64).to_le_bytes(), json].concat(),
        Format::Vst3 => json.to_vec(),
    }
}

/// Returns a copy of a state with the value at a JSON pointer replaced.
///
/// # Errors
///
/// Fails if the state cannot be decoded or has no such value.
pub fn with_value(format: Format, state: &[u8], pointer: &str, value: Value) -> Result<Vec<u8>> {
    let mut json = read(format, state)?;
    let target = json.pointer_mut(pointer);
    *target.with_context(|| format!("the state has no {pointer}"))? = value;
    Ok(write(format, json.to_string().as_bytes()))
}

/// Returns the session of a state: everything besides the parameters.
///
/// # Errors
///
/// Fails if the state cannot be decoded or has no session.
pub fn session(format: Format, state: &[u8]) -> Result<Value> {
    let json = read(format, state)?;
    let field = json["fields"]["session"].as_str();
    Ok(serde_json::from_str(field.context("no session")?)?)
}

/// Returns a copy of a state with another session.
///
/// # Errors
///
/// Fails if the state cannot be decoded or has no session.
pub fn with_session(format: Format, state: &[u8], session: &Value) -> Result<Vec<u8>> {
    with_value(
        format,
        state,
        "/fields/session",
        Value::String(session.to_string()),
    )
}

/// Returns the saved session of `notes` notes: melody and bass, without repeated bars. It ends at
/// `notes` / 4 quarter notes.
pub fn long_session(notes: usize) -> Value {
    let note = |n: usize| {
        let (step, bass) = (n as u64 / 2 * 6, n % 2 == 1);
        let pitch = if bass {
            36 + n / 16 % 12
        } else {
            60 + n * n / 7 % 24
        };
        let beat = step as f64 / STEPS as f64;
        let channel = 0;
        json!([
            step,
            beat.to_string(),
            step + 6,
            pitch,
            50 + n % 60,
            channel
        ])
    };
    let end = notes as f64 / 2.0 * 0.5;
    json!({
        "version": 1,
        "session": {
            "now": end.to_string(),
            "timeline": {
                "steps_per_beat": STEPS, "origin": 0, "metres": [["0", 4, 4]],
                "notes": (0..notes).map(note).collect::<Vec<_>>(),
            },
        },
    })
}

/// Returns the saved session of an instance that has learned `notes` notes in pieces of 4,096.
pub fn album(notes: usize, seed: usize) -> Value {
    let piece = |number: usize| {
        let count = 4_096.min(notes - number * 4_096);
        let note = |n: usize| json!([3, 3, 48 + (n * n / 5 + number + seed) % 36, 80]);
        let notes: Vec<_> = (0..count).map(note).collect();
        json!({
            "name": format!("{number}.mid"), "notes": count,
            "piece": { "steps_per_beat": STEPS, "notes": notes, "metres": [[0, 4, 4]] },
        })
    };
    let pieces: Vec<_> = (0..notes.div_ceil(4_096)).map(piece).collect();
    json!({ "version": 1, "session": { "learned": pieces } })
}
