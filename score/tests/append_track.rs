//! Adding a track to a file: all other bytes stay.

mod common;

use common::{fixtures, shared};
use continuo_score::midi::{
    self, BuildError, Edited, MidiDocument, MidiFile, MidiNote, NewTrack, PartSound, ReadOptions,
    Text,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Returns a track of two notes.
fn new_track(start: u64) -> NewTrack {
    let note = |start, pitch| MidiNote {
        start,
        end: start + 48,
        pitch,
        velocity: 77,
        channel: 5,
        track: 0,
    };
    NewTrack {
        name: Text::from(&b"\x83\x73\x83\x41\x83\x6d"[..]),
        channel: 5,
        sound: PartSound {
            controls: vec![(0, 1), (7, 90)],
            program: Some(40),
        },
        notes: vec![note(start, 60), note(start + 48, 64)],
        end: start + 192,
        ..NewTrack::default()
    }
}

/// Returns the chunk of a track: a type 0 file of it, without the header.
fn chunk(track: &NewTrack) -> Vec<u8> {
    track.to_bytes(96).unwrap()[14..].to_vec()
}

fn document(bytes: &[u8]) -> MidiDocument {
    MidiDocument::read(bytes.to_vec(), &ReadOptions::default()).unwrap()
}

/// Returns the notes of the first `tracks` tracks.
fn notes_of(file: &MidiFile, tracks: usize) -> Vec<MidiNote> {
    let notes = file.notes.iter().filter(|n| usize::from(n.track) < tracks);
    notes.copied().collect()
}

/// Appends a track. Asserts that the result is the input, the new chunk in one place, and changes only
/// in fields that hold counts or lengths.
fn checked(before: &[u8]) -> Edited {
    let old = document(before);
    let track = new_track(old.file().end);
    let appended = old.append(&track).unwrap();
    let chunk = chunk(&track);
    let after = &appended.bytes;
    let at = after
        .windows(chunk.len())
        .rposition(|w| w == chunk)
        .unwrap();
    let mut rest = after.clone();
    rest.drain(at..at + chunk.len());
    if before.starts_with(b"RIFF") {
        // A padding byte may be added or removed.
        rest.truncate(before.len());
    }
    assert_eq!(rest.len(), before.len().min(rest.len()));
    let header = before.windows(4).position(|w| w == b"MThd").unwrap();
    for (offset, (new, old)) in rest.iter().zip(before).enumerate() {
        let measures = |id: &[u8]| {
            (4..8).any(|back| {
                offset
                    .checked_sub(back)
                    .is_some_and(|at| before[at..].starts_with(id))
            })
        };
        let counts = (header + 8..header + 12).contains(&offset);
        let length = measures(b"MTrk") || measures(b"RIFF") || measures(b"data");
        assert!(
            new == old || counts || length,
            "byte {offset} is {new}, was {old}"
        );
    }

    let read = midi::read_bytes(after).unwrap();
    let tracks = old.file().tracks.len();
    assert_eq!(read.tracks.len(), tracks + 1);
    assert_eq!(
        notes_of(&read, tracks),
        old.file().notes,
        "the music that was there"
    );
    assert_eq!(
        (&read.tempos, &read.time_signatures),
        (&old.file().tempos, &old.file().time_signatures)
    );
    let ours: Vec<_> = read
        .notes
        .iter()
        .filter(|n| usize::from(n.track) == tracks)
        .collect();
    let start = match read.format {
        2 => 2 * old.file().end,
        _ => old.file().end,
    };
    assert_eq!((ours.len(), ours[0].start, ours[0].channel), (2, start, 5));
    let added = |file: &MidiFile| file.warnings.len();
    assert!(added(&read) <= added(old.file()), "{:?}", read.warnings);
    appended
}

#[test]
fn every_byte_of_every_kind_of_file_stays() {
    for fixture in fixtures::all() {
        if fixture.notes.is_err() {
            continue;
        }
        println!("{}", fixture.name);
        let appended = checked(&fixture.bytes);
        let in_order = fixture.warning.is_empty() && fixture.bytes.starts_with(b"MThd");
        if !in_order || fixture.bytes[9] == 0 {
            continue;
        }
        // In a valid file only the track count changes, and the chunk comes last.
        let track = new_track(document(&fixture.bytes).file().end);
        let mut expected = fixture.bytes.clone();
        expected[11] += 1;
        expected.extend(chunk(&track));
        assert_eq!(appended.bytes, expected, "{}", fixture.name);
        assert_eq!(appended.changes, [""; 0]);
    }
}

#[test]
fn programs_pedals_and_foreign_names_stay_byte_for_byte() {
    let name = b"\0\xff\x03\x06\x83\x73\x83\x41\x83\x6d";
    let part = [
        &name[..],
        &[
            0, 0xc2, 40, 0, 0xb2, 64, 127, 0, 0xe2, 0, 80, 0, 0xff, 0x59, 2, 0xfd, 0,
        ],
        b"\0\xff\x05\x02la\0\xff\x06\x05Verse\0\xff\x21\x01\0\0\xf0\x03\x41\x10\xf7",
        &[0, 0x92, 60, 80, 96, 60, 0, 0, 0xb2, 64, 0],
    ]
    .concat();
    let tracks = [
        fixtures::track(b"\0\xff\x51\x03\x09\x27\xc0"),
        fixtures::track(&part),
    ];
    let mut before = fixtures::header(1, 2, [0, 96]);
    before.extend(tracks.concat());
    let after = checked(&before).bytes;
    assert!(
        after[14..].starts_with(&before[14..]),
        "all of it but the count of tracks"
    );
    assert_eq!(after[11], 3);

    let old = document(&before);
    let note = old.file().notes[0];
    let sound = old.sound_of(&note);
    assert_eq!(
        (sound.program, old.free_channel(note.track, 0)),
        (Some(40), Some(0))
    );
    assert_eq!(old.file().name(1), "ピアノ");
    assert_eq!(document(&after).file().name(2), "ピアノ");
}

#[test]
fn a_part_sounds_as_it_did_and_no_softer() {
    let events = [
        &[0, 0xb0, 0, 8, 0, 0xb0, 32, 1, 0, 0xc0, 40, 0, 0xb0, 7, 100][..],
        &[
            0, 0xb0, 10, 20, 0, 0xb0, 7, 5, 0, 0xb0, 74, 9, 0, 0x90, 60, 80, 96, 60, 0,
        ],
        &[0, 0xc0, 41],
    ];
    let mut bytes = fixtures::header(1, 1, [0, 96]);
    bytes.extend(fixtures::track(&events.concat()));
    let document = document(&bytes);
    let sound = document.sound_of(&document.file().notes[0]);
    // Events after the first note do not count.
    let expected = PartSound {
        controls: vec![(0, 8), (32, 1), (7, 100), (10, 20)],
        program: Some(40),
    };
    assert_eq!(sound, expected);
}

#[test]
fn again_and_again_adds_one_track_a_time() {
    let mut bytes = continuo_score::tune::minuet().to_midi().to_bytes().unwrap();
    let tracks = document(&bytes).file().tracks.len();
    for more in 1..=3 {
        let before = bytes.clone();
        bytes = checked(&before).bytes;
        assert!(bytes[14..].starts_with(&before[14..]));
        let file = midi::read_bytes(&bytes).unwrap();
        assert_eq!(file.tracks.len(), tracks + more);
        assert_eq!(file.tempos.len(), 1);
    }
}

#[test]
fn a_single_track_becomes_one_of_several() {
    let mut one = fixtures::header(0, 1, [0, 96]);
    one.extend(fixtures::track(&[0, 0x90, 60, 80, 96, 60, 0]));
    let appended = checked(&one);
    assert_eq!((appended.bytes[9], appended.bytes[11]), (1, 2));
    assert!(
        appended.changes[0].contains("type is 1"),
        "{:?}",
        appended.changes
    );
}

#[test]
fn a_riff_wrapping_keeps_its_other_chunks() {
    for (odd, last) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut inner = fixtures::header(1, 1, [0, 96]);
        let text: &[u8] = if odd {
            b"\0\xff\x01\x01x"
        } else {
            b"\0\xff\x01\x02xy"
        };
        inner.extend(fixtures::track(
            &[text, &[0, 0x90, 60, 80, 96, 60, 0]].concat(),
        ));
        let mut riff = b"RIFF\0\0\0\0RMIDdata".to_vec();
        riff.extend((inner.len() as u32).to_le_bytes());
        riff.extend(&inner);
        if !last {
            riff.extend(&vec![0; inner.len() % 2]);
            riff.extend(b"LISTabcd");
        }
        let length = (riff.len() as u32 - 8).to_le_bytes();
        riff[4..8].copy_from_slice(&length);
        let after = checked(&riff).bytes;
        let length = u32::from_le_bytes(after[4..8].try_into().unwrap());
        assert_eq!(length as usize, after.len() - 8);
        let data = u32::from_le_bytes(after[16..20].try_into().unwrap()) as usize;
        if !last {
            let next = 20 + data + data % 2;
            assert_eq!(&after[next..], b"LISTabcd");
        }
    }
}

#[test]
fn a_file_full_of_tracks_is_an_error() {
    let with = |tracks: u16| {
        let mut bytes = fixtures::header(1, 0, [0, 96]);
        bytes[10..12].copy_from_slice(&tracks.to_be_bytes());
        for _ in 0..tracks {
            bytes.extend(fixtures::track(&[]));
        }
        document(&bytes)
    };
    let full = with(0xffff);
    assert!(!full.has_room());
    let error = full.append(&new_track(0)).unwrap_err();
    assert!(
        matches!(error, BuildError::Tracks { tracks: 65536 }),
        "{error}"
    );
    let last = with(0xfffe);
    assert!(last.has_room());
    let file = midi::read_bytes(&last.append(&new_track(0)).unwrap().bytes).unwrap();
    assert_eq!((file.tracks.len(), file.warnings.len()), (0xffff, 0));

    let many = MidiFile {
        ticks_per_beat: 96,
        tracks: vec![Text::default(); 0xffff],
        ..MidiFile::default()
    };
    let error = many.to_bytes().unwrap_err().to_string();
    assert!(
        error.contains("65536"),
        "the first track holds the tempo: {error}"
    );
}

#[test]
fn waits_longer_than_a_delta_time_are_divided() {
    let mut track = new_track(3 << 28);
    let alone = midi::read_bytes(&track.to_bytes(96).unwrap()).unwrap();
    assert_eq!(alone.notes[0].start, 3 << 28);
    assert_eq!((alone.end, alone.warnings.len()), ((3 << 28) + 192, 0));
    track.end = 1 << 60;
    assert!(matches!(track.to_bytes(96), Err(BuildError::Wait { .. })));
    assert!(matches!(
        new_track(0).to_bytes(1 << 15),
        Err(BuildError::Division { .. })
    ));
    assert!(matches!(
        new_track(0).to_bytes(0),
        Err(BuildError::Division { .. })
    ));
}

/// Returns a track of random events of all kinds, with running status, in random encodings.
fn random_track(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut events = Vec::new();
    let mut status = 0u8;
    for _ in 0..rng.random_range(0..60) {
        // Leading zeros of a variable-length number have no meaning.
        events.extend(&[0x80; 2][..rng.random_range(0..3)]);
        events.push(rng.random_range(0..100u8));
        match rng.random_range(0..8) {
            0 => {
                let text: Vec<u8> = (0..rng.random_range(0..40)).map(|_| rng.random()).collect();
                // Any meta event except end of track, tempo and time signature.
                let kind = [1, 2, 3, 4, 5, 6, 7, 0x7f][rng.random_range(0..8)];
                events.extend([0xff, kind, text.len() as u8]);
                events.extend(text);
            }
            1 => events.extend([0xf0, 4, 0x41, rng.random_range(0..128), 0x42, 0xf7]),
            _ => {
                let new = rng.random_range(0x80..0xf0u8);
                if new != status || rng.random() {
                    events.push(new);
                }
                status = new;
                events.push(rng.random_range(0..128));
                if !(0xc0..0xe0).contains(&status) {
                    events.push(rng.random_range(0..128));
                }
            }
        }
    }
    fixtures::track(&events)
}

#[test]
fn random_files_stay_as_they_were() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    for _ in 0..500 {
        let count = rng.random_range(1..6);
        let format = if count == 1 {
            rng.random_range(0..3)
        } else {
            rng.random_range(1..3)
        };
        let mut bytes = fixtures::header(format, count, [0, 96]);
        for _ in 0..count {
            bytes.extend(random_track(&mut rng));
        }
        let appended = checked(&bytes);
        assert!(
            appended.changes.len() <= usize::from(format == 0),
            "{:?}",
            appended.changes
        );
    }
}

/// Real files, both difficult and ordinary ones.
#[test]
fn real_files_stay_as_they_were() {
    for (folder, every) in [("ugly", 1), ("train", 60), ("more", 20), ("drums", 40)] {
        let files: Vec<_> = shared::files(folder).into_iter().step_by(every).collect();
        shared::each(&files, |path| {
            let bytes = std::fs::read(path).unwrap();
            if midi::read_bytes(&bytes).is_ok() {
                checked(&bytes);
            }
        });
    }
}
