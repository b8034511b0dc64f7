//! Small MIDI files of every kind as bytes, and their expected content.

/// A note as `(start, end, pitch, velocity, channel, track)`, times in ticks.
pub(crate) type Expected = (u64, u64, u8, u8, u8, u16);

/// A file and the expected result: its notes, or the offset of an error.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) notes: Result<Vec<Expected>, usize>,
    /// Part of an expected warning; `""` if there must be none.
    pub(crate) warning: &'static str,
}

const EOT: [u8; 4] = [0, 0xff, 0x2f, 0];

/// Returns a header with type, track count and division.
pub(crate) fn header(format: u8, tracks: u8, division: [u8; 2]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0".to_vec();
    bytes.extend([format, 0, tracks, division[0], division[1]]);
    bytes
}

/// Returns a chunk whose header states `length` bytes.
fn chunk(id: &[u8; 4], length: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    bytes.extend((length as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Returns a track of events, with its end of track.
pub(crate) fn track(events: &[u8]) -> Vec<u8> {
    let body = [events, &EOT].concat();
    chunk(b"MTrk", body.len(), &body)
}

/// Returns a file of 96 ticks a beat.
fn file(format: u8, tracks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = header(format, tracks.len() as u8, [0, 96]);
    bytes.extend(tracks.concat());
    bytes
}

/// Returns one note of a beat on a key and a channel.
fn note(key: u8, channel: u8) -> Vec<u8> {
    vec![0, 0x90 | channel, key, 80, 96, 0x80 | channel, key, 64]
}

fn with(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// Returns all fixtures.
pub(crate) fn all() -> Vec<Fixture> {
    let one = file(0, &[track(&note(60, 0))]);
    let c4 = (0, 96, 60, 80, 0, 0);
    let mut all = Vec::new();
    let mut add = |name, bytes, notes, warning| {
        all.push(Fixture {
            name,
            bytes,
            notes,
            warning,
        });
    };

    // Valid files.
    add("type 0", one.clone(), Ok(vec![c4]), "");
    let two = [track(&note(60, 0)), track(&note(64, 1))];
    let parts = vec![c4, (0, 96, 64, 80, 1, 1)];
    add("type 1", file(1, &two), Ok(parts.clone()), "");
    add("type 0 of two tracks", file(0, &two), Ok(parts), "");
    let sequence = vec![c4, (96, 192, 64, 80, 1, 1)];
    add("type 2", file(2, &two), Ok(sequence), "");
    add("no tracks", header(1, 0, [0, 96]), Ok(vec![]), "");
    add("no notes", file(0, &[track(&[0, 0xc0, 5])]), Ok(vec![]), "");
    let smpte = |division| [header(0, 1, division), track(&note(60, 0))].concat();
    add("SMPTE 25", smpte([0xe7, 40]), Ok(vec![c4]), "500 ticks");
    add("SMPTE 29.97", smpte([0xe3, 80]), Ok(vec![c4]), "1200 ticks");
    let mut riff = [
        b"RIFF".to_vec(),
        (one.len() as u32 + 12).to_le_bytes().to_vec(),
    ]
    .concat();
    riff.extend(b"RMIDdata");
    riff.extend((one.len() as u32).to_le_bytes());
    riff.extend(&one);
    add("RIFF", riff, Ok(vec![c4]), "");
    let karaoke = [&[0, 0xff, 1, 5][..], b"@KMID", &[0, 0xff, 5, 2], b"la"].concat();
    let karaoke = file(1, &[track(&karaoke), track(&note(60, 0))]);
    add("karaoke", karaoke, Ok(vec![(0, 96, 60, 80, 0, 1)]), "");
    let running = [0, 0x90, 60, 80, 0, 0xff, 1, 1, b'x', 96, 60, 0];
    add(
        "running status over a meta event",
        file(0, &[track(&running)]),
        Ok(vec![c4]),
        "",
    );
    let sysex = [&[0, 0xf0, 2, 1, 0xf7][..], &note(60, 0), &[0, 0xf7, 1, 9]].concat();
    add(
        "system exclusive",
        file(0, &[track(&sysex)]),
        Ok(vec![c4]),
        "",
    );
    let drums = vec![(0, 96, 36, 80, 9, 0)];
    add("drums", file(0, &[track(&note(36, 9))]), Ok(drums), "");
    let zero = [0, 0x90, 60, 80, 0, 60, 0];
    add(
        "a note of no length",
        file(0, &[track(&zero)]),
        Ok(vec![(0, 0, 60, 80, 0, 0)]),
        "",
    );
    let overlap = [0, 0x90, 60, 80, 9, 60, 70, 9, 60, 0, 9, 60, 0];
    let overlap = file(0, &[track(&overlap)]);
    let first_out = vec![(0, 18, 60, 80, 0, 0), (9, 27, 60, 70, 0, 0)];
    add("overlapping notes of one key", overlap, Ok(first_out), "");

    // Irregular files that can be read.
    let open = [0, 0x90, 60, 80, 96, 0xb0, 7, 1];
    add(
        "no note-off",
        file(0, &[track(&open)]),
        Ok(vec![c4]),
        "without a note-off",
    );
    let stuck = [&note(60, 0)[..], &[0, 0x90, 72, 80, 0x87, 0x68, 0xb0, 7, 1]].concat();
    add(
        "a note without an end, and a track that goes on for long",
        file(0, &[track(&stuck)]),
        Ok(vec![c4, (96, 192, 72, 80, 0, 0)]),
        "without a note-off",
    );
    let stuck = [
        &[0, 0x91, 36, 80][..],
        &note(60, 0),
        &note(62, 0),
        &[0x87, 0x68, 0xb1, 7, 1],
    ];
    let stuck = [track(&stuck.concat()), track(&note(64, 2).repeat(4))];
    add(
        "a note without an end beside music",
        file(1, &stuck),
        Ok([c4, (0, 192, 36, 80, 1, 0), (0, 96, 64, 80, 2, 1)]
            .into_iter()
            .chain([(96, 192, 62, 80, 0, 0), (96, 192, 64, 80, 2, 1)])
            .chain([(192, 288, 64, 80, 2, 1), (288, 384, 64, 80, 2, 1)])
            .collect()),
        "1 note without a note-off, ended with the track's other notes",
    );
    let again: Vec<u8> = (0..4)
        .flat_map(|_| [0, 0x90, 60, 80, 48, 0x90, 60, 80, 48, 0x80, 60, 64])
        .collect();
    add(
        "two note-ons to a note-off",
        file(0, &[track(&again)]),
        Ok((0..8)
            .map(|n| (n * 48, n * 48 + 48, 60, 80, 0, 0))
            .collect()),
        "4 notes without a note-off, ended where the key is struck again",
    );
    let metre = |n: u8| track(&[&[0, 0xff, 0x58, 4, n, 2, 24, 8][..], &note(60, n)].concat());
    add(
        "two metres at once",
        file(1, &[metre(3), metre(4)]),
        Ok(vec![(0, 96, 60, 80, 3, 0), (0, 96, 60, 80, 4, 1)]),
        "tracks 0 and 1 contradict each other: 3/4 and 4/4 at tick 0",
    );
    let system = [&[0, 0xf4, 0, 0xf8, 0, 0xf2, 1, 2][..], &note(60, 0)].concat();
    add(
        "system messages",
        file(0, &[track(&system)]),
        Ok(vec![c4]),
        "0xf4",
    );
    let bare = chunk(b"MTrk", 8, &note(60, 0));
    add(
        "no end of track",
        file(0, &[bare]),
        Ok(vec![c4]),
        "no end-of-track",
    );
    let extra = [one.clone(), vec![0x2a]].concat();
    add(
        "a byte after the end",
        extra,
        Ok(vec![c4]),
        "1 bytes that are no chunk",
    );
    let other = [
        header(0, 1, [0, 96]),
        chunk(b"Junk", 3, b"abc"),
        track(&note(60, 0)),
    ]
    .concat();
    add("an unknown chunk", other, Ok(vec![c4]), "no track");
    let body = [&note(60, 0)[..], &EOT].concat();
    let short = [header(0, 1, [0, 96]), chunk(b"MTrk", 6, &body)].concat();
    add(
        "a track length too short",
        short,
        Ok(vec![c4]),
        "longer than it says",
    );
    let head = [
        header(0, 2, [0, 96]),
        chunk(b"MTrk", 2, &[0, 0x90]),
        b"MTrk\0".to_vec(),
    ];
    let read_on = Ok(vec![(0, 96, 77, 84, 0, 0)]);
    add(
        "a cut head where a track is too short",
        head.concat(),
        read_on,
        "longer than it says",
    );
    let long = [
        header(1, 2, [0, 96]),
        chunk(b"MTrk", 99, &body),
        track(&note(64, 1)),
    ]
    .concat();
    let both = vec![c4, (0, 96, 64, 80, 1, 1)];
    add(
        "a track length too long",
        long,
        Ok(both),
        "shorter than it says",
    );
    let huge = with(one.clone(), 18, &[0xff; 4]);
    add("a track of 4 GiB", huge, Ok(vec![c4]), "goes on to byte");
    add(
        "a header length too long",
        with(one.clone(), 4, &[0, 0, 0, 22]),
        Ok(vec![c4]),
        "header's length",
    );
    let ten = [
        b"MThd\0\0\0\x0a\0\0\0\x01\0\x60abcd".to_vec(),
        track(&note(60, 0)),
    ]
    .concat();
    add("a header of ten bytes", ten, Ok(vec![c4]), "");
    add(
        "fewer tracks than announced",
        with(one.clone(), 10, &[0, 3]),
        Ok(vec![c4]),
        "announces 3",
    );
    add(
        "more tracks than announced",
        with(file(1, &two), 10, &[0, 1]),
        Ok(vec![c4, (0, 96, 64, 80, 1, 1)]),
        "announces 1",
    );
    add(
        "an unknown type",
        with(one.clone(), 8, &[0, 7]),
        Ok(vec![c4]),
        "type is unknown",
    );
    let tempo = [
        &[0, 0xff, 0x51, 3, 0, 0, 0, 0, 0xff, 0x58, 2, 0, 2][..],
        &note(60, 0),
    ]
    .concat();
    add(
        "a tempo of 0",
        file(0, &[track(&tempo)]),
        Ok(vec![c4]),
        "a tempo of [00, 00, 00]",
    );
    let half = file(1, &[track(&[0, 0x90, 60, 0xf0]), track(&note(64, 1))]);
    add(
        "a broken track beside a whole one",
        half,
        Ok(vec![(0, 96, 64, 80, 1, 1)]),
        "rest is left out",
    );
    let cut = one[..one.len() - 5].to_vec();
    add(
        "cut after a note-on",
        cut,
        Ok(vec![(0, 0, 60, 80, 0, 0)]),
        "ends inside an event",
    );

    // Files that cannot be read.
    add("nothing", vec![], Err(0), "");
    add("no MIDI", b"<html>".to_vec(), Err(0), "");
    add("a cut header", one[..9].to_vec(), Err(9), "");
    add(
        "a short header",
        with(one.clone(), 4, &[0, 0, 0, 5]),
        Err(4),
        "",
    );
    add(
        "0 ticks a beat",
        with(one.clone(), 12, &[0, 0]),
        Err(12),
        "",
    );
    add(
        "0 ticks a frame",
        with(one.clone(), 12, &[0xe7, 0]),
        Err(12),
        "",
    );
    add("a header and no tracks", header(1, 1, [0, 96]), Err(14), "");
    add("a cut track head", one[..20].to_vec(), Err(14), "");
    let no_status = file(0, &[track(&[0, 60, 80])]);
    add("a data byte without status", no_status, Err(23), "");
    let endless = [0, 0xf0, 0x7f, 1, 2];
    add(
        "an endless system exclusive",
        file(0, &[track(&endless)]),
        Err(22),
        "",
    );
    add(
        "RIFF of something else",
        b"RIFF\0\0\0\0WAVEdata".to_vec(),
        Err(8),
        "",
    );
    all
}
