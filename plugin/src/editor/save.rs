//! What was heard and played as a MIDI file, to be dragged into a track.

use continuo_score::TimeSignature;
use continuo_score::midi::{MidiFile, MidiNote};

use super::bars::bars_at;
use super::view::{By, Part, Roll, RollNote};

/// Fine enough to keep a player's timing to a tenth of a millisecond at any usual tempo.
const TICKS: u32 = 4_800;

/// Channels of the two tracks, from 0.
const HEARD: u8 = 0;
const PLAYED: u8 = 1;

/// The notes up to the playhead, from the last `bars` bars or all, at a tempo in quarter notes
/// a minute. `None` when there are none. The file begins with the bar line before its first
/// note.
pub fn midi(roll: &Roll, part: Part, bars: Option<u32>, tempo: f64) -> Option<MidiFile> {
    let from = bars.map_or(f64::NEG_INFINITY, |bars| bars_back(roll, bars));
    let wanted = |note: &&RollNote| {
        let whose = match part {
            Part::Heard => note.by == By::Player,
            Part::Played => note.by == By::Us,
            Part::Both => true,
        };
        whose && note.start >= from - 1e-6 && note.start < roll.now
    };
    let notes: Vec<_> = roll.notes.iter().filter(wanted).collect();
    let first = notes.iter().map(|n| n.start).reduce(f64::min)?;
    let origin = bar_line(roll, first);
    let tick = |beat: f64| ((beat - origin) * f64::from(TICKS)).round().max(0.0) as u64;
    let tracks: &[(By, u8, &str)] = match part {
        Part::Heard => &[(By::Player, HEARD, "Heard")],
        Part::Played => &[(By::Us, PLAYED, "Continuo")],
        Part::Both => &[(By::Player, HEARD, "Heard"), (By::Us, PLAYED, "Continuo")],
    };
    let mut file = MidiFile {
        ticks_per_beat: TICKS,
        tempos: vec![(0, (60e6 / tempo.clamp(1.0, 1000.0)) as u32)],
        tracks: tracks.iter().map(|t| t.2.into()).collect(),
        ..MidiFile::default()
    };
    for (track, &(by, channel, _)) in tracks.iter().enumerate() {
        let own = notes.iter().filter(|n| n.by == by);
        file.notes.extend(own.map(|note| MidiNote {
            start: tick(note.start),
            end: tick(note.end.unwrap_or(roll.now).min(roll.now.max(note.start))),
            pitch: note.pitch,
            velocity: note.velocity,
            channel,
            track: track as u16,
        }));
    }
    file.notes.sort_unstable();
    file.end = file.notes.iter().map(|n| n.end).max().unwrap_or(0);
    let metre = |at: f64| {
        let bars = bars_at(&roll.time_signatures, at);
        TimeSignature {
            numerator: bars.numerator,
            denominator: bars.denominator,
        }
    };
    let changes = roll
        .time_signatures
        .iter()
        .map(|b| b.at)
        .filter(|&at| at > origin && at < roll.now);
    file.time_signatures.push((0, metre(origin)));
    file.time_signatures
        .extend(changes.map(|at| (tick(at), metre(at))));
    file.time_signatures
        .dedup_by(|later, before| later.1 == before.1);
    Some(file)
}

/// The bar line at or before a position.
fn bar_line(roll: &Roll, at: f64) -> f64 {
    let bars = bars_at(&roll.time_signatures, at);
    let (bar, ..) = bars.place(at);
    bars.at + f64::from(bar - bars.number) * bars.length()
}

/// The bar line so many whole bars before the playhead, not counting the bar under way.
fn bars_back(roll: &Roll, bars: u32) -> f64 {
    let mut at = bar_line(roll, roll.now);
    for _ in 0..bars {
        at = bar_line(roll, at - 1e-3);
    }
    at
}

#[cfg(test)]
mod tests {
    use continuo_score::midi::read_bytes;

    use super::*;
    use crate::editor::view::Bars;

    fn roll() -> Roll {
        let note = |start: f64, length: f64, pitch, by| RollNote {
            start,
            end: Some(start + length),
            pitch,
            velocity: 77,
            by,
        };
        Roll {
            now: 12.0,
            notes: vec![
                note(4.013, 0.5, 60, By::Player),
                RollNote {
                    end: None,
                    ..note(11.0, 0.0, 62, By::Player)
                },
                note(8.0, 1.0, 64, By::Us),
                note(11.5, 2.0, 65, By::Us),
                note(12.5, 1.0, 67, By::Us),
            ],
            time_signatures: vec![
                Bars::COMMON,
                Bars {
                    at: 8.0,
                    number: 3,
                    numerator: 3,
                    denominator: 4,
                },
            ],
            ..Roll::default()
        }
    }

    fn read(roll: &Roll, part: Part, bars: Option<u32>) -> Option<MidiFile> {
        midi(roll, part, bars, 90.0).map(|file| read_bytes(&file.to_bytes().unwrap()).unwrap())
    }

    #[test]
    fn both_parts_are_written_as_they_were_played() {
        let file = read(&roll(), Part::Both, None).unwrap();
        let notes: Vec<_> = file
            .notes
            .iter()
            .map(|n| (n.start, n.end, n.pitch, n.track))
            .collect();
        let at = |beats: f64| (beats * f64::from(TICKS)).round() as u64;
        let track = |pitch| file.notes.iter().find(|n| n.pitch == pitch).unwrap().track;
        let (heard, played) = (track(60), track(64));
        assert_ne!(heard, played);
        assert_eq!(
            notes,
            [
                (at(0.013), at(0.513), 60, heard),
                (at(4.0), at(5.0), 64, played),
                (at(7.0), at(8.0), 62, heard),
                // What is planned beyond the playhead was not played yet.
                (at(7.5), at(8.0), 65, played),
            ]
        );
        assert_eq!(
            file.time_signatures
                .iter()
                .map(|m| (m.0, m.1.numerator))
                .collect::<Vec<_>>(),
            [(0, 4), (at(4.0), 3)]
        );
        assert_eq!(file.tempos, [(0, 666_666)]);
    }

    #[test]
    fn one_part_of_the_last_bars() {
        let count = |part, bars| read(&roll(), part, bars).map(|file| file.notes.len());
        assert_eq!(count(Part::Heard, None), Some(2));
        assert_eq!(count(Part::Heard, Some(1)), Some(1));
        assert_eq!(count(Part::Played, Some(1)), Some(2));
        assert_eq!(count(Part::Played, Some(0)), Some(1));
        assert_eq!(midi(&Roll::default(), Part::Both, None, 120.0), None);
    }
}
