//! Note dialects of CLAP hosts: their configuration, and notes to and from events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clack_extensions::note_ports::NoteDialect;
use clack_host::events::event_types::{MidiEvent, NoteOffEvent, NoteOnEvent};
use clack_host::events::io::{OutputEventBuffer, TryPushError};
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{Match, Pckn};
use clack_host::prelude::*;

use crate::host::audio_thread::OUTPUT_EVENTS;
use crate::host::plugin::NoteEvent;

/// Encoding of a note in a CLAP event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A CLAP note event.
    Clap,
    /// A MIDI message.
    Midi,
}

/// Extensions and note dialects of a CLAP host.
#[derive(Clone, Debug)]
pub struct ClapHostConfig {
    /// Dialects that the host declares; `None`: it lacks the `clap.note-ports` extension.
    pub declares: Option<Vec<Dialect>>,
    /// Dialects that the host accepts; it refuses events in any other.
    pub takes: Vec<Dialect>,
    /// Dialect of the notes that the host sends.
    pub writes: Dialect,
    /// Whether the host has the `clap.gui` extension.
    pub has_gui: bool,
    /// Counts of the notes that the plugin has offered.
    pub counts: Arc<DialectCounts>,
}

impl Default for ClapHostConfig {
    fn default() -> Self {
        Self {
            declares: Some(vec![Dialect::Clap, Dialect::Midi]),
            takes: vec![Dialect::Clap, Dialect::Midi],
            writes: Dialect::Clap,
            has_gui: true,
            counts: Arc::default(),
        }
    }
}

/// Counts of note-ons and note-offs that a plugin has offered. Written by the audio thread.
#[derive(Debug, Default)]
pub struct DialectCounts {
    /// Accepted as CLAP note events.
    pub clap: AtomicU64,
    /// Accepted as MIDI messages.
    pub midi: AtomicU64,
    /// Refused.
    pub refused: AtomicU64,
}

impl DialectCounts {
    /// The three counts: accepted CLAP note events, accepted MIDI messages, refused events.
    pub fn totals(&self) -> (u64, u64, u64) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (value(&self.clap), value(&self.midi), value(&self.refused))
    }
}

/// A plugin's preferred dialect, if it is one of the two.
pub(super) fn dialect_of(preferred: Option<NoteDialect>) -> Option<Dialect> {
    match preferred? {
        NoteDialect::Clap => Some(Dialect::Clap),
        NoteDialect::Midi => Some(Dialect::Midi),
        _ => None,
    }
}

/// Appends a note to a block's events in a dialect.
pub(super) fn write(note: &NoteEvent, dialect: Dialect, events: &mut EventBuffer) {
    let address = Pckn::new(
        0u16,
        u16::from(note.channel),
        u16::from(note.key),
        Match::All,
    );
    let velocity = f64::from(note.velocity);
    match (dialect, note.on) {
        (Dialect::Clap, true) => events.push(&NoteOnEvent::new(note.offset, address, velocity)),
        (Dialect::Clap, false) => events.push(&NoteOffEvent::new(note.offset, address, velocity)),
        (Dialect::Midi, on) => {
            // Many keyboards send a note-on of velocity 0 as a note-off; here the even keys do.
            let silent_on = !on && note.key.is_multiple_of(2);
            let status = if on || silent_on { 0x90 } else { 0x80 };
            let velocity = match silent_on {
                true => 0,
                false => (note.velocity * 127.0).round() as u8,
            };
            let data = [status | note.channel, note.key, velocity];
            events.push(&MidiEvent::new(note.offset, 0, data));
        }
    }
}

/// Decodes a note and its dialect. Returns `None` for any other event, `NOTE_END` included.
pub(super) fn read(event: &UnknownEvent) -> Option<(NoteEvent, Dialect)> {
    let offset = event.header().time();
    let (on, address, velocity) = match event.as_core_event()? {
        CoreEventSpace::NoteOn(note) => (true, note.pckn(), note.velocity()),
        CoreEventSpace::NoteOff(note) => (false, note.pckn(), note.velocity()),
        CoreEventSpace::NoteChoke(note) => (false, note.pckn(), 0.0),
        CoreEventSpace::Midi(midi) => {
            let [status, key, velocity] = midi.data();
            let on = match status & 0xf0 {
                0x90 => velocity > 0,
                0x80 => false,
                _ => return None,
            };
            let note = NoteEvent {
                offset,
                on,
                channel: status & 15,
                key,
                velocity: f32::from(velocity) / 127.0,
            };
            return Some((note, Dialect::Midi));
        }
        _ => return None,
    };
    let note = NoteEvent {
        offset,
        on,
        channel: address.raw_channel().try_into().ok()?,
        key: address.raw_key().try_into().ok()?,
        velocity: velocity as f32,
    };
    Some((note, Dialect::Clap))
}

/// Output events of a block that the host has accepted.
pub(super) struct Accepted<'a> {
    pub(super) events: EventBuffer,
    config: &'a ClapHostConfig,
}

impl<'a> Accepted<'a> {
    /// An empty list with room for [`OUTPUT_EVENTS`].
    pub(super) fn new(config: &'a ClapHostConfig) -> Self {
        Self {
            events: EventBuffer::with_capacity(OUTPUT_EVENTS),
            config,
        }
    }
}

impl OutputEventBuffer for Accepted<'_> {
    fn try_push(&mut self, event: &UnknownEvent) -> Result<(), TryPushError> {
        let counts = &self.config.counts;
        if let Some((_, dialect)) = read(event) {
            let takes = self.config.takes.contains(&dialect);
            let counter = match dialect {
                _ if !takes => &counts.refused,
                Dialect::Clap => &counts.clap,
                Dialect::Midi => &counts.midi,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            if !takes {
                return Err(TryPushError::new());
            }
        }
        self.events.push(event);
        Ok(())
    }
}
