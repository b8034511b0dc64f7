//! A saved plugin state: its JSON, decoded and encoded for either format.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::host::Format;

/// The JSON in a state; CLAP puts its length before it.
pub fn read(format: Format, state: &[u8]) -> Result<Value> {
    let at = if format == Format::Clap { 8 } else { 0 };
    let json = state.get(at..).context("the state is too short")?;
    Ok(serde_json::from_slice(json)?)
}

/// Encodes a state from JSON text, which need not be valid.
pub fn write(format: Format, json: &[u8]) -> Vec<u8> {
    match format {
        Format::Clap => [&(json.len() as u64).to_le_bytes(), json].concat(),
        Format::Vst3 => json.to_vec(),
    }
}

/// A copy of a state with the value at a JSON pointer replaced.
pub fn with_value(format: Format, state: &[u8], pointer: &str, value: Value) -> Result<Vec<u8>> {
    let mut json = read(format, state)?;
    let target = json.pointer_mut(pointer);
    *target.with_context(|| format!("the state has no {pointer}"))? = value;
    Ok(write(format, json.to_string().as_bytes()))
}

/// The session in a state: everything that is no parameter.
pub fn session(format: Format, state: &[u8]) -> Result<Value> {
    let json = read(format, state)?;
    let field = json["fields"]["session"].as_str();
    Ok(serde_json::from_str(field.context("no session")?)?)
}

/// A copy of a state with another session.
pub fn with_session(format: Format, state: &[u8], session: &Value) -> Result<Vec<u8>> {
    with_value(
        format,
        state,
        "/fields/session",
        Value::String(session.to_string()),
    )
}
