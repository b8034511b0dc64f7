//! The host's clock: converts between samples and song position.

/// A range of samples over which the song position is linear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Its first sample, counted from activation.
    pub sample: u64,
    /// Song position there, in quarter notes.
    pub beat: f64,
    /// Tempo in quarter notes per minute; 0 while the transport is stopped.
    pub bpm: f64,
}

/// The segments that a host has gone through. Every change of tempo, seek and stop begins one.
#[derive(Clone, Debug)]
pub struct Clock {
    sample_rate: f64,
    segments: Vec<Segment>,
}

impl Clock {
    /// A clock that is stopped at beat 0.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            sample_rate,
            segments: vec![Segment {
                sample: 0,
                beat: 0.0,
                bpm: 0.0,
            }],
        }
    }

    /// Begins a segment at a sample. Replaces one that begins there or later.
    pub fn begin(&mut self, sample: u64, beat: f64, bpm: f64) {
        self.segments.retain(|segment| segment.sample < sample);
        self.segments.push(Segment { sample, beat, bpm });
    }

    /// Sample rate in Hz.
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// The segment that contains a sample.
    pub fn segment(&self, sample: u64) -> Segment {
        let after = self
            .segments
            .partition_point(|segment| segment.sample <= sample);
        self.segments[after.max(1) - 1]
    }

    /// Quarter notes per sample in a segment.
    pub fn beats_per_sample(&self, segment: Segment) -> f64 {
        segment.bpm / 60.0 / self.sample_rate
    }

    /// Song position at a sample, in quarter notes.
    pub fn beat(&self, sample: u64) -> f64 {
        let segment = self.segment(sample);
        segment.beat + (sample - segment.sample) as f64 * self.beats_per_sample(segment)
    }

    /// The exact position of a beat in samples, extrapolated from the segment that contains
    /// `sample`. Not finite while the transport is stopped.
    pub fn sample_at(&self, beat: f64, sample: u64) -> f64 {
        let segment = self.segment(sample);
        segment.sample as f64 + (beat - segment.beat) / self.beats_per_sample(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_converts_both_ways_across_a_tempo_change() {
        let mut clock = Clock::new(48_000.0);
        clock.begin(0, 0.0, 120.0);
        assert_eq!(clock.beat(24_000), 1.0);
        clock.begin(48_000, 2.0, 60.0);
        assert_eq!(clock.beat(47_999 + 48_001), 3.0);
        assert_eq!(clock.sample_at(3.0, 50_000), 96_000.0);
        assert_eq!(clock.sample_at(1.0, 10), 24_000.0);
    }
}
