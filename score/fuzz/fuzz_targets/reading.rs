//! Any bytes as a MIDI file: read, quantised, encoded, decoded.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/common/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::reading(bytes));
