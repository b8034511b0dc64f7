//! One fixture, made here, for each kind of file.

use super::*;

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
        metres: vec![(
            0,
            Metre {
                numerator: 6,
                denominator: 8,
            },
        )],
        tracks: vec!["".into(), "heard".into(), "played".into()],
        end: 1920,
        warnings: vec![],
    };
    let mut read = read_bytes(&written.to_bytes()).unwrap();
    // The conductor's track comes first; the parts follow.
    assert_eq!(read.tracks.remove(0), "");
    read.notes.iter_mut().for_each(|n| n.track -= 1);
    assert_eq!(read, written);
}
