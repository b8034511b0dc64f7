//! Processing of one block on the audio thread.
//!
//! ```text
//! events   host events           ─> events on samples of this block
//! notify   transport, settings   ─> messages to the composer
//! planned  composer's notes      ─> schedule
//! render   schedule, thru        ─> host, each event on its sample
//! ```
//!
//! Nothing here allocates, locks, logs or makes a system call, except [`OfflineBarrier::wait_until`] (for the
//! composer and for the ear's worker) and the wake-up before it, which run only while the host renders
//! offline.
//!
//! # Cancels
//!
//! A *cancel* voids all planned notes from one sample on. Its causes are a key of the player in Continue
//! mode, a stop, a jump, the end of a loop, another mode, a reset, and a trigger. Cancels are numbered twice
//! over the same block, in the same order: first while the block is reported to the composer
//! ([`ComposerInput::Cancel`]), then while it is rendered. In between the composer may have answered. Each planned
//! note has the number of cancels that its composer knew, and plays only while rendering has passed exactly
//! that many. So a block may be longer than the composer's lead, and may contain the silence, the answer
//! and the key that ends it.
//!
//! [`OfflineBarrier::wait_until`]: crate::shared::OfflineBarrier::wait_until

mod events;
mod notify;
mod planned;
mod render;
mod thru;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use continuo_score::Part;
use rtrb::{Consumer, Producer};

use crate::ear::{AudioEnd, EarInput, Sound};
use crate::shared::Shared;
use continuo_accompaniment::choices::Mode;
use continuo_accompaniment::held_chord::{ChordKeys, HeldChord};
use continuo_accompaniment::key_set::KeySet;
use continuo_accompaniment::messages::{ComposerInput, ScheduledNote, Settings};
use continuo_accompaniment::schedule::{ActiveNotes, Schedule};
use continuo_accompaniment::transport::{HostTransport, OwnTime, PlayheadTracker, StopPoint};
use continuo_accompaniment::trigger::{Trigger, TriggerSet};

use self::events::{BlockEvent, is_note_on};

pub use self::events::{Event, Host, SysEx, audible};

/// Host events of one block that are played on their samples. Events beyond this number pass at the
/// block's end and are not reported to the composer.
pub const INPUT_CAPACITY: usize = 4_096;

/// Parameter values for the audio thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AudioSettings {
    /// Incoming events pass to the output.
    pub thru: bool,
    /// MIDI channel of the player, 0 to 15; `None` for all.
    pub input: Option<u8>,
    /// Whether the player's keys count. Chord keys always do.
    pub hears_keys: bool,
    /// Settings of the ear; `None` where sound does not count.
    pub ear: Option<continuo_ear::Settings>,
    /// MIDI channel of generated notes, 0 to 15.
    pub output: u8,
    /// MIDI channel of each part, by [`Part::index`]; `None` is [`AudioSettings::output`].
    pub part_outputs: [Option<u8>; Part::COUNT],
    /// Delay of generated notes, in seconds; negative for earlier.
    pub offset: f64,
    /// Time for hosts without a transport.
    pub own_time: OwnTime,
    /// Triggers that are on; each takes effect when it is switched on.
    pub triggers: TriggerSet,
}

/// Channel 10, counted from 0.
const DRUM_CHANNEL: u8 = 9;

impl AudioSettings {
    /// MIDI channel of the generated notes of a part, 0 to 15.
    pub fn channel(&self, part: Part) -> u8 {
        self.part_outputs[part.index()].unwrap_or(self.output)
    }
}

impl Default for AudioSettings {
    fn default() -> Self {
        Self {
            thru: true,
            input: None,
            hears_keys: true,
            ear: None,
            output: 0,
            part_outputs: [None, None, None, None, Some(DRUM_CHANNEL)],
            offset: 0.0,
            own_time: OwnTime {
                tempo: 120.0,
                always: false,
            },
            triggers: TriggerSet::default(),
        }
    }
}

/// The audio thread's half of an instance: reports blocks to the composer and plays its notes. Owned by
/// the audio thread.
pub struct AudioProcessor {
    to_composer: Producer<ComposerInput>,
    planned: Consumer<ScheduledNote>,
    shared: Arc<Shared>,
    /// Wakes the composer thread; called only when the host renders offline.
    wake: Box<dyn Fn() + Send>,
    sample_rate: f64,
    tracker: PlayheadTracker,
    /// Settings last sent to the composer.
    settings: Option<Settings>,
    /// Values of this block; between blocks, of the last one.
    audio_settings: AudioSettings,
    /// Mode of this block.
    mode: Mode,
    /// The chord keys in this block, with *Harmony* `Held`.
    chord_keys: Option<ChordKeys>,
    /// Chord held on the chord keys.
    held_chord: HeldChord,
    /// Numbers of this block's events that form another chord, and so void the plan; ascending.
    chord_changes: Vec<usize>,
    /// Number of cancels sent so far.
    generation: u64,
    /// Position of the playhead at the last cancel.
    last_stop: StopPoint,
    /// Number of the block.
    block: u64,
    /// Seconds since the last [`ComposerInput::Time`].
    since_now: f64,
    /// A message was lost, or the session was replaced: nothing is sent until the ring has room to start
    /// over.
    needs_resync: bool,
    /// Session epoch of the messages sent: [`Shared::session_epoch`].
    session_epoch: u64,
    /// Last value of [`Shared::own_time_from`].
    own_time_from: u64,
    /// The last offline wait timed out.
    composer_unresponsive: bool,
    schedule: Schedule,
    active_notes: ActiveNotes,
    /// Keys of the player whose note-on passed through.
    thru_keys: KeySet,
    /// Those of them whose note-off is due at the next opportunity.
    pending_note_offs: KeySet,
    /// Keys whose note-off was sent before the player's: the player's is dropped.
    suppressed_note_offs: KeySet,
    /// The ear at the audio input.
    ear: EarInput,
    /// This block's host events and reports of the ear, each with its sample, in ascending order.
    events: Vec<(u32, BlockEvent)>,
}

impl AudioProcessor {
    /// Allocates everything it needs. Main thread.
    pub fn new(
        to_composer: Producer<ComposerInput>,
        planned: Consumer<ScheduledNote>,
        ear: AudioEnd,
        shared: Arc<Shared>,
        wake: Box<dyn Fn() + Send>,
    ) -> Self {
        Self {
            ear: EarInput::new(ear, shared.clone()),
            to_composer,
            planned,
            shared,
            wake,
            sample_rate: 48_000.0,
            tracker: PlayheadTracker::new(48_000.0),
            settings: None,
            audio_settings: AudioSettings::default(),
            mode: Mode::Off,
            chord_keys: None,
            held_chord: HeldChord::default(),
            chord_changes: Vec::with_capacity(INPUT_CAPACITY),
            generation: 0,
            last_stop: StopPoint {
                beat: 0.0,
                cutoff_beat: 0.0,
            },
            block: 0,
            since_now: 0.0,
            needs_resync: false,
            session_epoch: 0,
            own_time_from: 0,
            composer_unresponsive: false,
            schedule: Schedule::default(),
            active_notes: ActiveNotes::default(),
            thru_keys: KeySet::default(),
            pending_note_offs: KeySet::default(),
            suppressed_note_offs: KeySet::default(),
            events: Vec::with_capacity(INPUT_CAPACITY),
        }
    }

    /// Sets the host's sample rate, in hertz, and resets. Main thread.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.reset();
        self.sample_rate = sample_rate;
        self.ear.set_sample_rate(sample_rate);
        self.tracker.set_sample_rate(sample_rate);
    }

    /// Forgets the playhead and the keys held. Sounding notes get their note-off at the start of the next
    /// block, as nothing can be sent here.
    pub fn reset(&mut self) {
        if let Some(left) = self.tracker.halt() {
            self.notify_stop(left);
            self.schedule.cancel();
        }
        self.notify(ComposerInput::AllNotesOff { beat: 0.0 });
        self.held_chord.off(None, None);
        self.active_notes.overdue();
        self.pending_note_offs = self.thru_keys;
    }

    /// Processes one block of `frames` samples, with the sound at its audio input.
    pub fn process(
        &mut self,
        reading: &HostTransport,
        frames: u32,
        settings: Settings,
        audio_settings: AudioSettings,
        sound: Sound,
        host: &mut impl Host,
    ) {
        self.block += 1;
        let session_epoch = self.shared.session_epoch.load(Ordering::Acquire);
        self.needs_resync |= self.session_epoch != session_epoch;
        if self.needs_resync && self.has_room() {
            self.resync(session_epoch);
        }
        let before = std::mem::replace(&mut self.audio_settings, audio_settings);
        self.mode = settings.mode;
        self.chord_keys = settings.held_chord_keys();
        let pressed = audio_settings.triggers.minus(before.triggers);
        let pressed = pressed.or(self.shared.requests.take());
        let own_time_from = self.shared.own_time_from.load(Ordering::Relaxed);
        if own_time_from != self.own_time_from {
            self.own_time_from = own_time_from;
            let beat = f64::from_bits(own_time_from);
            self.tracker.resume_own_time_at(beat);
        }
        let reading = self
            .tracker
            .complete(reading, frames, audio_settings.own_time);
        self.tracker
            .shift((audio_settings.offset * self.sample_rate).round() as i64);
        let mut block_timeline = self.tracker.next(&reading, frames);
        self.collect_events(frames, host);
        let note_ons = self.events.iter().filter(|(_, event)| is_note_on(event));
        block_timeline.snap_seam(self.tracker.slack(), note_ons.map(|&(sample, _)| sample));
        self.hear(&block_timeline, sound);
        self.shared
            .set_contradictions(self.tracker.distrusts_bars(), self.tracker.contradiction());
        if before.input != audio_settings.input {
            self.notify(ComposerInput::AllNotesOff {
                beat: self.last_stop.beat,
            });
            self.held_chord.off(None, None);
        }
        if pressed.contains(Trigger::Clear) {
            self.ear.forget();
        }
        let opening = self.notify_block(&block_timeline, settings, pressed, frames);
        self.receive_planned();
        if Part::ALL
            .into_iter()
            .any(|part| before.channel(part) != audio_settings.channel(part))
        {
            // Each note ends on the channel on which it began.
            self.active_notes.overdue();
        }
        if pressed.contains(Trigger::Panic) {
            self.active_notes.overdue();
            self.pending_note_offs = self.thru_keys;
        }
        self.begin_render(opening, host);
        self.render(&block_timeline, frames, host);
    }
}
