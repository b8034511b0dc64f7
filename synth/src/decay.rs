//! The envelope of all voices.

/// Amplitude below which a sound ends: -100 dB. The limit also avoids denormal numbers.
const SILENT: f32 = 1e-5;

/// An exponential decay that ends in 0: a constant factor for each sample.
#[derive(Clone, Copy, Default)]
pub(crate) struct Decay {
    value: f32,
    factor: f32,
}

impl Decay {
    /// Creates a decay from `value` that falls by 60 dB in `seconds`.
    pub(crate) fn new(value: f32, seconds: f64, sample_rate: f64) -> Self {
        let mut decay = Self { value, factor: 0.0 };
        decay.slow(seconds, sample_rate);
        decay
    }

    /// Changes the decay to 60 dB in `seconds` from now on.
    pub(crate) fn slow(&mut self, seconds: f64, sample_rate: f64) {
        self.factor = 0.001f64.powf(1.0 / (seconds * sample_rate)) as f32;
    }

    /// Returns the current value.
    pub(crate) fn value(&self) -> f32 {
        self.value
    }

    /// Returns the current value, and goes on to the next sample.
    pub(crate) fn next(&mut self) -> f32 {
        let value = self.value;
        let next = value * self.factor;
        self.value = if next < SILENT { 0.0 } else { next };
        value
    }
}
