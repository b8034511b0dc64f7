//! Encoding: what goes in comes out, once, and on one side of the split.

use std::collections::HashSet;
use std::fs;

use continuo_score::{PositionScore, Token, Vocabulary};
use continuo_trainer::config::grid_sizes;
use continuo_trainer::corpus::Corpus;

use crate::songs;

#[test]
fn round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 7, 40);
    assert_eq!(corpus.songs.len(), 7);
    let paths: Vec<_> = corpus.songs.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "a/0.mid", "a/2.mid", "a/4.mid", "a/6.mid", "b/1.mid", "b/3.mid", "b/5.mid"
        ]
    );
    let vocabulary = Vocabulary::continuo();
    let sizes = grid_sizes(&vocabulary);
    for (i, song) in corpus.songs.iter().enumerate() {
        let number = song.path[2..3].parse().unwrap();
        let score = songs::tune(number, 40);
        assert_eq!(song.style, song.path[..1]);
        assert_eq!(song.notes, score.notes.len() as u64);
        let records: Vec<_> = corpus.records(i, 0, song.tokens as usize).collect();
        let ids: Vec<u16> = records.iter().map(|r| r.id).collect();
        let read = PositionScore::from_ids(&ids, &vocabulary).unwrap();
        // Velocities are binned, everything else is exact.
        let notes = read.decode(&vocabulary).notes;
        assert_eq!(notes.len(), score.notes.len());
        for (a, b) in notes.iter().zip(&score.notes) {
            assert_eq!((a.start, a.length, a.pitch), (b.start, b.length, b.pitch));
        }
        assert_eq!(read.tokens.last().map(|t| t.token), Some(Token::End));
        for (record, placed) in records.iter().zip(&read.tokens) {
            let rows = sizes.rows(score.metres.place(placed.step));
            let got = [record.bar_step, record.bar, record.metre].map(usize::from);
            assert_eq!(got, [rows.bar_step, rows.bar, rows.metre]);
        }
    }
    assert!(!folder.path().join("songs.corpus.partial").exists());
}

#[test]
fn duplicates_are_dropped_and_never_straddle() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|f| folder.path().join(f));
    songs::write(&one, 20, 20);
    // The same music under other names, in another style, with another track name.
    for i in 0..20 {
        let style = two.join("copies");
        fs::create_dir_all(&style).unwrap();
        let midi = continuo_score::Score::parts_to_midi(&[("copy", &songs::tune(i, 20))]);
        midi.write_file(&style.join(format!("copy{i}.mid")))
            .unwrap();
    }
    let path = folder.path().join("both.corpus");
    let outcome = songs::encode(&[one.clone(), two.clone()], &path, 0.5).unwrap();
    assert_eq!(outcome.songs.len(), 20);
    assert_eq!(outcome.skipped_by_reason()["duplicate"], 20);
    // Alone, the copies are held out exactly where the originals are.
    let split = |folder: &std::path::Path| -> HashSet<(u64, bool)> {
        let path = path.with_extension("one");
        songs::encode(&[folder.to_owned()], &path, 0.5).unwrap();
        Corpus::open(&path)
            .unwrap()
            .songs
            .iter()
            .map(|s| (s.hash, s.held_out))
            .collect()
    };
    assert_eq!(split(&one), split(&two));
    let held_out = split(&one).iter().filter(|s| s.1).count();
    assert!((1..20).contains(&held_out), "{held_out} of 20 held out");
}

#[test]
fn what_is_unusable_is_left_out_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let midi = folder.path().join("midi");
    songs::write(&midi, 2, 20);
    fs::write(midi.join("broken.mid"), b"MThd and then nothing").unwrap();
    fs::write(midi.join("empty.MID"), b"").unwrap();
    fs::write(midi.join("notes.txt"), b"not music").unwrap();
    songs::tune(9, 15)
        .to_midi()
        .write_file(&midi.join("short.midi"))
        .unwrap();
    let outcome = songs::encode(&[midi], &folder.path().join("c"), 0.0).unwrap();
    assert_eq!(outcome.songs.len(), 2);
    let reasons = outcome.skipped_by_reason();
    assert_eq!((reasons["unreadable"], reasons["too short"]), (2, 1));
    assert_eq!(reasons.len(), 2);
}

#[test]
fn a_damaged_corpus_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = songs::corpus(folder.path(), 3, 20).path().to_owned();
    let whole = fs::read(&path).unwrap();
    let mut versions = vec![
        whole[..whole.len() - 5].to_vec(),
        whole[..10].to_vec(),
        Vec::new(),
    ];
    for (at, byte) in [(0, b'X'), (8, 9), (17, 0xff), (33, 0xff), (39, 0xff)] {
        let mut damaged = whole.clone();
        damaged[at] = byte;
        versions.push(damaged);
    }
    for (i, damaged) in versions.into_iter().enumerate() {
        let path = folder.path().join(format!("damaged{i}"));
        fs::write(&path, damaged).unwrap();
        assert!(Corpus::open(&path).is_err(), "damage {i}");
    }
}
