//! What CLAP hosts do differently from each other.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clack_extensions::note_ports::{NoteDialect, NoteDialects};
use clack_host::events::event_types::{MidiEvent, NoteOffEvent, NoteOnEvent};
use clack_host::events::io::{OutputEventBuffer, TryPushError};
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{Match, Pckn};
use clack_host::extensions::prelude::{HostWrapper, clap_host};
use clack_host::extensions::{
    Extension, ExtensionImplementation, HostExtensionSide, RawExtension, RawExtensionImplementation,
};
use clack_host::prelude::*;

use super::{Handlers, MainThread, OUTPUT_EVENTS};
use crate::host::NoteEvent;

/// How a note is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As a note event of CLAP's own.
    Clap,
    /// As a MIDI message.
    Midi,
}

/// How a host treats notes and windows.
#[derive(Clone, Debug)]
pub struct ClapHostConfig {
    /// The dialects that the host declares; it lacks the `clap.note-ports` extension if absent.
    pub declares: Option<Vec<Dialect>>,
    /// The dialects in which the host accepts notes.
    pub takes: Vec<Dialect>,
    /// The dialect in which the host writes the notes that it sends.
    pub writes: Dialect,
    /// Whether the host has the `clap.gui` extension.
    pub has_gui: bool,
    /// Notes that the plugin offered.
    pub tally: Arc<DialectCounts>,
}

impl Default for ClapHostConfig {
    fn default() -> Self {
        Self {
            declares: Some(vec![Dialect::Clap, Dialect::Midi]),
            takes: vec![Dialect::Clap, Dialect::Midi],
            writes: Dialect::Clap,
            has_gui: true,
            tally: Arc::default(),
        }
    }
}

/// Counts of note-ons and note-offs that a plugin offered. Written by the thread that processes.
#[derive(Debug, Default)]
pub struct DialectCounts {
    /// Accepted as CLAP's own events.
    pub clap: AtomicU64,
    /// Accepted as MIDI.
    pub midi: AtomicU64,
    /// Refused.
    pub refused: AtomicU64,
}

impl DialectCounts {
    /// The counts: accepted as CLAP's own events, accepted as MIDI, refused.
    pub fn counts(&self) -> (u64, u64, u64) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (value(&self.clap), value(&self.midi), value(&self.refused))
    }
}

/// The host's side of `clap.note-ports`. The one of clack-extensions 0.2.0 hands the plugin a
/// pointer to a pointer.
#[derive(Clone, Copy)]
pub(super) struct NotePorts;

/// As the format lays it out.
#[repr(C)]
struct RawNotePorts {
    supported_dialects: unsafe extern "C" fn(*const clap_host) -> u32,
    rescan: unsafe extern "C" fn(*const clap_host, u32),
}

unsafe extern "C" fn supported_dialects(host: *const clap_host) -> u32 {
    let declared = |main: &MainThread| {
        let bit = |dialect: &Dialect| match dialect {
            Dialect::Clap => NoteDialects::CLAP.bits(),
            Dialect::Midi => NoteDialects::MIDI.bits(),
        };
        Ok(main.declares.iter().flatten().map(bit).sum())
    };
    // SAFETY: the plugin gives the pointer that it was given, on the main thread.
    unsafe { HostWrapper::<Handlers>::handle_main_thread(host, declared) }.unwrap_or(0)
}

unsafe extern "C" fn rescan(_: *const clap_host, _: u32) {}

// SAFETY: there is no pointer that could be of another type.
unsafe impl Extension for NotePorts {
    const IDENTIFIERS: &'static [&'static CStr] = &[c"clap.note-ports"];
    type ExtensionSide = HostExtensionSide;

    unsafe fn from_raw(_: RawExtension<HostExtensionSide>) -> Self {
        Self
    }
}

// SAFETY: laid out as the format has it.
unsafe impl ExtensionImplementation<Handlers> for NotePorts {
    const IMPLEMENTATION: RawExtensionImplementation =
        RawExtensionImplementation::new(&RawNotePorts {
            supported_dialects,
            rescan,
        });
}

/// The dialect that a plugin prefers, if it is one of the two.
pub(super) fn dialect_of(preferred: Option<NoteDialect>) -> Option<Dialect> {
    match preferred? {
        NoteDialect::Clap => Some(Dialect::Clap),
        NoteDialect::Midi => Some(Dialect::Midi),
        _ => None,
    }
}

/// Adds a note to the events of a block, in the dialect that the host writes.
pub(super) fn write(note: &NoteEvent, dialect: Dialect, events: &mut EventBuffer) {
    let whom = Pckn::new(
        0u16,
        u16::from(note.channel),
        u16::from(note.key),
        Match::All,
    );
    let velocity = f64::from(note.velocity);
    match (dialect, note.on) {
        (Dialect::Clap, true) => events.push(&NoteOnEvent::new(note.offset, whom, velocity)),
        (Dialect::Clap, false) => events.push(&NoteOffEvent::new(note.offset, whom, velocity)),
        (Dialect::Midi, on) => {
            // Many keyboards send a note-on of velocity 0 for a note-off: half of these do.
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

/// A note that the plugin sent, and its dialect. Ends of notes that only tell the host something
/// are not notes.
pub(super) fn read(event: &UnknownEvent) -> Option<(NoteEvent, Dialect)> {
    let offset = event.header().time();
    let (on, whom, velocity) = match event.as_core_event()? {
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
        channel: whom.raw_channel().try_into().ok()?,
        key: whom.raw_key().try_into().ok()?,
        velocity: velocity as f32,
    };
    Some((note, Dialect::Clap))
}

/// The events of a block that the host accepts.
pub(super) struct Accepted<'a> {
    pub(super) events: EventBuffer,
    config: &'a ClapHostConfig,
}

impl<'a> Accepted<'a> {
    /// Has room for [`OUTPUT_EVENTS`].
    pub(super) fn new(config: &'a ClapHostConfig) -> Self {
        Self {
            events: EventBuffer::with_capacity(OUTPUT_EVENTS),
            config,
        }
    }
}

impl OutputEventBuffer for Accepted<'_> {
    fn try_push(&mut self, event: &UnknownEvent) -> Result<(), TryPushError> {
        let tally = &self.config.tally;
        if let Some((_, dialect)) = read(event) {
            let takes = self.config.takes.contains(&dialect);
            let counter = match dialect {
                _ if !takes => &tally.refused,
                Dialect::Clap => &tally.clap,
                Dialect::Midi => &tally.midi,
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
