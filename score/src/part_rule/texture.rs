//! Texture of a track: its register, how many notes sound at once, and its rhythm.

use std::collections::BTreeMap;

use crate::score::Note;

/// Measures of the notes of one track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Texture {
    /// Notes that sound at once, on average, while any sounds.
    pub(super) voices: f32,
    /// The pitch below which half of the notes lie.
    pub(super) median: u8,
    /// Semitones between the lowest and the highest tenth of the notes.
    pub(super) span: u8,
    /// Whether its notes are even and go in leaps.
    pub(super) is_arpeggio: bool,
}

/// Share of equal waits from one onset to the next from which on notes are even.
const EVEN: f32 = 0.8;
/// Semitones from note to note, on average, from which on a line goes in leaps.
const LEAP: f32 = 3.5;
/// Notes from which on a line has a rhythm.
const MIN_LINE: usize = 8;

impl Texture {
    /// The texture of notes in [`crate::Score::normalise`]'s order; `None` without notes.
    pub(super) fn of(notes: &[Note]) -> Option<Self> {
        let mut pitches: Vec<u8> = notes.iter().map(|n| n.pitch).collect();
        pitches.sort_unstable();
        let last = pitches.len().checked_sub(1)?;
        let tenth = last / 10;
        Some(Self {
            voices: voices(notes),
            median: pitches[last / 2],
            span: pitches[last - tenth] - pitches[tenth],
            is_arpeggio: is_arpeggio(notes),
        })
    }
}

fn voices(notes: &[Note]) -> f32 {
    let (mut sum, mut sounding, mut until) = (0u64, 0u64, 0u32);
    for note in notes {
        sum += u64::from(note.length);
        let from = note.start.max(until);
        sounding += u64::from(note.end().saturating_sub(from));
        until = until.max(note.end());
    }
    sum as f32 / sounding.max(1) as f32
}

fn is_arpeggio(notes: &[Note]) -> bool {
    if notes.len() < MIN_LINE {
        return false;
    }
    let pairs = || notes.windows(2).map(|pair| (pair[0], pair[1]));
    let mut waits: BTreeMap<u32, usize> = BTreeMap::new();
    for (a, b) in pairs() {
        *waits.entry(b.start - a.start).or_default() += 1;
    }
    let count = (notes.len() - 1) as f32;
    let commonest = waits.values().max().copied().unwrap_or(0) as f32;
    let leaps: u32 = pairs()
        .map(|(a, b)| u32::from(a.pitch.abs_diff(b.pitch)))
        .sum();
    commonest / count >= EVEN && leaps as f32 / count >= LEAP
}
