//! The trainer from end to end, with tiny models on generated songs.

#[path = "trainer/bad_input.rs"]
mod bad_input;
#[path = "trainer/corpus.rs"]
mod corpus;
#[path = "trainer/lanes.rs"]
mod lanes;
#[path = "trainer/memory.rs"]
mod memory;
#[path = "trainer/parity.rs"]
mod parity;
#[path = "trainer/songs.rs"]
mod songs;
#[path = "trainer/training.rs"]
mod training;
#[path = "trainer/vocab.rs"]
mod vocab;
