//! Tests of replacing notes in a file.

use super::super::{ReadOptions, read_bytes};
use super::*;

/// Wraps the events of one track.
fn file(events: &[u8]) -> Vec<u8> {
    let body = [events, b"\0\xff\x2f\0"].concat();
    let length = (body.len() as u32).to_be_bytes();
    [&b"MThd\0\0\0\x06\0\x01\0\x01\0\x60MTrk"[..], &length, &body].concat()
}

fn document(bytes: &[u8]) -> MidiDocument {
    MidiDocument::read(bytes.to_vec(), &ReadOptions::default()).unwrap()
}

fn note(start: u64, end: u64, pitch: u8) -> MidiNote {
    MidiNote {
        start,
        end,
        pitch,
        velocity: 80,
        channel: 0,
        track: 0,
    }
}

fn replaced(bytes: &[u8], removed: &[MidiNote], added: &[MidiNote]) -> Vec<u8> {
    let replacement = Replacement {
        removed: removed.to_vec(),
        added: added.to_vec(),
    };
    document(bytes).replace(&replacement).unwrap().bytes
}

#[test]
fn nothing_replaced_is_the_same_file() {
    let bytes = file(&[0x80, 0x00, 0x90, 60, 80, 96, 60, 0]);
    assert_eq!(replaced(&bytes, &[], &[]), bytes);
    let one = document(&bytes).file().notes[0];
    let again = replaced(&bytes, &[one], &[one]);
    assert_eq!(read_bytes(&again).unwrap(), read_bytes(&bytes).unwrap());
}

#[test]
fn events_between_stay_and_running_status_is_written_where_its_event_goes() {
    let bytes = file(&[
        0, 0xb0, 64, 127, // pedal
        0, 0x90, 60, 80, // goes
        48, 0xff, 1, 1, b'x', // text
        0, 62, 80, // running status of the note that goes
        48, 60, 0, // goes
        0, 62, 0,
    ]);
    let file = document(&bytes);
    let gone = file.file().notes[0];
    let new = replaced(&bytes, &[gone], &[note(24, 72, 67)]);
    let expected = self::file(&[
        0, 0xb0, 64, 127, 24, 0x90, 67, 80, 24, 0xff, 1, 1, b'x', 0, 0x90, 62, 80, 24, 0x80, 67,
        64, 24, 0x90, 62, 0,
    ]);
    assert_eq!(new, expected);
}

#[test]
fn the_track_end_stays_unless_a_note_ends_later() {
    let bytes = file(&[0, 0x90, 60, 80, 96, 60, 0]);
    let gone = document(&bytes).file().notes[0];
    let shorter = read_bytes(&replaced(&bytes, &[gone], &[note(0, 24, 64)])).unwrap();
    assert_eq!(
        (shorter.end, &shorter.notes[..]),
        (96, &[note(0, 24, 64)][..])
    );
    let longer = read_bytes(&replaced(&bytes, &[gone], &[note(48, 480, 64)])).unwrap();
    assert_eq!(longer.end, 480);
    assert_eq!(read_bytes(&replaced(&bytes, &[gone], &[])).unwrap().end, 96);
}

#[test]
fn lost_and_needless_note_offs_do_no_harm() {
    // The first note has no end: the second one ends it.
    let bytes = file(&[0, 0x90, 60, 80, 48, 60, 81, 48, 60, 0]);
    let read = document(&bytes);
    let [first, second] = read.file().notes[..] else {
        panic!("two notes");
    };
    assert_eq!((first.end, second.start), (48, 48));
    let left = read_bytes(&replaced(&bytes, &[second], &[])).unwrap();
    assert_eq!(left.notes, [first]);
    // A second note-off would end the new note.
    let bytes = file(&[0, 0x90, 60, 80, 24, 60, 0, 24, 60, 0]);
    let one = document(&bytes).file().notes[0];
    let left = read_bytes(&replaced(&bytes, &[one], &[note(12, 96, 60)])).unwrap();
    assert_eq!(left.notes, [note(12, 96, 60)]);
}

#[test]
fn a_damaged_track_is_refused_and_named() {
    let mut bytes = file(&[0, 0x90, 60, 80, 96, 60, 0, 0, 0x90, 0xff, 0]);
    bytes.extend(b"MTrk\0\0\0\x04\0\xff\x2f\0");
    bytes[11] = 2;
    let document = document(&bytes);
    let replacement = Replacement {
        removed: document.file().notes.clone(),
        added: Vec::new(),
    };
    let refused = document.replace(&replacement).unwrap_err().to_string();
    assert!(
        refused.contains("track 0") && refused.contains("byte 29"),
        "{refused}"
    );
}

#[test]
fn wrapped_files_and_other_tracks_stay_whole() {
    let plain = file(&[0, 0x90, 60, 80, 96, 60, 0]);
    let other = b"MTrk\0\0\0\x0a\0\x91\x40\x50\x60\x40\0\0\xff\x2f\0junk!";
    let mut inner = [&plain[..], &other[..]].concat();
    inner[11] = 2;
    let length = (other.len() - 8 - 5) as u8;
    let at = plain.len() + 7;
    inner[at] = length;
    for padding in [0, 1] {
        inner.truncate(plain.len() + other.len());
        inner.extend(vec![b'!'; padding]);
        let mut riff = b"RIFF\0\0\0\0RMIDdata".to_vec();
        riff.extend((inner.len() as u32).to_le_bytes());
        riff.extend(&inner);
        if inner.len() % 2 == 1 {
            riff.push(0);
        }
        let size = (riff.len() - 8) as u32;
        riff[4..8].copy_from_slice(&size.to_le_bytes());
        let document = document(&riff);
        let replacement = Replacement {
            removed: vec![document.file().notes[0]],
            added: vec![note(0, 48, 62), note(48, 300, 64)],
        };
        let new = document.replace(&replacement).unwrap();
        assert_eq!(new.changes, Vec::<String>::new());
        let read = read_bytes(&new.bytes).unwrap();
        assert_eq!(read.notes.len(), 3);
        assert_eq!(read.warnings.len(), document.file().warnings.len());
        let tail = &inner[plain.len()..];
        assert!(new.bytes.windows(tail.len()).any(|bytes| bytes == tail));
        assert_eq!(new.bytes.len() % 2, 0);
    }
}
