//! The audio thread's walk through a block: it tells the composer what it hears, and plays
//! what the composer has planned, each note on its sample.
//!
//! Nothing here allocates, locks, logs or makes a system call, but for [`Gate::wait`] and the
//! wake-up before it, which happen only when the host renders offline.
//!
//! # Cuts
//!
//! A *cut* is a moment from which everything planned is void: a key of the player's in
//! Continue mode, a stop, a jump, a loop coming round, another mode, a reset. Cuts are
//! numbered, twice over the same block and in the same order: first while telling the composer
//! ([`Heard::Cut`]), then while walking through the samples. In between the composer may have
//! answered; each planned note says how many cuts its composer knew of, and plays only while
//! the walk has passed exactly that many. So a block may be longer than the composer's lead,
//! and hold the silence, the answer and the key that ends it.
//!
//! [`Gate::wait`]: crate::gate::Gate::wait

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;
use rtrb::{Consumer, Producer};

use crate::gate::{PATIENCE, Shared, count};
use crate::messages::{Heard, NOW_SECONDS, Planned, Settings};
use crate::params::Mode;
use crate::schedule::{Due, Front, Keys, Schedule, Voices};
use crate::transport::{Left, Passage, Reading, Span, Tracker};

/// Note events of one block that are placed on their samples. What is beyond is passed on at
/// the block's end, and not listened to.
pub const INPUT_CAPACITY: usize = 4_096;

/// MIDI channel of generated notes, from 0.
const CHANNEL: u8 = 0;

/// A note event of the host's.
pub type Event = NoteEvent<()>;

/// The host's side of one block.
pub trait Host {
    /// The next event of the block, in order of time.
    fn next_event(&mut self) -> Option<Event>;
    /// Sends an event; `false` if the host has no room for it.
    fn send(&mut self, event: Event) -> bool;
}

/// The audio thread's half of an instance. Owned by the audio thread.
pub struct Performer {
    heard: Producer<Heard>,
    planned: Consumer<Planned>,
    shared: Arc<Shared>,
    /// Wakes the composer thread; called only when the host renders offline.
    wake: Box<dyn Fn() + Send>,
    sample_rate: f64,
    tracker: Tracker,
    /// What was last told the composer.
    settings: Option<Settings>,
    /// Cuts told so far.
    cuts: u64,
    /// Where the playhead was last, and where the last cut was.
    place: Left,
    /// Number of the block.
    block: u64,
    /// Seconds since the time was last told.
    silent_for: f64,
    /// A message was lost: nothing more is told until there is room to begin anew.
    lost: bool,
    /// The composer was waited for in vain.
    abandoned: bool,
    schedule: Schedule,
    voices: Voices,
    /// Keys whose note-on was passed through.
    through: Keys,
    /// Keys among them that are to be ended at the next chance.
    owed: Keys,
    /// Keys ended before the player let them go: that note-off, when it comes, goes no further.
    ended: Keys,
    /// This block's events, on samples of the block, in order.
    events: Vec<(u32, Event)>,
}

impl Performer {
    /// Everything it will ever need. Main thread.
    pub fn new(
        heard: Producer<Heard>,
        planned: Consumer<Planned>,
        shared: Arc<Shared>,
        wake: Box<dyn Fn() + Send>,
    ) -> Self {
        Self {
            heard,
            planned,
            shared,
            wake,
            sample_rate: 48_000.0,
            tracker: Tracker::new(48_000.0),
            settings: None,
            cuts: 0,
            place: Left {
                beat: 0.0,
                limit: 0.0,
            },
            block: 0,
            silent_for: 0.0,
            lost: false,
            abandoned: false,
            schedule: Schedule::default(),
            voices: Voices::default(),
            through: Keys::default(),
            owed: Keys::default(),
            ended: Keys::default(),
            events: Vec::with_capacity(INPUT_CAPACITY),
        }
    }

    /// The host's sample rate; a reset follows. Main thread.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.reset();
        self.sample_rate = sample_rate;
        self.tracker = Tracker::new(sample_rate);
    }

    /// Forgets where the playhead was and which keys are down. Nothing can be sent here, so
    /// everything that sounds gets its note-off at the start of the next block.
    pub fn reset(&mut self) {
        if let Some(left) = self.tracker.halt() {
            self.tell_left(left);
            self.schedule.cut();
        }
        self.tell(Heard::AllUp { beat: 0.0 });
        self.voices.overdue();
        self.owed = self.through;
    }

    /// One block of `frames` samples.
    pub fn process(
        &mut self,
        reading: &Reading,
        frames: u32,
        settings: Settings,
        thru: bool,
        host: &mut impl Host,
    ) {
        self.block += 1;
        if self.shared.anew.load(Ordering::Acquire) {
            self.shared.anew.store(false, Ordering::Relaxed);
            self.lost = true;
        }
        // Not before there is room for more than a block.
        if self.lost && self.heard.slots() >= self.heard.buffer().capacity() / 2 {
            self.begin_anew();
        }
        let passage = self.tracker.next(reading, frames);
        self.take_events(frames, host);
        let opening = self.tell_block(&passage, settings, frames);
        self.take_planned();
        self.walk(&passage, opening, frames, settings.mode, thru, host);
    }

    // What the composer is told.

    /// Tells the composer, or counts that it could not.
    fn tell(&mut self, message: Heard) -> bool {
        let told = !self.lost && self.heard.push(message).is_ok();
        if !told {
            self.lost = true;
            count(&self.shared.counters.overflow);
        }
        told
    }

    fn tell_cut(&mut self, beat: f64, limit: f64) {
        self.cuts += 1;
        self.place = Left { beat, limit };
        self.tell(Heard::Cut {
            number: self.cuts,
            beat,
            limit,
        });
    }

    fn tell_left(&mut self, left: Left) {
        self.tell_cut(left.beat, left.limit);
        self.tell(Heard::Stop { beat: left.beat });
    }

    /// After messages were lost: as if the transport had stopped and started.
    fn begin_anew(&mut self) {
        self.lost = false;
        self.settings = None;
        let left = self.tracker.halt().unwrap_or(self.place);
        self.tell_left(left);
        self.tell(Heard::AllUp { beat: left.beat });
        self.schedule.cut();
        self.voices.overdue();
    }

    /// Tells everything about this block, and waits for the composer if the host renders
    /// offline. Gives the number of cuts at the very start of the block.
    fn tell_block(&mut self, passage: &Passage, settings: Settings, frames: u32) -> u64 {
        let before = self.cuts;
        if let Some(left) = passage.left {
            self.tell_left(left);
        }
        if self.settings != Some(settings) {
            let other_mode = self.settings.is_some_and(|told| told.mode != settings.mode);
            if let (true, None, Some(span)) = (other_mode, passage.arrived, passage.span_at(0)) {
                self.tell_cut(span.start_beat, span.limit_of(0));
            }
            if self.tell(Heard::Settings(settings)) {
                self.settings = Some(settings);
            }
        }
        if let Some(beat) = passage.arrived {
            self.tell(Heard::Arrive { beat });
        }
        if let Some(metre) = passage.metre {
            let (bar_start, numerator, denominator) =
                (metre.bar_start, metre.numerator, metre.denominator);
            self.tell(Heard::Metre {
                bar_start,
                numerator,
                denominator,
            });
        }
        let opening = self.cuts - before;

        let mut turn = passage.spans[1];
        for index in 0..self.events.len() {
            let (sample, event) = self.events[index];
            if let Some(span) = turn.filter(|span| span.first <= sample) {
                self.tell_turn(passage, &span);
                turn = None;
            }
            self.tell_event(passage.span_at(sample), sample, &event, settings.mode);
        }
        if let Some(span) = turn {
            self.tell_turn(passage, &span);
        }
        if let Some(span) = passage.span_at(frames) {
            self.tell_now(span.end_beat(), frames);
        }
        opening
    }

    /// The loop comes round.
    fn tell_turn(&mut self, passage: &Passage, again: &Span) {
        if let Some(before) = passage.spans[0] {
            self.tell_cut(before.end_beat(), before.limit_of(before.end()));
        }
        self.tell(Heard::Arrive {
            beat: again.start_beat,
        });
    }

    fn tell_event(&mut self, span: Option<&Span>, sample: u32, event: &Event, mode: Mode) {
        let beat = span.map_or(0.0, |span| span.beat_of(sample));
        match Touch::of(event) {
            Some(Touch::On {
                channel,
                pitch,
                velocity,
            }) => {
                if let Some(span) = span {
                    count(&self.shared.counters.heard);
                    if mode == Mode::Continue {
                        self.tell_cut(beat, span.limit_of(sample));
                    }
                }
                self.tell(Heard::On {
                    beat,
                    channel,
                    pitch,
                    velocity,
                });
            }
            Some(Touch::Off { channel, pitch }) => {
                self.tell(Heard::Off {
                    beat,
                    channel,
                    pitch,
                });
            }
            None => {}
        }
    }

    fn tell_now(&mut self, beat: f64, frames: u32) {
        let offline = self.shared.offline.load(Ordering::Relaxed);
        self.silent_for += f64::from(frames) / self.sample_rate;
        if !offline && self.silent_for < NOW_SECONDS {
            return;
        }
        self.silent_for = 0.0;
        let block = self.block;
        // A message that was lost is never answered.
        if !self.tell(Heard::Now { beat, block }) || !offline {
            return;
        }
        (self.wake)();
        // Once it was waited for in vain, there is no waiting until it moves again.
        let patience = if self.abandoned {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let Self {
            shared,
            planned,
            schedule,
            place,
            ..
        } = self;
        let drain = || drain(planned, schedule, shared, place.limit, |_| ());
        self.abandoned = !shared.gate.wait(block, patience, drain);
        if self.abandoned {
            count(&self.shared.counters.gave_up);
        }
    }

    // What the composer has planned.

    fn take_planned(&mut self) {
        let Self {
            shared,
            planned,
            schedule,
            heard,
            place,
            ..
        } = self;
        // Were the ring full, the composer would take a note as played that was not: a pity,
        // and counted already.
        drain(planned, schedule, shared, place.limit, |id| {
            let _ = heard.push(Heard::Missed { id });
        });
    }

    /// The composer is told that a note did not sound.
    fn drop_note(&mut self, note: &Planned) {
        count(&self.shared.counters.dropped);
        self.tell(Heard::Missed { id: note.id });
    }

    // What is sent.

    /// Takes the host's events, each on a sample of the block and in order, whatever the host
    /// says.
    fn take_events(&mut self, frames: u32, host: &mut impl Host) {
        self.events.clear();
        let mut earliest = 0;
        while self.events.len() < INPUT_CAPACITY {
            let Some(event) = host.next_event() else {
                return;
            };
            earliest = event.timing().max(earliest).min(frames.saturating_sub(1));
            self.events.push((earliest, event));
        }
    }

    /// From sample to sample: what was cut ends, what is due ends, the player's events pass,
    /// what is due starts.
    fn walk(
        &mut self,
        passage: &Passage,
        opening: u64,
        frames: u32,
        mode: Mode,
        thru: bool,
        host: &mut impl Host,
    ) {
        self.voices.begin_block();
        for _ in 0..opening {
            self.cut(0, host);
        }
        self.voices
            .end_overdue(&mut |pitch| send_off(host, 0, CHANNEL, pitch));
        self.settle_through(thru, host);
        let mut next = 0;
        for (index, span) in passage.spans.iter().flatten().enumerate() {
            if index > 0 {
                self.cut(span.first, host);
            }
            next = self.walk_span(span, next, mode, thru, host);
        }
        // Standing still there are only the player's events.
        while let Some(&(sample, event)) = self.events.get(next) {
            self.pass(sample, event, thru, host);
            next += 1;
        }
        self.pass_rest(frames, thru, host);
    }

    /// Walks through one span, from event number `next` on; gives the first event after it.
    fn walk_span(
        &mut self,
        span: &Span,
        mut next: usize,
        mode: Mode,
        thru: bool,
        host: &mut impl Host,
    ) -> usize {
        let mut now = span.first;
        loop {
            let event = self
                .events
                .get(next)
                .map(|e| e.0)
                .filter(|&s| s < span.end());
            let end = self.voices.next_end(span, now);
            let start = self.next_start(span, now);
            let Some(sample) = [event, end, start].into_iter().flatten().min() else {
                return next;
            };
            now = sample;

            let here = self.events[next..]
                .iter()
                .take_while(|e| e.0 == sample)
                .count();
            if mode == Mode::Continue {
                for index in next..next + here {
                    if matches!(Touch::of(&self.events[index].1), Some(Touch::On { .. })) {
                        self.cut(sample, host);
                    }
                }
            }
            self.end_due(span, sample, host);
            for index in next..next + here {
                self.pass(sample, self.events[index].1, thru, host);
            }
            next += here;
            self.start_due(span, sample, host);
        }
    }

    /// A cut of [`Self::tell_block`]'s is reached: everything generated ends.
    fn cut(&mut self, sample: u32, host: &mut impl Host) {
        self.schedule.cut();
        self.voices
            .end_all(&mut |pitch| send_off(host, sample, CHANNEL, pitch));
    }

    /// The sample of the next planned note in `span`; what came too late is dropped.
    fn next_start(&mut self, span: &Span, now: u32) -> Option<u32> {
        loop {
            match self.schedule.front(span, now) {
                Front::Nothing => return None,
                Front::Due(due) => return Some(due.sample),
                Front::TooLate(note) => {
                    self.schedule.pop();
                    self.drop_note(&note);
                }
            }
        }
    }

    /// Ends what is due, and what a note about to start on the same key would strike again.
    fn end_due(&mut self, span: &Span, sample: u32, host: &mut impl Host) {
        let Self {
            voices, schedule, ..
        } = self;
        let mut send = |pitch| send_off(host, sample, CHANNEL, pitch);
        voices.end_due(span, sample, &mut send);
        if !voices.is_empty() {
            for note in schedule.starting_on(*span, sample) {
                voices.end(note.pitch, &mut send);
            }
        }
    }

    fn start_due(&mut self, span: &Span, sample: u32, host: &mut impl Host) {
        while let Front::Due(due) = self.schedule.front(span, sample) {
            if due.sample > sample {
                return;
            }
            self.schedule.pop();
            self.start(due, host);
        }
    }

    fn start(&mut self, due: Due, host: &mut impl Host) {
        let Due { note, sample, late } = due;
        // Two notes of one key on one sample, or a key the player holds: one must give way.
        let taken = self.voices.sounds(note.pitch) || self.through.contains(CHANNEL, note.pitch);
        if taken || !host.send(on(sample, note.pitch, note.velocity)) {
            self.drop_note(&note);
            return;
        }
        self.voices.start(note.pitch, sample, note.end_beat);
        count(&self.shared.counters.played);
        if late {
            count(&self.shared.counters.late);
        }
    }

    // What passes through.

    /// Note-offs of passed-through keys that are overdue, at the start of a block.
    fn settle_through(&mut self, thru: bool, host: &mut impl Host) {
        if !thru {
            self.owed = self.through;
        }
        while let Some((channel, pitch)) = self.owed.first() {
            if !send_off(host, 0, channel, pitch) {
                return;
            }
            self.owed.remove(Some(channel), Some(pitch));
            self.through.remove(Some(channel), Some(pitch));
            self.ended.insert(channel, pitch);
        }
    }

    /// Passes one of the player's events on.
    fn pass(&mut self, sample: u32, event: Event, thru: bool, host: &mut impl Host) {
        match Touch::of(&event) {
            Some(Touch::On { channel, pitch, .. }) => {
                let key = (Some(channel), Some(pitch));
                self.ended.remove(key.0, key.1);
                if thru && host.send(placed(event, sample)) {
                    self.through.insert(channel, pitch);
                    self.owed.remove(key.0, key.1);
                }
            }
            Some(Touch::Off { channel, pitch }) => {
                let ended = self.ended.remove(channel, pitch);
                if !thru || ended {
                    return;
                }
                if host.send(placed(event, sample)) {
                    self.through.remove(channel, pitch);
                    self.owed.remove(channel, pitch);
                } else {
                    self.owe(channel, pitch);
                }
            }
            None => {
                if thru {
                    host.send(placed(event, sample));
                }
            }
        }
    }

    /// Passed-through keys that fit are owed their note-off.
    fn owe(&mut self, channel: Option<u8>, pitch: Option<u8>) {
        let mut rest = self.through;
        while let Some((c, p)) = rest.first() {
            rest.remove(Some(c), Some(p));
            if channel.is_none_or(|x| x == c) && pitch.is_none_or(|x| x == p) {
                self.owed.insert(c, p);
            }
        }
    }

    /// What did not fit [`INPUT_CAPACITY`]: passed on, and not heard.
    fn pass_rest(&mut self, frames: u32, thru: bool, host: &mut impl Host) {
        if self.events.len() < INPUT_CAPACITY {
            return;
        }
        while let Some(event) = host.next_event() {
            count(&self.shared.counters.overflow);
            self.lost = true;
            self.pass(frames.saturating_sub(1), event, thru, host);
        }
    }
}

/// Moves planned notes from the ring to the schedule. A note that comes after the cut that made
/// it void is nothing special if it starts behind the cut's `limit`; if it was to start before,
/// it is too late, and `missed` hears of it.
fn drain(
    planned: &mut Consumer<Planned>,
    schedule: &mut Schedule,
    shared: &Shared,
    limit: f64,
    mut missed: impl FnMut(u64),
) {
    while let Ok(note) = planned.pop() {
        let void = note.after_cut < schedule.cuts();
        if !schedule.accept(note) && (!void || note.start_beat < limit) {
            count(&shared.counters.dropped);
            missed(note.id);
        }
    }
}

/// A key going down or up.
enum Touch {
    On {
        channel: u8,
        pitch: u8,
        velocity: u8,
    },
    Off {
        channel: Option<u8>,
        pitch: Option<u8>,
    },
}

impl Touch {
    fn of(event: &Event) -> Option<Self> {
        match *event {
            NoteEvent::NoteOn {
                channel,
                key: Key::Number(pitch),
                velocity,
                ..
            } => {
                let channel = channel.number().unwrap_or(0) & 15;
                let velocity = (velocity * 127.0).round().clamp(1.0, 127.0) as u8;
                Some(Touch::On {
                    channel,
                    pitch: pitch & 127,
                    velocity,
                })
            }
            NoteEvent::NoteOff { channel, key, .. } | NoteEvent::Choke { channel, key, .. } => {
                Some(Touch::Off {
                    channel: channel.number(),
                    pitch: key.number(),
                })
            }
            _ => None,
        }
    }
}

fn on(timing: u32, pitch: u8, velocity: u8) -> Event {
    NoteEvent::NoteOn {
        timing,
        voice_id: VoiceID::Wildcard,
        channel: Channel::Number(CHANNEL),
        key: Key::Number(pitch),
        velocity: f32::from(velocity) / 127.0,
    }
}

fn send_off(host: &mut impl Host, timing: u32, channel: u8, pitch: u8) -> bool {
    host.send(NoteEvent::NoteOff {
        timing,
        voice_id: VoiceID::Wildcard,
        channel: Channel::Number(channel),
        key: Key::Number(pitch),
        velocity: 0.0,
    })
}

/// The event on another sample. A choke, which no output can say, becomes a note-off.
fn placed(mut event: Event, sample: u32) -> Event {
    match &mut event {
        NoteEvent::Choke {
            voice_id,
            channel,
            key,
            ..
        } => {
            return NoteEvent::NoteOff {
                timing: sample,
                voice_id: *voice_id,
                channel: *channel,
                key: *key,
                velocity: 0.0,
            };
        }
        NoteEvent::NoteOn { timing, .. }
        | NoteEvent::NoteOff { timing, .. }
        | NoteEvent::PolyPressure { timing, .. }
        | NoteEvent::PolyVolume { timing, .. }
        | NoteEvent::PolyPan { timing, .. }
        | NoteEvent::PolyTuning { timing, .. }
        | NoteEvent::PolyVibrato { timing, .. }
        | NoteEvent::PolyExpression { timing, .. }
        | NoteEvent::PolyBrightness { timing, .. } => *timing = sample,
        _ => {}
    }
    event
}
