//! The host's transport, made into stretches of samples with a known place in musical time.
//! Owned by the audio thread; allocates nothing.

use nice_plug::prelude::Transport;

/// What one block says about the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Whether it runs.
    pub playing: bool,
    /// Position of the block's first sample in quarter notes.
    pub beat: Option<f64>,
    /// Quarter notes a minute.
    pub tempo: Option<f64>,
    /// Position of the bar line at or before `beat`.
    pub bar_start: Option<f64>,
    /// Time signature, upper figure.
    pub numerator: Option<i32>,
    /// Time signature, lower figure.
    pub denominator: Option<i32>,
    /// The loop, where one is switched on.
    pub cycle: Option<(f64, f64)>,
}

impl From<&Transport> for Reading {
    fn from(transport: &Transport) -> Self {
        Self {
            playing: transport.playing,
            beat: transport.pos_beats(),
            tempo: transport.tempo,
            bar_start: transport.bar_start_pos_beats(),
            numerator: transport.time_sig_numerator,
            denominator: transport.time_sig_denominator,
            cycle: transport.loop_range_beats(),
        }
    }
}

/// A run of samples of one block over which musical time goes on evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its first sample, counted from the start of the block.
    pub first: u32,
    /// How many samples.
    pub frames: u32,
    /// Position of the first sample in quarter notes.
    pub start_beat: f64,
    /// Samples in a quarter note.
    pub samples_per_beat: f64,
}

impl Span {
    /// A CLAP host gives positions in fixed point, to 2^-31 of a beat. Positions exactly half
    /// way between two samples are common (every second step at 120 beats a minute and
    /// 44.1 kHz) and would fall on one side or the other with the rounding of the block's
    /// start; so every position is taken this much later, some 20 millionths of a sample.
    pub const NOISE: f64 = 1.0 / (1u64 << 30) as f64;

    /// The sample rule: the sample of the block, nearest, halves upward, on which `beat` lies.
    ///
    /// A note at `beat` is due in this span if that is in `first..end()`. If it is `end()` or
    /// more, the next span will have it; if it is `first - 1`, the span before rounded it away
    /// and it is due at `first`; if earlier, it is late. So a note sounds on the same sample of
    /// the song, however the host cuts the song into blocks.
    pub fn sample_of(&self, beat: f64) -> i64 {
        let x = (beat - self.start_beat + Self::NOISE) * self.samples_per_beat;
        i64::from(self.first).saturating_add((x + 0.5).floor() as i64)
    }

    /// The position of a sample of the block.
    pub fn beat_of(&self, sample: u32) -> f64 {
        self.start_beat + (f64::from(sample) - f64::from(self.first)) / self.samples_per_beat
    }

    /// The position before which everything falls on an earlier sample than `sample`:
    /// `beat < limit_of(s)` if and only if `sample_of(beat) < s`.
    pub fn limit_of(&self, sample: u32) -> f64 {
        self.beat_of(sample) - 0.5 / self.samples_per_beat - Self::NOISE
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

/// A time signature with the position of one of its bar lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostMetre {
    /// A bar line, in quarter notes.
    pub bar_start: f64,
    /// Upper figure.
    pub numerator: u16,
    /// Lower figure.
    pub denominator: u16,
}

impl HostMetre {
    fn bar_beats(&self) -> f64 {
        f64::from(self.numerator) * 4.0 / f64::from(self.denominator)
    }

    /// What the host says, or 4/4 from the start of the song where it says nothing usable.
    fn read(reading: &Reading, beat: f64) -> Self {
        let figures = reading
            .numerator
            .zip(reading.denominator)
            .and_then(|(n, d)| {
                let n = u16::try_from(n).ok().filter(|n| (1..=128).contains(n))?;
                let d = u16::try_from(d)
                    .ok()
                    .filter(|d| d.is_power_of_two() && *d <= 64)?;
                Some((n, d))
            });
        let (numerator, denominator) = figures.unwrap_or((4, 4));
        let mut metre = Self {
            bar_start: 0.0,
            numerator,
            denominator,
        };
        let bars = metre.bar_beats();
        let usable = |b: &f64| b.is_finite() && *b <= beat + TOLERANCE && beat - *b < 1e6;
        metre.bar_start = reading
            .bar_start
            .filter(usable)
            .unwrap_or_else(|| (beat / bars).floor() * bars);
        metre
    }

    /// Whether both draw the same bar lines.
    fn agrees(&self, other: &Self) -> bool {
        let bars = (self.bar_start - other.bar_start) / self.bar_beats();
        self.numerator == other.numerator
            && self.denominator == other.denominator
            && (bars - bars.round()).abs() * self.bar_beats() < TOLERANCE
    }
}

/// How far, in quarter notes, a block may start from where the last one ended and still follow
/// it: hosts round.
const TOLERANCE: f64 = 1e-3;

/// How far, in quarter notes, the host's rounding may take it from where it is.
const AGREED: f64 = 1.5 * Span::NOISE;

/// A place the playhead went away from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// Where it was.
    pub beat: f64,
    /// Notes from here on were not played.
    pub limit: f64,
}

/// What happened to the playhead at the start of a block, and where the block's samples lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passage {
    /// It stopped at, or jumped away from, this place.
    pub left: Option<Left>,
    /// It started at, or jumped to, this place.
    pub arrived: Option<f64>,
    /// The bars, if the composer does not know them yet.
    pub metre: Option<HostMetre>,
    /// The block in musical time: nothing while it stands still, two spans where the loop
    /// comes round inside the block.
    pub spans: [Option<Span>; 2],
}

impl Passage {
    /// The span of a sample.
    pub fn span_at(&self, sample: u32) -> Option<&Span> {
        self.spans
            .iter()
            .flatten()
            .rev()
            .find(|span| span.first <= sample)
    }
}

/// Follows the playhead from block to block. Owned by the audio thread.
#[derive(Debug)]
pub struct Tracker {
    sample_rate: f64,
    running: Option<Running>,
    metre: Option<HostMetre>,
}

/// The transport runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// The last span.
    last: Span,
    /// The tempo it was played at.
    tempo: f64,
    /// Since here the tempo has not changed: a position the host gave, and samples since.
    anchor: (f64, u64),
}

impl Running {
    /// Where the next block starts if nothing changes.
    ///
    /// The host says so too, but rounds. Counted in samples from the anchor it is the same
    /// however the song is cut into blocks; so this is taken as long as the host agrees.
    fn next_beat(&self) -> f64 {
        self.anchor.0 + self.anchor.1 as f64 / self.last.samples_per_beat
    }
}

impl Tracker {
    /// Knows nothing yet.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            sample_rate,
            running: None,
            metre: None,
        }
    }

    /// The transport is to be taken as standing still: where it was, if it ran.
    pub fn halt(&mut self) -> Option<Left> {
        self.metre = None;
        let span = self.running.take()?.last;
        Some(Left {
            beat: span.end_beat(),
            limit: span.limit_of(span.end()),
        })
    }

    /// The next block of `frames` samples.
    ///
    /// Without a position or a usable tempo there is no musical time: the same as standing
    /// still.
    pub fn next(&mut self, reading: &Reading, frames: u32) -> Passage {
        let tempo = reading.tempo.filter(|t| (1.0..=10_000.0).contains(t));
        let beat = reading.beat.filter(|b| b.abs() < 1e9);
        let (true, Some(beat), Some(tempo)) = (reading.playing && frames > 0, beat, tempo) else {
            // An empty block says nothing about the playhead.
            let left = if frames == 0 { None } else { self.halt() };
            return Passage {
                left,
                ..Passage::default()
            };
        };

        let mut passage = Passage::default();
        let mut anchor = (beat, 0);
        if let Some(running) = self.running {
            let last = running.last;
            // With a tempo ramp the truth lies between what the two tempos say.
            let slow = last.end_beat();
            let fast = last.start_beat
                + f64::from(last.frames) / last.samples_per_beat * (tempo / running.tempo);
            let follows = beat > slow.min(fast) - TOLERANCE && beat < slow.max(fast) + TOLERANCE;
            if !follows {
                passage.left = self.halt();
                passage.arrived = Some(beat);
            } else if tempo == running.tempo && (beat - running.next_beat()).abs() < AGREED {
                anchor = running.anchor;
            }
        } else {
            passage.arrived = Some(beat);
            self.metre = None;
        }

        let metre = HostMetre::read(reading, beat);
        if !self.metre.is_some_and(|known| known.agrees(&metre)) {
            passage.metre = Some(metre);
        }
        self.metre = Some(metre);

        let samples_per_beat = self.sample_rate * 60.0 / tempo;
        let start_beat = anchor.0 + anchor.1 as f64 / samples_per_beat;
        let whole = Span {
            first: 0,
            frames,
            start_beat,
            samples_per_beat,
        };
        passage.spans = match turn(&whole, reading.cycle) {
            Some((sample, to)) => {
                // Where the loop starts in its bar is the host's to say, with the next block.
                self.metre = None;
                let first = Span {
                    frames: sample,
                    ..whole
                };
                let again = Span {
                    first: sample,
                    frames: frames - sample,
                    start_beat: to,
                    ..whole
                };
                anchor = (to, 0);
                [Some(first), Some(again)]
            }
            None => [Some(whole), None],
        };
        self.running = passage.spans.iter().flatten().last().map(|&last| {
            let anchor = (anchor.0, anchor.1 + u64::from(last.frames));
            Running {
                last,
                tempo,
                anchor,
            }
        });
        passage
    }
}

/// The sample at which the loop comes round inside the block, and the position it goes on
/// from. Most hosts cut their blocks there; the others say nothing but where the loop is.
fn turn(span: &Span, cycle: Option<(f64, f64)>) -> Option<(u32, f64)> {
    let (from, to) = cycle.filter(|(from, to)| to - from > 2.0 / span.samples_per_beat)?;
    if span.start_beat >= to {
        return None;
    }
    let sample = u32::try_from(span.sample_of(to)).ok()?;
    let inside = sample > span.first && sample < span.end();
    inside.then(|| (sample, from + (span.beat_of(sample) - to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    const RATE: f64 = 48_000.0;

    fn playing(beat: f64, tempo: f64) -> Reading {
        Reading {
            playing: true,
            beat: Some(beat),
            tempo: Some(tempo),
            ..Reading::default()
        }
    }

    /// As CLAP hands positions over.
    fn fixed_point(beat: f64) -> f64 {
        let factor = (1u64 << 31) as f64;
        (beat * factor).round() / factor
    }

    /// Where the notes of every step fall, counted from the start of the song, if the song is
    /// cut into the given blocks.
    fn samples(notes: &[f64], spb: f64, blocks: &[u32]) -> Vec<i64> {
        let (mut at, mut next, mut found) = (0u32, 0, Vec::new());
        let mut tracker = Tracker::new(RATE);
        for &frames in blocks {
            let reading = playing(fixed_point(f64::from(at) / spb), RATE * 60.0 / spb);
            let passage = tracker.next(&reading, frames);
            assert_eq!(passage.arrived.is_some(), at == 0);
            let span = passage.spans[0].unwrap();
            while let Some(&beat) = notes.get(next) {
                let sample = span.sample_of(beat);
                assert!(sample >= -1, "missed by more than rounding: {sample}");
                if sample >= i64::from(frames) {
                    break;
                }
                found.push(i64::from(at) + sample.max(0));
                next += 1;
            }
            at += frames;
        }
        found
    }

    #[test]
    fn the_sample_does_not_depend_on_the_blocks() {
        for seed in 0..150 {
            let mut rng = Rng::new(seed);
            let rate = [44_100.0, 48_000.0, 96_000.0][rng.below(3) as usize];
            let tempo = match rng.below(3) {
                0 => [60.0, 90.0, 120.0, 133.7, 150.0][rng.below(5) as usize],
                _ => 30.0 + rng.unit() * 270.0,
            };
            let spb = rate * 60.0 / tempo;
            let steps = f64::from([4, 8, 12, 24][rng.below(4) as usize]);
            let notes: Vec<f64> = (0..200).map(|n| f64::from(n) / steps).collect();
            let end = (notes[notes.len() - 1] * spb) as u32 + 5_000;
            let absolute: Vec<i64> = notes
                .iter()
                .map(|b| (b * spb + 0.5 + Span::NOISE * spb).floor() as i64)
                .collect();
            for _ in 0..3 {
                let largest = [32, 512, 4096][rng.below(3) as usize];
                let mut blocks = Vec::new();
                let mut left = end;
                while left > 0 {
                    let frames = (1 + rng.below(largest) as u32).min(left);
                    blocks.push(frames);
                    left -= frames;
                }
                assert_eq!(
                    samples(&notes, spb, &blocks),
                    absolute,
                    "seed {seed}, tempo {tempo}"
                );
            }
        }
    }

    #[test]
    fn the_limit_is_the_sample_rule() {
        let mut rng = Rng::new(7);
        for _ in 0..20_000 {
            let span = Span {
                first: rng.below(100) as u32,
                frames: 512,
                start_beat: rng.unit() * 1000.0 - 100.0,
                samples_per_beat: 5_000.0 + rng.unit() * 100_000.0,
            };
            let sample = span.first + rng.below(512) as u32;
            let beat = span.beat_of(sample) + (rng.unit() - 0.5) * 4.0 / span.samples_per_beat;
            // Nearer to the edge than f64 tells apart there is nothing to say.
            if (beat - span.limit_of(sample)).abs() > 1e-12 * beat.abs().max(1.0) {
                let before = span.sample_of(beat) < i64::from(sample);
                assert_eq!(before, beat < span.limit_of(sample));
            }
        }
    }

    #[test]
    fn starts_stops_and_jumps() {
        let mut tracker = Tracker::new(RATE);
        let stopped = Reading {
            beat: Some(4.0),
            tempo: Some(120.0),
            ..Reading::default()
        };
        assert_eq!(tracker.next(&stopped, 480), Passage::default());

        let first = tracker.next(&playing(4.0, 120.0), 480);
        assert_eq!((first.left, first.arrived), (None, Some(4.0)));
        assert_eq!(
            first.metre,
            Some(HostMetre {
                bar_start: 4.0,
                numerator: 4,
                denominator: 4
            })
        );
        let span = first.spans[0].unwrap();
        assert_eq!((span.frames, span.samples_per_beat), (480, 24_000.0));

        let next = tracker.next(&playing(4.02, 120.0), 480);
        assert_eq!((next.left, next.arrived, next.metre), (None, None, None));

        let jump = tracker.next(&playing(1.0, 120.0), 480);
        assert!((jump.left.unwrap().beat - 4.04).abs() < 1e-9);
        assert_eq!(jump.arrived, Some(1.0));
        assert!(jump.metre.is_some());

        let stop = tracker.next(
            &Reading {
                playing: false,
                ..playing(1.02, 120.0)
            },
            480,
        );
        let left = stop.left.unwrap();
        assert!((left.beat - 1.02).abs() < 1e-9 && left.limit < left.beat);
        assert_eq!((stop.arrived, stop.spans), (None, [None, None]));
    }

    #[test]
    fn a_tempo_ramp_is_no_jump() {
        let mut tracker = Tracker::new(RATE);
        let (mut beat, mut tempo) = (0.0, 60.0);
        assert!(tracker.next(&playing(beat, tempo), 4096).arrived.is_some());
        for _ in 0..200 {
            let next = tempo * 1.01;
            beat += 4096.0 / RATE / 60.0 * (tempo + next) / 2.0;
            tempo = next;
            assert_eq!(tracker.next(&playing(beat, tempo), 4096).arrived, None);
        }
    }

    #[test]
    fn no_position_or_tempo_is_standing_still() {
        let mut tracker = Tracker::new(RATE);
        tracker.next(&playing(0.0, 120.0), 64);
        let lost = tracker.next(
            &Reading {
                beat: None,
                ..playing(0.0, 120.0)
            },
            64,
        );
        assert!(lost.left.is_some() && lost.spans == [None, None]);
        for tempo in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(tracker.next(&playing(0.0, tempo), 64), Passage::default());
        }
        assert_eq!(
            tracker.next(&playing(f64::NAN, 120.0), 64),
            Passage::default()
        );
    }

    #[test]
    fn a_loop_that_comes_round_inside_a_block_is_two_spans() {
        let mut tracker = Tracker::new(RATE);
        let reading = Reading {
            cycle: Some((4.0, 8.0)),
            ..playing(7.99, 120.0)
        };
        let passage = tracker.next(&reading, 480);
        let [Some(before), Some(after)] = passage.spans else {
            panic!("{passage:?}")
        };
        assert_eq!((before.first, before.frames), (0, 240));
        assert_eq!((after.first, after.frames), (240, 240));
        assert!((after.start_beat - 4.0).abs() < 1e-4);
        assert_eq!(passage.span_at(239), Some(&before));
        assert_eq!(passage.span_at(240), Some(&after));
        // The host goes on from there: nothing has happened, but the bars are told again.
        let next = tracker.next(
            &Reading {
                beat: Some(4.01),
                ..reading
            },
            480,
        );
        assert_eq!((next.left, next.arrived), (None, None));
        assert!(next.metre.is_some());
        // Behind the loop it does not come round.
        let mut tracker = Tracker::new(RATE);
        let behind = Reading {
            beat: Some(8.0),
            ..reading
        };
        assert_eq!(tracker.next(&behind, 480).spans[1], None);
    }

    #[test]
    fn bars_are_told_when_they_change() {
        let mut tracker = Tracker::new(RATE);
        let mut beat = 0.0;
        let mut told = Vec::new();
        while beat < 16.0 {
            // Two bars of 4/4, then 3/4.
            let (bar_start, numerator) = match beat {
                b if b < 8.0 => ((b / 4.0_f64).floor() * 4.0, 4),
                b => (8.0 + ((b - 8.0) / 3.0_f64).floor() * 3.0, 3),
            };
            let reading = Reading {
                bar_start: Some(bar_start),
                numerator: Some(numerator),
                denominator: Some(4),
                ..playing(beat, 120.0)
            };
            told.extend(tracker.next(&reading, 480).metre);
            beat += 0.02;
        }
        let figures: Vec<_> = told.iter().map(|m| (m.bar_start, m.numerator)).collect();
        assert_eq!(figures, [(0.0, 4), (8.0, 3)]);
    }
}
