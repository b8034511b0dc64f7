//! The audio thread's walk through a block: it tells the composer what it hears
//! ([`notify`]), and plays what the composer has planned, each note on its sample
//! ([`render`]).
//!
//! Nothing here allocates, locks, logs or makes a system call, but for [`OfflineBarrier::wait_until`] and the
//! wake-up before it, which happen only when the host renders offline.
//!
//! # Cuts
//!
//! A *cut* is a moment from which everything planned is void: a key of the player's in
//! Continue mode, a stop, a jump, a loop coming round, another mode, a reset, the musician who
//! wants something else. Cuts are numbered, twice over the same block and in the same order:
//! first while telling the composer ([`Heard::Cut`]), then while walking through the samples.
//! In between the composer may have answered; each planned note says how many cuts its composer
//! knew of, and plays only while the walk has passed exactly that many. So a block may be longer
//! than the composer's lead, and hold the silence, the answer and the key that ends it.
//!
//! [`OfflineBarrier::wait_until`]: crate::shared::Gate::wait_until

mod events;
mod notify;
mod render;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::{Consumer, Producer};

use crate::shared::Shared;
use crate::messages::{Heard, Planned, Settings};
use crate::choices::Mode;
use crate::schedule::{Keys, Schedule, ActiveNotes};
use crate::transport::{Left, OwnTime, Reading, Tracker};

use self::events::is_note_on;

pub use self::events::{Event, Host, SysEx, audible};

/// Note events of one block that are placed on their samples. What is beyond is passed on at
/// the block's end, and not listened to.
pub const INPUT_CAPACITY: usize = 4_096;

/// What the audio thread itself needs of the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AudioSettings {
    /// Incoming events pass to the output.
    pub thru: bool,
    /// MIDI channel listened to, 0 to 15; all if absent.
    pub input: Option<u8>,
    /// MIDI channel of generated notes, 0 to 15.
    pub output: u8,
    /// How much later than its place every generated note sounds, in seconds; earlier if
    /// negative.
    pub offset: f64,
    /// Time for hosts that have none.
    pub own_time: OwnTime,
    /// Buttons that are down: each does something when it goes down.
    pub buttons: Buttons,
}

/// Buttons, as a host or the editor presses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buttons {
    /// Everything that sounds ends.
    pub panic: bool,
    /// What is planned is thought of anew.
    pub regenerate: bool,
    /// Everything heard and played is forgotten.
    pub clear: bool,
    /// What was done last is taken back.
    pub undo: bool,
    /// What was taken back last is done again.
    pub redo: bool,
}

impl Buttons {
    /// Those down now that were not before.
    fn pressed(self, before: Self) -> Self {
        Self {
            panic: self.panic && !before.panic,
            regenerate: self.regenerate && !before.regenerate,
            clear: self.clear && !before.clear,
            undo: self.undo && !before.undo,
            redo: self.redo && !before.redo,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            panic: self.panic || other.panic,
            regenerate: self.regenerate || other.regenerate,
            clear: self.clear || other.clear,
            undo: self.undo || other.undo,
            redo: self.redo || other.redo,
        }
    }
}

impl Default for AudioSettings {
    fn default() -> Self {
        Self {
            thru: true,
            input: None,
            output: 0,
            offset: 0.0,
            own_time: OwnTime {
                tempo: 120.0,
                always: false,
            },
            buttons: Buttons::default(),
        }
    }
}

/// The audio thread's half of an instance. Owned by the audio thread.
pub struct AudioProcessor {
    heard: Producer<Heard>,
    planned: Consumer<Planned>,
    shared: Arc<Shared>,
    /// Wakes the composer thread; called only when the host renders offline.
    wake: Box<dyn Fn() + Send>,
    sample_rate: f64,
    tracker: Tracker,
    /// What was last told the composer.
    settings: Option<Settings>,
    /// This block's, or the last one's between blocks.
    controls: AudioSettings,
    /// The mode of this block.
    mode: Mode,
    /// Cuts told so far.
    cuts: u64,
    /// Where the playhead was last, and where the last cut was.
    last_stop: Left,
    /// Number of the block.
    block: u64,
    /// Seconds since the time was last told.
    since_notify: f64,
    /// A message was lost, or the composer's past is another: nothing more is told until there
    /// is room to begin anew.
    needs_resync: bool,
    /// The composer's past that what is told belongs to.
    past: u64,
    /// [`Shared::own_time_from`] as last seen.
    own_time_from: u64,
    /// The composer was waited for in vain.
    composer_unresponsive: bool,
    schedule: Schedule,
    active_notes: ActiveNotes,
    /// Keys whose note-on was passed through.
    thru_keys: Keys,
    /// Keys among them that are to be ended at the next chance.
    pending_note_offs: Keys,
    /// Keys ended before the player let them go: that note-off, when it comes, goes no further.
    suppressed_note_offs: Keys,
    /// This block's events, on samples of the block, in order.
    events: Vec<(u32, Event)>,
}

impl AudioProcessor {
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
            controls: AudioSettings::default(),
            mode: Mode::Off,
            cuts: 0,
            last_stop: Left {
                beat: 0.0,
                limit: 0.0,
            },
            block: 0,
            since_notify: 0.0,
            needs_resync: false,
            past: 0,
            own_time_from: 0,
            composer_unresponsive: false,
            schedule: Schedule::default(),
            active_notes: ActiveNotes::default(),
            thru_keys: Keys::default(),
            pending_note_offs: Keys::default(),
            suppressed_note_offs: Keys::default(),
            events: Vec::with_capacity(INPUT_CAPACITY),
        }
    }

    /// The host's sample rate; a reset follows. Main thread.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.reset();
        self.sample_rate = sample_rate;
        self.tracker.set_sample_rate(sample_rate);
    }

    /// Forgets where the playhead was and which keys are down. Nothing can be sent here, so
    /// everything that sounds gets its note-off at the start of the next block.
    pub fn reset(&mut self) {
        if let Some(left) = self.tracker.halt() {
            self.notify_stop(left);
            self.schedule.cut();
        }
        self.notify(Heard::AllUp { beat: 0.0 });
        self.active_notes.overdue();
        self.pending_note_offs = self.thru_keys;
    }

    /// One block of `frames` samples.
    pub fn process(
        &mut self,
        reading: &Reading,
        frames: u32,
        settings: Settings,
        controls: AudioSettings,
        host: &mut impl Host,
    ) {
        self.block += 1;
        let past = self.shared.pasts.load(Ordering::Acquire);
        self.needs_resync |= self.past != past;
        if self.needs_resync && self.has_room() {
            self.resync(past);
        }
        let before = std::mem::replace(&mut self.controls, controls);
        self.mode = settings.mode;
        let pressed = controls.buttons.pressed(before.buttons);
        let pressed = pressed.or(self.shared.requests.take());
        let own_time_from = self.shared.own_time_from.load(Ordering::Relaxed);
        if own_time_from != self.own_time_from {
            self.own_time_from = own_time_from;
            let beat = f64::from_bits(own_time_from);
            self.tracker.resume_own_time_at(beat);
        }
        let reading = self.tracker.complete(reading, frames, controls.own_time);
        self.tracker
            .shift((controls.offset * self.sample_rate).round() as i64);
        let mut passage = self.tracker.next(&reading, frames);
        self.collect_events(frames, host);
        let note_ons = self.events.iter().filter(|(_, event)| is_note_on(event));
        passage.snap_seam(self.tracker.slack(), note_ons.map(|&(sample, _)| sample));
        let bars = &self.shared.counters.bars_distrusted;
        bars.store(self.tracker.distrusts_bars(), Ordering::Relaxed);
        if before.input != controls.input {
            self.notify(Heard::AllUp {
                beat: self.last_stop.beat,
            });
        }
        let opening = self.notify_block(&passage, settings, pressed, frames);
        self.receive_planned();
        if before.output != controls.output {
            // Each note ends on the channel it began on.
            self.active_notes.overdue();
        }
        if pressed.panic {
            self.active_notes.overdue();
            self.pending_note_offs = self.thru_keys;
        }
        self.begin_render(opening, host);
        self.render(&passage, frames, host);
    }
}
