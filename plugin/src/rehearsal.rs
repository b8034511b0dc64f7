//! Both halves of an instance played together, without threads, a model or a host: the tests
//! of the protocol between them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use continuo_score::{Note, Score};
use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::gate::Shared;
use crate::messages::{Heard, Planned, Settings};
use crate::params::{Enter, Mode};
use crate::process::{Event, Host, Performer};
use crate::session::{Player, Session, mix};
use crate::testing::Rng;
use crate::transport::Reading;

/// Plays an arpeggio of everything it heard: another context, seed or place, other notes.
#[derive(Default)]
struct Arpeggio {
    steps_per_beat: u32,
    heard: u64,
    rng: Option<Rng>,
    step: u32,
    /// Every answer: where, on what, and what it listened to.
    answers: Vec<(u32, u64)>,
}

impl Player for Arpeggio {
    type Error = Infallible;

    fn steps_per_beat(&self) -> u32 {
        self.steps_per_beat
    }

    fn listen(&mut self, score: &Score) -> Result<(), Infallible> {
        self.heard = 0;
        for note in &score.notes {
            for x in [
                note.start,
                note.length,
                note.pitch.into(),
                note.velocity.into(),
            ] {
                self.heard = mix(self.heard.wrapping_mul(31).wrapping_add(u64::from(x)));
            }
        }
        for (step, metre) in score.metres.changes() {
            self.heard = mix(self.heard ^ u64::from(step) << 20 ^ u64::from(metre.numerator));
        }
        Ok(())
    }

    fn answer(&mut self, at: u32, _: &Settings, seed: u64) -> Result<(), Infallible> {
        self.answers.push((at, self.heard));
        self.rng = Some(Rng::new(seed ^ self.heard));
        self.step = at;
        Ok(())
    }

    fn play_until(&mut self, until: u32) -> Result<Vec<Note>, Infallible> {
        let mut notes = Vec::new();
        let Some(rng) = &mut self.rng else {
            return Ok(notes);
        };
        while self.step < until {
            for voice in 0..1 + rng.below(3) as u8 {
                notes.push(Note {
                    start: self.step,
                    length: 1 + rng.below(20) as u32,
                    pitch: 40 + 3 * rng.below(20) as u8 + voice,
                    velocity: 1 + rng.below(127) as u8,
                });
            }
            self.step += 1 + rng.below(7) as u32;
        }
        Ok(notes)
    }
}

/// The composer thread's half.
struct Composer {
    session: Session<Arpeggio>,
    heard: Consumer<Heard>,
    planned: Producer<Planned>,
    shared: Arc<Shared>,
}

impl Composer {
    fn run(&mut self) {
        let offline = self.shared.offline.load(Ordering::Relaxed);
        while let Ok(message) = self.heard.pop() {
            let Ok(()) = self.session.hear(message, offline);
            if let Heard::Now { block, .. } = message {
                self.hand_over();
                self.shared.gate.finish(block);
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

/// One block's events in, and what came out of it.
#[derive(Default)]
struct Block {
    input: std::collections::VecDeque<Event>,
    output: Vec<Event>,
    /// One in so many sends fails; 0 never.
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

struct Rehearsal {
    performer: Performer,
    composer: Arc<Mutex<Composer>>,
    shared: Arc<Shared>,
    settings: Settings,
    thru: bool,
}

const RATE: f64 = 48_000.0;

impl Rehearsal {
    fn new(offline: bool, heard_capacity: usize) -> Self {
        let shared = Arc::new(Shared::default());
        shared.offline.store(offline, Ordering::Relaxed);
        let (heard_in, heard) = RingBuffer::new(heard_capacity);
        let (planned, planned_out) = RingBuffer::new(1 << 16);
        let player = Arpeggio {
            steps_per_beat: 12,
            ..Arpeggio::default()
        };
        let session = Session::new(player);
        let composer = Composer {
            session,
            heard,
            planned,
            shared: shared.clone(),
        };
        let composer = Arc::new(Mutex::new(composer));
        let woken = composer.clone();
        let wake = Box::new(move || woken.lock().unwrap().run());
        let mut performer = Performer::new(heard_in, planned_out, shared.clone(), wake);
        performer.set_sample_rate(RATE);
        let settings = Settings {
            enter: Enter::Beat,
            gap: 1.0,
            ..Settings::default()
        };
        Self {
            performer,
            composer,
            shared,
            settings,
            thru: true,
        }
    }

    fn block(&mut self, reading: &Reading, frames: u32, block: &mut Block) {
        self.performer
            .process(reading, frames, self.settings, self.thru, block);
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

    fn count(&self, counter: fn(&crate::gate::Counters) -> &std::sync::atomic::AtomicU64) -> u64 {
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

/// `(sample, on, channel, key, velocity)` of an event, counted from `at`.
fn plain(event: &Event, at: u64) -> (u64, bool, u8, u8, u8) {
    match *event {
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
        _ => panic!("{event:?}"),
    }
}

fn fixed_point(beat: f64) -> f64 {
    let factor = (1u64 << 31) as f64;
    (beat * factor).round() / factor
}

/// A performance: what the player plays, on which samples of the song.
struct Piece {
    tempo: f64,
    events: Vec<(u64, Event)>,
    length: u64,
}

/// Phrases with silences between them, some shorter than the gap.
fn piece(seed: u64) -> Piece {
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
            // On the grid, beside it, or between samples' halves.
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
    Piece {
        tempo,
        events,
        length,
    }
}

type Played = Vec<(u64, bool, u8, u8, u8)>;

/// Plays a piece from the start of the song to its end, in the given blocks.
fn perform(piece: &Piece, rehearsal: &mut Rehearsal, mut frames: impl FnMut() -> u32) -> Played {
    let spb = RATE * 60.0 / piece.tempo;
    let (mut at, mut next, mut played) = (0u64, 0, Vec::new());
    while at < piece.length {
        let frames = u64::from(frames()).min(piece.length - at);
        let mut block = Block::default();
        while let Some((sample, event)) = piece.events.get(next).filter(|e| e.0 < at + frames) {
            let (_, on, channel, pitch, _) = plain(event, 0);
            block
                .input
                .push_back(key((sample - at) as u32, on, channel, pitch));
            next += 1;
        }
        let beat = fixed_point(at as f64 / spb);
        let reading = Reading {
            playing: true,
            beat: Some(beat),
            tempo: Some(piece.tempo),
            bar_start: Some((beat / 3.0).floor() * 3.0),
            numerator: Some(3),
            denominator: Some(4),
            ..Reading::default()
        };
        rehearsal.block(&reading, frames as u32, &mut block);
        played.extend(block.output.iter().map(|e| plain(e, at)));
        at += frames;
    }
    // Stop: everything generated ends with the next block.
    let mut block = Block::default();
    rehearsal.block(&Reading::default(), 64, &mut block);
    played.extend(block.output.iter().map(|e| plain(e, at)));
    played
}

/// Says where they differ first.
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

#[test]
fn the_same_notes_on_the_same_samples_whatever_the_blocks() {
    let (mut answers, mut notes) = (0, 0);
    for seed in 0..20 {
        let piece = piece(seed);
        let mut offline = Rehearsal::new(true, 1 << 16);
        offline.settings.enter = [Enter::Step, Enter::Beat, Enter::Bar][(seed % 3) as usize];
        let settings = offline.settings;
        let expected = perform(&piece, &mut offline, || 128);
        let decided = offline.answers();
        answers += decided.len();
        notes += expected.iter().filter(|e| e.1 && e.2 == 0).count();
        assert_eq!(
            offline.count(|c| &c.dropped) + offline.count(|c| &c.late),
            0
        );
        for size in [0, 32, 480, 1000, 4096, 20_000] {
            let mut other = Rehearsal::new(true, 1 << 16);
            other.settings = settings;
            let mut rng = Rng::new(seed);
            let frames = || {
                if size == 0 {
                    1 + rng.below(3000) as u32
                } else {
                    size
                }
            };
            let played = perform(&piece, &mut other, frames);
            assert_eq!(other.answers(), decided, "seed {seed}, blocks of {size}");
            same(
                &played,
                &expected,
                &format!("seed {seed}, blocks of {size}"),
            );
        }
    }
    assert!(
        answers > 20 && notes > 300,
        "{answers} answers, {notes} notes: nothing was tested"
    );
}

#[test]
fn real_time_plays_what_offline_plays() {
    for seed in 0..20 {
        let piece = piece(seed);
        let mut offline = Rehearsal::new(true, 1 << 16);
        let expected = perform(&piece, &mut offline, || 480);
        let mut live = Rehearsal::new(false, 1 << 16);
        let composer = live.composer.clone();
        // The composer has its turn between the blocks.
        let played = perform(&piece, &mut live, || {
            composer.lock().unwrap().run();
            480
        });
        same(&played, &expected, &format!("seed {seed}"));
    }
}

#[test]
fn the_second_pass_gives_the_same_notes() {
    for seed in 0..10 {
        let piece = piece(seed);
        let mut rehearsal = Rehearsal::new(true, 1 << 16);
        let first = perform(&piece, &mut rehearsal, || 512);
        let second = perform(&piece, &mut rehearsal, || 512);
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Follows what comes out: events sorted and inside the block, generated keys struck only when
/// they are silent and ended only when they sound.
#[derive(Default)]
struct Listener {
    sounding: BTreeMap<(u8, u8), u64>,
}

impl Listener {
    fn check(&mut self, at: u64, frames: u32, output: &[Event]) {
        let mut last = 0;
        for event in output {
            let (sample, on, channel, pitch, velocity) = plain(event, 0);
            assert!(
                sample >= last && sample < u64::from(frames),
                "{sample} of {frames}"
            );
            last = sample;
            if on {
                let before = self.sounding.insert((channel, pitch), at + sample);
                assert!(
                    channel != 0 || (before.is_none() && velocity > 0),
                    "struck twice"
                );
            } else {
                let began = self.sounding.remove(&(channel, pitch));
                assert!(channel != 0 || began.is_some_and(|b| b < at + sample));
            }
        }
    }

    fn generated(&self) -> usize {
        self.sounding
            .keys()
            .filter(|(channel, _)| *channel == 0)
            .count()
    }
}

/// A host and a player at their worst; `failing`: how many sends go well for one that does not.
fn chaos(seed: u64, offline: bool, failing: u64) -> (u64, u64) {
    let mut rng = Rng::new(seed);
    let mut rehearsal = Rehearsal::new(offline, [24, 4096][rng.below(2) as usize]);
    let mut listener = Listener::default();
    let (mut at, mut beat, mut tempo, mut playing) = (0u64, 0.0, 120.0, false);
    let mut held: Vec<(u8, u8)> = Vec::new();
    let mut cycle = None;
    for _ in 0..1500 {
        match rng.below(60) {
            0 => playing = !playing,
            1 => beat = (rng.unit() * 40.0 - 4.0) * [1.0, 0.0][rng.below(2) as usize],
            2 => tempo = 20.0 + rng.unit() * 300.0,
            3 => rehearsal.performer.reset(),
            4 => rehearsal.settings.mode = [Mode::Off, Mode::Continue][rng.below(2) as usize],
            5 => rehearsal.thru = rng.below(3) > 0,
            6 => rehearsal.settings.gap = 0.25 + rng.unit(),
            7 => cycle = [None, Some((1.0, 3.3)), Some((4.0, 4.001))][rng.below(3) as usize],
            8 => rehearsal.settings.enter = [Enter::Step, Enter::Bar][rng.below(2) as usize],
            9 => rehearsal.performer.set_sample_rate(RATE),
            10..20 => playing = true,
            _ => {}
        }
        let frames = [32, 64, 480, 4096, 9000][rng.below(5) as usize];
        let mut block = Block {
            failing,
            rng: Some(Rng::new(rng.next())),
            ..Block::default()
        };
        let mut samples: Vec<u32> = (0..rng.below(4))
            .map(|_| rng.below(frames) as u32)
            .collect();
        samples.sort_unstable();
        for sample in samples {
            if rng.below(4) == 0 && held.len() < 5 {
                let (channel, pitch) = (1 + rng.below(15) as u8, rng.below(128) as u8);
                held.push((channel, pitch));
                block.input.push_back(key(sample, true, channel, pitch));
            } else if let Some((channel, pitch)) = held.pop() {
                block.input.push_back(key(sample, false, channel, pitch));
            }
        }
        let reading = Reading {
            playing,
            beat: Some(beat),
            tempo: Some(tempo),
            cycle,
            ..Reading::default()
        };
        rehearsal.block(&reading, frames as u32, &mut block);
        listener.check(at, frames as u32, &block.output);
        if !playing && failing == 0 {
            assert_eq!(
                listener.generated(),
                0,
                "sounding while the transport stands still"
            );
        }
        if rng.below(3) > 0 {
            rehearsal.composer.lock().unwrap().run();
        }
        at += frames;
        if playing {
            beat += frames as f64 / (RATE * 60.0 / tempo);
            if let Some((from, to)) = cycle.filter(|&(_, to)| beat >= to && rng.below(2) == 0) {
                beat = from + (beat - to).min(0.1);
            }
        }
    }
    // Stop, and let go: whatever happened, nothing sounds on.
    for _ in 0..50 {
        let mut block = Block::default();
        for (channel, pitch) in held.drain(..) {
            block.input.push_back(key(0, false, channel, pitch));
        }
        rehearsal.performer.reset();
        rehearsal.block(&Reading::default(), 64, &mut block);
        listener.check(at, 64, &block.output);
        at += 64;
    }
    assert!(
        listener.sounding.is_empty(),
        "left sounding: {:?}",
        listener.sounding
    );
    (
        rehearsal.count(|c| &c.played),
        rehearsal.count(|c| &c.overflow),
    )
}

#[test]
fn nothing_ever_hangs() {
    let (mut played, mut overflow) = (0, 0);
    for seed in 0..60 {
        let run =
            std::panic::catch_unwind(|| chaos(seed, seed % 2 == 0, [0, 0, 3][(seed % 3) as usize]));
        let Ok((p, o)) = run else {
            panic!("chaos({seed}) failed, see above")
        };
        played += p;
        overflow += o;
    }
    assert!(played > 500, "{played} notes played: nothing was tested");
    assert!(overflow > 0, "the ring was never full: nothing was tested");
}

/// A phrase of one beat from the start of the song, then silence: the answer comes on a beat.
fn phrase(tempo: f64, beats: f64) -> Piece {
    let spb = RATE * 60.0 / tempo;
    let events = vec![
        (0, key(0, true, 1, 60)),
        ((spb * 0.9) as u64, key(0, false, 1, 60)),
    ];
    Piece {
        tempo,
        events,
        length: (beats * spb) as u64,
    }
}

#[test]
fn the_answer_comes_on_its_beat_and_ends_at_the_first_key() {
    let mut piece = phrase(120.0, 12.0);
    let back = 24_000 * 8 + 777;
    piece.events.push((back, key(0, true, 1, 64)));
    let mut rehearsal = Rehearsal::new(true, 1 << 16);
    let played = perform(&piece, &mut rehearsal, || 333);
    let ours: Vec<_> = played.iter().filter(|e| e.2 == 0).collect();
    // Silent from beat 11/12 on, a gap of one beat: the first beat after that is 2.
    assert_eq!((ours[0].0, ours[0].1), (48_000, true));
    assert!(ours.iter().all(|e| e.0 <= back), "{ours:?}");
    assert!(
        ours.iter()
            .filter(|e| e.1)
            .all(|e| e.0 < back && e.0 % 2000 == 0)
    );
    assert_eq!(ours.iter().filter(|e| e.1).count() * 2, ours.len());
}

#[test]
fn a_composer_that_is_too_slow_plays_less_never_late() {
    let piece = phrase(120.0, 16.0);
    let mut live = Rehearsal::new(false, 1 << 16);
    let composer = live.composer.clone();
    let mut blocks = 0;
    // It has a turn every two seconds only: four beats, as long as the lookahead.
    let played = perform(&piece, &mut live, || {
        blocks += 1;
        if blocks % 200 == 0 {
            composer.lock().unwrap().run();
        }
        480
    });
    let (dropped, late) = (live.count(|c| &c.dropped), live.count(|c| &c.late));
    assert!(
        dropped > 0 && late < dropped,
        "{dropped} dropped, {late} late"
    );
    // What was not late is on its sample.
    let ons = played.iter().filter(|e| e.1 && e.2 == 0);
    assert!(ons.filter(|e| e.0 % 2000 != 0).count() as u64 <= late);
}

#[test]
fn after_a_full_ring_it_listens_again() {
    let piece = phrase(120.0, 8.0);
    let mut live = Rehearsal::new(false, 2048);
    // Three seconds nobody listens; then a pass with the composer awake.
    perform(&phrase(120.0, 40.0), &mut live, || 48);
    assert!(live.count(|c| &c.overflow) > 0);
    live.composer.lock().unwrap().run();
    let composer = live.composer.clone();
    let played = perform(&piece, &mut live, || {
        composer.lock().unwrap().run();
        480
    });
    assert!(played.iter().any(|e| e.1 && e.2 == 0), "no answer");
}

#[test]
fn off_listens_only_and_switching_it_on_answers() {
    let mut piece = phrase(120.0, 8.0);
    let mut rehearsal = Rehearsal::new(true, 1 << 16);
    rehearsal.settings.mode = Mode::Off;
    let played = perform(&piece, &mut rehearsal, || 480);
    assert!(played.iter().all(|e| e.2 == 1) && rehearsal.answers().is_empty());
    // Switched on at beat 4: the answer comes on the next beat there is time for.
    piece.events.clear();
    let mut at = 0;
    let mut first = None;
    while at < 24_000 * 8 {
        let mut block = Block::default();
        if at == 0 {
            block.input.push_back(key(0, true, 1, 60));
            block.input.push_back(key(400, false, 1, 60));
        }
        rehearsal.settings.mode = if at < 96_000 {
            Mode::Off
        } else {
            Mode::Continue
        };
        let reading = Reading {
            playing: true,
            beat: Some(at as f64 / 24_000.0),
            tempo: Some(120.0),
            ..Reading::default()
        };
        rehearsal.block(&reading, 480, &mut block);
        let ours = block.output.iter().map(|e| plain(e, at)).find(|e| e.2 == 0);
        first = first.or(ours);
        at += 480;
    }
    assert_eq!(first.map(|e| e.0), Some(120_000));
}

#[test]
fn through_off_ends_what_had_passed() {
    let mut rehearsal = Rehearsal::new(true, 1 << 16);
    let mut block = Block::default();
    block.input.push_back(key(5, true, 3, 60));
    rehearsal.block(&Reading::default(), 64, &mut block);
    assert_eq!(block.output.len(), 1);
    rehearsal.thru = false;
    let mut block = Block::default();
    block.input.push_back(key(5, true, 3, 62));
    rehearsal.block(&Reading::default(), 64, &mut block);
    let out: Vec<_> = block.output.iter().map(|e| plain(e, 0)).collect();
    assert_eq!(out, [(0, false, 3, 60, 0)]);
    // Let go with through on again: it has ended already.
    rehearsal.thru = true;
    let mut block = Block::default();
    block.input.push_back(key(5, false, 3, 60));
    rehearsal.block(&Reading::default(), 64, &mut block);
    assert!(block.output.is_empty());
}

#[test]
fn the_players_key_takes_over_from_ours() {
    let mut piece = phrase(120.0, 12.0);
    let mut rehearsal = Rehearsal::new(true, 1 << 16);
    let alone = perform(&piece, &mut rehearsal, || 512);
    // The key that sounds at beat 3 1/48, struck by the player on our own channel.
    let at = 72_500;
    let (mut sounding, mut ours) = (Vec::new(), 0);
    for event in alone.iter().filter(|e| e.2 == 0 && e.0 < at) {
        sounding.retain(|&pitch| pitch != event.3);
        sounding.extend(event.1.then_some(event.3));
        ours += 1;
    }
    let (Some(&pitch), true) = (sounding.first(), ours > 0) else {
        panic!("silence at {at}")
    };
    piece.events.push((at, key(0, true, 0, pitch)));
    piece.events.push((at + 500, key(0, false, 0, pitch)));
    piece.length = at + 10_000;
    let mut rehearsal = Rehearsal::new(true, 1 << 16);
    let played = perform(&piece, &mut rehearsal, || 512);
    let last: Vec<_> = played.iter().filter(|e| e.0 >= at).collect();
    assert!(
        last[..sounding.len()].iter().all(|e| !e.1 && e.0 == at),
        "{last:?}"
    );
    let [on, off] = last[sounding.len()..] else {
        panic!("{last:?}")
    };
    assert_eq!((on.0, on.1, on.3), (at, true, pitch));
    assert_eq!((off.0, off.1, off.3), (at + 500, false, pitch));
}

#[test]
fn a_flood_of_events_passes_sorted_and_ends() {
    let mut rehearsal = Rehearsal::new(true, 1 << 16);
    let mut block = Block::default();
    for n in 0..6_000u32 {
        block
            .input
            .push_back(key(n / 100, n % 2 == 0, 2, (n / 2 % 128) as u8));
    }
    rehearsal.block(&Reading::default(), 64, &mut block);
    let mut listener = Listener::default();
    listener.check(0, 64, &block.output);
    assert_eq!((block.output.len(), listener.sounding.len()), (6_000, 0));
}

/// Loops over the first beats of the song, a phrase in every pass. Gives what came out.
fn looped(split: bool, frames: u64) -> Played {
    let (tempo, end, passes) = (133.7, 7.3, 4);
    let spb = RATE * 60.0 / tempo;
    let turn = (end * spb + 0.5).floor() as u64;
    let mut rehearsal = Rehearsal::new(true, 1 << 16);
    let (mut at, mut played) = (0u64, Vec::new());
    while at < turn * passes {
        let into = at % turn;
        let frames = if split {
            frames.min(turn - into)
        } else {
            frames
        };
        let mut block = Block::default();
        for sample in at..at + frames {
            match sample % turn {
                100 => block
                    .input
                    .push_back(key((sample - at) as u32, true, 1, 60)),
                9_000 => block
                    .input
                    .push_back(key((sample - at) as u32, false, 1, 60)),
                _ => {}
            }
        }
        // Every pass begins the same fraction of a sample beside the loop's start.
        let beside = if at < turn {
            0.0
        } else {
            turn as f64 / spb - end
        };
        let reading = Reading {
            playing: true,
            beat: Some(fixed_point(into as f64 / spb + beside)),
            tempo: Some(tempo),
            cycle: Some((0.0, end)),
            ..Reading::default()
        };
        rehearsal.block(&reading, frames as u32, &mut block);
        played.extend(block.output.iter().map(|e| plain(e, at)));
        at += frames;
    }
    played.retain(|e| e.0 < turn * passes);
    played
}

#[test]
fn a_loop_sounds_the_same_whether_or_not_the_host_cuts_its_blocks_there() {
    let expected = looped(true, 256);
    let generated = expected.iter().filter(|e| e.1 && e.2 == 0).count();
    assert!(generated > 40, "{generated} notes: nothing was tested");
    for frames in [64, 1000, 4096] {
        same(
            &looped(true, frames),
            &expected,
            &format!("cut blocks of {frames}"),
        );
        same(
            &looped(false, frames),
            &expected,
            &format!("blocks of {frames}"),
        );
    }
}
