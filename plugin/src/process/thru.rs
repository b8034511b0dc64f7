//! The player's own events on their way to the output. Audio thread.

use nice_plug::prelude::NoteEvent;

use super::events::{Event, Host, PlayerEvent, at_sample, send_off};
use super::{AudioProcessor, INPUT_CAPACITY};
use continuo_accompaniment::counters::increment;

impl AudioProcessor {
    /// Sends the note-offs of passed-through keys that are due, at the start of a block.
    pub(super) fn end_thru_keys(&mut self, host: &mut impl Host) {
        if !self.audio_settings.thru {
            self.pending_note_offs = self.thru_keys;
        }
        while let Some((channel, pitch)) = self.pending_note_offs.first() {
            if !send_off(host, 0, channel, pitch) {
                return;
            }
            self.pending_note_offs.remove(Some(channel), Some(pitch));
            self.thru_keys.remove(Some(channel), Some(pitch));
            self.suppressed_note_offs.insert(channel, pitch);
        }
    }

    /// Passes one of the player's events to the output.
    pub(super) fn pass_thru(&mut self, sample: u32, event: Event, host: &mut impl Host) {
        let thru = self.audio_settings.thru;
        match PlayerEvent::of(&event) {
            Some(PlayerEvent::On { channel, pitch, .. }) => {
                let key = (Some(channel), Some(pitch));
                self.suppressed_note_offs.remove(key.0, key.1);
                if thru {
                    // The player's key takes over from the generated note.
                    let mut send = |channel, pitch| send_off(host, sample, channel, pitch);
                    self.active_notes.end(channel, pitch, &mut send);
                }
                if thru && host.send(at_sample(event, sample)) {
                    self.thru_keys.insert(channel, pitch);
                    self.pending_note_offs.remove(key.0, key.1);
                }
            }
            Some(PlayerEvent::Off { channel, pitch }) if is_key(&event) => {
                let suppressed = self.suppressed_note_offs.remove(channel, pitch);
                if !thru || suppressed {
                    return;
                }
                if host.send(at_sample(event, sample)) {
                    self.thru_keys.remove(channel, pitch);
                    self.pending_note_offs.remove(channel, pitch);
                } else {
                    self.defer_note_off(channel, pitch);
                }
            }
            other => {
                if thru {
                    host.send(at_sample(event, sample));
                }
                // A controller that ends all notes of its channel (CC 120, 123) may be all that a
                // keyboard sends, and not all instruments read it.
                if let Some(PlayerEvent::Off { channel, pitch }) = other {
                    self.defer_note_off(channel, pitch);
                }
            }
        }
    }

    /// Marks the matching passed-through keys for a note-off at the next block.
    fn defer_note_off(&mut self, channel: Option<u8>, pitch: Option<u8>) {
        let mut rest = self.thru_keys;
        while let Some((c, p)) = rest.first() {
            rest.remove(Some(c), Some(p));
            if channel.is_none_or(|x| x == c) && pitch.is_none_or(|x| x == p) {
                self.pending_note_offs.insert(c, p);
            }
        }
    }

    /// Passes the events beyond [`INPUT_CAPACITY`], which are not reported to the composer.
    pub(super) fn pass_overflow(&mut self, frames: u32, host: &mut impl Host) {
        if self.events.len() < INPUT_CAPACITY {
            return;
        }
        while let Some(event) = host.next_event() {
            increment(&self.shared.counters.overflow);
            self.needs_resync = true;
            self.pass_thru(frames.saturating_sub(1), event, host);
        }
    }
}

/// Whether the event is a note-off of its own, and not a controller that ends all notes.
fn is_key(event: &Event) -> bool {
    matches!(event, NoteEvent::NoteOff { .. } | NoteEvent::Choke { .. })
}
