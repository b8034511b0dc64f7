//! The host's clock: which sample is which beat.

/// A stretch of samples over which the song position moves evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// First sample since the host began to process.
    pub sample: u64,
    /// Song position there, in quarter notes.
    pub beat: f64,
    /// Quarter notes a minute; 0 while the transport stands.
    pub bpm: f64,
}

/// Sections one after the other, as the host went through them. A change of tempo, a jump and
/// a stop each begin one, on a sample.
#[derive(Clone, Debug)]
pub struct Clock {
    sample_rate: f64,
    sections: Vec<Segment>,
}

impl Clock {
    /// A clock standing at beat 0.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            sample_rate,
            sections: vec![Segment {
                sample: 0,
                beat: 0.0,
                bpm: 0.0,
            }],
        }
    }

    /// Begins a section. One at the same sample is replaced.
    pub fn begin(&mut self, sample: u64, beat: f64, bpm: f64) {
        self.sections.retain(|section| section.sample < sample);
        self.sections.push(Segment { sample, beat, bpm });
    }

    /// Samples a second.
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// The section that a sample lies in.
    pub fn section(&self, sample: u64) -> Segment {
        let after = self
            .sections
            .partition_point(|section| section.sample <= sample);
        self.sections[after.max(1) - 1]
    }

    /// Quarter notes a sample in a section.
    pub fn beats_per_sample(&self, section: Segment) -> f64 {
        section.bpm / 60.0 / self.sample_rate
    }

    /// Song position at a sample, in quarter notes.
    pub fn beat(&self, sample: u64) -> f64 {
        let section = self.section(sample);
        section.beat + (sample - section.sample) as f64 * self.beats_per_sample(section)
    }

    /// Where a beat falls, in samples, if the section of `sample` went on without end.
    /// Meaningless while the transport stands.
    pub fn sample_at(&self, beat: f64, sample: u64) -> f64 {
        let section = self.section(sample);
        section.sample as f64 + (beat - section.beat) / self.beats_per_sample(section)
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
