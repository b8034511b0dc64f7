//! Drums by the names of their tracks: many programs write a drum track on any channel.

use std::collections::BTreeMap;

use super::file::{MidiFile, MidiNote};
use super::programs::ProgramMap;
use crate::part_rule::names;

/// The tracks whose names say that they play drums, on one channel that is no drum channel, and with
/// no program that has pitches.
pub(super) fn named_drums(file: &MidiFile) -> Vec<u16> {
    // Most files have no such name, and their notes need not be looked at.
    let mut tracks = 0..file.tracks.len().min(usize::from(u16::MAX)) as u16;
    if !tracks.any(|track| names::says_drums(&file.name(track), false)) {
        return Vec::new();
    }
    let programs = ProgramMap::new(file);
    let mut tracks: BTreeMap<u16, Option<&MidiNote>> = BTreeMap::new();
    for note in &file.notes {
        let first = tracks.entry(note.track).or_insert(Some(note));
        let same = |first: &&MidiNote| first.channel == note.channel && !file.is_drum(note);
        *first = first.filter(same);
    }
    let alone = tracks.len() == 1;
    let is_drums = |(track, first): (u16, Option<&MidiNote>)| {
        let program = programs.at(file, first?);
        let says = names::says_drums(&file.name(track), alone);
        (says && names::may_be_drums(program)).then_some(track)
    };
    tracks.into_iter().filter_map(is_drums).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{ProgramChange, Text};
    use super::*;

    /// The tracks of a file that are drums by their names: `(name, channels, program)` each.
    fn named(tracks: &[(&str, &[u8], Option<u8>)]) -> Vec<u16> {
        let mut file = MidiFile::default();
        for (track, &(name, channels, program)) in (0..).zip(tracks) {
            file.tracks.push(Text::from(name));
            for &channel in channels {
                let note = MidiNote {
                    start: 10,
                    end: 20,
                    pitch: 36,
                    velocity: 80,
                    channel,
                    track,
                };
                file.notes.push(note);
            }
            file.programs.extend(program.map(|program| ProgramChange {
                tick: 0,
                track,
                channel: channels[0],
                program,
            }));
        }
        named_drums(&file)
    }

    #[test]
    fn a_name_makes_drums_where_no_pitches_are_meant() {
        assert_eq!(named(&[("Drums", &[0], None), ("Bass", &[1], None)]), [0]);
        assert_eq!(
            named(&[("Kick", &[3], Some(0)), ("Toms", &[4], Some(117))]),
            [0, 1]
        );
        for pitched in [
            ("Piano", &[0][..], None),
            // A drum channel needs no name, and the name of several channels is the piece's.
            ("Drums", &[9], None),
            ("Drum Song", &[0, 1], None),
            ("Drums and Bass", &[0], Some(33)),
            ("Steel Drums", &[0], None),
            ("Kit", &[0], Some(114)),
            ("Tom Dooley", &[0], Some(0)),
            ("The Little Drum", &[0], None),
        ] {
            assert_eq!(named(&[pitched]), [0u16; 0], "{pitched:?}");
        }
    }
}
