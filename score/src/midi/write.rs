//! A [`MidiFile`] becomes bytes.

use std::path::Path;

use continuo_files::{Output, Replace, kind};
use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Timing, TrackEvent, TrackEventKind};

use super::{MidiError, MidiFile, MidiNote};

/// Tick, order among the events of that tick, event.
type Placed<'a> = (u64, u8, TrackEventKind<'a>);

impl MidiFile {
    /// As the bytes of a type 1 file: a first track of tempo and metre, then one a part.
    /// On one tick, note-offs stand before note-ons, so that repeated keys sound again.
    /// Notes of tracks beyond [`MidiFile::tracks`] are left out.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut parts: Vec<Vec<Placed>> = Vec::with_capacity(self.tracks.len() + 1);
        parts.push(self.conductor());
        for name in &self.tracks {
            let title = MetaMessage::TrackName(name.as_bytes());
            parts.push(vec![(0, 0, TrackEventKind::Meta(title))]);
        }
        for note in &self.notes {
            if let Some(part) = parts.get_mut(usize::from(note.track) + 1) {
                part.extend(on_and_off(note));
            }
        }
        let tracks: Vec<_> = parts
            .into_iter()
            .map(|part| finish_track(part, self.end))
            .collect();
        let timing = Timing::Metrical(u15::new(self.ticks_per_beat.min(0x7fff) as u16));
        let mut bytes = Vec::new();
        let header = Header::new(Format::Parallel, timing);
        // Writing to memory fails only on tracks over 4 GiB.
        let _ = midly::write_std(&header, tracks.iter(), &mut bytes);
        bytes
    }

    /// Writes a type 1 file, whole or not at all. A MIDI file that is there is replaced.
    ///
    /// # Errors
    /// When something else is there, or when the system refuses.
    pub fn write_file(&self, path: &Path) -> Result<(), MidiError> {
        let output = Output::check(path, &kind::MIDI, Replace::SameKind)?;
        Ok(output.write(&self.to_bytes())?)
    }

    fn conductor(&self) -> Vec<Placed<'static>> {
        let tempos = self.tempos.iter().map(|&(tick, micros)| {
            let micros = u24::new(micros.clamp(1, 0xff_ffff));
            (tick, 0, TrackEventKind::Meta(MetaMessage::Tempo(micros)))
        });
        let metres = self.metres.iter().map(|&(tick, metre)| {
            let power = metre.denominator.max(1).ilog2() as u8;
            let numerator = metre.numerator.min(255) as u8;
            let meta = MetaMessage::TimeSignature(numerator, power, 24, 8);
            (tick, 0, TrackEventKind::Meta(meta))
        });
        tempos.chain(metres).collect()
    }
}

fn on_and_off(note: &MidiNote) -> [Placed<'static>; 2] {
    let channel = u4::new(note.channel & 15);
    let key = u7::new(note.pitch & 127);
    let on = MidiMessage::NoteOn {
        key,
        vel: u7::new(note.velocity.clamp(1, 127)),
    };
    let off = MidiMessage::NoteOff {
        key,
        vel: u7::new(64),
    };
    let event = |message| TrackEventKind::Midi { channel, message };
    // A note of no length still begins before it ends.
    let end = note.end.max(note.start + 1);
    [(note.start, 2, event(on)), (end, 1, event(off))]
}

fn finish_track(mut events: Vec<Placed>, end: u64) -> Vec<TrackEvent> {
    events.sort_by_key(|&(tick, rank, _)| (tick, rank));
    let last = events.last().map_or(0, |e| e.0).max(end);
    events.push((last, 3, TrackEventKind::Meta(MetaMessage::EndOfTrack)));
    let mut now = 0;
    events
        .into_iter()
        .map(|(tick, _, kind)| {
            let delta = u28::new((tick - now).min(0x0fff_ffff) as u32);
            now = tick;
            TrackEvent { delta, kind }
        })
        .collect()
}
