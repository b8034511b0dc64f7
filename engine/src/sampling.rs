//! Sampling: from logits to the next token. Pure, and reproducible from a seed.
//!
//! [`Sampling`] has the settings; a [`Sampler`] draws token by token:
//!
//! ```text
//! logits ── grammar mask ── musician's constraints ── temperatures ── top-k, top-p, min-p ── draw
//!                           (CompiledConstraints,     (LoopDetector
//!                           ChordGuide, AnswerState,  raises them)
//!                           DensityController,
//!                           PartEntrance)
//! ```
//!
//! Velocities follow the temperature of pitches.

mod answer_state;
mod categorical;
mod chord_guide;
mod constraints;
mod density_controller;
mod loop_detector;
mod part_entrance;
mod sampler;
mod settings;
#[cfg(test)]
mod tests;

pub use constraints::{Constraints, PartLimits, Register, ScaleLock};
pub use sampler::Sampler;
pub use settings::Sampling;
