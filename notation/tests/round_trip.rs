//! Notation is read back note for note.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::reader::{Read, ReadNote, read};
use common::shared;
use continuo_notation::{NotationError, Options, Written, write};
use continuo_score::{
    Note, Part, Score, TempoMap, TimeSignature, TimeSignatureMap, Vocabulary, midi, tune,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn notated(score: &Score) -> (Read, Written) {
    let mut bytes = Vec::new();
    let options = Options {
        title: "A <title> & more",
        first_bar: 1,
    };
    let written = write(score, &options, &mut bytes).unwrap();
    (read(&String::from_utf8(bytes).unwrap()), written)
}

fn part_name(part: Part) -> String {
    let name = part.name();
    name[..1].to_uppercase() + &name[1..]
}

/// Writes a score, reads it back and compares every note: part, onset, end, pitch and velocity. Drum hits
/// have no ends.
#[track_caller]
fn comes_back(score: &Score) -> (Read, Written) {
    let (mut read, written) = notated(score);
    let factor = read.divisions / score.steps_per_beat;
    assert_eq!(read.divisions, factor * score.steps_per_beat);
    // A pickup begins later than its bar; they end together.
    let lines = score.time_signatures.bar_lines(score.length.max(1));
    let silence = match (written.has_pickup, lines.get(1)) {
        (true, Some(line)) => line * factor - read.bars[0].0,
        _ => 0,
    };
    assert_eq!(silence, written.silence * factor);
    let expected = score.notes.iter().map(|note| ReadNote {
        part: part_name(note.part),
        start: note.start * factor,
        pitch: note.pitch,
        end: if note.part.is_pitched() {
            note.end() * factor
        } else {
            0
        },
        velocity: note.velocity,
    });
    let mut expected: Vec<ReadNote> = expected.collect();
    expected.sort();
    for note in &mut read.notes {
        note.start += silence;
        note.end = if note.part == "Drums" {
            0
        } else {
            note.end + silence
        };
    }
    read.notes.sort();
    assert_eq!(read.notes.len(), expected.len());
    for (found, expected) in read.notes.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    (read, written)
}

/// The pieces in the public domain that the tests of `score` have, and the minuet.
fn pieces() -> Vec<(String, Score)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../score/tests/pieces");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let piece = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, tune::parse(&text, 12).unwrap())
    };
    let mut pieces: Vec<(String, Score)> = paths.iter().map(piece).collect();
    pieces.push(("minuet".into(), tune::minuet()));
    pieces
}

#[test]
fn pieces_in_the_public_domain_come_back_note_for_note() {
    let pieces = pieces();
    assert!(pieces.len() >= 8);
    let expected = [
        ("gymnopedie", 2, false),
        ("hymn", 1, true),
        ("minuet", 1, false),
        ("pop", 0, false),
        ("prelude", 0, false),
        ("ragtime", 0, false),
        ("sonatina", 0, false),
        ("song", 0, true),
    ];
    for (name, score) in &pieces {
        let (read, written) = comes_back(score);
        if let Some((_, fifths, has_pickup)) = expected.iter().find(|(own, ..)| own == name) {
            assert_eq!(
                (read.fifths, written.has_pickup),
                (*fifths, *has_pickup),
                "{name}"
            );
        }
        assert!(read.most_voices <= 3, "{name}: {} voices", read.most_voices);
    }
}

#[test]
fn marks_say_time_tempo_chords_and_dynamics() {
    let mut score = tune::parse(
        "!50 -:2 G4:1 |\n!50 C3+E3+G3+C5:3 | G3+B3+D4+G4:3 | !100 A3+C4+E4:3 | C3+E3+G3+C5:3"
            .replace("-:2 G4:1 |\n", "-:2 G4:1 ")
            .replace("| ", "")
            .as_str(),
        12,
    )
    .unwrap();
    let three = TimeSignature {
        numerator: 3,
        denominator: 4,
    };
    let six = TimeSignature {
        numerator: 6,
        denominator: 8,
    };
    score.time_signatures = TimeSignatureMap::new(12, vec![(0, three), (108, six)]);
    score.tempos = TempoMap::new(vec![(0, 90.0), (42, 92.0), (108, 150.0)]);
    let (read, written) = comes_back(&score);
    assert!(written.has_pickup);
    let of = |kind| {
        let own = read.marks.iter().filter(|(_, own, _)| *own == kind);
        own.map(|(at, _, text)| (*at, text.as_str()))
            .collect::<Vec<_>>()
    };
    // Times count from the pickup, which has 12 of 36 steps.
    assert_eq!(of("time"), [(0, "3/4"), (84, "6/8")]);
    assert_eq!(of("tempo"), [(0, "quarter = 90"), (84, "quarter. = 100")]);
    assert_eq!(of("sound"), [(0, "90"), (18, "92"), (84, "150")]);
    assert_eq!(of("dynamics"), [(0, "p"), (84, "f")]);
    assert_eq!(of("chord"), [(12, "C"), (48, "G"), (84, "Am"), (120, "C")]);
    assert_eq!(read.bars[0], (12, "0".into()));
    assert_eq!(read.bars[1], (36, "1".into()));
}

/// A score of random notes that overlap as they like, on a grid of `steps`.
fn random(seed: u64, steps: u32) -> Score {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut score = Score::new(steps);
    let parts = match random.random_range(0..3) {
        0 => &Part::ALL[..1],
        1 => &Part::ALL[..],
        _ => &Part::ALL[3..],
    };
    let beats = random.random_range(1..40);
    for _ in 0..random.random_range(1..200) {
        let part = parts[random.random_range(0..parts.len())];
        score.notes.push(Note {
            start: random.random_range(0..beats * steps),
            length: match part.is_pitched() {
                true => random.random_range(1..=4 * steps),
                false => 1,
            },
            pitch: random.random_range(0..=119),
            velocity: random.random_range(1..=127),
            part,
        });
    }
    let mut changes = Vec::new();
    for _ in 0..random.random_range(0..4) {
        let time = TimeSignature {
            numerator: random.random_range(1..=13),
            denominator: 1 << random.random_range(0..6),
        };
        // Some of them cut a bar short anywhere.
        changes.push((random.random_range(0..beats * steps), time));
    }
    score.time_signatures = TimeSignatureMap::new(steps, changes);
    let tempo = |_| {
        (
            random.random_range(0..beats * steps),
            f64::from(random.random_range(30..300)),
        )
    };
    score.tempos = TempoMap::new((0..5).map(tempo).collect());
    score.normalise();
    score
}

#[test]
fn random_scores_come_back_on_every_grid() {
    for steps in [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 24, 48, 96] {
        for seed in 0..20 {
            let score = random(seed, steps);
            let run = std::panic::AssertUnwindSafe(|| comes_back(&score));
            if std::panic::catch_unwind(run).is_err() {
                panic!("{steps} steps, seed {seed}");
            }
        }
    }
}

#[test]
fn shared_files_come_back_note_for_note() {
    let files = shared::files(200);
    let (next, read, drums) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let work = || {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Ok(file) = midi::read_file(path) else {
                continue;
            };
            let mut score = Score::for_vocabulary(&file, &Vocabulary::band());
            score.end_with_music();
            if score.notes.is_empty() {
                continue;
            }
            let run = std::panic::AssertUnwindSafe(|| comes_back(&score));
            if std::panic::catch_unwind(run).is_err() {
                panic!("in {}", path.display());
            }
            read.fetch_add(1, Ordering::Relaxed);
            let has_drums = score.notes.iter().any(|note| note.part == Part::Drums);
            drums.fetch_add(usize::from(has_drums), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (read, drums) = (read.into_inner(), drums.into_inner());
    println!(
        "{read} of {} files come back note for note, {drums} with drums",
        files.len()
    );
    assert!(files.is_empty() || read > 150, "{read}");
}

#[test]
fn errors_say_what_to_do() {
    let mut bytes = Vec::new();
    let options = Options {
        title: "",
        first_bar: 1,
    };
    let mut says = |score: &Score| write(score, &options, &mut bytes).unwrap_err().to_string();
    assert!(says(&Score::new(12)).contains("no notes"));
    let mut score = Score::new(1000);
    score.notes = vec![Note::default()];
    score.normalise();
    assert!(says(&score).contains("quantise"), "{}", says(&score));
    let mut score = Score::new(12);
    score.notes = vec![Note {
        start: 48 * 60_000,
        ..Note::default()
    }];
    score.normalise();
    assert!(says(&score).contains("60001 bars"), "{}", says(&score));
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let why = write(&tune::minuet(), &options, Full);
    assert!(matches!(why, Err(NotationError::Io(_))));
}
