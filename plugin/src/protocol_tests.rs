//! Protocol tests: both halves of an instance together, without threads, model or host.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

mod arpeggio;
mod band;
mod chaos;
mod continuing;
mod determinism;
mod ear;
mod harmony;
mod host_loops;
mod host_reports;
mod infill;
mod listener;
mod modes;
mod routing;
mod saving;
mod undo;
mod waiting;

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;
use rtrb::{Consumer, Producer, RingBuffer};

use self::arpeggio::Arpeggio;
use self::listener::Listener;
use crate::ear::{self as ear_rings, Sound, WorkerEnd};
use crate::process::{AudioProcessor, AudioSettings, Event, Host};
use crate::shared::Shared;
use continuo_accompaniment::choices::{Enter, Mode};
use continuo_accompaniment::messages::{ComposerInput, ScheduledNote, Settings};
use continuo_accompaniment::session::Session;
use continuo_accompaniment::testing::Rng;
use continuo_accompaniment::transport::HostTransport;
use continuo_accompaniment::trigger::Trigger;

/// The composer thread's half.
struct Composer {
    session: Session<Arpeggio>,
    heard: Consumer<ComposerInput>,
    planned: Producer<ScheduledNote>,
    shared: Arc<Shared>,
}

impl Composer {
    fn run(&mut self) {
        let offline = self.shared.offline.load(Ordering::Relaxed);
        while let Ok(message) = self.heard.pop() {
            let Ok(()) = self.session.receive(message, offline);
            if let ComposerInput::Time { block, .. } = message {
                self.hand_over();
                self.shared.barrier.finish(block);
            }
        }
        while let Ok(true) = self.session.work() {}
        self.hand_over();
    }

    fn hand_over(&mut self) {
        let waiting = self.session.planned();
        while let Some(note) = waiting.pop_front() {
            if self.planned.push(note).is_err() {
                waiting.push_front(note);
                return;
            }
        }
    }
}

/// Events into one block, and its output.
#[derive(Default)]
struct Block {
    input: std::collections::VecDeque<Event>,
    output: Vec<Event>,
    /// Every n-th send fails; 0 for none.
    failing: u64,
    rng: Option<Rng>,
}

impl Host for Block {
    fn next_event(&mut self) -> Option<Event> {
        self.input.pop_front()
    }

    fn send(&mut self, event: Event) -> bool {
        let fails = self.failing > 0
            && self
                .rng
                .as_mut()
                .is_some_and(|rng| rng.below(self.failing) == 0);
        if !fails {
            self.output.push(event);
        }
        !fails
    }
}

struct ProtocolTest {
    processor: AudioProcessor,
    composer: Arc<Mutex<Composer>>,
    shared: Arc<Shared>,
    settings: Settings,
    controls: AudioSettings,
    /// The ear's worker.
    worker: WorkerEnd,
    /// Sound at the audio input, from its first sample on.
    sound: Vec<f32>,
    /// Whether a microphone hears it.
    microphone: bool,
}

const RATE: f64 = 48_000.0;

impl ProtocolTest {
    fn new(offline: bool, heard_capacity: usize) -> Self {
        let shared = Arc::new(Shared::default());
        shared.offline.store(offline, Ordering::Relaxed);
        let (heard_in, heard) = RingBuffer::new(heard_capacity);
        let (planned, planned_out) = RingBuffer::new(1 << 16);
        let session = Session::new(Arpeggio::default());
        let composer = Composer {
            session,
            heard,
            planned,
            shared: shared.clone(),
        };
        let composer = Arc::new(Mutex::new(composer));
        let woken = composer.clone();
        let wake = Box::new(move || woken.lock().unwrap().run());
        let (ear, worker) = ear_rings::rings();
        let mut processor = AudioProcessor::new(heard_in, planned_out, ear, shared.clone(), wake);
        processor.set_sample_rate(RATE);
        let settings = Settings {
            enter: Enter::Beat,
            gap: 1.0,
            ..Settings::default()
        };
        Self {
            processor,
            composer,
            shared,
            settings,
            controls: AudioSettings::default(),
            worker,
            sound: Vec::new(),
            microphone: false,
        }
    }

    fn block(&mut self, reading: &HostTransport, frames: u32, block: &mut Block) {
        let frames_of_sound = (frames as usize).min(self.sound.len());
        let sound: Vec<f32> = self.sound.drain(..frames_of_sound).collect();
        let (settings, controls) = (self.settings, self.controls);
        let sound = Sound {
            samples: &sound,
            is_microphone: self.microphone,
        };
        self.processor
            .process(reading, frames, settings, controls, sound, block);
    }

    /// Presses a trigger in the editor.
    fn press(&self, trigger: Trigger) {
        self.shared.requests.press(trigger);
    }

    fn answers(&self) -> Vec<(u32, u64)> {
        self.composer
            .lock()
            .unwrap()
            .session
            .player()
            .answers
            .clone()
    }

    fn count(
        &self,
        counter: fn(&continuo_accompaniment::counters::Counters) -> &std::sync::atomic::AtomicU64,
    ) -> u64 {
        counter(&self.shared.counters).load(Ordering::Relaxed)
    }
}

fn key(sample: u32, on: bool, channel: u8, pitch: u8) -> Event {
    let (timing, voice_id) = (sample, VoiceID::Wildcard);
    let (channel, key) = (Channel::Number(channel), Key::Number(pitch));
    if on {
        NoteEvent::NoteOn {
            timing,
            voice_id,
            channel,
            key,
            velocity: 0.7,
        }
    } else {
        NoteEvent::NoteOff {
            timing,
            voice_id,
            channel,
            key,
            velocity: 0.0,
        }
    }
}

/// `(sample, on, channel, key, velocity)` of a note event, counted from `at`.
fn plain(event: &Event, at: u64) -> (u64, bool, u8, u8, u8) {
    keys(event, at).unwrap_or_else(|| panic!("{event:?}"))
}

/// The same for a note event; `None` for others.
fn keys(event: &Event, at: u64) -> Option<(u64, bool, u8, u8, u8)> {
    Some(match *event {
        NoteEvent::NoteOn {
            timing,
            channel,
            key,
            velocity,
            ..
        } => {
            let velocity = (velocity * 127.0).round() as u8;
            (
                at + u64::from(timing),
                true,
                channel.number().unwrap(),
                key.number().unwrap(),
                velocity,
            )
        }
        NoteEvent::NoteOff {
            timing,
            channel,
            key,
            ..
        } => (
            at + u64::from(timing),
            false,
            channel.number().unwrap(),
            key.number().unwrap(),
            0,
        ),
        _ => return None,
    })
}

/// A host that is stopped.
fn standing() -> HostTransport {
    HostTransport {
        beat: Some(0.0),
        tempo: Some(120.0),
        ..HostTransport::default()
    }
}

/// A host that plays at 120 BPM and reports no bars.
fn rolling(beat: f64) -> HostTransport {
    HostTransport {
        playing: true,
        beat: Some(beat),
        ..standing()
    }
}

fn fixed_point(beat: f64) -> f64 {
    let factor = (1u64 << 31) as f64;
    (beat * factor).round() / factor
}

/// A performance: the player's events, on samples of the song.
struct Performance {
    tempo: f64,
    events: Vec<(u64, Event)>,
    length: u64,
}

/// Phrases with silences between them, some shorter than the gap.
fn performance(seed: u64) -> Performance {
    let mut rng = Rng::new(seed);
    let tempo = [60.0, 90.0, 120.0, 133.7, 200.0][rng.below(5) as usize];
    let spb = RATE * 60.0 / tempo;
    let mut events = Vec::new();
    let mut beat = rng.unit() * 2.0;
    for _ in 0..1 + rng.below(4) {
        for _ in 0..1 + rng.below(8) {
            let channel = 1 + rng.below(15) as u8;
            let pitch = 30 + rng.below(60) as u8;
            let length = 0.05 + rng.unit();
            // On the grid, beside it, or between two samples.
            let on = if rng.below(2) == 0 {
                (beat * 12.0).round() / 12.0
            } else {
                beat
            };
            events.push(((on * spb) as u64, true, channel, pitch));
            events.push((((on + length) * spb) as u64 + 1, false, channel, pitch));
            beat += rng.unit() * 0.8;
        }
        beat += rng.unit() * 9.0;
    }
    let length = ((beat + 4.0) * spb) as u64;
    events.sort_by_key(|e| (e.0, e.1));
    let events = events
        .iter()
        .map(|&(at, on, ch, p)| (at, key(0, on, ch, p)))
        .collect();
    Performance {
        tempo,
        events,
        length,
    }
}

type Played = Vec<(u64, bool, u8, u8, u8)>;

/// Plays a performance from the start of the song to its end, in these blocks.
fn perform(
    performance: &Performance,
    test: &mut ProtocolTest,
    frames: impl FnMut() -> u32,
) -> Played {
    perform_with(performance, test, frames, |_, _| ())
}

/// The same with an action before each block, which gets the block's first sample.
fn perform_with(
    performance: &Performance,
    test: &mut ProtocolTest,
    frames: impl FnMut() -> u32,
    before: impl FnMut(&mut ProtocolTest, u64),
) -> Played {
    perform_in(performance, test, frames, before, |reading| reading)
}

/// The same with a host's own transport reports.
fn perform_in(
    performance: &Performance,
    test: &mut ProtocolTest,
    mut frames: impl FnMut() -> u32,
    mut before: impl FnMut(&mut ProtocolTest, u64),
    mut report: impl FnMut(HostTransport) -> HostTransport,
) -> Played {
    let spb = RATE * 60.0 / performance.tempo;
    let (mut at, mut next, mut played) = (0u64, 0, Vec::new());
    while at < performance.length {
        let frames = u64::from(frames()).min(performance.length - at);
        before(test, at);
        let mut block = Block::default();
        while let Some((sample, event)) = performance.events.get(next).filter(|e| e.0 < at + frames)
        {
            let (_, on, channel, pitch, _) = plain(event, 0);
            block
                .input
                .push_back(key((sample - at) as u32, on, channel, pitch));
            next += 1;
        }
        let beat = fixed_point(at as f64 / spb);
        let reading = HostTransport {
            playing: true,
            beat: Some(beat),
            tempo: Some(performance.tempo),
            bar_start: Some((beat / 3.0).floor() * 3.0),
            numerator: Some(3),
            denominator: Some(4),
            ..HostTransport::default()
        };
        test.block(&report(reading), frames as u32, &mut block);
        played.extend(block.output.iter().map(|e| plain(e, at)));
        at += frames;
    }
    // Stop: everything generated ends with the next block.
    let mut block = Block::default();
    test.block(&standing(), 64, &mut block);
    played.extend(block.output.iter().map(|e| plain(e, at)));
    played
}

/// Asserts equality, and names the first difference.
fn same(played: &Played, expected: &Played, what: &str) {
    let first = played.iter().zip(expected).position(|(p, e)| p != e);
    let first = first.unwrap_or(played.len().min(expected.len()));
    let around = first.saturating_sub(3)..first + 3;
    let [p, e] = [played, expected].map(|l| &l[around.start.min(l.len())..around.end.min(l.len())]);
    assert!(
        played == expected,
        "{what}: differs at {first}: {p:?}, expected {e:?}"
    );
}
