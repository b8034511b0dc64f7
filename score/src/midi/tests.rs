//! One fixture, made here, for each kind of file.

use std::path::Path;

use super::*;
use crate::time::TimeSignature;

/// A type 0 file around one track's bytes, at 96 ticks a beat.
fn file(track: &[u8]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk".to_vec();
    bytes.extend((track.len() as u32).to_be_bytes());
    bytes.extend(track);
    bytes
}

const END: [u8; 4] = [0, 0xff, 0x2f, 0];

#[test]
fn overlapping_notes_are_first_in_first_out() {
    let mut track = vec![0, 0x90, 60, 100, 10, 60, 50, 10, 60, 0, 10, 0x80, 60, 0];
    track.extend(END);
    let read = read_bytes(&file(&track)).unwrap();
    let notes: Vec<_> = read
        .notes
        .iter()
        .map(|n| (n.start, n.end, n.velocity))
        .collect();
    assert_eq!(notes, [(0, 20, 100), (10, 30, 50)]);
    assert!(read.warnings.is_empty());
}

#[test]
fn a_note_without_off_ends_with_its_track() {
    let mut track = vec![0, 0x99, 36, 100, 0x60, 0xb9, 7, 1];
    track.extend(END);
    let read = read_bytes(&file(&track)).unwrap();
    assert_eq!((read.notes[0].end, read.notes[0].channel), (96, 9));
    assert_eq!(read.warnings.len(), 1);
}

#[test]
fn what_is_no_midi_file_says_so() {
    for bytes in [&b""[..], b"hello", b"MThd", &file(&[0, 0x90])[..10]] {
        assert!(read_bytes(bytes).is_err());
    }
    let missing = read_file(Path::new("no/such.mid")).unwrap_err().to_string();
    assert!(missing.contains("no/such.mid"), "{missing}");
}

#[test]
fn what_is_written_is_read_back() {
    let note = |start, end, pitch, track| MidiNote {
        start,
        end,
        pitch,
        velocity: 70,
        channel: 0,
        track,
    };
    let program = |tick, track, program| ProgramChange {
        tick,
        track,
        channel: 0,
        program,
    };
    let written = MidiFile {
        format: 1,
        ticks_per_beat: 480,
        // The same key again on the tick it ends.
        notes: vec![
            note(0, 480, 60, 1),
            note(480, 960, 60, 1),
            note(480, 500, 64, 2),
        ],
        tempos: vec![(0, 600_000), (960, 500_000)],
        time_signatures: vec![(
            0,
            TimeSignature {
                numerator: 6,
                denominator: 8,
            },
        )],
        tracks: vec!["".into(), "heard".into(), "played".into()],
        programs: vec![program(0, 1, 33), program(480, 1, 38), program(0, 2, 127)],
        end: 1920,
        ..MidiFile::default()
    };
    let mut read = read_bytes(&written.to_bytes().unwrap()).unwrap();
    // The conductor's track comes first; the parts follow.
    assert!(read.tracks.remove(0).is_empty());
    read.notes.iter_mut().for_each(|n| n.track -= 1);
    read.programs.iter_mut().for_each(|p| p.track -= 1);
    assert_eq!(read, written);
}

/// Keys of a file's notes that are drums, after the given events.
fn drum_keys(events: &[u8]) -> Vec<u8> {
    let notes = [0, 0x9a, 36, 100, 10, 36, 0, 0, 0x90, 60, 100, 10, 60, 0];
    let read = read_bytes(&file(&[events, &notes, &END].concat())).unwrap();
    let drums = read.notes.iter().filter(|note| read.is_drum(note));
    drums.map(|note| note.pitch).collect()
}

#[test]
fn drums_by_gs_xg_and_gm2_messages() {
    assert_eq!(drum_keys(&[]), [0u8; 0]);
    let gs = b"\0\xf0\x0a\x41\x10\x42\x12\x40\x1a\x15\x02\x0f\xf7";
    assert_eq!(drum_keys(gs), [36]);
    let xg = b"\0\xf0\x08\x43\x10\x4c\0\0\x7e\0\xf7\0\xba\0\x7f\0\xca\0";
    assert_eq!(drum_keys(xg), [36]);
    assert_eq!(
        drum_keys(&xg[11..]),
        [0u8; 0],
        "this bank means nothing outside of XG"
    );
    let part_mode = b"\0\xf0\x08\x43\x10\x4c\x08\x0a\x07\x01\xf7";
    assert_eq!(drum_keys(part_mode), [36]);
    assert_eq!(drum_keys(b"\0\xba\0\x78\0\xca\0"), [36]);
}

#[test]
fn names_are_bytes_and_are_shown_in_the_files_encoding() {
    let name = b"\0\xff\x03\x06\x83\x73\x83\x41\x83\x6d\0\x90\x3c\x50";
    let read = read_bytes(&file(&[&name[..], &END].concat())).unwrap();
    assert_eq!(read.tracks[0].as_bytes(), &name[4..10]);
    assert_eq!(
        (read.encoding.name(), read.name(0)),
        ("Shift_JIS", "ピアノ".into())
    );
    assert_eq!(read.name(7), "");
}
