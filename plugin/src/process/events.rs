//! Note events between host and plugin. Audio thread.

use std::sync::atomic::Ordering;

use nice_plug::midi::sysex::SysExMessage;
use nice_plug::midi::{Channel, Key, VoiceID, control_change};
use nice_plug::prelude::NoteEvent;

use super::{AudioProcessor, INPUT_CAPACITY};
use crate::ear::{EarReport, Sound};
use continuo_accompaniment::choices::Mode;
use continuo_accompaniment::transport::BlockTimeline;

/// A note event in nice-plug's form.
pub type Event = NoteEvent<SysEx>;

/// An event of one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BlockEvent {
    /// An event of the host.
    Host(Event),
    /// A report of the ear, which becomes known on its sample.
    Ear(EarReport),
}

/// The host's event queues of one block.
pub trait Host {
    /// The next input event of the block, in order of time.
    fn next_event(&mut self) -> Option<Event>;
    /// Sends an event; `false` if the host has no room for it.
    fn send(&mut self, event: Event) -> bool;
}

/// A system exclusive message, which only passes through. It has a fixed size, as the audio thread copies
/// events and frees none: messages longer than [`SysEx::LONGEST`] bytes are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SysEx {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl SysEx {
    /// Size of the longest message in bytes, with its first and last byte.
    pub const LONGEST: usize = 128;
}

impl SysExMessage for SysEx {
    type Buffer = [u8; Self::LONGEST];

    fn from_buffer(buffer: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..buffer.len())?.copy_from_slice(buffer);
        let length = u8::try_from(buffer.len()).ok()?;
        Some(Self { bytes, length })
    }

    fn as_buffer(&self) -> (Self::Buffer, usize) {
        (self.bytes, usize::from(self.length))
    }
}

/// An event that the composer knows: keys and sustain pedal of the player.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PlayerEvent {
    On {
        channel: u8,
        pitch: u8,
        velocity: u8,
    },
    Off {
        channel: Option<u8>,
        pitch: Option<u8>,
    },
    Pedal {
        channel: u8,
        down: bool,
    },
}

impl PlayerEvent {
    /// The player event in a host event, if it is one.
    pub(super) fn of(event: &Event) -> Option<Self> {
        match *event {
            NoteEvent::NoteOn {
                channel,
                key: Key::Number(pitch),
                velocity,
                ..
            } => {
                let channel = channel.number().unwrap_or(0) & 15;
                let velocity = (velocity * 127.0).round().clamp(1.0, 127.0) as u8;
                Some(PlayerEvent::On {
                    channel,
                    pitch: pitch & 127,
                    velocity,
                })
            }
            NoteEvent::NoteOff { channel, key, .. } | NoteEvent::Choke { channel, key, .. } => {
                Some(PlayerEvent::Off {
                    channel: channel.number(),
                    pitch: key.number(),
                })
            }
            NoteEvent::MidiCC {
                channel, cc, value, ..
            } => match cc {
                control_change::DAMPER_PEDAL => Some(PlayerEvent::Pedal {
                    channel: channel & 15,
                    down: value >= 0.5,
                }),
                control_change::RESET_ALL_CONTROLLERS => Some(PlayerEvent::Pedal {
                    channel: channel & 15,
                    down: false,
                }),
                control_change::ALL_SOUND_OFF | control_change::ALL_NOTES_OFF => {
                    Some(PlayerEvent::Off {
                        channel: Some(channel & 15),
                        pitch: None,
                    })
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is on the input channel; `None` is all channels.
    pub(super) fn is_on(&self, input: Option<u8>) -> bool {
        let channel = match *self {
            PlayerEvent::On { channel, .. } | PlayerEvent::Pedal { channel, .. } => Some(channel),
            PlayerEvent::Off { channel, .. } => channel,
        };
        input.is_none_or(|l| channel.is_none_or(|c| c == l))
    }
}

impl AudioProcessor {
    /// Takes the host's events, each with a sample of the block, in ascending order even where the host
    /// gives another.
    pub(super) fn collect_events(&mut self, frames: u32, host: &mut impl Host) {
        self.events.clear();
        let mut earliest = 0;
        while self.events.len() < INPUT_CAPACITY {
            let Some(event) = host.next_event() else {
                return;
            };
            earliest = event.timing().max(earliest).min(frames.saturating_sub(1));
            self.events.push((earliest, BlockEvent::Host(event)));
        }
    }

    /// Passes the sound of a block to the ear, and takes the reports that become known in it.
    pub(super) fn hear(&mut self, block_timeline: &BlockTimeline, sound: Sound) {
        self.ear
            .hear(block_timeline, sound, self.audio_settings.ear);
        if self.ear.is_used() && self.shared.offline.load(Ordering::Relaxed) {
            // The composer thread starts the ear's worker.
            (self.wake)();
            self.ear.wait();
        }
        while self.events.len() < INPUT_CAPACITY
            && let Some((sample, report)) = self.ear.next_report()
        {
            let at = self.events.partition_point(|(other, _)| *other <= sample);
            self.events.insert(at, (sample, BlockEvent::Ear(report)));
        }
    }

    /// Whether an event ends all generated notes: a note of the player in Continue mode, except a chord
    /// key.
    pub(super) fn yields_to(&self, event: &BlockEvent) -> bool {
        let event = match event {
            BlockEvent::Host(event) => event,
            BlockEvent::Ear(report) => {
                return self.mode == Mode::Continue && matches!(report, EarReport::Note { .. });
            }
        };
        let ends = |event: PlayerEvent| match event {
            PlayerEvent::On { channel, pitch, .. } => {
                self.audio_settings.hears_keys
                    && event.is_on(self.audio_settings.input)
                    && !self.is_chord_key(channel, pitch)
            }
            _ => false,
        };
        self.mode == Mode::Continue && PlayerEvent::of(event).is_some_and(ends)
    }

    /// Whether event number `index` of the block ends all generated notes: [`Self::yields_to`] it, or it
    /// forms another chord.
    pub(super) fn is_cancelled_by(&self, index: usize) -> bool {
        let yields = |(_, event): &(u32, BlockEvent)| self.yields_to(event);
        self.chord_changes.binary_search(&index).is_ok()
            || self.events.get(index).is_some_and(yields)
    }

    /// Whether a key holds a chord, and is not continued.
    pub(super) fn is_chord_key(&self, channel: u8, pitch: u8) -> bool {
        let keys = self.chord_keys.as_ref();
        keys.is_some_and(|keys| keys.contains(channel, pitch))
    }
}

/// Whether the event is a note-on of the host's.
pub(super) fn is_note_on(event: &BlockEvent) -> bool {
    match event {
        BlockEvent::Host(event) => matches!(PlayerEvent::of(event), Some(PlayerEvent::On { .. })),
        BlockEvent::Ear(_) => false,
    }
}

/// A note-on of the plugin.
pub(super) fn on(timing: u32, channel: u8, pitch: u8, velocity: u8) -> Event {
    NoteEvent::NoteOn {
        timing,
        voice_id: VoiceID::Wildcard,
        channel: Channel::Number(channel),
        key: Key::Number(pitch),
        velocity: f32::from(velocity) / 127.0,
    }
}

/// Sends a note-off; `false` if the host has no room for it.
pub(super) fn send_off(host: &mut impl Host, timing: u32, channel: u8, pitch: u8) -> bool {
    host.send(NoteEvent::NoteOff {
        timing,
        voice_id: VoiceID::Wildcard,
        channel: Channel::Number(channel),
        key: Key::Number(pitch),
        velocity: 0.0,
    })
}

/// Gives a note-on an audible velocity. One with velocity 0 (or NaN) becomes a note-off, or with `keep` a
/// note-on of MIDI velocity 1.
pub fn audible(mut event: Event, keep: bool) -> Event {
    if let NoteEvent::NoteOn {
        timing,
        voice_id,
        channel,
        key,
        velocity,
    } = &mut event
        && (velocity.is_nan() || *velocity <= 0.0)
    {
        if keep {
            *velocity = 1.0 / 127.0;
        } else {
            return NoteEvent::NoteOff {
                timing: *timing,
                voice_id: *voice_id,
                channel: *channel,
                key: *key,
                velocity: 0.0,
            };
        }
    }
    event
}

/// The event on another sample. A choke becomes a note-off, as no output format has chokes.
pub(super) fn at_sample(mut event: Event, sample: u32) -> Event {
    if let NoteEvent::Choke {
        voice_id,
        channel,
        key,
        ..
    } = event
    {
        return NoteEvent::NoteOff {
            timing: sample,
            voice_id,
            channel,
            key,
            velocity: 0.0,
        };
    }
    match &mut event {
        NoteEvent::NoteOn { timing, .. }
        | NoteEvent::NoteOff { timing, .. }
        | NoteEvent::PolyPressure { timing, .. }
        | NoteEvent::PolyVolume { timing, .. }
        | NoteEvent::PolyPan { timing, .. }
        | NoteEvent::PolyTuning { timing, .. }
        | NoteEvent::PolyVibrato { timing, .. }
        | NoteEvent::PolyExpression { timing, .. }
        | NoteEvent::PolyBrightness { timing, .. }
        | NoteEvent::MidiChannelPressure { timing, .. }
        | NoteEvent::MidiPitchBend { timing, .. }
        | NoteEvent::MidiCC { timing, .. }
        | NoteEvent::MidiProgramChange { timing, .. }
        | NoteEvent::MidiSysEx { timing, .. } => *timing = sample,
        _ => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(cc: u8, value: f32) -> Event {
        NoteEvent::MidiCC {
            timing: 7,
            channel: 3,
            cc,
            value,
        }
    }

    #[test]
    fn controllers_become_pedal_and_all_notes_off() {
        let pedal = |down| Some(PlayerEvent::Pedal { channel: 3, down });
        assert_eq!(PlayerEvent::of(&control(64, 1.0)), pedal(true));
        assert_eq!(PlayerEvent::of(&control(64, 63.0 / 127.0)), pedal(false));
        assert_eq!(PlayerEvent::of(&control(64, 64.0 / 127.0)), pedal(true));
        assert_eq!(PlayerEvent::of(&control(121, 0.0)), pedal(false));
        let all = Some(PlayerEvent::Off {
            channel: Some(3),
            pitch: None,
        });
        assert_eq!(PlayerEvent::of(&control(123, 0.0)), all);
        assert_eq!(PlayerEvent::of(&control(1, 0.5)), None);
        assert_eq!(at_sample(control(1, 0.5), 9).timing(), 9);
    }

    #[test]
    fn a_note_on_without_velocity_becomes_a_note_off_or_very_soft() {
        let note = |velocity| NoteEvent::NoteOn {
            timing: 3,
            voice_id: VoiceID::ID(9),
            channel: Channel::Number(2),
            key: Key::Number(60),
            velocity,
        };
        let off = NoteEvent::NoteOff {
            timing: 3,
            voice_id: VoiceID::ID(9),
            channel: Channel::Number(2),
            key: Key::Number(60),
            velocity: 0.0,
        };
        for silent in [0.0, -0.1, f32::NAN] {
            assert_eq!(audible(note(silent), false), off);
            assert_eq!(audible(note(silent), true), note(1.0 / 127.0));
        }
        for keep in [false, true] {
            assert_eq!(audible(note(0.3), keep), note(0.3));
        }
    }

    #[test]
    fn sysex_passes_whole_or_not_at_all() {
        let message: Vec<u8> = std::iter::once(0xf0).chain(1..100).chain([0xf7]).collect();
        let (buffer, length) = SysEx::from_buffer(&message).unwrap().as_buffer();
        assert_eq!(buffer[..length], message);
        assert!(SysEx::from_buffer(&[0; SysEx::LONGEST + 1]).is_none());
    }
}
