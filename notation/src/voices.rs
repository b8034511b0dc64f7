//! Voices: the notes of a staff that are written one after the other.

use continuo_score::Note;

use crate::spelling::Name;

/// Voices of a staff, as many as editors take. More are made only for notes of one pitch that
/// overlap in all of them.
const MOST: usize = 4;

/// A note that is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WrittenNote {
    pub(crate) note: Note,
    /// The name of its pitch; of no use for drum hits.
    pub(crate) name: Name,
}

impl WrittenNote {
    pub(crate) fn start(&self) -> u32 {
        self.note.start
    }

    pub(crate) fn end(&self) -> u32 {
        self.note.end()
    }
}

/// One voice: notes sorted by start. Where they overlap, the voice has fewer than all voices of
/// its notes would need, and they are tied at each other's beginnings and ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voice {
    pub(crate) notes: Vec<WrittenNote>,
    /// End and pitch of the last notes.
    sounding: Vec<(u32, u8)>,
}

impl Voice {
    fn is_free(&self, step: u32) -> bool {
        self.sounding.iter().all(|(end, _)| *end <= step)
    }

    fn sounds(&self, step: u32, chord: &[WrittenNote]) -> bool {
        let same = |&(end, pitch): &(u32, u8)| {
            end > step && chord.iter().any(|written| written.note.pitch == pitch)
        };
        self.sounding.iter().any(same)
    }

    fn add(&mut self, chord: &[WrittenNote]) {
        let start = chord[0].start();
        self.sounding.retain(|(end, _)| *end > start);
        let ends = chord
            .iter()
            .map(|written| (written.end(), written.note.pitch));
        self.sounding.extend(ends);
        self.notes.extend(chord);
    }
}

/// Divides notes, sorted by start, into voices. Notes with one beginning and one end are a chord.
/// A chord goes to the first voice that is free, of several the highest chord first.
pub(crate) fn voices(notes: &[WrittenNote]) -> Vec<Voice> {
    let mut voices = vec![Voice::default()];
    for together in notes.chunk_by(|a, b| a.start() == b.start()) {
        for chord in chords(together) {
            let start = chord[0].start();
            let free = voices.iter().position(|voice| voice.is_free(start));
            let shared = || {
                let apart = |voice: &Voice| !voice.sounds(start, &chord);
                match voices.len() < MOST {
                    true => None,
                    false => voices.iter().rposition(apart),
                }
            };
            let index = free.or_else(shared).unwrap_or(voices.len());
            if index == voices.len() {
                voices.push(Voice::default());
            }
            voices[index].add(&chord);
        }
    }
    voices
}

/// The notes of one beginning by their ends; the chord with the highest note first.
fn chords(together: &[WrittenNote]) -> Vec<Vec<WrittenNote>> {
    let mut chords: Vec<Vec<WrittenNote>> = Vec::new();
    let mut notes = together.to_vec();
    notes.sort_by_key(|written| std::cmp::Reverse(written.note.pitch));
    for note in notes {
        match chords.iter_mut().find(|chord| chord[0].end() == note.end()) {
            Some(chord) => chord.push(note),
            None => chords.push(vec![note]),
        }
    }
    chords
}

/// A stretch of a voice in which the same notes sound; none in a rest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// From low to high.
    pub(crate) notes: Vec<WrittenNote>,
}

/// Cuts a voice into slices, bar after bar.
pub(crate) struct Slicer<'a> {
    rest: &'a [WrittenNote],
    sounding: Vec<WrittenNote>,
}

impl<'a> Slicer<'a> {
    pub(crate) fn new(voice: &'a Voice) -> Self {
        Self {
            rest: &voice.notes,
            sounding: Vec::new(),
        }
    }

    /// The slices of the next bar, without gaps. Bars are called for in order.
    pub(crate) fn bar(&mut self, start: u32, end: u32) -> Vec<Slice> {
        self.sounding.retain(|written| written.end() > start);
        let begun = self.rest.partition_point(|written| written.start() < end);
        let (begun, rest) = self.rest.split_at(begun);
        self.rest = rest;
        self.sounding.extend(begun);
        self.sounding.sort_by_key(|written| written.note.pitch);
        let ends = self.sounding.iter().flat_map(|w| [w.start(), w.end()]);
        let inside = ends.filter(|step| (start + 1..end).contains(step));
        let mut bounds: Vec<u32> = inside.chain([start, end]).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let slice = |bounds: &[u32]| {
            let (start, end) = (bounds[0], bounds[1]);
            let sounds = |w: &&WrittenNote| w.start() < end && w.end() > start;
            Slice {
                start,
                end,
                notes: self.sounding.iter().filter(sounds).copied().collect(),
            }
        };
        bounds.windows(2).map(slice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(start: u32, length: u32, pitch: u8) -> WrittenNote {
        WrittenNote {
            note: Note {
                start,
                length,
                pitch,
                ..Note::default()
            },
            name: Name::of(0),
        }
    }

    fn pitches(voices: &[Voice]) -> Vec<Vec<u8>> {
        let of = |voice: &Voice| voice.notes.iter().map(|w| w.note.pitch).collect();
        voices.iter().map(of).collect()
    }

    #[test]
    fn chords_and_lines_need_one_voice_and_held_notes_another() {
        let one = [written(0, 12, 60), written(0, 12, 64), written(12, 12, 62)];
        assert_eq!(pitches(&voices(&one)), [[64, 60, 62]]);
        let two = [
            written(0, 24, 60),
            written(0, 12, 72),
            written(12, 12, 74),
            written(24, 12, 76),
        ];
        assert_eq!(pitches(&voices(&two)), [vec![72, 74, 76], vec![60]]);
    }

    #[test]
    fn a_fifth_voice_is_shared_unless_pitches_collide() {
        let held = |count: u8| (0..count).map(|i| written(u32::from(i), 40, 60 + i));
        let many: Vec<_> = held(7).collect();
        assert_eq!(voices(&many).len(), MOST);
        let same: Vec<_> = (0..6).map(|i| written(i, 40, 60)).collect();
        assert_eq!(voices(&same).len(), 6);
    }

    #[test]
    fn slices_begin_and_end_where_notes_do() {
        let voice = Voice {
            notes: vec![written(2, 8, 60), written(4, 60, 64)],
            sounding: Vec::new(),
        };
        let mut slicer = Slicer::new(&voice);
        let mut bar = |start, end| {
            let slices = slicer.bar(start, end).into_iter();
            let of = |s: Slice| (s.start, s.end, s.notes.len());
            slices.map(of).collect::<Vec<_>>()
        };
        assert_eq!(bar(0, 48), [(0, 2, 0), (2, 4, 1), (4, 10, 2), (10, 48, 1)]);
        assert_eq!(bar(48, 96), [(48, 64, 1), (64, 96, 0)]);
        assert_eq!(bar(96, 144), [(96, 144, 0)]);
    }
}
