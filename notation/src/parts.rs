//! The parts of a score with their staves, clefs and voices.

use continuo_score::{Note, Part, Score};

use crate::bars::Bar;
use crate::hands::left_hand;
use crate::marks::{Marks, dynamics};
use crate::spelling::{Name, Speller};
use crate::voices::{Voice, WrittenNote, voices};

/// The order of the parts on the page, from top to bottom.
const ORDER: [Part; Part::COUNT] = [
    Part::Lead,
    Part::Keys,
    Part::Chords,
    Part::Bass,
    Part::Drums,
];

/// The lowest MIDI key that MusicXML's octaves have: C0.
const LOWEST: u8 = 12;

/// A part, ready to be written.
pub(crate) struct WrittenPart {
    pub(crate) part: Part,
    /// Semitones that are written higher than they sound: 0, or 12 where notes lie below C0.
    pub(crate) raised: u8,
    /// From the top: two for the keys, else one.
    pub(crate) staves: Vec<Staff>,
    pub(crate) dynamics: Marks,
    /// The keys of drums that occur, ascending.
    pub(crate) drums: Vec<u8>,
}

/// A staff.
pub(crate) struct Staff {
    pub(crate) clef: Clef,
    pub(crate) voices: Vec<Voice>,
}

/// A clef: MusicXML's sign, its line from below, and the octaves by which it shifts the staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clef {
    pub(crate) sign: &'static str,
    pub(crate) line: Option<u8>,
    pub(crate) octaves: i8,
}

const TREBLE: Clef = Clef {
    sign: "G",
    line: Some(2),
    octaves: 0,
};
const BASS: Clef = Clef {
    sign: "F",
    line: Some(4),
    octaves: 0,
};
const PERCUSSION: Clef = Clef {
    sign: "percussion",
    line: None,
    octaves: 0,
};

impl Clef {
    /// The clef for notes, by their median pitch; `usual` without notes.
    fn of(notes: &[WrittenNote], usual: Self) -> Self {
        let mut pitches: Vec<u8> = notes.iter().map(|written| written.note.pitch).collect();
        pitches.sort_unstable();
        match pitches.get(pitches.len() / 2) {
            None => usual,
            Some(..40) => Self {
                octaves: -1,
                ..BASS
            },
            Some(40..57) => BASS,
            Some(57..64) => usual,
            Some(64..88) => TREBLE,
            Some(88..) => Self {
                octaves: 1,
                ..TREBLE
            },
        }
    }
}

/// The parts that play, from the top of the page.
pub(crate) fn parts(score: &Score, bars: &[Bar], speller: &Speller<'_>) -> Vec<WrittenPart> {
    let mut parts = Vec::new();
    for part in ORDER {
        let notes = score.notes.iter().filter(|note| note.part == part);
        let notes: Vec<Note> = notes.copied().collect();
        if !notes.is_empty() {
            parts.push(match part.is_pitched() {
                true => pitched(part, &notes, score.steps_per_beat, bars, speller),
                false => percussion(&notes, bars),
            });
        }
    }
    parts
}

fn pitched(
    part: Part,
    notes: &[Note],
    beat: u32,
    bars: &[Bar],
    speller: &Speller<'_>,
) -> WrittenPart {
    let written = |(note, name): (&Note, Name)| WrittenNote { note: *note, name };
    let written: Vec<_> = notes
        .iter()
        .zip(speller.names(notes))
        .map(written)
        .collect();
    let staff = |notes: Vec<WrittenNote>, usual| Staff {
        clef: Clef::of(&notes, usual),
        voices: voices(&notes),
    };
    let staves = match part {
        Part::Keys => {
            let hands = written.iter().zip(left_hand(notes, beat));
            let (left, right): (Vec<_>, Vec<_>) = hands.partition(|(_, is_left)| *is_left);
            let notes = |hand: Vec<(&WrittenNote, bool)>| hand.iter().map(|(w, _)| **w).collect();
            vec![staff(notes(right), TREBLE), staff(notes(left), BASS)]
        }
        Part::Bass => vec![staff(written, BASS)],
        _ => vec![staff(written, TREBLE)],
    };
    let is_low = notes.iter().any(|note| note.pitch < LOWEST);
    WrittenPart {
        part,
        raised: if is_low { 12 } else { 0 },
        staves,
        dynamics: dynamics(notes, bars),
        drums: Vec::new(),
    }
}

/// Drum hits have no lengths. They are written up to the next hit, at most to the end of their beat.
fn percussion(notes: &[Note], bars: &[Bar]) -> WrittenPart {
    let mut ends = bars
        .iter()
        .flat_map(|bar| bar.beats.iter().map(|beat| beat.end))
        .peekable();
    let mut written = Vec::with_capacity(notes.len());
    let mut hits = notes.chunk_by(|a, b| a.start == b.start).peekable();
    while let Some(hit) = hits.next() {
        let start = hit[0].start;
        while ends.next_if(|end| *end <= start).is_some() {}
        let beat_end = ends.peek().copied().unwrap_or(start + 1);
        let next = hits.peek().map_or(beat_end, |next| next[0].start);
        let length = next.min(beat_end) - start;
        written.extend(hit.iter().map(|note| WrittenNote {
            note: Note { length, ..*note },
            name: Name::of(0),
        }));
    }
    let mut drums: Vec<u8> = notes.iter().map(|note| note.pitch).collect();
    drums.sort_unstable();
    drums.dedup();
    WrittenPart {
        part: Part::Drums,
        raised: 0,
        staves: vec![Staff {
            clef: PERCUSSION,
            voices: voices(&written),
        }],
        dynamics: dynamics(notes, bars),
        drums,
    }
}
