//! A DAW's transport and one track, played to a plugin.

use anyhow::{Result, bail};
use continuo_score::TimeSignatureMap;

use crate::clock::Clock;
use crate::host::{Block, Meanwhile, Mode, NoteEvent, ParameterChange, Plugin, Tells, Transport};

/// A note on the track, in song position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackNote {
    /// Where it begins, in quarter notes.
    pub start: f64,
    /// Where it ends, in quarter notes.
    pub end: f64,
    /// MIDI key.
    pub key: u8,
    /// Velocity, 0 to 1.
    pub velocity: f32,
}

/// The notes of a score, as a track from beat 0.
pub fn track(score: &continuo_score::Score) -> Vec<TrackNote> {
    let beats = |step: u32| f64::from(step) / f64::from(score.steps_per_beat);
    let note = |note: &continuo_score::Note| TrackNote {
        start: beats(note.start),
        end: beats(note.end()),
        key: note.pitch,
        velocity: f32::from(note.velocity) / 127.0,
    };
    score.notes.iter().map(note).collect()
}

/// How long blocks are, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// All of one length, but where the transport changes.
    Fixed(u32),
    /// Of any length from 1 to `longest`, in an order that `seed` fixes.
    Random {
        /// Which order.
        seed: u32,
        /// The longest block.
        longest: u32,
    },
}

impl Blocks {
    fn longest(self) -> u32 {
        match self {
            Blocks::Fixed(frames) => frames,
            Blocks::Random { longest, .. } => longest,
        }
    }

    /// The next length.
    fn next(&mut self) -> u32 {
        match self {
            Blocks::Fixed(frames) => *frames,
            Blocks::Random { seed, longest } => {
                // A linear congruence; its high bits are good enough to vary lengths.
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                1 + (*seed >> 8) % *longest
            }
        }
    }
}

/// How the host is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Samples a second.
    pub sample_rate: f64,
    /// Lengths of blocks.
    pub blocks: Blocks,
    /// Tempo: song position in quarter notes, and quarter notes a minute from there on.
    pub tempos: Vec<(f64, f64)>,
    /// Time signatures; bars are counted from beat 0.
    pub time_signatures: TimeSignatureMap,
    /// Whether the plugin may take its time.
    pub mode: Mode,
}

/// A note event that came out of the plugin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    /// Samples since the host began to process.
    pub sample: u64,
    /// The event; its offset is within its block.
    pub event: NoteEvent,
}

/// Called before each block with the sample it begins at: to wait for it, or to measure.
pub type Pace<'a> = dyn FnMut(u64) + 'a;

/// A host playing to one plugin.
pub struct Player {
    plugin: Box<dyn Plugin>,
    setup: Setup,
    clock: Clock,
    sample: u64,
    playing: bool,
    cycle: Option<(f64, f64)>,
    /// Note-ons and note-offs of the track, by beat; at one beat, offs first.
    track: Vec<(f64, NoteEvent)>,
    /// Keys the host has down.
    down: Vec<NoteEvent>,
    changes: Vec<ParameterChange>,
    tells: Tells,
    sent: Vec<Sent>,
    /// What sounded left and right, while that is asked for.
    sound: Option<[Vec<f32>; 2]>,
}

impl Player {
    /// Activates the plugin and stands at beat 0.
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
            cycle: None,
            track,
            down: Vec::new(),
            changes: Vec::new(),
            tells: Tells::Everything,
            sent: Vec::new(),
            sound: None,
        })
    }

    /// From now on the plugin may sound, and what it sounds is kept. Before that it must be
    /// silent.
    pub fn listen(&mut self) {
        self.sound.get_or_insert_default();
    }

    /// What sounded left and right since [`Self::listen`].
    pub fn sound(&self) -> [&[f32]; 2] {
        match &self.sound {
            Some([left, right]) => [left, right],
            None => [&[], &[]],
        }
    }

    /// Sets parameters, each by the plugin's own id and as a user would type the value. They
    /// reach the plugin with the next block.
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

    /// The clock as it went so far.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Samples processed so far.
    pub fn now(&self) -> u64 {
        self.sample
    }

    /// What came out so far.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// From now on the host tells only so much of its transport.
    pub fn tell(&mut self, tells: Tells) {
        self.tells = tells;
    }

    /// Tells the plugin of a loop, in quarter notes. A test plays to its end and jumps, as a
    /// host does that ends a block there, or leaves that to [`Self::play_rounds`].
    pub fn set_cycle(&mut self, cycle: Option<(f64, f64)>) {
        self.cycle = cycle;
    }

    /// Plays through the end of the loop so many times, as a host does that ends no block
    /// there. Gives the samples on which the loop came round.
    pub fn play_rounds(&mut self, rounds: usize) -> Result<Vec<u64>> {
        let Some((start, end)) = self.cycle else {
            bail!("there is no loop")
        };
        let mut turns = Vec::new();
        while turns.len() < rounds {
            self.enter();
            let exact = self.clock.exact(end, self.sample);
            let turn = exact.round() as u64;
            let mut frames = self.setup.blocks.next();
            if let Some(change) = self.next_change().filter(|&change| change < turn) {
                frames = frames.min((change - self.sample).try_into().unwrap_or(u32::MAX));
            }
            if (self.sample..self.sample + u64::from(frames)).contains(&turn) {
                let section = self.clock.section(self.sample);
                let over = (turn as f64 - exact) * self.clock.beats_per_sample(section);
                self.clock.begin(turn, start + over, section.bpm);
                turns.push(turn);
            }
            self.block(frames)?;
        }
        Ok(turns)
    }

    /// Moves the song position. What the host has down is let go in the next block.
    pub fn jump(&mut self, beat: f64) {
        let bpm = if self.playing { self.bpm(beat) } else { 0.0 };
        self.clock.begin(self.sample, beat, bpm);
    }

    /// Plays until the sample nearest to `beat`, which lies ahead.
    pub fn play_to(&mut self, beat: f64) -> Result<()> {
        self.play_paced(beat, &mut |_| ())
    }

    /// The same at a pace: as fast as `pace` returns.
    pub fn play_paced(&mut self, beat: f64, pace: &mut Pace) -> Result<()> {
        loop {
            self.enter();
            let end = self.clock.exact(beat, self.sample).round() as u64;
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

    /// Rolls, at the tempo in force here.
    fn enter(&mut self) {
        self.playing = true;
        let here = self.clock.beat(self.sample);
        let bpm = self.bpm(here);
        if self.clock.section(self.sample).bpm != bpm {
            self.clock.begin(self.sample, here, bpm);
        }
    }

    /// The sample nearest to the next change of tempo or metre: a block ends there.
    fn next_change(&self) -> Option<u64> {
        let time_signatures = &self.setup.time_signatures;
        let beats = |step: u32| f64::from(step) / f64::from(time_signatures.steps_per_beat());
        let tempos = self.setup.tempos.iter().map(|&(beat, _)| beat);
        let changes = tempos.chain(time_signatures.changes().map(|(step, _)| beats(step)));
        let at = changes.map(|beat| self.clock.exact(beat, self.sample).round() as u64);
        at.filter(|&at| at > self.sample).min()
    }

    /// Stands still for some samples. What the host has down is let go in the first block.
    pub fn stand(&mut self, samples: u64) -> Result<()> {
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

    /// Stands still on a thread of its own, as a host's audio thread does, for as long as
    /// `meanwhile` takes on this one. Every block brings the next of `changes`, over and over;
    /// what the plugin sends is dropped. Gives how many blocks that were.
    pub fn stand_beside(
        &mut self,
        changes: &[ParameterChange],
        meanwhile: Meanwhile,
    ) -> Result<u64> {
        // What was down is let go first.
        self.stand(1)?;
        let frames = self.setup.blocks.longest();
        let block = |change| Block {
            frames,
            transport: self.transport(),
            notes: &[],
            parameters: std::slice::from_ref(change),
        };
        let blocks: Vec<Block> = changes.iter().map(block).collect();
        let done = self.plugin.process_beside(&blocks, meanwhile)?;
        self.sample += done * u64::from(frames);
        Ok(done)
    }

    /// Deactivates the plugin and activates it anew, as a host does to change its sample rate.
    pub fn restart(&mut self) -> Result<()> {
        self.plugin.deactivate()?;
        let longest = self.setup.blocks.longest();
        self.plugin
            .activate(self.setup.sample_rate, longest, self.setup.mode)
    }

    /// Deactivates and drops the plugin.
    pub fn finish(mut self) -> Result<()> {
        self.plugin.deactivate()
    }

    /// The tempo at a song position, to within half a sample.
    fn bpm(&self, beat: f64) -> f64 {
        let mut bpm = self.setup.tempos.first().map_or(120.0, |first| first.1);
        for &(from, next) in &self.setup.tempos {
            let half_sample = 0.5 * bpm / 60.0 / self.setup.sample_rate;
            if from <= beat + half_sample {
                bpm = next;
            }
        }
        bpm
    }

    fn transport(&self) -> Transport {
        let beat = self.clock.beat(self.sample);
        let time_signatures = &self.setup.time_signatures;
        let steps_per_beat = f64::from(time_signatures.steps_per_beat());
        // A bar line that lies less than a sample ahead is not reached yet. Before beat 0 there
        // are bars of the first metre.
        let bar_steps = i64::from(time_signatures.position(0).bar_steps.max(1));
        let at = (beat * steps_per_beat).floor() as i64;
        let bars_before = (-at.min(0) + bar_steps - 1) / bar_steps;
        let step = (at + bars_before * bar_steps) as u32;
        let place = time_signatures.position(step);
        let metre = time_signatures.time_signature(step);
        let line = at - i64::from(place.step_in_bar);
        Transport {
            playing: self.playing,
            beat,
            bpm: self.bpm(beat),
            metre: (metre.numerator, metre.denominator),
            bar_start: line as f64 / steps_per_beat,
            bar: place.bar as i32 - bars_before as i32,
            cycle: self.cycle,
            tells: self.tells,
        }
    }

    /// What the host sends in a block.
    fn input(&mut self, frames: u32) -> Vec<NoteEvent> {
        let end = self.sample + u64::from(frames);
        let mut notes = Vec::new();
        // A loop that comes round inside the block makes two pieces of it.
        let turn = self.clock.section(end - 1).sample;
        if turn > self.sample {
            self.input_piece(self.sample, turn, &mut notes);
            self.input_piece(turn, end, &mut notes);
        } else {
            self.input_piece(self.sample, end, &mut notes);
        }
        notes
    }

    /// What the host sends in a piece of a block over which the song position moves evenly.
    fn input_piece(&mut self, first: u64, end: u64, notes: &mut Vec<NoteEvent>) {
        let section = self.clock.section(first);
        let start = (first - self.sample) as u32;
        if section.sample == first {
            // A stop or a jump; a mere change of tempo lifts no key.
            let beat_before = self.clock.beat(first.saturating_sub(1));
            let moved = (section.beat - beat_before).abs() > 1e-3;
            if !self.playing || moved {
                let lift = |note| NoteEvent {
                    on: false,
                    offset: start,
                    ..note
                };
                notes.extend(self.down.drain(..).map(lift));
            }
        }
        if !self.playing {
            return;
        }
        let from = self.clock.beat(first);
        let per_sample = self.clock.beats_per_sample(section);
        for &(beat, event) in &self.track {
            // Each event goes to the nearest sample, a tie to the later one.
            let offset = ((beat - from) / per_sample + 0.5).floor();
            if (0.0..(end - first) as f64).contains(&offset) {
                let was_down = self.down.iter().position(|down| down.key == event.key);
                match (event.on, was_down) {
                    (true, _) => self.down.push(event),
                    (false, Some(index)) => drop(self.down.swap_remove(index)),
                    // Begun before a jump and let go then.
                    (false, None) => continue,
                }
                notes.push(NoteEvent {
                    offset: start + offset as u32,
                    ..event
                });
            }
        }
    }

    fn block(&mut self, frames: u32) -> Result<()> {
        let notes = self.input(frames);
        let changes = std::mem::take(&mut self.changes);
        let transport = self.transport();
        let mut out = Vec::new();
        self.plugin.process(
            &Block {
                frames,
                transport,
                notes: &notes,
                parameters: &changes,
            },
            &mut out,
        )?;
        self.hear(transport.beat)?;
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

    /// Keeps what sounded in the last block, or makes sure that nothing did.
    fn hear(&mut self, beat: f64) -> Result<()> {
        let audio = self.plugin.audio();
        if let Some(bad) = audio.iter().flatten().find(|sample| !sample.is_finite()) {
            bail!("at beat {beat:.3}: {bad} in the plugin's outputs");
        }
        match &mut self.sound {
            Some(sound) => {
                for (kept, channel) in sound.iter_mut().zip(audio) {
                    kept.extend_from_slice(channel);
                }
            }
            None => {
                if let Some(sample) = audio.iter().flatten().find(|sample| **sample != 0.0) {
                    bail!(
                        "at beat {beat:.3}: silence was asked for, and the plugin wrote {sample}"
                    );
                }
            }
        }
        Ok(())
    }
}
