//! Converts a stream of samples to the model's sample rate.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use crate::audio_file::RATES;
use crate::error::EarError;

/// Sample rate of the model in Hz.
pub(crate) const MODEL_RATE: u32 = 22_050;
/// Samples that the resampler takes at a time, about.
const CHUNK: usize = 1024;

/// Converts one channel to [`MODEL_RATE`], without delay in time. Its output does not depend on the
/// sizes of the blocks, because it collects chunks of a fixed size.
pub(crate) struct Resampler {
    /// `None` if the rate is the model's already.
    fft: Option<Fft<f32>>,
    rate: u32,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Samples at the beginning of the output that the filter's delay adds.
    skip: usize,
    /// Samples read, and samples returned.
    read: u64,
    written: u64,
}

impl Resampler {
    pub(crate) fn new(rate: u32) -> Result<Self, EarError> {
        if !RATES.contains(&rate) {
            return Err(EarError::Rate(rate));
        }
        let fft = if rate == MODEL_RATE {
            None
        } else {
            let fft = Fft::new(
                rate as usize,
                MODEL_RATE as usize,
                CHUNK,
                1,
                FixedSync::Input,
            );
            Some(fft.map_err(|e| EarError::Resample(e.to_string()))?)
        };
        let mut resampler = Self {
            skip: 0,
            output: vec![0.0; fft.as_ref().map_or(0, |fft| fft.output_frames_max())],
            fft,
            rate,
            input: Vec::new(),
            read: 0,
            written: 0,
        };
        resampler.reset();
        Ok(resampler)
    }

    /// Most samples of the stream that are needed beyond a moment until the output has reached it: the
    /// delay of the filter, and a chunk.
    pub(crate) fn lookahead(&self) -> u64 {
        let Some(fft) = &self.fft else { return 0 };
        let delay = fft.output_delay() as u64 * u64::from(self.rate);
        fft.input_frames_max() as u64 + delay.div_ceil(u64::from(MODEL_RATE))
    }

    /// Starts over with another stream.
    pub(crate) fn reset(&mut self) {
        self.input.clear();
        (self.read, self.written, self.skip) = (0, 0, 0);
        if let Some(fft) = &mut self.fft {
            fft.reset();
            self.skip = fft.output_delay();
        }
    }

    /// Appends the converted samples that are ready to `to`.
    pub(crate) fn push(&mut self, block: &[f32], to: &mut Vec<f32>) -> Result<(), EarError> {
        self.read += block.len() as u64;
        let Some(fft) = &mut self.fft else {
            to.extend_from_slice(block);
            self.written += block.len() as u64;
            return Ok(());
        };
        self.input.extend_from_slice(block);
        let failed = |e: &dyn std::fmt::Display| EarError::Resample(e.to_string());
        let mut from = 0;
        loop {
            let chunk = fft.input_frames_next();
            let Some(input) = self.input.get(from..from + chunk) else {
                break;
            };
            from += chunk;
            let room = self.output.len();
            let input = InterleavedSlice::new(input, 1, chunk).map_err(|e| failed(&e))?;
            let mut output =
                InterleavedSlice::new_mut(&mut self.output, 1, room).map_err(|e| failed(&e))?;
            let (_, made) = fft
                .process_into_buffer(&input, &mut output, None)
                .map_err(|e| failed(&e))?;
            let skipped = self.skip.min(made);
            self.skip -= skipped;
            to.extend_from_slice(&self.output[skipped..made]);
            self.written += (made - skipped) as u64;
        }
        self.input.drain(..from);
        Ok(())
    }

    /// Appends the rest of the stream to `to`, so that the whole output is as long as the input.
    pub(crate) fn finish(&mut self, to: &mut Vec<f32>) -> Result<(), EarError> {
        let (rate, model) = (u64::from(self.rate), u64::from(MODEL_RATE));
        let all = (self.read * model).div_ceil(rate);
        while self.written < all {
            self.push(&[0.0; CHUNK], to)?;
        }
        to.truncate(to.len() - (self.written - all) as usize);
        self.written = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a sine of `hz`, `count` samples at `rate`.
    fn sine(hz: f32, rate: u32, count: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU * hz / rate as f32;
        (0..count).map(|at| (at as f32 * step).sin()).collect()
    }

    fn convert(rate: u32, samples: &[f32], block: usize) -> Vec<f32> {
        let (mut resampler, mut out) = (Resampler::new(rate).unwrap(), Vec::new());
        for block in samples.chunks(block) {
            resampler.push(block, &mut out).unwrap();
        }
        resampler.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn sine_keeps_its_pitch_phase_and_length_at_every_rate() {
        for rate in [
            8_000, 16_000, 22_050, 44_100, 47_999, 48_000, 96_000, 192_000,
        ] {
            let out = convert(rate, &sine(440.0, rate, rate as usize), 777);
            assert_eq!(out.len(), MODEL_RATE as usize, "{rate} Hz");
            let wanted = sine(440.0, MODEL_RATE, out.len());
            // Half a sample of the steepest slope: the filter's delay is a whole number.
            let (middle, most) = (5_000..17_000, 0.065);
            for (at, (is, wanted)) in out.iter().zip(&wanted).enumerate() {
                let off = (is - wanted).abs();
                assert!(
                    !middle.contains(&at) || off < most,
                    "{rate} Hz, {at}: {off}"
                );
            }
        }
    }

    #[test]
    fn block_size_does_not_change_the_output() {
        let samples = sine(1_000.0, 48_000, 30_000);
        let whole = convert(48_000, &samples, samples.len());
        for block in [1, 64, 1_000] {
            assert_eq!(convert(48_000, &samples, block), whole);
        }
    }

    #[test]
    fn tones_above_the_range_of_the_model_are_removed() {
        let out = convert(96_000, &sine(30_000.0, 96_000, 96_000), 512);
        assert!(out[5_000..17_000].iter().all(|sample| sample.abs() < 1e-2));
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in [0, 7_999, 192_001, u32::MAX] {
            assert!(matches!(Resampler::new(rate), Err(EarError::Rate(_))));
        }
    }
}
