//! Contradictions between the positions and the tempo of a host. Audio thread; allocates nothing.

use super::{HostTransport, TOLERANCE};

/// Movement over which positions and tempo are compared, in quarter notes: long enough that
/// rounding does not matter.
const INTERVAL: f64 = 16.0 * TOLERANCE;

/// Number of consecutive intervals that move evenly at another tempo, before the tempo is
/// distrusted.
const ENOUGH: u32 = 3;

/// Seconds for which a host may report the same position while it plays, where it has never
/// reported another: a count-in. After that it is a host without positions.
const COUNT_IN: f64 = 10.0;

/// A way in which a host contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The positions move evenly, but not at the tempo. The tempo is taken from the positions.
    Tempo,
    /// The position stands still while the transport plays. The transport counts as stopped.
    Position,
}

/// Compares reported positions with the reported tempo. Owned by the audio thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Motion {
    /// The block before, if it reported position and tempo and played.
    last: Option<Block>,
    interval: Interval,
    /// Even movement that contradicts the tempo.
    even: Option<Even>,
    /// Quarter notes a sample, where that is taken from the positions.
    rate: Option<f64>,
    /// Samples for which the position has not moved.
    stood: f64,
    /// The host has reported another position than the one before.
    moves: bool,
    found: Option<Contradiction>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    beat: f64,
    tempo: f64,
    frames: u32,
}

/// Movement in quarter notes: as reported, and the least and the most that the tempos allow.
#[derive(Clone, Copy, Debug, Default)]
struct Interval {
    samples: f64,
    moved: f64,
    least: f64,
    most: f64,
}

/// Consecutive intervals that move at one rate.
#[derive(Clone, Copy, Debug)]
struct Even {
    intervals: u32,
    samples: f64,
    moved: f64,
}

impl Even {
    /// Quarter notes a sample.
    fn rate(&self) -> f64 {
        self.moved / self.samples
    }
}

impl Motion {
    /// The contradiction in the last block, if any.
    pub(super) fn contradiction(&self) -> Option<Contradiction> {
        self.found
    }

    /// The transport of a block of `frames` samples without contradictions.
    pub(super) fn correct(
        &mut self,
        reading: &HostTransport,
        frames: u32,
        sample_rate: f64,
    ) -> HostTransport {
        if frames == 0 {
            return *reading;
        }
        let (true, Some(beat), Some(tempo)) = (reading.playing, reading.beat, reading.tempo) else {
            // A block without information changes nothing; a stop ends the contradiction of positions.
            if !reading.playing && reading.beat.is_some() {
                if self.rate == Some(0.0) {
                    (self.rate, self.even) = (None, None);
                }
                (self.stood, self.found) = (0.0, self.rate.map(|_| Contradiction::Tempo));
            }
            (self.last, self.interval) = (None, Interval::default());
            return *reading;
        };
        let block = Block {
            beat,
            tempo,
            frames,
        };
        let last = self.last.replace(block);
        let moves = f64::from(frames) * tempo / (60.0 * sample_rate);
        // The turns of a loop that is hardly longer than a block look like even movement.
        let short = |(start, end): (f64, f64)| end - start < 2.0 * INTERVAL.max(moves);
        if reading.cycle.is_some_and(short) {
            (self.interval, self.even, self.rate) = (Interval::default(), None, None);
        } else if let Some(last) = last {
            self.compare(last, beat, tempo, sample_rate);
        }
        self.found = None;
        if self.stands() {
            self.found = Some(Contradiction::Position);
            let is_place = self.moves || self.stood < COUNT_IN * sample_rate;
            return match is_place {
                true => HostTransport {
                    playing: false,
                    ..*reading
                },
                false => HostTransport {
                    beat: None,
                    ..*reading
                },
            };
        }
        let measured = self.rate.map(|rate| rate * 60.0 * sample_rate);
        if measured.is_some() {
            self.found = Some(Contradiction::Tempo);
        }
        HostTransport {
            tempo: measured.or(reading.tempo),
            ..*reading
        }
    }

    /// Whether the position has stood still for longer than rounding explains.
    fn stands(&self) -> bool {
        self.stood > 0.0 && self.rate == Some(0.0)
    }

    /// Records the movement from the block `last` to position `beat` at `tempo`.
    fn compare(&mut self, last: Block, beat: f64, tempo: f64, sample_rate: f64) {
        let frames = f64::from(last.frames);
        if beat == last.beat {
            self.stood += frames;
        } else {
            if self.stands() {
                (self.rate, self.even) = (None, None);
            }
            (self.stood, self.moves) = (0.0, true);
        }
        // The turns of an unreported loop that is hardly longer than a block look like even movement.
        if beat < last.beat - TOLERANCE {
            (self.interval, self.even) = (Interval::default(), None);
            return;
        }
        let beats = |tempo: f64| frames * tempo / (60.0 * sample_rate);
        let interval = &mut self.interval;
        interval.samples += frames;
        interval.moved += beat - last.beat;
        interval.least += beats(tempo.min(last.tempo));
        interval.most += beats(tempo.max(last.tempo));
        if interval.least >= INTERVAL {
            let interval = std::mem::take(&mut self.interval);
            self.judge(interval, sample_rate);
        }
    }

    fn judge(&mut self, interval: Interval, sample_rate: f64) {
        let Interval {
            samples,
            moved,
            least,
            most,
        } = interval;
        if moved > least - TOLERANCE && moved < most + TOLERANCE {
            (self.rate, self.even) = (None, None);
            return;
        }
        let now = Even {
            intervals: 1,
            samples,
            moved,
        };
        let even = match self.even {
            Some(even) if (even.rate() * samples - moved).abs() < TOLERANCE => Even {
                intervals: even.intervals.saturating_add(1),
                samples: even.samples + samples,
                moved: even.moved + moved,
            },
            _ => now,
        };
        self.even = Some(even);
        if even.intervals < ENOUGH {
            return;
        }
        let tempo = even.rate() * 60.0 * sample_rate;
        let stands = self.stood >= samples;
        self.rate = match stands {
            true => Some(0.0),
            // Backwards, or at no tempo of music: these are jumps.
            false => (1.0..=10_000.0).contains(&tempo).then_some(even.rate()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;

    fn playing(beat: f64, tempo: f64) -> HostTransport {
        HostTransport {
            playing: true,
            beat: Some(beat),
            tempo: Some(tempo),
            ..HostTransport::default()
        }
    }

    #[test]
    fn tempo_that_contradicts_the_positions_is_measured() {
        for (frames, ticks) in [(64, 480.0), (512, 1e9), (4_096, 960.0)] {
            let mut motion = Motion::default();
            let mut tempo = 0.0;
            for block in 0..2_000u32 {
                let beat = f64::from(block * frames) * 1.5 / RATE;
                let said = playing((beat * ticks).round() / ticks, 120.0);
                tempo = motion.correct(&said, frames, RATE).tempo.unwrap();
            }
            assert!((tempo - 90.0).abs() < 0.5, "{frames}: {tempo}");
            assert_eq!(motion.contradiction(), Some(Contradiction::Tempo));
            // The host reports the right tempo again.
            for block in 2_000..2_200u32 {
                let beat = f64::from(block * frames) * 1.5 / RATE;
                motion.correct(&playing(beat, 90.0), frames, RATE);
            }
            assert_eq!(motion.contradiction(), None);
        }
    }

    #[test]
    fn position_that_stands_still_counts_as_a_count_in_at_first() {
        let mut motion = Motion::default();
        let (mut stands, mut missing) = (0, 0);
        for _ in 0..1_500 {
            let said = motion.correct(&playing(4.0, 120.0), 512, RATE);
            stands += u32::from(!said.playing);
            missing += u32::from(said.beat.is_none());
        }
        assert!(
            (900..940).contains(&stands) && missing > 500,
            "{stands}, {missing}"
        );
        // It moves.
        let said = motion.correct(&playing(4.02, 120.0), 512, RATE);
        assert_eq!((said, motion.contradiction()), (playing(4.02, 120.0), None));
    }

    #[test]
    fn short_loops_contradict_nothing() {
        for length in [0.07, 0.11, 0.2, 0.31, 0.5] {
            for frames in [64, 700, 1_024, 4_096] {
                let mut motion = Motion::default();
                for block in 0..3_000 {
                    let beat = f64::from(block * frames) * 2.0 / RATE;
                    let said = playing(4.0 + beat % length, 120.0);
                    let read = motion.correct(&said, frames as u32, RATE);
                    assert_eq!(read, said, "loop {length}, block {block} of {frames}");
                }
            }
        }
    }

    #[test]
    fn jumps_loops_and_ramps_are_no_contradiction() {
        let mut motion = Motion::default();
        let (mut beat, mut tempo) = (0.0, 60.0);
        for block in 0..3_000 {
            let said = playing(beat, tempo);
            assert_eq!(motion.correct(&said, 1_024, RATE), said, "{block}");
            let next = if block % 700 < 350 {
                tempo * 1.005
            } else {
                tempo / 1.005
            };
            beat += 1_024.0 / RATE / 60.0 * (tempo + next) / 2.0;
            tempo = next;
            match block % 97 {
                0 => beat -= 3.7,
                50 => beat += 11.3,
                _ => {}
            }
        }
    }
}
