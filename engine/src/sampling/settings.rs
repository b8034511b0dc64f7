//! Settings of sampling.

use super::constraints::Constraints;

/// Settings of sampling. Plain data: copied, compared, sent between threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divisor of the logits of pitches and velocities. 0 or less, or NaN, always chooses the most
    /// probable token; 1 follows the model; more is more random.
    pub pitch_temperature: f32,
    /// Divisor of the logits of time: note lengths, moves, and the choice between another note on this
    /// step and a move.
    pub rhythm_temperature: f32,
    /// Keeps this many of the most probable tokens; 0 keeps all.
    pub top_k: u16,
    /// Keeps the most probable tokens that together have this probability, 0 to 1 (nucleus sampling,
    /// arXiv 1904.09751); at least one.
    pub top_p: f32,
    /// Keeps tokens with at least this fraction of the highest probability, 0 to 1 (arXiv 2407.01082);
    /// 0 keeps all.
    pub min_p: f32,
    /// Largest temperature multiplier from loop detection, 1 or more, reached gradually; 1 switches
    /// loop detection off.
    pub loop_temperature: f32,
    /// Constraints of the musician.
    pub constraints: Constraints,
}

impl Sampling {
    /// The settings with one temperature for pitches and rhythm.
    pub fn with_temperature(self, temperature: f32) -> Self {
        Self {
            pitch_temperature: temperature,
            rhythm_temperature: temperature,
            ..self
        }
    }
}

impl Default for Sampling {
    /// The model's distribution without its least probable tokens. With it the answers of the model that
    /// ships are nearest to what people wrote (`docs/lab/2026-11-30-one-recipe.md`).
    fn default() -> Self {
        Self {
            pitch_temperature: 1.0,
            rhythm_temperature: 1.0,
            top_k: 0,
            top_p: 0.98,
            min_p: 0.0,
            loop_temperature: 2.0,
            constraints: Constraints::default(),
        }
    }
}
