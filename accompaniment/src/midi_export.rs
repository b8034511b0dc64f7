//! A snapshot's notes as a MIDI file. Plain data; the composer thread calls it.

use continuo_score::midi::{MidiFile, MidiNote};
use continuo_score::{Part, PartSet, TimeSignature};

use crate::bar_grid::BarGrid;
use crate::choices::Mode;
use crate::snapshot::{RollNote, Snapshot};

/// Ticks in a quarter note: they keep a player's timing to a tenth of a millisecond at any usual tempo.
const TICKS: u32 = 4_800;

/// Tolerance at the first bar line, in quarter notes.
const SAME: f64 = 1e-6;

/// The notes to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportPart {
    /// The player's notes.
    Input,
    /// The generated notes.
    Generated,
    /// Both, as tracks of their own.
    Both,
}

/// The time from which notes are exported. Notes belong to it by their start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExportRange {
    /// From the first note on, up to the playhead.
    All,
    /// This number of whole bars before the bar under way, and that bar.
    LastBars(u32),
    /// The last answer: the generated notes since the last rest of a whole bar, or of a beat in which the
    /// player struck a key. While the plugin accompanies (*Along*, *Free*), only a whole bar counts as a rest.
    LastAnswer,
    /// From one position up to another, in quarter notes. The file begins and ends with them: a
    /// note that sounds beyond the end is cut there.
    Between(f64, f64),
}

impl From<Option<u32>> for ExportRange {
    fn from(bars: Option<u32>) -> Self {
        bars.map_or(Self::All, Self::LastBars)
    }
}

/// A source of notes. Its keys have its position among [`SOURCES`] as their channel.
struct Source {
    name: &'static str,
    generated: bool,
}

const SOURCES: [Source; 2] = [
    Source {
        name: "Heard",
        generated: false,
    },
    Source {
        name: "Continuo",
        generated: true,
    },
];

impl ExportPart {
    fn contains(self, generated: bool) -> bool {
        match self {
            Self::Input => !generated,
            Self::Generated => generated,
            Self::Both => true,
        }
    }
}

/// Channel 10, counted from 0.
const DRUM_CHANNEL: u8 = 9;

/// A track of the file.
struct Track {
    name: String,
    generated: bool,
    part: Part,
    channel: u8,
}

/// The tracks of the file: for each source its keys, and a track on a channel of its own for each other
/// part that it plays.
fn tracks(notes: &[&RollNote], exported: ExportPart) -> Vec<Track> {
    let mut free = (SOURCES.len() as u8..16).filter(|&channel| channel != DRUM_CHANNEL);
    let mut tracks = Vec::new();
    for (position, source) in SOURCES.iter().enumerate() {
        if !exported.contains(source.generated) {
            continue;
        }
        let own = notes.iter().filter(|n| n.generated == source.generated);
        let parts: PartSet = own.map(|note| note.part).collect();
        for part in Part::ALL {
            let (name, channel) = match part {
                Part::Keys if parts.is_empty() || parts.contains(part) => {
                    (source.name.into(), position as u8)
                }
                _ if !parts.contains(part) => continue,
                Part::Drums => (format!("{} {part}", source.name), DRUM_CHANNEL),
                _ => {
                    let name = format!("{} {part}", source.name);
                    // Two sources have six such parts: there are enough channels.
                    (name, free.next().unwrap_or(position as u8))
                }
            };
            tracks.push(Track {
                name,
                generated: source.generated,
                part,
                channel,
            });
        }
    }
    tracks
}

/// The notes of a range up to the playhead that sounded, at the snapshot's tempo. The file begins with the
/// bar line before its first note, or where the range says. `None` without notes.
pub fn export(snapshot: &Snapshot, part: ExportPart, range: ExportRange) -> Option<MidiFile> {
    let grid = BarGrid::of(snapshot);
    let now = snapshot.time.beat;
    let (from, to) = match range {
        ExportRange::All => (f64::NEG_INFINITY, now),
        ExportRange::LastBars(bars) => (bars_before(&grid, now, bars), now),
        ExportRange::LastAnswer => (last_answer(snapshot, &grid)?, now),
        ExportRange::Between(from, to) => (from, to.min(now)),
    };
    let wanted = |note: &&RollNote| {
        let sounds = part.contains(note.generated) && !note.imagined;
        sounds && note.start >= from - SAME && note.start < to - SAME
    };
    let notes: Vec<_> = snapshot.notes.iter().filter(wanted).collect();
    let first = notes.iter().map(|n| n.start).reduce(f64::min)?;
    let origin = match range {
        ExportRange::Between(from, _) => from,
        _ => grid.bar_line(first),
    };
    let tick = |beat: f64| ((beat - origin) * f64::from(TICKS)).round().max(0.0) as u64;
    let tracks = tracks(&notes, part);
    let mut file = MidiFile {
        ticks_per_beat: TICKS,
        tempos: vec![(0, (60e6 / snapshot.time.tempo.clamp(1.0, 1000.0)) as u32)],
        tracks: tracks
            .iter()
            .map(|track| track.name.as_str().into())
            .collect(),
        ..MidiFile::default()
    };
    for (number, track) in tracks.iter().enumerate() {
        let own = notes.iter();
        let own = own.filter(|n| (n.generated, n.part) == (track.generated, track.part));
        file.notes.extend(own.map(|note| MidiNote {
            start: tick(note.start),
            end: tick(note.end.unwrap_or(now).min(to)),
            pitch: note.pitch,
            velocity: note.velocity,
            channel: track.channel,
            track: number as u16,
        }));
    }
    file.notes.sort_unstable();
    file.end = file.notes.iter().map(|n| n.end).max().unwrap_or(0);
    if let ExportRange::Between(_, to) = range {
        file.end = file.end.max(tick(to));
    }
    let time_signature = |at: f64| {
        let section = grid.section_at(at);
        TimeSignature {
            numerator: section.numerator,
            denominator: section.denominator,
        }
    };
    let changes = grid.sections().iter().map(|section| section.at);
    let changes = changes.filter(|&at| at > origin && at < to);
    file.time_signatures.push((0, time_signature(origin)));
    file.time_signatures
        .extend(changes.map(|at| (tick(at), time_signature(at))));
    file.time_signatures
        .dedup_by(|later, before| later.1 == before.1);
    Some(file)
}

/// The bar line `bars` whole bars before `now`, not counting the bar under way.
fn bars_before(grid: &BarGrid, now: f64, bars: u32) -> f64 {
    let mut at = grid.bar_line(now);
    for _ in 0..bars {
        at = grid.bar_line(at - 1e-3);
    }
    at
}

/// Start of the first note of the last answer: see [`ExportRange::LastAnswer`].
fn last_answer(snapshot: &Snapshot, grid: &BarGrid) -> Option<f64> {
    let now = snapshot.time.beat;
    let accompanies = matches!(snapshot.mode, Some(Mode::Along | Mode::Free));
    let starts = |generated: bool| {
        let notes = snapshot.notes.iter().filter(move |n| n.start < now);
        notes.filter(move |n| n.generated == generated && !n.imagined)
    };
    let heard: Vec<f64> = starts(false).map(|n| n.start).collect();
    let (mut first, mut sounds_to): (Option<f64>, f64) = (None, f64::NEG_INFINITY);
    for note in starts(true) {
        let rest = note.start - sounds_to;
        let struck = || {
            let next = heard.partition_point(|&at| at < sounds_to - SAME);
            heard.get(next).is_some_and(|&at| at < note.start)
        };
        let ends = rest >= grid.section_at(note.start).bar_length() - SAME
            || (!accompanies && rest >= 1.0 - SAME && struck());
        if first.is_none() || ends {
            first = Some(note.start);
        }
        sounds_to = sounds_to.max(note.end.unwrap_or(now));
    }
    first
}

#[cfg(test)]
mod tests {
    use continuo_score::midi::read_bytes;

    use super::*;
    use crate::snapshot::TransportState;

    fn snapshot() -> Snapshot {
        let note = |start: f64, length: f64, pitch, generated| RollNote {
            start,
            end: Some(start + length),
            pitch,
            velocity: 77,
            generated,
            ..RollNote::default()
        };
        let time_signature = |numerator| TimeSignature {
            numerator,
            denominator: 4,
        };
        Snapshot {
            time: TransportState {
                beat: 12.0,
                tempo: 90.0,
                ..TransportState::default()
            },
            notes: vec![
                note(4.013, 0.5, 60, false),
                RollNote {
                    end: None,
                    ..note(11.0, 0.0, 62, false)
                },
                note(8.0, 1.0, 64, true),
                note(11.5, 2.0, 65, true),
                note(12.5, 1.0, 67, true),
            ],
            time_signatures: vec![(0.0, time_signature(4)), (8.0, time_signature(3))],
            ..Snapshot::default()
        }
    }

    fn exported(part: ExportPart, range: impl Into<ExportRange>) -> Option<MidiFile> {
        let file = export(&snapshot(), part, range.into())?;
        Some(read_bytes(&file.to_bytes().unwrap()).unwrap())
    }

    #[test]
    fn both_parts_are_written_as_they_were_played() {
        let file = exported(ExportPart::Both, ExportRange::All).unwrap();
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
                // The file ends at the playhead: the rest of this note is only planned.
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
    fn imagined_notes_are_left_out_and_drums_are_on_channel_ten() {
        let mut snapshot = snapshot();
        snapshot.notes[2].part = Part::Drums;
        snapshot.notes[3].imagined = true;
        let file = export(&snapshot, ExportPart::Generated, ExportRange::All).unwrap();
        let notes: Vec<_> = file.notes.iter().map(|n| (n.pitch, n.channel)).collect();
        assert_eq!(notes, [(64, DRUM_CHANNEL)]);
    }

    #[test]
    fn each_part_has_a_track_and_a_channel() {
        let mut snapshot = snapshot();
        snapshot.notes[0].part = Part::Lead;
        snapshot.notes[2].part = Part::Bass;
        let file = export(&snapshot, ExportPart::Both, ExportRange::All).unwrap();
        let names: Vec<_> = file.tracks.iter().map(|name| name.to_string()).collect();
        let expected = ["Heard", "Heard lead", "Continuo", "Continuo bass"];
        assert_eq!(names, expected);
        let mut notes: Vec<_> = file.notes.iter().map(|n| (n.track, n.channel)).collect();
        notes.sort_unstable();
        assert_eq!(notes, [(0, 0), (1, 2), (2, 1), (3, 3)]);
    }

    #[test]
    fn one_part_of_the_last_bars_is_written_alone() {
        let count = |part, bars: Option<u32>| exported(part, bars).map(|file| file.notes.len());
        assert_eq!(count(ExportPart::Input, None), Some(2));
        assert_eq!(count(ExportPart::Input, Some(1)), Some(1));
        assert_eq!(count(ExportPart::Generated, Some(1)), Some(2));
        assert_eq!(count(ExportPart::Generated, Some(0)), Some(1));
        assert_eq!(
            export(&Snapshot::default(), ExportPart::Both, ExportRange::All),
            None,
            "no notes, no file"
        );
    }

    #[test]
    fn a_range_is_a_file_of_its_length() {
        let file = exported(ExportPart::Generated, ExportRange::Between(4.0, 11.0)).unwrap();
        let notes: Vec<_> = file.notes.iter().map(|n| (n.start, n.pitch)).collect();
        assert_eq!(notes, [(u64::from(4 * TICKS), 64)]);
        assert_eq!(file.end, u64::from(7 * TICKS));
        // A note that sounds beyond its end is cut there.
        let bar = exported(ExportPart::Generated, ExportRange::Between(4.0, 8.5)).unwrap();
        let ends: Vec<_> = bar.notes.iter().map(|n| n.end).collect();
        let half = u64::from(4 * TICKS + TICKS / 2);
        assert_eq!((ends, bar.end), (vec![half], half));
        // Notes that are only planned are not in it.
        let both = exported(ExportPart::Both, ExportRange::Between(11.0, 14.0)).unwrap();
        let pitches: Vec<_> = both.notes.iter().map(|n| n.pitch).collect();
        assert_eq!((pitches, both.end), (vec![62, 65], u64::from(3 * TICKS)));
        assert_eq!(
            exported(ExportPart::Both, ExportRange::Between(0.0, 4.0)),
            None
        );
    }

    #[test]
    fn last_answer_begins_after_a_rest() {
        let mut snapshot = snapshot();
        let note = |start: f64, end: f64, pitch, generated| RollNote {
            start,
            end: Some(end),
            pitch,
            velocity: 80,
            generated,
            ..RollNote::default()
        };
        let pitches = |snapshot: &Snapshot| -> Vec<u8> {
            let file = export(snapshot, ExportPart::Generated, ExportRange::LastAnswer);
            let notes = file.map(|file| file.notes).unwrap_or_default();
            notes.iter().map(|n| n.pitch).collect()
        };
        snapshot.notes.clear();
        assert_eq!(pitches(&snapshot), [0; 0]);
        // A rest of half a beat, of a beat, of a beat with a key of the player, of half a beat with one.
        snapshot.notes = vec![
            note(0.0, 2.0, 60, true),
            note(2.5, 3.0, 61, true),
            note(4.0, 5.0, 62, true),
            note(5.0, 5.5, 40, false),
            note(6.0, 7.0, 63, true),
            note(7.0, 7.5, 41, false),
            note(7.5, 8.0, 64, true),
        ];
        assert_eq!(pitches(&snapshot), [63, 64]);
        snapshot.mode = Some(Mode::Along);
        assert_eq!(pitches(&snapshot), [60, 61, 62, 63, 64]);
        // A bar of three beats; the note after the playhead is planned.
        snapshot.notes.push(note(11.0, 12.0, 65, true));
        snapshot.notes.push(note(16.0, 17.0, 66, true));
        assert_eq!(pitches(&snapshot), [65]);
    }
}
