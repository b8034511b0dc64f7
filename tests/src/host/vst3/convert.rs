//! Conversions between the VST3 interfaces and Rust: result codes and UTF-16 strings.

use anyhow::{Result, bail};
use vst3::Steinberg::Vst::TChar;
use vst3::Steinberg::{kResultOk, tresult};

/// Turns a result code into an error that names the refused request.
pub(super) fn ok(result: tresult, request: &str) -> Result<()> {
    if result == kResultOk {
        Ok(())
    } else {
        bail!("the plugin refused {request} ({result})")
    }
}

/// Decodes UTF-16 up to the first zero.
pub(super) fn from_utf16(units: &[TChar]) -> String {
    let units = units.iter().take_while(|&&unit| unit != 0);
    let units: Vec<u16> = units.map(|&unit| unit as u16).collect();
    String::from_utf16_lossy(&units)
}

/// Encodes a string as UTF-16 with a zero at its end.
pub(super) fn to_utf16(text: &str) -> Vec<TChar> {
    let units = text.encode_utf16().chain([0]);
    units.map(|unit| unit as TChar).collect()
}
