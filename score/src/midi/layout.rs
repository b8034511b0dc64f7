//! The outline of a MIDI file: where its tracks lie, and how they set their channels.

use super::chunks::Header;

/// Offsets of a track chunk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrackSpan {
    /// First byte of the chunk.
    pub(super) head: usize,
    /// End by the length it declares.
    pub(super) declared_end: usize,
    /// Actual end.
    pub(super) end: usize,
}

/// A message that sets the sound of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelSetting {
    /// Program, 0 to 127.
    Program(u8),
    /// Controller, value.
    Control(u8, u8),
}

/// The outline of a file: the offsets of its tracks, and the channels and settings they use.
#[derive(Clone, Debug)]
pub(super) struct FileLayout {
    pub(super) header: Header,
    pub(super) spans: Vec<TrackSpan>,
    /// `(track, channels)`, one bit for each channel, of the tracks with channel messages.
    pub(super) used: Vec<(u16, u16)>,
    /// `(tick, track, channel, setting)`, track by track.
    pub(super) settings: Vec<(u64, u16, u8, ChannelSetting)>,
}

impl FileLayout {
    pub(super) fn new(header: Header) -> Self {
        Self {
            header,
            spans: Vec::new(),
            used: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Notes that a message of `track` uses `channel`.
    #[inline]
    pub(super) fn uses(&mut self, track: u16, channel: u8) {
        let bit = 1 << (channel & 15);
        match self.used.last_mut() {
            Some((last, used)) if *last == track => *used |= bit,
            _ => self.used.push((track, bit)),
        }
    }
}
