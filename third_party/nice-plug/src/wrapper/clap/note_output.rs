//! PATCH: the dialect in which notes go out, CLAP's own or MIDI.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI, clap_event_header, clap_event_midi,
};
use clap_sys::ext::note_ports::{
    CLAP_NOTE_DIALECT_CLAP, CLAP_NOTE_DIALECT_MIDI, clap_note_dialect,
};
use nice_plug_core::midi::sysex::SysExMessage;
use nice_plug_core::midi::{MidiResult, NoteEvent};

/// The dialect of the notes that a CLAP instance sends. The host's main thread chooses it before
/// the first block, by what the host declares; the audio thread changes it when the host refuses a
/// note in one dialect and takes it in the other. Any thread may read it.
#[derive(Debug, Default)]
pub struct NoteOutput {
    /// Notes go out as CLAP's own events, else as MIDI.
    sends_clap: AtomicBool,
    /// Notes taken only in the dialect that was tried second.
    retried: AtomicU32,
}

impl NoteOutput {
    /// Chooses by the dialects that the host declares, 0 where it declares none. A host that does
    /// not name CLAP's own gets MIDI: some of those accept CLAP's events and misread their
    /// velocities.
    pub(super) fn choose(&self, declared: clap_note_dialect) {
        let knows_clap = declared & CLAP_NOTE_DIALECT_CLAP != 0;
        self.sends_clap.store(knows_clap, Ordering::Relaxed);
    }

    /// The dialect tried first, as the format names it.
    pub(super) fn preferred(&self) -> clap_note_dialect {
        if self.sends_clap() {
            CLAP_NOTE_DIALECT_CLAP
        } else {
            CLAP_NOTE_DIALECT_MIDI
        }
    }

    /// Offers a note to the host, first in the dialect of the last one that it took. Whether the
    /// host took it.
    pub(super) fn offer(&self, clap: impl Fn() -> bool, midi: impl Fn() -> bool) -> bool {
        let clap_first = self.sends_clap();
        if clap_first && clap() || !clap_first && midi() {
            return true;
        }
        let taken = if clap_first { midi() } else { clap() };
        if taken {
            self.retried.fetch_add(1, Ordering::Relaxed);
            self.sends_clap.store(!clap_first, Ordering::Relaxed);
        }
        taken
    }

    /// Whether notes go out as CLAP's own events, and not as MIDI.
    pub fn sends_clap(&self) -> bool {
        self.sends_clap.load(Ordering::Relaxed)
    }

    /// How many notes the host took only in the dialect that was tried second.
    pub fn retried(&self) -> u32 {
        self.retried.load(Ordering::Relaxed)
    }
}

/// Whether CLAP has this event only in its own dialect, or for several keys at once.
pub(super) fn is_clap_only<S>(event: &NoteEvent<S>) -> bool {
    match event {
        NoteEvent::NoteOn { channel, key, .. }
        | NoteEvent::NoteOff { channel, key, .. }
        | NoteEvent::PolyPressure { channel, key, .. } => {
            channel.number().is_none() || key.number().is_none()
        }
        NoteEvent::PolyVolume { .. }
        | NoteEvent::PolyPan { .. }
        | NoteEvent::PolyTuning { .. }
        | NoteEvent::PolyVibrato { .. }
        | NoteEvent::PolyExpression { .. }
        | NoteEvent::PolyBrightness { .. } => true,
        _ => false,
    }
}

/// A MIDI event for the host; `None` where MIDI has no such event.
pub(super) fn midi_event<S: SysExMessage>(
    event: &NoteEvent<S>,
    time: u32,
) -> Option<clap_event_midi> {
    let Some(MidiResult::Basic(data)) = event.as_midi() else {
        return None;
    };
    Some(clap_event_midi {
        header: clap_event_header {
            size: size_of::<clap_event_midi>() as u32,
            time,
            space_id: CLAP_CORE_EVENT_SPACE_ID,
            type_: CLAP_EVENT_MIDI,
            flags: 0,
        },
        port_index: 0,
        data,
    })
}
