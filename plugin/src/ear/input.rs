//! The audio thread's half of the ear: it passes sound on and takes reports. It allocates nothing, and
//! waits only while the host renders offline.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use continuo_ear::Settings;

use super::beat_map::BeatMap;
use super::echo::Echo;
use super::{ALLOWANCE, AudioEnd, EarReport, SAMPLE_CAPACITY, StreamChange, StreamMark};
use crate::shared::{COMPOSER_TIMEOUT, OfflineBarrier, Shared};
use continuo_accompaniment::counters::increment;
use continuo_accompaniment::messages::{ComposerInput, EarNote};
use continuo_accompaniment::transport::BlockTimeline;

/// The sound of a block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sound<'a> {
    /// Its samples, mixed to one channel; none without an audio input.
    pub samples: &'a [f32],
    /// Whether a microphone heard them, and so the plugin itself.
    pub is_microphone: bool,
}

/// Listens to the audio input of one instance. Owned by the audio thread.
pub struct EarInput {
    end: AudioEnd,
    shared: Arc<Shared>,
    rate: f64,
    /// Number of samples of the running transport so far, heard or not.
    clock: u64,
    /// The clock at the first running sample of this block, and that sample.
    block_start: (u64, u32),
    /// Whether the transport runs in this block.
    runs: bool,
    /// The clock at the beginning of the stream that is open, and its settings.
    stream: Option<(u64, Settings)>,
    /// The clock after the last sample or mark that was passed on.
    passed_on: u64,
    /// Sound before this clock is forgotten.
    forgotten: u64,
    /// Samples were lost: the stream must begin anew.
    broken: bool,
    /// The worker did not answer in time offline.
    unresponsive: bool,
    is_microphone: bool,
    map: BeatMap,
    echo: Echo,
}

impl EarInput {
    /// Allocates all that it needs. Main thread.
    pub fn new(end: AudioEnd, shared: Arc<Shared>) -> Self {
        Self {
            end,
            shared,
            rate: 48_000.0,
            clock: 0,
            block_start: (0, 0),
            runs: false,
            stream: None,
            passed_on: 0,
            forgotten: 0,
            broken: false,
            unresponsive: false,
            is_microphone: false,
            map: BeatMap::new(),
            echo: Echo::new(),
        }
    }

    /// Sets the sample rate in hertz, and forgets what was heard. Main thread.
    pub fn set_sample_rate(&mut self, rate: f64) {
        self.end_stream();
        self.forget();
        self.rate = rate;
        self.map.reset(rate);
        self.echo.reset(rate);
    }

    /// Forgets what was heard and is not reported yet.
    pub fn forget(&mut self) {
        self.forgotten = self.clock;
    }

    /// Whether a stream is open, or reports may still come.
    pub fn is_used(&self) -> bool {
        self.stream.is_some() || !self.shared.ear.barrier.has_finished(self.passed_on)
    }

    /// Hears a block. `settings` is `None` where sound does not count.
    pub fn hear(&mut self, timeline: &BlockTimeline, sound: Sound, settings: Option<Settings>) {
        let spans = || timeline.spans.iter().flatten();
        let last = spans().last().map(|span| span.end() as usize);
        self.runs = last.is_some();
        self.block_start = (self.clock, spans().next().map_or(0, |span| span.first));
        self.is_microphone = sound.is_microphone;
        let jumps = timeline.arrived.is_some() && timeline.seam.is_none();
        if !self.runs || jumps || self.broken || !self.goes_on(settings) {
            self.end_stream();
        }
        let Some(last) = last else {
            return;
        };
        let first = self.block_start.1 as usize;
        for (index, span) in spans().enumerate() {
            let clock = self.clock + (span.first as usize - first) as u64;
            let moved = index > 0 || timeline.arrived.is_some();
            self.map
                .add(clock, span.start_beat, span.samples_per_beat, moved);
        }
        match (settings, sound.samples.get(first..last)) {
            (Some(settings), Some(running)) => self.pass_on(running, settings),
            _ => self.end_stream(),
        }
        self.clock += (last - first) as u64;
    }

    /// Whether the open stream may go on with these settings. Other settings begin another stream, but
    /// at most once a second, because its end costs the worker a run of the model.
    fn goes_on(&self, settings: Option<Settings>) -> bool {
        self.stream.is_none_or(|(begin, before)| {
            let is_young = self.clock < begin + self.rate as u64;
            settings.is_some_and(|now| now == before || is_young)
        })
    }

    /// Passes samples on from the clock on.
    fn pass_on(&mut self, samples: &[f32], settings: Settings) {
        self.shared.ear.wanted.store(true, Ordering::Relaxed);
        if !self.has_room(samples.len()) {
            increment(&self.shared.counters.overflow);
            self.broken = self.stream.is_some();
            return;
        }
        if self.stream.is_none() {
            let begin = StreamChange::Begin {
                rate: self.rate as u32,
                settings,
            };
            if !self.mark(begin) {
                return;
            }
            self.stream = Some((self.clock, settings));
        }
        if let Ok(chunk) = self.end.samples.write_chunk_uninit(samples.len()) {
            chunk.fill_from_iter(samples.iter().copied());
            self.passed_on = self.clock + samples.len() as u64;
        }
    }

    /// Whether the rings have room for a block. Offline it waits for that. Streams that lost samples
    /// begin anew with half an empty ring.
    fn has_room(&mut self, frames: usize) -> bool {
        let needed = match self.broken || self.stream.is_none() {
            true => frames.max(SAMPLE_CAPACITY / 2),
            false => frames,
        };
        if needed > SAMPLE_CAPACITY {
            return false;
        }
        if self.is_offline() && self.end.samples.slots() < needed {
            self.wait_for(self.passed_on);
        }
        self.end.samples.slots() >= needed && self.end.marks.slots() >= 4
    }

    fn end_stream(&mut self) {
        if self.stream.is_some() && self.mark(StreamChange::End) {
            (self.stream, self.broken) = (None, false);
        }
    }

    fn mark(&mut self, change: StreamChange) -> bool {
        let clock = match change {
            StreamChange::Begin { .. } => self.clock,
            StreamChange::End => self.passed_on,
        };
        let sent = self.end.marks.push(StreamMark { clock, change }).is_ok();
        if sent {
            self.passed_on = clock;
        }
        sent
    }

    fn is_offline(&self) -> bool {
        self.shared.offline.load(Ordering::Relaxed)
    }

    /// Samples from a decision until it becomes known.
    fn allowance(&self) -> u64 {
        (self.rate * ALLOWANCE) as u64
    }

    /// Waits until the worker has read all that must be known in this block. Offline only; wake the
    /// composer thread before, which starts the worker.
    pub fn wait(&mut self) {
        let needed = match self.runs {
            true => self.clock.saturating_sub(self.allowance()),
            false => u64::MAX,
        };
        self.wait_for(needed.min(self.passed_on));
    }

    fn wait_for(&mut self, clock: u64) {
        let barrier: &OfflineBarrier = &self.shared.ear.barrier;
        if barrier.has_finished(clock) {
            self.unresponsive = false;
            return;
        }
        let patience = match self.unresponsive {
            true => Duration::ZERO,
            false => COMPOSER_TIMEOUT,
        };
        self.unresponsive = !barrier.wait_until(|| barrier.has_finished(clock), patience, || {});
        if self.unresponsive {
            increment(&self.shared.counters.offline_timeouts);
        }
    }

    /// Takes the next report that becomes known in this block, with its sample in the block. Notes of
    /// the plugin itself are left out, and those that are forgotten.
    pub fn next_report(&mut self) -> Option<(u32, EarReport)> {
        loop {
            let report = *self.end.reports.peek().ok()?;
            let known = report.decided() + self.allowance();
            let (start, first) = self.block_start;
            let sample = match self.runs {
                true if known >= self.clock => return None,
                true => first + known.saturating_sub(start) as u32,
                false => 0,
            };
            let _ = self.end.reports.pop();
            let is_left_out = match report {
                EarReport::Note { onset, pitch, .. } => {
                    onset < self.forgotten || self.is_microphone && self.echo.is_own(onset, pitch)
                }
                EarReport::Read { to, .. } => to < self.forgotten,
            };
            if !is_left_out {
                return Some((sample, report));
            }
        }
    }

    /// The message for a report that becomes known at `beat`, on this sample of the block.
    pub fn message(&self, report: EarReport, sample: u32, beat: f64) -> Option<ComposerInput> {
        let now = self.clock_at(sample);
        match report {
            EarReport::Note {
                onset,
                end,
                pitch,
                velocity,
                confidence,
                ..
            } => {
                let stretch = self.map.stretch(onset, end, now)?;
                let note = EarNote {
                    start_beat: stretch.start_beat,
                    length: stretch.length,
                    age: stretch.age,
                    this_pass: stretch.this_pass,
                    pitch,
                    velocity,
                    confidence,
                };
                Some(ComposerInput::EarNote { beat, note })
            }
            EarReport::Read { to, sounding, .. } => {
                let is_own = self.is_microphone && self.echo.sounds(to);
                Some(ComposerInput::EarRead {
                    beat,
                    age: self.map.age(to, now)?,
                    sounding: sounding && !is_own && self.map.is_in_this_pass(to),
                })
            }
        }
    }

    /// The plugin plays a note of `length` samples on this sample of the block.
    pub fn plays(&mut self, sample: u32, length: u64, pitch: u8) {
        if self.is_microphone {
            self.echo.play(self.clock_at(sample), length, pitch);
        }
    }

    fn clock_at(&self, sample: u32) -> u64 {
        let (start, first) = self.block_start;
        start + u64::from(sample.saturating_sub(first))
    }
}

/// Mixes channels to one. Owned by the audio thread.
#[derive(Debug, Default)]
pub struct MonoMix(Vec<f32>);

impl MonoMix {
    /// Allocates for blocks of `frames` samples. Main thread.
    pub fn new(frames: usize) -> Self {
        Self(vec![0.0; frames])
    }

    /// The mean of the channels; empty without channels, or for a block that is too long.
    pub fn mix(&mut self, channels: &[&mut [f32]]) -> &[f32] {
        self.0.clear();
        let Some(frames) = channels.iter().map(|channel| channel.len()).min() else {
            return &self.0;
        };
        if frames <= self.0.capacity() {
            let scale = 1.0 / channels.len() as f32;
            let sum = |at: usize| channels.iter().map(|channel| channel[at]).sum::<f32>();
            self.0.extend((0..frames).map(|at| sum(at) * scale));
        }
        &self.0
    }
}
