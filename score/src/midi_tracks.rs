//! The notes of a MIDI file track by track, each with its part in the band.

use std::collections::BTreeMap;

use crate::midi::{MidiFile, ProgramMap};
use crate::part::Part;
use crate::part_rule::{self, PartRule, TrackNotes, names};
use crate::quantise::{Drums, Grid};
use crate::score::{Note, Score};
use crate::vocabulary::Vocabulary;

/// The notes of one track on one channel, on the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct MidiTrack {
    /// The track's name, decoded; empty where it has none.
    pub name: String,
    /// Track, an index into [`MidiFile::tracks`].
    pub track: u16,
    /// Channel, 0 to 15.
    pub channel: u8,
    /// Whether its keys are drums, not pitches.
    pub drums: bool,
    /// The program in force at its first note, 0 to 127, where there is one.
    pub program: Option<u8>,
    /// The part it plays.
    pub part: Part,
    /// The rule that decided the part.
    pub rule: PartRule,
    /// The notes, in [`Score::normalise`]'s order, with their part.
    pub notes: Vec<Note>,
}

/// The file's tracks, in order of tracks, then channels. If a channel changes between pitches and
/// drums, its drums are a track of their own. Bars, tempo and length are those of
/// [`Score::from_midi`]. [`part_rule`] decides the parts.
pub fn midi_tracks(file: &MidiFile, steps_per_beat: u32, drums: Drums) -> Vec<MidiTrack> {
    let grid = Grid::new(file.ticks_per_beat, steps_per_beat);
    let programs = ProgramMap::new(file);
    let mut groups: BTreeMap<(u16, u8, bool), Group> = BTreeMap::new();
    for midi in &file.notes {
        if let Some(note) = grid.note(midi) {
            let key = (midi.track, midi.channel, file.is_drum(midi));
            let new = || Group {
                program: programs.at(file, midi),
                notes: Vec::new(),
            };
            groups.entry(key).or_insert_with(new).notes.push(note);
        }
    }
    let track = |((track, channel, drums), Group { program, notes })| {
        let mut score = Score::new(steps_per_beat);
        score.notes = notes;
        score.normalise();
        MidiTrack {
            name: file.name(track),
            track,
            channel,
            drums,
            program,
            part: Part::Keys,
            rule: PartRule::KeyboardPiece,
            notes: score.notes,
        }
    };
    let mut tracks: Vec<MidiTrack> = groups.into_iter().map(track).collect();
    assign_parts(file, &mut tracks);
    tracks.retain(|track| drums == Drums::Keep || !track.drums);
    tracks
}

/// The notes of one track on one channel, and the program of the first.
struct Group {
    program: Option<u8>,
    notes: Vec<Note>,
}

/// Whether a name has a word for drums.
fn names_drums(name: &str) -> bool {
    names::part(name).is_some_and(|(part, _)| part == Part::Drums)
}

/// Sets the part of every track and of its notes.
fn assign_parts(file: &MidiFile, tracks: &mut [MidiTrack]) {
    let is_alone = |index: usize| {
        let mut beside = [index.checked_sub(1), Some(index + 1)]
            .into_iter()
            .flatten();
        let number = tracks[index].track;
        !beside.any(|other| tracks.get(other).is_some_and(|t| t.track == number))
    };
    // A name of several channels is that of the piece, and so may be one with a word for drums.
    let is_own = |index: usize| {
        let track = &tracks[index];
        is_alone(index) && (!names_drums(&track.name) || file.drums.is_named(track.track))
    };
    let said = tracks.iter().enumerate().map(|(index, track)| TrackNotes {
        name: if is_own(index) { &track.name } else { "" },
        program: track.program,
        drums: track.drums && !file.drums.is_named(track.track),
        notes: &track.notes,
    });
    let said: Vec<TrackNotes<'_>> = said.collect();
    let parts = part_rule::parts(&said);
    for (track, (part, rule)) in tracks.iter_mut().zip(parts) {
        (track.part, track.rule) = (part, rule);
        for note in &mut track.notes {
            note.part = part;
            if !part.is_pitched() {
                note.length = 1;
            }
        }
    }
}

impl Score {
    /// The file's notes on a grid of `steps_per_beat`, with their parts ([`part_rule`]).
    pub fn from_midi_parts(file: &MidiFile, steps_per_beat: u32) -> Score {
        let mut score = Self::bars_of(file, steps_per_beat);
        let tracks = midi_tracks(file, steps_per_beat, Drums::Keep);
        score.notes = tracks.into_iter().flat_map(|track| track.notes).collect();
        score.normalise();
        score
    }

    /// The file's notes as a model with this vocabulary hears them: with their parts if it has
    /// parts, else merged and without drums.
    pub fn for_vocabulary(file: &MidiFile, vocabulary: &Vocabulary) -> Score {
        match vocabulary.has_parts() {
            true => Self::from_midi_parts(file, vocabulary.steps_per_beat),
            false => Self::from_midi(file, vocabulary.steps_per_beat, Drums::Drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::{MidiNote, ProgramChange, Text};

    fn note(start: u64, track: u16, channel: u8, pitch: u8) -> MidiNote {
        MidiNote {
            start,
            end: start + 480,
            pitch,
            velocity: 9,
            channel,
            track,
        }
    }

    fn file(names: &[&str], notes: Vec<MidiNote>) -> MidiFile {
        MidiFile {
            ticks_per_beat: 480,
            tracks: names.iter().map(|&name| Text::from(name)).collect(),
            notes,
            ..MidiFile::default()
        }
    }

    #[test]
    fn tracks_are_divided_by_channel() {
        let notes = [(0, 1, 9), (0, 1, 2), (0, 0, 2), (480, 1, 2)];
        let notes = notes.map(|(start, track, channel)| note(start, track, channel, 60));
        let file = file(&["left", ""], notes.to_vec());
        let names = |drums| {
            let tracks = midi_tracks(&file, 12, drums).into_iter();
            let named = tracks.map(|p| (p.name, p.track, p.channel, p.notes.len()));
            named.collect::<Vec<_>>()
        };
        let (left, right) = (("left".into(), 0, 2, 1), (String::new(), 1, 2, 2));
        assert_eq!(names(Drums::Drop), [left.clone(), right.clone()]);
        let drums = (String::new(), 1, 9, 1);
        assert_eq!(names(Drums::Keep), [left, right, drums]);
    }

    #[test]
    fn parts_come_from_channels_programs_and_names() {
        let notes = vec![
            note(0, 0, 0, 60),
            note(0, 1, 9, 36),
            note(0, 2, 2, 72),
            note(480, 2, 3, 40),
            note(0, 3, 4, 65),
        ];
        let mut file = file(&["PIANO", "Drums", "Bass Song", "Vocals"], notes);
        let program = |tick, channel, program| ProgramChange {
            tick,
            track: 0,
            channel,
            program,
        };
        file.programs = vec![
            program(0, 3, 12),
            program(480, 3, 33),
            program(481, 3, 12),
            program(0, 2, 81),
        ];
        let tracks = midi_tracks(&file, 12, Drums::Keep);
        let found: Vec<_> = tracks.iter().map(|t| (t.part, t.rule)).collect();
        assert_eq!(
            found,
            [
                (Part::Keys, PartRule::Name("piano")),
                (Part::Drums, PartRule::DrumChannel),
                (Part::Lead, PartRule::Program(81)),
                (Part::Bass, PartRule::Program(33)),
                (Part::Lead, PartRule::Name("vocals")),
            ]
        );
        assert_eq!(tracks[3].program, Some(33));
        let score = Score::from_midi_parts(&file, 12);
        let notes: Vec<_> = score
            .notes
            .iter()
            .map(|n| (n.start, n.part, n.pitch, n.length))
            .collect();
        assert_eq!(
            notes,
            [
                (0, Part::Keys, 60, 12),
                (0, Part::Lead, 65, 12),
                (0, Part::Lead, 72, 12),
                (0, Part::Drums, 36, 1),
                (12, Part::Bass, 40, 12),
            ]
        );
        let band = Score::for_vocabulary(&file, &Vocabulary::band());
        assert_eq!(band, score);
        let plain = Score::for_vocabulary(&file, &Vocabulary::continuo());
        assert_eq!(plain, Score::from_midi(&file, 12, Drums::Drop));
    }

    #[test]
    fn a_file_of_drums_only_has_drums() {
        let file = file(&[""], vec![note(0, 0, 9, 36), note(480, 0, 9, 38)]);
        let score = Score::from_midi_parts(&file, 12);
        assert_eq!(score.notes.len(), 2);
        assert!(score.notes.iter().all(|n| n.part == Part::Drums));
        let merged = score.quantise(&Vocabulary::continuo());
        assert!(merged.notes.is_empty() && merged.length == score.length);
    }
}
