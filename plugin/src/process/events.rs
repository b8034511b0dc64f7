//! The host's events, and what the performer makes of them. Audio thread.

use nice_plug::midi::sysex::SysExMessage;
use nice_plug::midi::{Channel, Key, VoiceID, control_change};
use nice_plug::prelude::NoteEvent;

/// A note event of the host's.
pub type Event = NoteEvent<SysEx>;

/// The host's side of one block.
pub trait Host {
    /// The next event of the block, in order of time.
    fn next_event(&mut self) -> Option<Event>;
    /// Sends an event; `false` if the host has no room for it.
    fn send(&mut self, event: Event) -> bool;
}

/// A system exclusive message, only ever passed through. Longer ones than [`SysEx::LONGEST`]
/// bytes do not pass: events are copied and never freed, so they have a fixed size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SysEx {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl SysEx {
    /// Bytes of the longest message, with its first and last.
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

/// What the player does with keys and pedal.
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
                control_change::ALL_SOUND_OFF | control_change::ALL_NOTES_OFF => Some(PlayerEvent::Off {
                    channel: Some(channel & 15),
                    pitch: None,
                }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is on the channel that is listened to; `None` listens to all.
    pub(super) fn is_on(&self, listened: Option<u8>) -> bool {
        let channel = match *self {
            PlayerEvent::On { channel, .. } | PlayerEvent::Pedal { channel, .. } => Some(channel),
            PlayerEvent::Off { channel, .. } => channel,
        };
        listened.is_none_or(|l| channel.is_none_or(|c| c == l))
    }
}

/// Whether a key goes down.
pub(super) fn is_note_on(event: &Event) -> bool {
    matches!(PlayerEvent::of(event), Some(PlayerEvent::On { .. }))
}

pub(super) fn on(timing: u32, channel: u8, pitch: u8, velocity: u8) -> Event {
    NoteEvent::NoteOn {
        timing,
        voice_id: VoiceID::Wildcard,
        channel: Channel::Number(channel),
        key: Key::Number(pitch),
        velocity: f32::from(velocity) / 127.0,
    }
}

pub(super) fn send_off(host: &mut impl Host, timing: u32, channel: u8, pitch: u8) -> bool {
    host.send(NoteEvent::NoteOff {
        timing,
        voice_id: VoiceID::Wildcard,
        channel: Channel::Number(channel),
        key: Key::Number(pitch),
        velocity: 0.0,
    })
}

/// The event with a velocity that can be heard, if it is a note-on. One without (0, or no number)
/// becomes a note-off, or with `keep` a note as soft as MIDI can say.
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

/// The event on another sample. A choke, which no output can say, becomes a note-off.
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
    fn pedals_and_panics_of_controllers_are_understood() {
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
    fn a_note_on_without_a_velocity_is_a_note_off_or_very_soft() {
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
    fn a_system_exclusive_message_comes_back_whole_or_not_at_all() {
        let message: Vec<u8> = std::iter::once(0xf0).chain(1..100).chain([0xf7]).collect();
        let (buffer, length) = SysEx::from_buffer(&message).unwrap().as_buffer();
        assert_eq!(buffer[..length], message);
        assert!(SysEx::from_buffer(&[0; SysEx::LONGEST + 1]).is_none());
    }
}
