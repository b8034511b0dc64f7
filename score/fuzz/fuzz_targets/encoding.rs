//! Any ids, and any walk under the grammar's mask. The first byte says in which vocabulary.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/common/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&which, bytes)) = bytes.split_first() else {
        return;
    };
    let ids: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|b| u16::from_le_bytes([b[0], b[1]]))
        .collect();
    let vocabularies = properties::vocabularies();
    let vocabulary = &vocabularies[usize::from(which) % vocabularies.len()];
    properties::ids(&ids, vocabulary);
    properties::walk(bytes, vocabulary);
});
