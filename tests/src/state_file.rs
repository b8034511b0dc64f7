//! What a host keeps of the plugin in its project, taken apart and put together again.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::host::Format;

/// The JSON in a state; CLAP puts its length before it.
pub fn read(format: Format, state: &[u8]) -> Result<Value> {
    let at = if format == Format::Clap { 8 } else { 0 };
    let json = state.get(at..).context("the state is too short")?;
    Ok(serde_json::from_slice(json)?)
}

/// A state with this JSON, or what is to pass for it.
pub fn write(format: Format, json: &[u8]) -> Vec<u8> {
    match format {
        Format::Clap => [&(json.len() as u64).to_le_bytes(), json].concat(),
        Format::Vst3 => json.to_vec(),
    }
}

/// A state with one part of it replaced.
pub fn with_value(format: Format, state: &[u8], part: &str, value: Value) -> Result<Vec<u8>> {
    let mut json = read(format, state)?;
    let place = json.pointer_mut(part);
    *place.with_context(|| format!("{part} is not in the state"))? = value;
    Ok(write(format, json.to_string().as_bytes()))
}

/// What is kept beside the parameters.
pub fn session(format: Format, state: &[u8]) -> Result<Value> {
    let json = read(format, state)?;
    let field = json["fields"]["session"].as_str();
    Ok(serde_json::from_str(field.context("no session")?)?)
}

/// A state with another session.
pub fn with_session(format: Format, state: &[u8], session: &Value) -> Result<Vec<u8>> {
    with_value(
        format,
        state,
        "/fields/session",
        Value::String(session.to_string()),
    )
}
