//! Any ids, and any walk under the grammar's mask, in every preset and order.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/common/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let ids: Vec<u16> = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
    for vocabulary in bodies::vocabularies() {
        bodies::ids(&ids, &vocabulary);
        bodies::walk(bytes, &vocabulary);
    }
});
