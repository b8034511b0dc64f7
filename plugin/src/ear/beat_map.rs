//! Positions in beats of the samples that the clock has counted. Audio thread; allocates only when it
//! is made.

use std::collections::VecDeque;

/// Anchors kept: 20 s of a tempo that changes all the time.
const CAPACITY: usize = 2_048;
/// Shortest distance between two anchors of one pass, in seconds.
const SPACING: f64 = 0.01;
/// Difference in quarter notes up to which a position follows from the anchor before.
const SAME: f64 = 1e-6;

/// A place at which clock and beats are both known.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Anchor {
    clock: u64,
    /// Position in the host's quarter notes.
    beat: f64,
    /// Quarter notes that the transport has run.
    run: f64,
    samples_per_beat: f64,
    /// Number of the pass: it grows where the playhead jumps or goes round a loop.
    pass: u64,
}

impl Anchor {
    fn beats_to(&self, clock: u64) -> f64 {
        (clock as f64 - self.clock as f64) / self.samples_per_beat
    }
}

/// A stretch of sound in beats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    /// Start in the host's quarter notes.
    pub(crate) start_beat: f64,
    /// Length in quarter notes, up to the end of its pass.
    pub(crate) length: f64,
    /// Quarter notes that the transport has run since the start.
    pub(crate) age: f64,
    /// Whether it lies in the pass of the newest anchor.
    pub(crate) this_pass: bool,
}

/// Converts the clock to beats. Where the tempo changes all the time it reaches back 20 s; else far more.
#[derive(Debug)]
pub(crate) struct BeatMap {
    anchors: VecDeque<Anchor>,
    /// Samples between two anchors of one pass at least.
    spacing: u64,
}

impl BeatMap {
    /// Allocates all that it needs.
    pub(crate) fn new() -> Self {
        Self {
            anchors: touched(),
            spacing: 0,
        }
    }

    /// Forgets everything; samples come `rate` a second from here on.
    pub(crate) fn reset(&mut self, rate: f64) {
        self.anchors.clear();
        self.spacing = (rate * SPACING) as u64;
    }

    /// The samples from `clock` on begin at `beat` and are `samples_per_beat` long. `moved` says that
    /// the playhead jumped there.
    pub(crate) fn add(&mut self, clock: u64, beat: f64, samples_per_beat: f64, moved: bool) {
        let Some(&last) = self.anchors.back() else {
            return self.push(Anchor {
                clock,
                beat,
                run: 0.0,
                samples_per_beat,
                pass: 0,
            });
        };
        let run = last.run + last.beats_to(clock);
        let expected = last.beat + last.beats_to(clock);
        let moved = moved || (expected - beat).abs() > 0.5;
        let follows = last.samples_per_beat == samples_per_beat && (expected - beat).abs() <= SAME;
        if !moved && (follows || clock < last.clock + self.spacing) {
            return;
        }
        self.push(Anchor {
            clock,
            beat,
            run,
            samples_per_beat,
            pass: last.pass + u64::from(moved),
        });
    }

    fn push(&mut self, anchor: Anchor) {
        if self.anchors.len() == CAPACITY {
            self.anchors.pop_front();
        }
        self.anchors.push_back(anchor);
    }

    /// The anchor for `clock`: the last one at or before it, else the first.
    fn anchor(&self, clock: u64) -> Option<usize> {
        let after = self.anchors.partition_point(|anchor| anchor.clock <= clock);
        (!self.anchors.is_empty()).then(|| after.saturating_sub(1))
    }

    /// Quarter notes that the transport has run at `clock`.
    fn run(&self, clock: u64) -> Option<f64> {
        let anchor = self.anchors.get(self.anchor(clock)?)?;
        Some(anchor.run + anchor.beats_to(clock))
    }

    /// Quarter notes that the transport ran from `clock` to `now`.
    pub(crate) fn age(&self, clock: u64, now: u64) -> Option<f64> {
        Some((self.run(now)? - self.run(clock)?).max(0.0))
    }

    /// Whether the playhead has neither jumped nor gone round a loop since `clock`.
    pub(crate) fn is_in_this_pass(&self, clock: u64) -> bool {
        let anchor = self.anchor(clock).and_then(|at| self.anchors.get(at));
        anchor.map(|anchor| anchor.pass) == self.anchors.back().map(|last| last.pass)
    }

    /// The samples from `onset` to `end` in beats, at `now`. `None` before the first anchor was added.
    pub(crate) fn stretch(&self, onset: u64, end: u64, now: u64) -> Option<Stretch> {
        let index = self.anchor(onset)?;
        let anchor = self.anchors.get(index)?;
        let pass_end = self.anchors.range(index..);
        let pass_end = pass_end.into_iter().find(|next| next.pass != anchor.pass);
        let end = pass_end.map_or(end, |next| end.min(next.clock));
        let length = self.run(end)? - self.run(onset)?;
        Some(Stretch {
            start_beat: anchor.beat + anchor.beats_to(onset),
            length: length.max(SAME),
            age: self.age(onset, now)?,
            this_pass: pass_end.is_none(),
        })
    }
}

/// An empty queue whose memory was written, so that the audio thread meets no page fault.
fn touched() -> VecDeque<Anchor> {
    let anchor = Anchor {
        clock: 0,
        beat: 0.0,
        run: 0.0,
        samples_per_beat: 1.0,
        pass: 0,
    };
    let mut anchors = VecDeque::with_capacity(CAPACITY);
    anchors.resize(CAPACITY, anchor);
    anchors.clear();
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> BeatMap {
        let mut map = BeatMap::new();
        map.reset(48_000.0);
        map
    }

    #[test]
    fn positions_follow_the_tempo() {
        let mut map = map();
        assert_eq!(map.stretch(0, 10, 10), None);
        map.add(1_000, 4.0, 24_000.0, false);
        // Blocks that continue add nothing.
        map.add(13_000, 4.5, 24_000.0, false);
        assert_eq!(map.anchors.len(), 1);
        map.add(25_000, 5.0, 12_000.0, false);
        let stretch = map.stretch(13_000, 31_000, 37_000).unwrap();
        assert_eq!((stretch.start_beat, stretch.length), (4.5, 1.0));
        assert_eq!((stretch.age, stretch.this_pass), (1.5, true));
    }

    #[test]
    fn note_ends_with_its_pass() {
        let mut map = map();
        map.add(0, 0.0, 1_000.0, false);
        map.add(4_000, 0.0, 1_000.0, true);
        map.add(5_000, 1.0, 1_000.0, false);
        let stretch = map.stretch(3_500, 4_500, 5_500).unwrap();
        assert_eq!((stretch.start_beat, stretch.length), (3.5, 0.5));
        assert_eq!((stretch.age, stretch.this_pass), (2.0, false));
        let stretch = map.stretch(4_500, 5_000, 5_500).unwrap();
        assert_eq!((stretch.start_beat, stretch.this_pass), (0.5, true));
    }

    #[test]
    fn a_changing_tempo_fills_the_map_slowly_and_the_oldest_goes() {
        let mut map = map();
        let (mut clock, mut beat) = (0, 0.0);
        for block in 0..100_000 {
            let samples_per_beat = 20_000.0 + f64::from(block % 100);
            map.add(clock, beat, samples_per_beat, false);
            clock += 32;
            beat += 32.0 / samples_per_beat;
        }
        assert_eq!(map.anchors.len(), CAPACITY);
        assert_eq!(map.anchors.capacity(), CAPACITY);
        let stretch = map.stretch(clock - 48_000, clock, clock).unwrap();
        assert!((stretch.start_beat + stretch.length - beat).abs() < 1e-3);
    }
}
