//! A DAW that plays one track to a plugin: transport, tempo, loop, seeking, recording.
//!
//! Everything runs on the thread that calls it.

use crate::clock::Clock;
use crate::host::{Block, MainThreadWork, NoteEvent, ParameterChange, Plugin, TransportDetail};
use anyhow::{Result, bail};

mod setup;
mod timeline;

pub use self::setup::{Blocks, Setup, TrackNote, track};

/// A note event sent by the plugin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    /// Samples since activation.
    pub sample: u64,
    /// The event; its offset counts from its block.
    pub event: NoteEvent,
}

/// Callback before each block, with the block's first sample: to pace or to measure.
pub type BeforeBlock<'a> = dyn FnMut(u64) + 'a;

/// A host with one plugin and one track.
pub struct Daw {
    plugin: Box<dyn Plugin>,
    setup: Setup,
    clock: Clock,
    sample: u64,
    playing: bool,
    loop_range: Option<(f64, f64)>,
    /// Note-ons and note-offs of the track, sorted by beat; note-offs first within a beat.
    track: Vec<(f64, NoteEvent)>,
    /// Keys that the track holds down.
    down: Vec<NoteEvent>,
    changes: Vec<ParameterChange>,
    detail: TransportDetail,
    sent: Vec<Sent>,
    /// Left and right channel since [`Self::record_audio`].
    recorded: Option<[Vec<f32>; 2]>,
    /// Sound at the side chain, and the sample on which it begins.
    sound: Option<(u64, Vec<f32>)>,
}

impl Daw {
    /// Activates the plugin. The transport is stopped at beat 0.
    ///
    /// # Errors
    ///
    /// Fails when the plugin refuses the sample rate, block length or mode.
    pub fn new(mut plugin: Box<dyn Plugin>, setup: Setup, notes: &[TrackNote]) -> Result<Self> {
        plugin.activate(setup.sample_rate, setup.blocks.longest(), setup.mode)?;
        let mut track = Vec::new();
        for note in notes {
            let event = |on, velocity| NoteEvent {
                offset: 0,
                on,
                channel: 0,
                key: note.key,
                velocity,
            };
            track.push((note.start, event(true, note.velocity)));
            track.push((note.end, event(false, 0.0)));
        }
        track.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.on.cmp(&b.1.on)));
        Ok(Self {
            clock: Clock::new(setup.sample_rate),
            plugin,
            setup,
            sample: 0,
            playing: false,
            loop_range: None,
            track,
            down: Vec::new(),
            changes: Vec::new(),
            detail: TransportDetail::Full,
            sent: Vec::new(),
            recorded: None,
            sound: None,
        })
    }

    /// Records the plugin's audio from now on. Until then, any sound is an error.
    pub fn record_audio(&mut self) {
        self.recorded.get_or_insert_default();
    }

    /// Left and right channel since [`Self::record_audio`].
    pub fn recorded_audio(&self) -> [&[f32]; 2] {
        match &self.recorded {
            Some([left, right]) => [left, right],
            None => [&[], &[]],
        }
    }

    /// Connects the side chain: `sound` begins now, and silence follows it. `None` passes no audio
    /// input.
    pub fn set_side_chain(&mut self, sound: Option<Vec<f32>>) {
        self.sound = sound.map(|sound| (self.sample, sound));
    }

    /// Sets parameters with the next block: pairs of the plugin's own id and a value as typed by a
    /// user.
    ///
    /// # Errors
    ///
    /// Fails when the plugin does not know an id or does not understand a value.
    pub fn set(&mut self, parameters: &[(&str, &str)]) -> Result<()> {
        for (id, text) in parameters {
            let change = self.plugin.parameter(id, text)?;
            self.changes.push(change);
        }
        Ok(())
    }

    /// The plugin itself.
    pub fn plugin(&mut self) -> &mut dyn Plugin {
        self.plugin.as_mut()
    }

    /// Song position by sample, up to now.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Number of samples processed so far.
    pub fn now(&self) -> u64 {
        self.sample
    }

    /// Note events that the plugin has sent so far.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Limits the reported transport from the next block on.
    pub fn set_transport_detail(&mut self, detail: TransportDetail) {
        self.detail = detail;
    }

    /// Reports a loop (start and end in quarter notes) to the plugin. The caller plays to its end and
    /// seeks, like a host that ends a block there, or calls [`Self::play_loop_passes`].
    pub fn set_loop(&mut self, loop_range: Option<(f64, f64)>) {
        self.loop_range = loop_range;
    }

    /// Plays past the loop's end `passes` times, like a host that ends no block there. Returns the
    /// samples on which the loop restarted.
    ///
    /// # Errors
    ///
    /// Fails when there is no loop, or a block fails.
    pub fn play_loop_passes(&mut self, passes: usize) -> Result<Vec<u64>> {
        let Some((start, end)) = self.loop_range else {
            bail!("there is no loop")
        };
        let mut restarts = Vec::new();
        while restarts.len() < passes {
            self.start_transport();
            let exact = self.clock.sample_at(end, self.sample);
            let restart = exact.round() as u64;
            let mut frames = self.setup.blocks.next();
            if let Some(change) = self.next_change().filter(|&change| change < restart) {
                frames = frames.min((change - self.sample).try_into().unwrap_or(u32::MAX));
            }
            if (self.sample..self.sample + u64::from(frames)).contains(&restart) {
                let segment = self.clock.segment(self.sample);
                let over = (restart as f64 - exact) * self.clock.beats_per_sample(segment);
                self.clock.begin(restart, start + over, segment.bpm);
                restarts.push(restart);
            }
            self.block(frames)?;
        }
        Ok(restarts)
    }

    /// Moves the song position. Held keys are released in the next block.
    pub fn seek(&mut self, beat: f64) {
        let bpm = if self.playing { self.bpm(beat) } else { 0.0 };
        self.clock.begin(self.sample, beat, bpm);
    }

    /// Plays until the sample nearest to `beat`, which lies ahead.
    ///
    /// # Errors
    ///
    /// Fails when a block fails: the plugin refuses it, or its output is invalid.
    pub fn play_to(&mut self, beat: f64) -> Result<()> {
        self.play_paced(beat, &mut |_| ())
    }

    /// As [`Self::play_to`], with a callback before each block.
    ///
    /// # Errors
    ///
    /// Fails when a block fails.
    pub fn play_paced(&mut self, beat: f64, pace: &mut BeforeBlock) -> Result<()> {
        loop {
            self.start_transport();
            let end = self.clock.sample_at(beat, self.sample).round() as u64;
            if end <= self.sample {
                return Ok(());
            }
            let room = self.next_change().map_or(end, |change| change.min(end)) - self.sample;
            let frames = self
                .setup
                .blocks
                .next()
                .min(room.try_into().unwrap_or(u32::MAX));
            pace(self.sample);
            self.block(frames)?;
        }
    }

    /// Starts the transport at the tempo of the current position.
    fn start_transport(&mut self) {
        self.playing = true;
        let here = self.clock.beat(self.sample);
        let bpm = self.bpm(here);
        if self.clock.segment(self.sample).bpm != bpm {
            self.clock.begin(self.sample, here, bpm);
        }
    }

    /// Processes `samples` samples with a stopped transport. Held keys are released in the first
    /// block.
    ///
    /// # Errors
    ///
    /// Fails when a block fails.
    pub fn run_stopped(&mut self, samples: u64) -> Result<()> {
        self.playing = false;
        self.clock
            .begin(self.sample, self.clock.beat(self.sample), 0.0);
        let end = self.sample + samples;
        while self.sample < end {
            let room = (end - self.sample).try_into().unwrap_or(u32::MAX);
            let frames = self.setup.blocks.next().min(room);
            self.block(frames)?;
        }
        Ok(())
    }

    /// Processes blocks with a stopped transport on an audio thread until `main_thread` returns on
    /// this one. Every block has the next of `changes`, in rotation. Drops the plugin's events and
    /// returns the number of blocks.
    ///
    /// # Errors
    ///
    /// Fails when a block or `main_thread` fails.
    pub fn run_stopped_in_background(
        &mut self,
        changes: &[ParameterChange],
        main_thread: MainThreadWork,
    ) -> Result<u64> {
        // Releases the held keys first.
        self.run_stopped(1)?;
        let frames = self.setup.blocks.longest();
        let block = |change| Block {
            frames,
            transport: self.transport(),
            notes: &[],
            parameters: std::slice::from_ref(change),
            sound: None,
        };
        let blocks: Vec<Block> = changes.iter().map(block).collect();
        let done = self.plugin.process_in_background(&blocks, main_thread)?;
        self.sample += done * u64::from(frames);
        Ok(done)
    }

    /// Deactivates the plugin and activates it again, as a host does to change its sample rate.
    ///
    /// # Errors
    ///
    /// Fails when the plugin refuses.
    pub fn restart(&mut self) -> Result<()> {
        self.plugin.deactivate()?;
        let longest = self.setup.blocks.longest();
        self.plugin
            .activate(self.setup.sample_rate, longest, self.setup.mode)
    }

    /// Deactivates and drops the plugin.
    ///
    /// # Errors
    ///
    /// Fails when the plugin refuses.
    pub fn finish(mut self) -> Result<()> {
        self.plugin.deactivate()
    }

    /// Processes one block and advances.
    fn block(&mut self, frames: u32) -> Result<()> {
        let notes = self.input(frames);
        let changes = std::mem::take(&mut self.changes);
        let transport = self.transport();
        let mut out = Vec::new();
        let sound = self.sound.as_ref().map(|(first, samples)| {
            let at = |sample: u64| sample.checked_sub(*first).map(|at| at as usize);
            let all = self.sample..self.sample + u64::from(frames);
            let sample = |sample| samples.get(at(sample)?).copied();
            all.map(|at| sample(at).unwrap_or(0.0)).collect::<Vec<_>>()
        });
        self.plugin.process(
            &Block {
                frames,
                transport,
                notes: &notes,
                parameters: &changes,
                sound: sound.as_deref(),
            },
            &mut out,
        )?;
        self.record(transport.beat)?;
        let mut last = 0;
        for event in out {
            if event.offset >= frames || event.offset < last {
                bail!(
                    "at beat {:.3}, in a block of {frames}: {event:?} after offset {last}",
                    transport.beat
                );
            }
            last = event.offset;
            self.sent.push(Sent {
                sample: self.sample + u64::from(event.offset),
                event,
            });
        }
        self.sample += u64::from(frames);
        Ok(())
    }

    /// Records the audio of the last block, or fails if it is not silent.
    fn record(&mut self, beat: f64) -> Result<()> {
        let audio = self.plugin.audio();
        if let Some(bad) = audio.iter().flatten().find(|sample| !sample.is_finite()) {
            bail!("at beat {beat:.3}: {bad} in the plugin's outputs");
        }
        match &mut self.recorded {
            Some(recorded) => {
                for (kept, channel) in recorded.iter_mut().zip(audio) {
                    kept.extend_from_slice(channel);
                }
            }
            None => {
                if let Some(sample) = audio.iter().flatten().find(|sample| **sample != 0.0) {
                    bail!("at beat {beat:.3}: the plugin must be silent and wrote {sample}");
                }
            }
        }
        Ok(())
    }
}
