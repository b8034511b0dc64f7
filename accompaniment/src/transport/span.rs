//! Conversion between samples and quarter notes. Audio thread; allocates nothing.

/// A run of samples of one block with a constant tempo and no jump.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its first sample, counted from the start of the block.
    pub first: u32,
    /// Number of samples.
    pub frames: u32,
    /// Position of the first sample in quarter notes.
    pub start_beat: f64,
    /// Samples in a quarter note.
    pub samples_per_beat: f64,
    /// Delay of generated notes in samples; negative for earlier.
    pub shift: i64,
}

impl Span {
    /// A CLAP host gives positions in fixed point, to 2^-31 of a beat. Positions exactly half
    /// way between two samples are common (every second step at 120 beats a minute and
    /// 44.1 kHz) and would fall on one side or the other with the rounding of the block's
    /// start; so every position is taken this much later, some 20 millionths of a sample.
    pub const NOISE: f64 = 1.0 / (1u64 << 30) as f64;

    /// The sample rule: the sample of the block, nearest, halves upward, on which `beat` lies.
    ///
    /// A note at `beat` is due in this span if that sample is in `first..end()`. From `end()` on, the
    /// note belongs to a later span. At `first - 1`, the span before has rounded it to this one, and it
    /// is due at `first`. Earlier, it is late. So a note sounds on the same sample of the song for all
    /// block sizes.
    pub fn sample_of(&self, beat: f64) -> i64 {
        let x = (beat - self.start_beat + Self::NOISE) * self.samples_per_beat;
        i64::from(self.first).saturating_add((x + 0.5).floor() as i64)
    }

    /// The sample on which a generated note at `beat` is due: [`Span::sample_of`] plus `shift`.
    pub fn due(&self, beat: f64) -> i64 {
        self.sample_of(beat).saturating_add(self.shift)
    }

    /// The position of a generated note that is due on `sample`.
    pub fn due_beat(&self, sample: u32) -> f64 {
        self.beat_of(sample) - self.shift as f64 / self.samples_per_beat
    }

    /// The position of a sample of the block.
    pub fn beat_of(&self, sample: u32) -> f64 {
        self.start_beat + (f64::from(sample) - f64::from(self.first)) / self.samples_per_beat
    }

    /// The position before which every generated note is due on an earlier sample than `sample`:
    /// `beat < limit_of(s)` if and only if `due(beat) < s`.
    pub fn limit_of(&self, sample: u32) -> f64 {
        self.limit_at(self.beat_of(sample))
    }

    /// The same for the sample that lies at `beat`.
    pub fn limit_at(&self, beat: f64) -> f64 {
        beat - (self.shift as f64 + 0.5) / self.samples_per_beat - Self::NOISE
    }

    /// The first sample after the span.
    pub fn end(&self) -> u32 {
        self.first + self.frames
    }

    /// The position of the first sample after the span.
    pub fn end_beat(&self) -> f64 {
        self.beat_of(self.end())
    }
}
