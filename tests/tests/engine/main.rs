//! The engine on the test model through ONNX Runtime.
//!
//! [`memory`]: logits do not depend on how the score was read. [`recall`]: the effect of the long memories.
//! [`answers`]: generated notes. [`infill`]: bars chosen by what follows.

mod answers;
mod fixtures;
mod infill;
mod memory;
mod recall;
