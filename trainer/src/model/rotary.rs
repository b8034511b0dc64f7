//! Rotary positions over tokens, time and pitch.
//!
//! `burn`'s `RotaryEncoding` turns by the token's index alone; here half of the pairs turn with
//! time and pitch (relative time and pitch: Huang et al., Music Transformer, 2018; by rotation:
//! Guo and Dixon, Moonbeam, 2025). An attention score then depends on the distance of two tokens
//! in tokens, in time and in pitch, so that a pattern is found again a bar later or a third lower.

use std::f64::consts::TAU;

use continuo_score::NoteContext;

use super::config::ModelConfig;

/// Base of the rotary frequencies.
pub const ROTARY_BASE: f64 = 10_000.0;

/// Semitones of a full turn, pitch classes first, then registers.
const SEMITONE_TURNS: [f64; 8] = [12.0, 24.0, 6.0, 48.0, 4.0, 3.0, 2.4, 96.0];

/// Angles in radians by which each of the `head_dim / 2` pairs of a head turns.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// Per token.
    pub token: Vec<f64>,
    /// Per step.
    pub step: Vec<f64>,
    /// Per semitone.
    pub semitone: Vec<f64>,
}

impl Rotary {
    /// Every pair turns with tokens. If the config says `relative`, the slower half, which hardly
    /// turns within a window, turns with steps and semitones instead, alternately.
    pub fn new(config: &ModelConfig, head_dim: usize) -> Self {
        let pairs = head_dim / 2;
        let frequency = |i: usize| ROTARY_BASE.powf(-2.0 * i as f64 / head_dim as f64);
        let mut rotary = Self {
            token: (0..pairs).map(frequency).collect(),
            step: vec![0.0; pairs],
            semitone: vec![0.0; pairs],
        };
        if let Some(steps_per_beat) = config.relative {
            for (n, i) in (pairs - pairs / 2..pairs).enumerate() {
                rotary.token[i] = 0.0;
                let turn = n / 2;
                if n.is_multiple_of(2) {
                    // One beat, two, four, and so on.
                    let beats = 2f64.powi(turn as i32);
                    rotary.step[i] = TAU / (beats * f64::from(steps_per_beat));
                } else {
                    rotary.semitone[i] = TAU / SEMITONE_TURNS[turn % SEMITONE_TURNS.len()];
                }
            }
        }
        rotary
    }

    /// Angles of a token at a stream position.
    pub(super) fn angles(&self, position: u64, context: &NoteContext) -> impl Iterator<Item = f64> {
        let (position, step) = (position as f64, f64::from(context.step));
        let pitch = f64::from(context.pitch);
        (0..self.token.len())
            .map(move |i| position * self.token[i] + step * self.step[i] + pitch * self.semitone[i])
    }
}
