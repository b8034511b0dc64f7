//! From logits to the next token: pure, seeded, testable.
//!
//! [`Sampling`] says how; a [`Sampler`] does it, token by token:
//!
//! ```text
//! logits ── grammar mask ── musician's constraints ── temperatures ── top-k, top-p, min-p ── draw
//!                           (Rules, Voice, Pace)   (Repeats warms)
//! ```
//!
//! Velocities follow the temperature of pitches.

mod answer_state;
mod categorical;
mod constraints;
mod density_controller;
mod loop_detector;
mod sampler;
#[cfg(test)]
mod tests;

pub use constraints::{Constraints, Register, ScaleLock};
pub use sampler::Sampler;

/// How to choose among what the model predicts. Plain data: copied, compared, sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits of pitches and velocities. 0 or less, or what is no number, always
    /// takes the likeliest; 1 follows the model, more is more daring.
    pub pitch_temperature: f32,
    /// The same for time: how long a note is, how far time moves on, and whether another note
    /// joins this step or time moves.
    pub rhythm_temperature: f32,
    /// Keeps this many of the likeliest tokens; 0 keeps all.
    pub top_k: u16,
    /// Keeps the likeliest tokens that together have this probability, 0 to 1 (nucleus
    /// sampling, arXiv 1904.09751); at least one stays.
    pub top_p: f32,
    /// Keeps tokens at least this fraction as likely as the likeliest, 0 to 1 (arXiv
    /// 2407.01082); 0 keeps all.
    pub min_p: f32,
    /// What the temperatures are multiplied with when it circles, 1 or more: the warmest it
    /// gets, reached gradually. 1 lets it circle.
    pub loop_temperature: f32,
    /// What the musician allows.
    pub constraints: Constraints,
}

impl Sampling {
    /// One temperature for everything.
    pub fn with_temperature(self, temperature: f32) -> Self {
        Self {
            pitch_temperature: temperature,
            rhythm_temperature: temperature,
            ..self
        }
    }
}

impl Default for Sampling {
    /// A compromise: nearer to the scale and the beats of what was heard than sampling as the
    /// model predicts, and less square than colder sampling. Figures and command are in
    /// `docs/lab/2026-11-28-default-model.md`.
    fn default() -> Self {
        Self {
            pitch_temperature: 0.95,
            rhythm_temperature: 0.95,
            top_k: 0,
            top_p: 0.95,
            min_p: 0.0,
            loop_temperature: 2.0,
            constraints: Constraints::default(),
        }
    }
}
