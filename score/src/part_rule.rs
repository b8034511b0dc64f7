//! The part of a band that each track of a MIDI file plays. The first of these rules that applies
//! decides, for the notes of one track on one channel:
//!
//! 1. **Drum channel**: notes on channel 10, or on a channel that GS, XG or GM2 messages turn into
//!    drums, are `drums`.
//! 2. **Program** (counted from 1, in force at the track's first note): the basses (33 to 40), the
//!    contrabass (44) and the tuba (59) are `bass`, synth leads (81 to 88) are `lead`, synth pads
//!    (89 to 96) are `chords`.
//! 3. **Name** of the track, if the track has one channel: a word such as "bass", "drums", "melody",
//!    "vocals", "chords", "pad", "strings", "piano" or "left hand", in a dozen languages. A name
//!    says `drums` only if the program has no pitches (1, 116 to 120, or none). Wherever drums are
//!    told from pitches, such a track counts as drums ([`crate::midi::MidiFile::is_drum`]).
//! 4. **Keyboard piece**: where nothing else than keys was found, and every track has a keyboard's
//!    program (1 to 8, 17 to 21) or none, all are `keys`: a lone keyboard, or its two hands.
//! 5. **Texture**: the rest go by register, by how many notes sound at once, and by rhythm.
//!    - 1.4 notes at once or more: `bass` if half of the notes are below A2; `keys` if they span
//!      two octaves or more; else `chords`.
//!    - A single line: `bass` if half of its notes are below C3, or if it is the lowest of several
//!      tracks, below G3, and nobody else is the bass; `chords` if it is an arpeggio (even notes
//!      in leaps); `lead` if it is the highest of these lines and nobody else is the lead; else
//!      `chords`.
//!
//! ```
//! use continuo_score::part_rule::{self, TrackNotes};
//! use continuo_score::{Part, tune};
//!
//! let tune = tune::parse("E5:1 D5:.5 C5:.5 D5:1 E5:1", 12).unwrap();
//! let piano = TrackNotes { name: "Piano", program: Some(0), drums: false, notes: &tune.notes };
//! let flute = TrackNotes { name: "", program: Some(73), ..piano };
//! let found = part_rule::parts(&[piano, flute]);
//! assert_eq!((found[0].0, found[1].0), (Part::Keys, Part::Lead));
//! ```

pub(crate) mod names;
mod texture;

use crate::part::Part;
use crate::score::Note;
use crate::tune::pitch_name;
use texture::Texture;

/// Notes at once from which on a track is no single line.
const CHORDAL: f32 = 1.4;
/// Semitones that one hand does not span.
const TWO_HANDS: u8 = 24;
/// The median pitch below which chords are a bass: A2.
const LOW_CHORDS: u8 = 45;
/// The median pitch below which a line is a bass: C3.
const LOW: u8 = 48;
/// The median pitch below which the lowest line is a bass: G3.
const LOWEST: u8 = 55;

/// The notes of one track on one channel, and what the file says of them.
#[derive(Clone, Copy, Debug)]
pub struct TrackNotes<'a> {
    /// The name; empty if there is none, or if it is not that of these notes alone.
    pub name: &'a str,
    /// The program, 0 to 127; 0 is the grand piano.
    pub program: Option<u8>,
    /// Whether the notes are on a drum channel. Drums by name are not.
    pub drums: bool,
    /// The notes, in [`crate::Score::normalise`]'s order. Their parts do not count.
    pub notes: &'a [Note],
}

/// The rule that decided a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PartRule {
    /// A drum channel.
    DrumChannel,
    /// The program, 0 to 127.
    Program(u8),
    /// A word of the track's name.
    Name(&'static str),
    /// All tracks are a keyboard's.
    KeyboardPiece,
    /// This many notes at once, on average.
    Chordal(f32),
    /// This many notes at once, on average, over this many semitones.
    TwoHands(f32, u8),
    /// Low notes, with this median pitch.
    Low(u8),
    /// The lowest of the lines.
    LowestLine,
    /// Even notes in leaps.
    Arpeggio,
    /// The highest of the lines.
    HighestLine,
    /// A line that is not the highest, or beside a lead.
    InnerLine,
}

impl std::fmt::Display for PartRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DrumChannel => f.write_str("drum channel"),
            Self::Program(program) => write!(f, "program {}", program + 1),
            Self::Name(word) => write!(f, "name: {word:?}"),
            Self::KeyboardPiece => f.write_str("all tracks are a keyboard's"),
            Self::Chordal(voices) => write!(f, "{voices:.1} notes at once"),
            Self::TwoHands(voices, span) => {
                write!(f, "{voices:.1} notes at once over {span} semitones")
            }
            Self::Low(median) => write!(f, "low notes, around {}", pitch_name(*median)),
            Self::LowestLine => f.write_str("lowest line"),
            Self::Arpeggio => f.write_str("arpeggio"),
            Self::HighestLine => f.write_str("highest line"),
            Self::InnerLine => f.write_str("line that is not the highest"),
        }
    }
}

/// The part of each track, and the rule that decided it.
pub fn parts(tracks: &[TrackNotes<'_>]) -> Vec<(Part, PartRule)> {
    let mut found: Vec<Option<(Part, PartRule)>> = tracks.iter().map(by_its_data).collect();
    let no_others = found.iter().flatten().all(|(part, _)| part.is_keys());
    if no_others && tracks.iter().all(|track| is_keyboard(track.program)) {
        let keys = (Part::Keys, PartRule::KeyboardPiece);
        found
            .iter_mut()
            .for_each(|found| *found = found.or(Some(keys)));
    }
    by_texture(tracks, &mut found);
    // A track without notes plays nothing.
    let nothing = (Part::Keys, PartRule::KeyboardPiece);
    let found = found.into_iter();
    found.map(|found| found.unwrap_or(nothing)).collect()
}

/// Drum channel, program and name.
fn by_its_data(track: &TrackNotes<'_>) -> Option<(Part, PartRule)> {
    if track.drums {
        return Some((Part::Drums, PartRule::DrumChannel));
    }
    let by_program = track.program.and_then(|program| {
        let part = match program {
            32..=39 | 43 | 58 => Part::Bass,
            80..=87 => Part::Lead,
            88..=95 => Part::Chords,
            _ => return None,
        };
        Some((part, PartRule::Program(program)))
    });
    by_program.or_else(|| {
        let (part, word) = names::part(track.name)?;
        let fits = part.is_pitched() || names::may_be_drums(track.program);
        fits.then_some((part, PartRule::Name(word)))
    })
}

fn is_keyboard(program: Option<u8>) -> bool {
    program.is_none_or(|program| matches!(program, 0..=7 | 16..=20))
}

/// Register, notes at once and rhythm, for the tracks that are not decided.
fn by_texture(tracks: &[TrackNotes<'_>], found: &mut [Option<(Part, PartRule)>]) {
    let has =
        |found: &[Option<(Part, PartRule)>], part| found.iter().flatten().any(|f| f.0 == part);
    let pitched = tracks.iter().filter(|track| !track.drums).count();
    // The single lines that are left: index and median.
    let mut lines: Vec<(usize, u8)> = Vec::new();
    for (index, track) in tracks.iter().enumerate() {
        let Some(texture) = Texture::of(track.notes).filter(|_| found[index].is_none()) else {
            continue;
        };
        let (voices, span, median) = (texture.voices, texture.span, texture.median);
        let chordal = voices >= CHORDAL;
        found[index] = Some(match chordal {
            true if median < LOW_CHORDS => (Part::Bass, PartRule::Low(median)),
            true if span >= TWO_HANDS => (Part::Keys, PartRule::TwoHands(voices, span)),
            true => (Part::Chords, PartRule::Chordal(voices)),
            false if median < LOW => (Part::Bass, PartRule::Low(median)),
            false if texture.is_arpeggio => (Part::Chords, PartRule::Arpeggio),
            false => {
                lines.push((index, median));
                continue;
            }
        });
    }
    // Of equal ones, the first track is the highest and the last is the lowest.
    lines.sort_by_key(|&(index, median)| (std::cmp::Reverse(median), index));
    if pitched > 1
        && !has(found, Part::Bass)
        && let Some(&(index, _)) = lines.last().filter(|line| line.1 < LOWEST)
    {
        found[index] = Some((Part::Bass, PartRule::LowestLine));
        lines.pop();
    }
    let mut lead = !has(found, Part::Lead);
    for (index, _) in lines {
        found[index] = Some(match std::mem::take(&mut lead) {
            true => (Part::Lead, PartRule::HighestLine),
            false => (Part::Chords, PartRule::InnerLine),
        });
    }
}

#[cfg(test)]
mod tests;
