//! A MIDI file's bytes, what they say, and where they say it.

use super::chunks::{Division, Header};
use super::read::{self, MOST_TRACKS};
use super::{MidiFile, MidiNote, ParseError, ReadOptions};

/// Where a track stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrackSpan {
    /// Offset of its chunk's first byte.
    pub(super) head: usize,
    /// Offset of its end by the length it names.
    pub(super) said: usize,
    /// Offset of its end in truth.
    pub(super) next: usize,
}

/// A message that sets how a channel sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelSetting {
    Program(u8),
    /// Controller, value.
    Control(u8, u8),
}

/// The outline of a file: where its tracks stand, and which channels they set.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) header: Header,
    pub(super) spans: Vec<TrackSpan>,
    /// For each track with channel messages, a bit for each channel.
    used: Vec<(u16, u16)>,
    /// `(tick, track, channel, setting)`, track by track.
    pub(super) settings: Vec<(u64, u16, u8, ChannelSetting)>,
}

impl Layout {
    pub(super) fn new(header: Header) -> Self {
        Self {
            header,
            spans: Vec::new(),
            used: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// A message of `track` names `channel`.
    #[inline]
    pub(super) fn uses(&mut self, track: u16, channel: u8) {
        let bit = 1 << (channel & 15);
        match self.used.last_mut() {
            Some((last, used)) if *last == track => *used |= bit,
            _ => self.used.push((track, bit)),
        }
    }
}

/// How a part sounds: what a new track on another channel repeats to sound the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartSound {
    /// `(controller, value)`, in the order they are to be sent, before the program.
    pub controls: Vec<(u8, u8)>,
    /// Program, 0 to 127, where the part has one.
    pub program: Option<u8>,
}

/// Bank select, volume, pan, expression, reverb and chorus, in the order they are sent.
const SOUND: [u8; 7] = [0, 32, 7, 10, 11, 91, 93];
/// Volume and expression: a part that fades out is continued as loud as it was.
const LOUDNESS: [u8; 2] = [7, 11];

/// A MIDI file as bytes and as music. Tracks are added with [`MidiDocument::append`], which
/// keeps every byte.
#[derive(Clone, Debug)]
pub struct MidiDocument {
    pub(super) bytes: Vec<u8>,
    pub(super) file: MidiFile,
    pub(super) layout: Layout,
}

impl MidiDocument {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// As [`super::read`].
    pub fn read(bytes: Vec<u8>, reading: &ReadOptions) -> Result<Self, ParseError> {
        let (file, layout) = read::run(&bytes, reading, true)?;
        Ok(Self {
            bytes,
            file,
            layout,
        })
    }

    /// The file as music.
    pub fn file(&self) -> &MidiFile {
        &self.file
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the file's time follows a tempo. SMPTE time does not.
    pub fn follows_tempo(&self) -> bool {
        matches!(self.layout.header.division, Division::Metrical(_))
    }

    /// Whether the file can hold another track.
    pub fn has_room(&self) -> bool {
        self.layout.spans.len() < MOST_TRACKS
    }

    /// The lowest channel, other than channel 10, that no message of the port of `track` names.
    pub fn free_channel(&self, track: u16) -> Option<u8> {
        let port = self.file.drums.port(track);
        let same = |used: &&(u16, u16)| self.file.drums.port(used.0) == port;
        let used = self.layout.used.iter().filter(same);
        let used = used.fold(1 << 9, |all, (_, used)| all | used);
        (0..16).find(|channel| used >> channel & 1 == 0)
    }

    /// How the part of a note sounds there: its bank, program and controllers, as the channel
    /// has them when the note begins, but volume and expression as they were at their highest.
    pub fn sound_of(&self, note: &MidiNote) -> PartSound {
        let port = self.file.drums.port(note.track);
        let here = |&&(tick, track, channel, _): &&(u64, u16, u8, ChannelSetting)| {
            channel == note.channel && tick <= note.start && self.file.drums.port(track) == port
        };
        let mut settings: Vec<_> = self.layout.settings.iter().filter(here).collect();
        settings.sort_by_key(|setting| setting.0);
        let (mut controls, mut program) = ([None; SOUND.len()], None);
        for (.., setting) in settings {
            match *setting {
                ChannelSetting::Program(number) => program = Some(number),
                ChannelSetting::Control(controller, value) => {
                    if let Some(index) = SOUND.iter().position(|&c| c == controller) {
                        let loudest = LOUDNESS.contains(&controller);
                        let before = controls[index].filter(|_| loudest).unwrap_or(0);
                        controls[index] = Some(value.max(before));
                    }
                }
            }
        }
        let set = SOUND.iter().zip(controls);
        PartSound {
            controls: set.filter_map(|(&c, value)| Some((c, value?))).collect(),
            program,
        }
    }
}
