//! Sound that the stress host passes at the side chain.

use super::StressHost;

/// Blocks until another kind of sound follows.
const BLOCKS: u64 = 700;

impl StressHost<'_> {
    /// The samples of a block: in turn no audio input, silence, tones, loud noise, and samples that are
    /// no numbers.
    pub(super) fn sound(&self, frames: u32) -> Option<Vec<f32>> {
        let blocks = self.summary.blocks;
        let kind = (blocks / BLOCKS) % 5;
        let sample = |at: u64| match kind {
            1 => 0.0,
            2 => {
                // A note of a third of a second after the other.
                let seconds = at as f64 / self.sample_rate;
                let note = (seconds * 3.0) as u64;
                let pitch = 48 + (note * 7 + blocks / 5_000) % 30;
                let hz = 440.0 * ((pitch as f64 - 69.0) / 12.0).exp2();
                let fade = (1.0 - (seconds * 3.0).fract()).powi(2);
                (0.4 * fade * (std::f64::consts::TAU * hz * seconds).sin()) as f32
            }
            3 => {
                let noise = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                noise as f32 / (1 << 22) as f32 - 2.0
            }
            _ => [f32::NAN, f32::INFINITY, 1e-40, -1e30, 0.1][(at % 5) as usize],
        };
        (kind > 0).then(|| {
            (0..u64::from(frames))
                .map(|at| sample(self.sample + at))
                .collect()
        })
    }
}
