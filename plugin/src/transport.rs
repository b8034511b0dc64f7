//! The host's transport, made into stretches of samples with a known place in musical time.
//! Owned by the audio thread; allocates nothing.

use nice_plug::prelude::Transport;

mod span;
#[cfg(test)]
mod tests;

pub use self::span::Span;

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

/// The plugin's own time, for hosts that have none and players who want none of theirs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnTime {
    /// Quarter notes a minute.
    pub tempo: f64,
    /// Whether to go by it even if the host has a transport.
    pub always: bool,
}

/// Follows the playhead from block to block. Owned by the audio thread.
#[derive(Debug)]
pub struct Tracker {
    sample_rate: f64,
    /// See [`Span::shift`].
    shift: i64,
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
            shift: 0,
            running: None,
            metre: None,
        }
    }

    /// From the next block on every generated note sounds so many samples later.
    pub fn shift(&mut self, samples: i64) {
        self.shift = samples;
    }

    /// Puts in what the host leaves out, or what is not to be taken from it.
    ///
    /// A host without a transport tells neither tempo nor position, and plays on for ever; one
    /// with a tempo and no position is followed from beat 0; without a tempo its positions
    /// cannot be counted between blocks, and are not used.
    pub fn complete(&self, reading: &Reading, own: OwnTime) -> Reading {
        let at = || self.running.map_or(0.0, |running| running.next_beat());
        let none = reading.tempo.is_none() && reading.beat.is_none();
        if own.always || none || (reading.playing && reading.tempo.is_none()) {
            Reading {
                playing: true,
                beat: Some(at()),
                tempo: Some(own.tempo),
                bar_start: None,
                cycle: None,
                ..*reading
            }
        } else if reading.playing && reading.beat.is_none() {
            Reading {
                beat: Some(at()),
                bar_start: None,
                cycle: None,
                ..*reading
            }
        } else {
            *reading
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
            shift: self.shift,
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
