//! The host's transport, made into stretches of samples with a known place in musical time.
//! Owned by the audio thread; allocates nothing.

mod bar_lines;
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
use self::loop_seam::JumpBack;
use self::missing_info::Gaps;
use self::motion::Motion;
use self::position_rounding::Grain;
use self::running::Running;

pub use self::bar_lines::HostMetre;
pub use self::host_transport::HostTransport;
pub use self::loop_seam::Seam;
pub use self::missing_info::OwnTime;
pub use self::motion::Contradiction;
pub use self::span::Span;

/// How far, in quarter notes, a block may start from where the last one ended and still follow
/// it: the host rounds both positions.
const TOLERANCE: f64 = 2.0 * position_rounding::COARSEST;

/// A place the playhead went away from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopPoint {
    /// Where it was.
    pub beat: f64,
    /// Notes from here on were not played.
    pub cutoff_beat: f64,
}

/// What happened to the playhead at the start of a block, and where the block's samples lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlockTimeline {
    /// It stopped at, or jumped away from, this place.
    pub left: Option<StopPoint>,
    /// It started at, or jumped to, this place.
    pub arrived: Option<f64>,
    /// The jump was the seam of a loop inside the block before, which the host did not split
    /// there: what was heard of that block after the seam belongs to the loop's start.
    pub seam: Option<Seam>,
    /// The bars, if the composer does not know them yet.
    pub metre: Option<HostMetre>,
    /// The block in musical time: nothing while it stands still, two spans where the loop
    /// comes round inside the block.
    pub spans: [Option<Span>; 2],
    /// From this sample on no generated note begins: a loop is likely to come round there, which
    /// only the next block tells.
    pub hold_from: Option<u32>,
}

impl BlockTimeline {
    /// The span of a sample.
    pub fn span_at(&self, sample: u32) -> Option<&Span> {
        self.spans
            .iter()
            .flatten()
            .rev()
            .find(|span| span.first <= sample)
    }

    /// The loop comes round with the first of the host's notes that lies at most `slack` quarter
    /// notes before: the host rounds the position of the seam, and not that of its notes.
    /// `note_ons` are their samples, in order.
    pub fn snap_seam(&mut self, slack: f64, mut note_ons: impl Iterator<Item = u32>) {
        let [Some(before), Some(after)] = &mut self.spans else {
            return;
        };
        let slack = (slack * after.samples_per_beat).ceil();
        let near = |&sample: &u32| {
            sample > before.first && f64::from(after.first) - f64::from(sample) <= slack
        };
        let Some(first) = note_ons.find(near).filter(|&first| first < after.first) else {
            return;
        };
        let moved = after.first - first;
        after.start_beat -= f64::from(moved) / after.samples_per_beat;
        (after.first, after.frames) = (first, after.frames + moved);
        before.frames -= moved;
    }
}

/// Follows the playhead from block to block. Owned by the audio thread.
#[derive(Debug)]
pub struct PlayheadTracker {
    sample_rate: f64,
    /// See [`Span::shift`].
    shift: i64,
    running: Option<Running>,
    gaps: Gaps,
    grain: Grain,
    motion: Motion,
    bars: BarLines,
    /// The bars the composer knows.
    told: Option<HostMetre>,
    /// The last loop whose seam the host neither reported nor split its block at: start and end.
    seen_loop: Option<(f64, f64)>,
    /// The last jump back: a loop, where the next one is as long.
    back: Option<JumpBack>,
}

impl PlayheadTracker {
    /// Knows nothing yet.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            sample_rate,
            shift: 0,
            running: None,
            gaps: Gaps::default(),
            grain: Grain::default(),
            motion: Motion::default(),
            bars: BarLines::default(),
            told: None,
            seen_loop: None,
            back: None,
        }
    }

    /// The host's sample rate from the next block on; the playhead stands still until then.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.sample_rate = sample_rate;
        // The host may have been set up anew: its rounding and its bars are learned again.
        (self.grain, self.bars) = (Grain::default(), BarLines::default());
        self.motion = Motion::default();
    }

    /// From the next block on every generated note sounds so many samples later.
    pub fn shift(&mut self, samples: i64) {
        self.shift = samples;
    }

    /// The plugin's own time goes on from here, in quarter notes, if it is needed.
    pub fn resume_own_time_at(&mut self, beat: f64) {
        self.gaps.resume_at(beat);
    }

    /// Whether the host's bar lines contradict its positions, and are counted instead.
    pub fn distrusts_bars(&self) -> bool {
        self.bars.distrusted()
    }

    /// How the host's positions contradict its tempo, if they do.
    pub fn contradiction(&self) -> Option<Contradiction> {
        self.motion.contradiction()
    }

    /// How far, in quarter notes, the host's rounding may take a seam from where it is.
    pub fn slack(&self) -> f64 {
        self.grain.step()
    }

    /// Puts in what the host leaves out of a block of `frames` samples, or what is not to be
    /// taken from it.
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

    /// The transport is to be taken as standing still: where it was, if it ran.
    pub fn halt(&mut self) -> Option<StopPoint> {
        self.halt_at(None)
    }

    /// The same, with the position at which the host stands, which may lie inside the last span.
    fn halt_at(&mut self, beat: Option<f64>) -> Option<StopPoint> {
        self.told = None;
        self.grain.restart();
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
    /// Without a position or a usable tempo there is no musical time: the same as standing
    /// still. A block without samples moves nothing; its events belong where the next one begins.
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
            self.grain.observe(beat);
        }
        let later = match counted {
            true => None,
            false => self.before_the_turn(beat, tempo),
        };
        let reading = &HostTransport {
            // A bar line before the turn says nothing about what comes after it.
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
        self.tell_bars(&mut block_timeline, reading, beat);

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
            turned: reading.cycle.filter(|_| turn.is_some()),
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
            let seam =
                loop_seam::reported(&whole, self.seen_loop.filter(|_| reading.cycle.is_none()));
            block_timeline.hold_from = seam.map(|(sample, _)| sample);
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
    /// the host.
    fn before_the_turn(&self, beat: f64, tempo: f64) -> Option<f64> {
        let running = self.running?;
        let (start, end) = running.turned?;
        let after = beat - (end - start);
        let follows = |beat| running.is_followed_by(beat, tempo, self.sample_rate);
        (!follows(beat) && follows(after)).then_some(after)
    }

    /// Whether the block at `beat` follows the one before, and what happened if it does not.
    /// Gives the anchor that its samples are counted from.
    fn follow(
        &mut self,
        block_timeline: &mut BlockTimeline,
        reading: &HostTransport,
        beat: f64,
        tempo: f64,
    ) -> (f64, u64) {
        let Some(running) = self.running else {
            block_timeline.arrived = Some(beat);
            (self.told, self.seen_loop, self.back) = (None, None, None);
            return (beat, 0);
        };
        if !running.is_followed_by(beat, tempo, self.sample_rate) {
            let last = running.last;
            let loops = [reading.cycle, self.seen_loop].into_iter().flatten();
            let metre = self.told.as_ref();
            let slack = self.slack().max(2.0 / last.samples_per_beat);
            let before = self.back.take();
            self.back = JumpBack::of(&last, beat);
            let again = self.back.as_mut().and_then(|b| b.again(before, slack));
            block_timeline.seam = loop_seam::inferred(&last, beat, metre, loops, slack).or(again);
            if let (Some(seam), None) = (block_timeline.seam, reading.cycle) {
                self.seen_loop = Some((seam.start, seam.end));
            }
            let stood = block_timeline.seam.map(|seam| seam.end);
            block_timeline.left = self.halt_at(stood);
            // Counted through the seam, unless the host says something else than by rounding.
            let counted = block_timeline
                .seam
                .map(|seam| seam.start + (last.end_beat() - seam.end));
            let counted = counted.filter(|at| (at - beat).abs() <= self.grain.known_step());
            let beat = counted.unwrap_or(beat);
            block_timeline.arrived = Some(beat);
            return (beat, 0);
        }

        if self
            .seen_loop
            .is_some_and(|(_, end)| running.last.start_beat < end && beat > end)
        {
            // The host has gone on where it went back before.
            self.seen_loop = None;
        }
        let counted = running.next_beat();
        let difference = beat - counted;
        let rounding = difference.abs() <= self.grain.step();
        if tempo == running.tempo {
            self.grain.compare(difference);
            if rounding {
                return running.anchor;
            }
        } else if difference.abs() <= self.grain.known_step() {
            return (counted, 0);
        }
        self.grain.restart();
        (beat, 0)
    }

    /// Reads the bars at `beat`; they are to be told if the composer counts others.
    fn tell_bars(
        &mut self,
        block_timeline: &mut BlockTimeline,
        reading: &HostTransport,
        beat: f64,
    ) {
        let turned = self.running.is_some_and(|running| running.turned.is_some());
        let rolls = block_timeline.arrived.is_none() && !turned;
        let metre = self.bars.read(reading, beat, rolls);
        if turned || !self.told.is_some_and(|known| known.agrees(&metre)) {
            block_timeline.metre = Some(metre);
        }
        self.told = Some(metre);
    }
}
