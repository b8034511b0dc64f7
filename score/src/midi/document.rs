//! A MIDI file as bytes and as music, so that a track can be added without changing the rest.

use super::chunks::{Division, MAX_TRACKS};
use super::error::ParseError;
use super::file::{MidiFile, MidiNote, ReadOptions};
use super::layout::{ChannelSetting, FileLayout};
use super::read;

/// The sound of a part: the messages a new track on another channel sends to sound the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartSound {
    /// `(controller, value)` in sending order, before the program change.
    pub controls: Vec<(u8, u8)>,
    /// Program, 0 to 127, where the part has one.
    pub program: Option<u8>,
}

/// Bank select, volume, pan, expression, reverb and chorus, in the order they are sent.
const SOUND: [u8; 7] = [0, 32, 7, 10, 11, 91, 93];
/// Volume and expression: a part that fades out is continued at its loudest.
const LOUDNESS: [u8; 2] = [7, 11];

/// A MIDI file as bytes and as music. [`MidiDocument::append`] adds tracks and keeps every byte.
#[derive(Clone, Debug)]
pub struct MidiDocument {
    pub(super) bytes: Vec<u8>,
    pub(super) file: MidiFile,
    pub(super) layout: FileLayout,
}

impl MidiDocument {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// Those of [`super::read`].
    pub fn read(bytes: Vec<u8>, options: &ReadOptions) -> Result<Self, ParseError> {
        let (file, layout) = read::run(&bytes, options, true)?;
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
        self.layout.spans.len() < MAX_TRACKS
    }

    /// The lowest channel, other than channel 10 and those of the bits `taken`, that no message on the
    /// port of `track` uses.
    pub fn free_channel(&self, track: u16, taken: u16) -> Option<u8> {
        let port = self.file.drums.port(track);
        let same = |used: &&(u16, u16)| self.file.drums.port(used.0) == port;
        let used = self.layout.used.iter().filter(same);
        let used = used.fold(1 << 9 | taken, |all, (_, used)| all | used);
        (0..16).find(|channel| used >> channel & 1 == 0)
    }

    /// The sound of a note's part: bank, program and controllers of its channel at the note's
    /// onset, but volume and expression at their highest up to there.
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
