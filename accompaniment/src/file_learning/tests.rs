use super::*;
use continuo_score::{Note, tune};

/// Opens a file where there is no way to the notes of recordings.
fn open(path: PathBuf, steps_per_beat: u32, has_parts: bool) -> OpenedPath {
    let deaf = |path: &Path| Err(format!("{}: no ear", path.display()));
    super::open(path, steps_per_beat, has_parts, &deaf)
}

/// Writes a file of `notes` notes, which differ for each `first`.
fn write(path: &Path, notes: u32, first: u32) {
    let mut score = Score::new(12);
    score.notes.extend((0..notes).map(|n| Note {
        start: (n + first) * 3,
        length: 3,
        pitch: 40 + (n % 40) as u8,
        velocity: 80,
        ..Note::default()
    }));
    score.normalise();
    score.to_midi().write_file(path).unwrap();
}

/// Opens all files. Returns the number of unread pieces, and whether older ones were evicted.
fn all(file_learning: &mut FileLearning) -> Option<(usize, bool)> {
    while file_learning.waiting() > 0 {
        assert!(file_learning.unread().is_none());
        let path = file_learning.next_file().unwrap();
        assert!(file_learning.unread().is_none() && file_learning.next_file().is_none());
        file_learning.file_opened(open(path, 12, false));
    }
    let unread = file_learning.unread()?;
    Some((unread.scores.len(), unread.evicted))
}

#[test]
fn silence_at_the_end_of_a_file_is_not_learned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silence.mid");
    let mut score = tune::minuet();
    let length = score.length;
    score.length += 10_000;
    score.to_midi().write_file(&path).unwrap();
    let PathContents::Piece(piece) = open(path, 12, false).contents else {
        panic!("not learned");
    };
    assert_eq!(piece.1.length, length);
}

#[test]
fn files_and_folders_are_learned_and_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    tune::minuet().to_midi().write_file(&at("b.MID")).unwrap();
    fs::create_dir(at("deeper")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    write(&at("deeper/c.midi"), 9, 0);
    write(&at("a.mid"), 9, 0);
    write(&at("none.mid"), 0, 0);
    fs::write(at("broken.mid"), b"MThd no more").unwrap();
    fs::write(at("notes.txt"), b"not looked at").unwrap();

    let mut file_learning = FileLearning::default();
    file_learning.enqueue(vec![folder.path().into(), at("gone.mid"), at("empty")]);
    let taken = all(&mut file_learning);
    let names: Vec<_> = file_learning
        .learned()
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    // `c` has the notes of `a`, yet counts as another piece.
    assert_eq!(names, ["a.mid", "b.MID", "c.midi"]);
    assert_eq!(taken, Some((3, false)));
    let refused: Vec<_> = file_learning.refused().cloned().collect();
    assert_eq!(refused.len(), 4, "{refused:?}");
    for (line, name) in refused.iter().zip(["broken", "none", "gone", "empty"]) {
        assert!(line.contains(name), "{line}");
    }

    file_learning.enqueue(vec![at("a.mid")]);
    assert_eq!(all(&mut file_learning), None);
    assert!(file_learning.refused().last().unwrap().contains("already"));
    file_learning.clear();
    assert_eq!(
        (
            file_learning.learned().len(),
            file_learning.refused().count()
        ),
        (0, 0)
    );
}

#[test]
fn recordings_are_learned_by_their_content_and_may_lie_beside_midi_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("a.mid"), 9, 0);
    // A recording may have more bytes than a MIDI file.
    let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
    bytes.resize(MAX_BYTES as usize + 1, 0);
    fs::write(at("b.wav"), bytes).unwrap();
    fs::write(at("c.mid"), b"fLaC, whatever its name").unwrap();
    fs::write(at("d.wav"), b"ID3\x04").unwrap();
    let transcribe = |path: &Path| match path == at("b.wav") {
        true => Ok(MidiFile {
            warnings: vec!["1 damaged packets were read as silence".into()],
            ..tune::minuet().to_midi()
        }),
        false => Err(format!("{}: the ear's model is missing", path.display())),
    };
    let mut file_learning = FileLearning::default();
    file_learning.enqueue(vec![folder.path().into()]);
    while let Some(path) = file_learning.next_file() {
        file_learning.file_opened(super::open(path, 12, false, &transcribe));
    }
    let learned = file_learning.learned().iter();
    let learned: Vec<_> = learned.map(|l| (l.name.as_str(), l.notes)).collect();
    assert_eq!(
        learned,
        [("a.mid", 9), ("b.wav", tune::minuet().notes.len())]
    );
    let mut refused: Vec<_> = file_learning.refused().cloned().collect();
    let odd = refused.remove(0);
    assert!(odd.contains("b.wav: 1 damaged packets"), "{odd}");
    let missing = format!("{}: the ear's model is missing", at("c.mid").display());
    assert_eq!((refused.len(), &refused[0]), (2, &missing));
    assert!(
        refused[1].contains("d.wav: not a MIDI, WAV or FLAC file, but an MP3 file"),
        "{refused:?}"
    );
}

#[test]
fn cleared_file_is_not_open_though_it_is_enqueued_again() {
    let mut file_learning = FileLearning::default();
    file_learning.enqueue(vec!["a.wav".into()]);
    assert!(file_learning.open_path().is_none());
    file_learning.next_file();
    assert_eq!(file_learning.open_path(), Some(Path::new("a.wav")));
    file_learning.clear();
    file_learning.enqueue(vec!["a.wav".into()]);
    assert!(file_learning.open_path().is_none() && file_learning.waiting() == 1);
}

#[test]
fn newest_pieces_are_kept_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut file_learning = FileLearning::default();
    for number in 0..4 {
        let path = folder.path().join(format!("{number}.mid"));
        write(&path, MAX_NOTES as u32 / 3, number);
        file_learning.enqueue(vec![path]);
    }
    assert_eq!(all(&mut file_learning), Some((4, true)));
    let names: Vec<_> = file_learning
        .learned()
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    assert_eq!(names, ["1.mid", "2.mid", "3.mid"]);
    let long = folder.path().join("long.mid");
    write(&long, MAX_NOTES as u32 + 1, 0);
    file_learning.enqueue(vec![long]);
    assert_eq!(all(&mut file_learning), None);
    assert!(file_learning.refused().last().unwrap().contains("cut it"));
}

#[test]
fn saved_pieces_are_restored_and_invalid_notes_counted() {
    let minuet = SavedPiece::new("minuet", &tune::minuet());
    let json = serde_json::to_value(&minuet).unwrap();
    let read: SavedPiece = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(read, minuet);
    assert_eq!(read.score().unwrap().notes, tune::minuet().notes);
    let mut wrong = json;
    wrong["piece"]["notes"][0][2] = 200.into();
    let wrong: SavedPiece = serde_json::from_value(wrong).unwrap();
    let mut file_learning = FileLearning::default();
    let lost = file_learning.restore(&[wrong.clone(), minuet.clone()]);
    assert_eq!(
        (lost, file_learning.learned()),
        (wrong.notes, &[minuet][..])
    );
}

#[test]
fn learned_file_has_its_parts_where_the_player_knows_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drums.mid");
    let mut score = Score::new(12);
    score.notes.extend((0..8).map(|beat| continuo_score::Note {
        start: 12 * beat,
        length: 1,
        pitch: 36,
        velocity: 90,
        part: continuo_score::Part::Drums,
    }));
    score.normalise();
    score.to_midi().write_file(&path).unwrap();
    let PathContents::Piece(piece) = open(path.clone(), 12, true).contents else {
        panic!("not learned");
    };
    assert!(piece.1.notes.iter().all(|n| !n.part.is_pitched()));
    let saved = piece.0.score().unwrap();
    assert_eq!(saved.notes, piece.1.notes, "a project keeps the parts");
    let PathContents::Refused(why) = open(path, 12, false).contents else {
        panic!("learned");
    };
    assert!(why.contains("drums aside"), "{why}");
}
