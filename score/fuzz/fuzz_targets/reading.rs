//! Any bytes as a MIDI file: read, quantised, encoded, decoded.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/common/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::reading(bytes));
