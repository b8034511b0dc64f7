//! Converts the host's transport into spans of samples with known musical positions. Owned by
//! the audio thread; allocates nothing.

mod bar_lines;
mod block_timeline;
mod host_transport;
mod loop_seam;
mod missing_info;
mod motion;
mod position_rounding;
mod running;
mod span;
#[cfg(test)]
mod tests;

use self::bar_lines::BarLines;
use self::loop_seam::{Jump, JumpBack, KnownLoop};
use self::missing_info::Gaps;
use self::motion::Motion;
use self::position_rounding::PositionRounding;
use self::running::Running;

pub use self::bar_lines::HostBars;
pub use self::block_timeline::{BlockTimeline, StopPoint};
pub use self::host_transport::HostTransport;
pub use self::loop_seam::Seam;
pub use self::missing_info::OwnTime;
pub use self::motion::Contradiction;
pub use self::span::Span;

/// Largest distance, in quarter notes, between the end of a block and the start of the one that
/// follows it: the host rounds both positions.
const TOLERANCE: f64 = 2.0 * position_rounding::COARSEST;

/// Longest run of lost or repeated samples, in seconds, and longest distance from the end of a
/// loop to where a host turns back: a few blocks, or the period that a host cuts into blocks.
const SHORT_GAP: f64 = 0.1;

/// Follows the playhead from block to block. Owned by the audio thread.
#[derive(Debug)]
pub struct PlayheadTracker {
    sample_rate: f64,
    /// See [`Span::shift`].
    shift: i64,
    running: Option<Running>,
    gaps: Gaps,
    position_rounding: PositionRounding,
    motion: Motion,
    bars: BarLines,
    /// The bars last reported to the composer.
    sent_bars: Option<HostBars>,
    /// The last inferred loop.
    seen_loop: Option<KnownLoop>,
    /// The last jump back: a loop, where the next one is as long.
    back: Option<JumpBack>,
}

impl PlayheadTracker {
    /// A tracker before the first block, at `sample_rate` in hertz.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            sample_rate,
            shift: 0,
            running: None,
            gaps: Gaps::default(),
            position_rounding: PositionRounding::default(),
            motion: Motion::default(),
            bars: BarLines::default(),
            sent_bars: None,
            seen_loop: None,
            back: None,
        }
    }

    /// Sets the host's sample rate, in hertz, from the next block on. The playhead stands still until
    /// then.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.sample_rate = sample_rate;
        // The host may have other settings: its rounding and its bars are measured again.
        (self.position_rounding, self.bars) = (PositionRounding::default(), BarLines::default());
        self.motion = Motion::default();
    }

    /// Sets the delay of generated notes, in samples, from the next block on; negative for earlier.
    pub fn shift(&mut self, samples: i64) {
        self.shift = samples;
    }

    /// Sets the position, in quarter notes, from which own time continues.
    pub fn resume_own_time_at(&mut self, beat: f64) {
        self.gaps.resume_at(beat);
    }

    /// Whether the host's bar lines contradict its positions, and are counted instead.
    pub fn distrusts_bars(&self) -> bool {
        self.bars.distrusted()
    }

    /// Contradiction between the host's positions and its tempo, if there is one.
    pub fn contradiction(&self) -> Option<Contradiction> {
        self.motion.contradiction()
    }

    /// Largest distance, in quarter notes, by which the host's rounding moves a seam.
    pub fn slack(&self) -> f64 {
        self.position_rounding.step()
    }

    /// The transport of a block of `frames` samples, in which missing and contradictory values are
    /// replaced.
    pub fn complete(
        &mut self,
        reading: &HostTransport,
        frames: u32,
        own: OwnTime,
    ) -> HostTransport {
        let mut reading = reading.usable();
        if !own.always {
            reading = self.motion.correct(&reading, frames, self.sample_rate);
        }
        let running = self.running.as_ref();
        self.gaps
            .fill(&reading, frames, self.sample_rate, own, running)
    }

    /// Stops the transport. Returns the stop point if it ran.
    pub fn halt(&mut self) -> Option<StopPoint> {
        self.halt_at(None)
    }

    /// Stops the transport at the reported position, which may lie inside the last span.
    fn halt_at(&mut self, beat: Option<f64>) -> Option<StopPoint> {
        self.sent_bars = None;
        self.position_rounding.restart();
        let span = self.running.take()?.last;
        let within = |beat: &f64| *beat > span.start_beat && *beat < span.end_beat();
        let beat = beat.filter(within).unwrap_or(span.end_beat());
        Some(StopPoint {
            beat,
            cutoff_beat: span.limit_at(beat),
        })
    }

    /// The next block of `frames` samples.
    ///
    /// A block without a position or a usable tempo counts as a stop. A block without samples moves
    /// nothing; its events lie at the start of the next one.
    pub fn next(&mut self, reading: &HostTransport, frames: u32) -> BlockTimeline {
        if frames == 0 {
            return self.empty_block();
        }
        let reading = &reading.usable();
        let (true, Some(beat), Some(tempo)) = (reading.playing, reading.beat, reading.tempo) else {
            return BlockTimeline {
                left: self.halt_at(reading.beat),
                ..BlockTimeline::default()
            };
        };

        let mut block_timeline = BlockTimeline::default();
        let counted = reading.counted && self.running.is_some();
        if !reading.counted {
            self.position_rounding.observe(beat);
        }
        let later = match counted {
            true => None,
            false => self.before_the_turn(beat, tempo),
        };
        let reading = &HostTransport {
            // A bar line before the turn is none of the bars after it.
            bar_start: reading.bar_start.filter(|_| later.is_none()),
            ..*reading
        };
        let mut beat = later.unwrap_or(beat);
        let mut word = self.running.filter(|_| counted);
        let anchor = match &word {
            Some(running) => {
                let turn = running.turn_before(reading.cycle);
                if let Some(seam) = turn {
                    beat = seam.start + (running.next_beat() - seam.end);
                    block_timeline.left = self.halt_at(Some(seam.end));
                    (block_timeline.arrived, block_timeline.seam) = (Some(beat), turn);
                    word = None;
                    (beat, 0)
                } else if running.tempo == tempo {
                    running.anchor
                } else {
                    (running.next_beat(), 0)
                }
            }
            None => self.follow(&mut block_timeline, reading, beat, tempo),
        };
        self.send_bars(&mut block_timeline, reading, beat);

        let samples_per_beat = self.sample_rate * 60.0 / tempo;
        let whole = Span {
            first: 0,
            frames,
            start_beat: anchor.0 + anchor.1 as f64 / samples_per_beat,
            samples_per_beat,
            shift: self.shift,
        };
        let turn = loop_seam::reported(&whole, reading.cycle);
        let mut running = Running {
            last: whole,
            tempo,
            reported: word.map_or((beat, tempo), |running| running.reported),
            since: word.map_or(0, |running| running.since) + u64::from(frames),
            anchor: (anchor.0, anchor.1 + u64::from(frames)),
            // The host reports positions before its own turn until it comes there.
            turned: match later {
                Some(_) => self.running.and_then(|running| running.turned),
                None => reading.cycle.filter(|_| turn.is_some()),
            },
        };
        if let Some((sample, start_beat)) = turn {
            let first = Span {
                frames: sample,
                ..whole
            };
            let again = Span {
                first: sample,
                frames: frames - sample,
                start_beat,
                ..whole
            };
            block_timeline.spans = [Some(first), Some(again)];
            (running.last, running.reported) = (again, (start_beat, tempo));
            running.since = u64::from(again.frames);
            running.anchor = (start_beat, running.since);
        } else {
            block_timeline.spans = [Some(whole), None];
            block_timeline.hold_from = self
                .seen_loop
                .filter(|known| reading.cycle.is_none_or(|cycle| cycle == known.ends))
                .and_then(|known| known.hold_from(&whole));
        }
        self.running = Some(running);
        block_timeline
    }

    /// A block without samples: an empty span where the playhead is.
    fn empty_block(&self) -> BlockTimeline {
        let span = self.running.map(|running| Span {
            first: 0,
            frames: 0,
            start_beat: running.next_beat(),
            ..running.last
        });
        BlockTimeline {
            spans: [span, None],
            ..BlockTimeline::default()
        }
    }

    /// The position after the turn of a loop that came round inside the last block, if the host
    /// reports one before it: by its rounding, the loop came round here a little before it does in
    /// the host. A host that is further behind the loop's end than it turns back late, or than the
    /// loop is long, does not turn back.
    fn before_the_turn(&self, beat: f64, tempo: f64) -> Option<f64> {
        let running = self.running?;
        let (start, end) = running.turned?;
        let latest = (SHORT_GAP / 60.0 * tempo).min(end - start);
        if beat - end > latest {
            return None;
        }
        let after = beat - (end - start);
        let follows = |beat| running.is_followed_by(beat, tempo, self.sample_rate);
        (!follows(beat) && follows(after)).then_some(after)
    }

    /// Compares the block at `beat` with the one before, and records a start or a jump. Returns the
    /// anchor from which its samples are counted.
    fn follow(
        &mut self,
        block_timeline: &mut BlockTimeline,
        reading: &HostTransport,
        beat: f64,
        tempo: f64,
    ) -> (f64, u64) {
        let Some(running) = self.running else {
            block_timeline.arrived = Some(beat);
            (self.sent_bars, self.seen_loop, self.back) = (None, None, None);
            return (beat, 0);
        };
        let follows = running.is_followed_by(beat, tempo, self.sample_rate);
        if !follows && !running.is_resumed_at(beat, tempo, self.sample_rate) {
            return (
                self.jump(block_timeline, &running.last, reading.cycle, beat),
                0,
            );
        }
        if self
            .seen_loop
            .is_some_and(|known| known.is_left_behind(&running.last, beat))
        {
            self.seen_loop = None;
        }
        if !follows {
            self.position_rounding.restart();
            return (beat, 0);
        }
        let counted = running.next_beat();
        let difference = beat - counted;
        let rounding = difference.abs() <= self.position_rounding.step();
        if tempo == running.tempo {
            self.position_rounding.compare(difference);
            if rounding {
                return running.anchor;
            }
        } else if difference.abs() <= self.position_rounding.known_step() {
            return (counted, 0);
        }
        self.position_rounding.restart();
        (beat, 0)
    }

    /// Records a jump from the end of `last` to `beat`. Returns `beat` as counted through
    /// the seam, if this is the turn of a loop.
    fn jump(
        &mut self,
        block_timeline: &mut BlockTimeline,
        last: &Span,
        cycle: Option<(f64, f64)>,
        beat: f64,
    ) -> f64 {
        let jump = Jump {
            last,
            beat,
            bars: self.sent_bars.as_ref(),
            slack: self.slack().max(2.0 / last.samples_per_beat),
            reach: SHORT_GAP * self.sample_rate / last.samples_per_beat,
        };
        let seen = self.seen_loop.map(|known| known.ends);
        let seam = jump.seam(cycle, seen, &mut self.back);
        self.seen_loop = seam
            .map(|seam| KnownLoop::of(seam, &jump))
            .or(self.seen_loop);
        let mut left = self.halt();
        let mut arrived = beat;
        if let Some(seam) = seam {
            left = Some(StopPoint {
                beat: seam.end,
                cutoff_beat: last.limit_at(seam.end),
            });
            // Differences beyond rounding are the host's own.
            let counted = seam.start + (last.end_beat() - seam.end);
            if (counted - beat).abs() <= self.position_rounding.known_step() {
                arrived = counted;
            }
        }
        block_timeline.left = left;
        block_timeline.arrived = Some(arrived);
        block_timeline.seam = seam;
        arrived
    }

    /// Reads the bars at `beat`, and reports them if the composer counts others.
    fn send_bars(
        &mut self,
        block_timeline: &mut BlockTimeline,
        reading: &HostTransport,
        beat: f64,
    ) {
        let turned = self.running.is_some_and(|running| running.turned.is_some());
        let rolls = block_timeline.arrived.is_none() && !turned;
        let bars = self.bars.read(reading, beat, rolls);
        if turned || !self.sent_bars.is_some_and(|known| known.agrees(&bars)) {
            block_timeline.bars = Some(bars);
        }
        self.sent_bars = Some(bars);
    }
}
