//! The trainer from end to end, with tiny models on generated songs.

#[path = "trainer/command_errors.rs"]
mod command_errors;
#[path = "trainer/compatibility.rs"]
mod compatibility;
#[path = "trainer/corpus.rs"]
mod corpus;
#[path = "trainer/fixtures.rs"]
mod fixtures;
#[path = "trainer/memory.rs"]
mod memory;
#[path = "trainer/memory_fixtures.rs"]
mod memory_fixtures;
#[path = "trainer/merges.rs"]
mod merges;
#[path = "trainer/parity.rs"]
mod parity;
#[path = "trainer/parts.rs"]
mod parts;
#[path = "trainer/retrieval.rs"]
mod retrieval;
#[path = "trainer/stream_batcher.rs"]
mod stream_batcher;
#[path = "trainer/training.rs"]
mod training;
