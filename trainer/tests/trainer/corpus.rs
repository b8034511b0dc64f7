//! Encoding: round trip, deduplication, split, resumption.

use std::collections::HashSet;
use std::fs;

use continuo_score::midi::{Pedal, ReadOptions};
use continuo_score::{Token, TokenSequence, Vocabulary};
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::encode;
use continuo_trainer::data::skipped::SkipReason;
use continuo_trainer::model::config::grid_sizes;

use crate::fixtures;

#[test]
fn corpus_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 7, 40);
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
        let score = fixtures::tune(number, 40);
        assert_eq!(song.style, song.path[..1]);
        assert_eq!(song.notes, score.notes.len() as u64);
        let records: Vec<_> = corpus.records(i, 0, song.tokens as usize).collect();
        let ids: Vec<u16> = records.iter().map(|r| r.id).collect();
        let read = TokenSequence::from_ids(&ids, &vocabulary).unwrap();
        // Velocities are binned, everything else is exact.
        let notes = read.decode(&vocabulary).notes;
        assert_eq!(notes.len(), score.notes.len());
        for (a, b) in notes.iter().zip(&score.notes) {
            assert_eq!((a.start, a.length, a.pitch), (b.start, b.length, b.pitch));
        }
        assert_eq!(read.tokens.last().map(|t| t.token), Some(Token::End));
        for (record, placed) in records.iter().zip(&read.tokens) {
            let rows = sizes.rows(score.time_signatures.position(placed.step));
            let got = [record.bar_step, record.bar, record.metre];
            assert_eq!(got, [rows.bar_step, rows.bar, rows.metre]);
        }
    }
    assert!(!folder.path().join("songs.corpus.partial").exists());
}

#[test]
fn duplicates_are_dropped_and_never_straddle() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|f| folder.path().join(f));
    fixtures::write(&one, 20, 20);
    // The same music under other names, in another style, with another track name.
    for i in 0..20 {
        let style = two.join("copies");
        fs::create_dir_all(&style).unwrap();
        let midi = continuo_score::Score::parts_to_midi(&[("copy", &fixtures::tune(i, 20))]);
        midi.write_file(&style.join(format!("copy{i}.mid")))
            .unwrap();
    }
    let path = folder.path().join("both.corpus");
    let outcome = fixtures::encode(&[one.clone(), two.clone()], &path, 0.5).unwrap();
    assert_eq!(outcome.songs.len(), 20);
    assert_eq!(outcome.skipped_by_reason()[&SkipReason::Duplicate], 20);
    // Alone, the copies are held out exactly where the originals are.
    let split = |folder: &std::path::Path| -> HashSet<(u64, bool)> {
        let path = path.with_extension("one");
        fixtures::encode(&[folder.to_owned()], &path, 0.5).unwrap();
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
fn copies_in_other_keys_are_dropped_and_versions_stay_together() {
    let folder = tempfile::tempdir().unwrap();
    let midi = folder.path().join("midi");
    fs::create_dir(&midi).unwrap();
    for i in 0..24 {
        let mut score = fixtures::tune(i, 120);
        let write = |score: &continuo_score::Score, name: &str| {
            let path = midi.join(format!("{i:02}-{name}.mid"));
            score.to_midi().write_file(&path).unwrap();
        };
        write(&score, "a");
        score.notes.iter_mut().for_each(|n| n.pitch -= 5);
        write(&score, "b-lower");
        for note in &mut score.notes {
            note.start *= 2;
        }
        score.normalise();
        write(&score, "c-slower");
        score.notes.truncate(110);
        score.length = 0;
        score.normalise();
        write(&score, "d-shorter");
    }
    let outcome = fixtures::encode(&[midi], &folder.path().join("c"), 0.4).unwrap();
    assert_eq!(outcome.skipped_by_reason()[&SkipReason::Duplicate], 2 * 24);
    assert_eq!(outcome.songs.len(), 2 * 24);
    let mut held_out = 0;
    for pair in outcome.songs.chunks(2) {
        assert!(pair[0].path.ends_with("a.mid") && pair[1].path.ends_with("d-shorter.mid"));
        assert_eq!(pair[0].held_out, pair[1].held_out, "{}", pair[0].path);
        held_out += usize::from(pair[0].held_out);
    }
    assert!((1..24).contains(&held_out), "{held_out}");
}

#[test]
fn killed_encoding_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fixtures::write(&at.join("midi"), 700, 30);
    // Some to skip, before and after it is killed.
    fs::write(at.join("midi/a/1.mid"), "no music").unwrap();
    fs::write(at.join("midi/b/zz.mid"), "no music").unwrap();
    let encode = |output: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_continuo-trainer"));
        command
            .args(["encode", "midi", "-o", output])
            .current_dir(at);
        command
    };
    let output = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = output(&mut encode("whole"));
    assert!(!whole.contains("done before"), "{whole}");
    // The first line identifies the encoding, the second is a finished batch; half a line is void.
    let journal = at.join("killed.journal");
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.matches('\n').count());
    // On a busy machine it may be through before it is killed: then once more.
    let was_killed = (0..100).any(|_| {
        let mut child = encode("killed")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while lines() < 2 && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let is_through = at.join("killed").exists();
        if is_through {
            for end in ["", ".skipped.tsv", ".journal"] {
                let _ = fs::remove_file(at.join(format!("killed{end}")));
            }
        }
        !is_through
    });
    assert!(was_killed, "it was through each time");
    let partial = || {
        let entries = fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name());
        let mut names = entries.map(|name| name.to_string_lossy().into_owned());
        names.find(|name| name.ends_with(".partial"))
    };
    assert!(partial().is_some() && !at.join("killed").exists());
    let text = output(&mut encode("killed"));
    assert!(text.contains("files had been done before"), "{text}");
    let read = |name: &str| fs::read(at.join(name)).unwrap();
    assert!(read("whole") == read("killed"));
    assert!(read("whole.skipped.tsv") == read("killed.skipped.tsv"));
    assert!(partial().is_none() && !at.join("killed.journal").exists());

    // A journal of other options, or of a changed folder: from the beginning. Its songs go.
    let task = "{\"options\":\"other\",\"sources\":1,\"partial\":\"other.x.partial\"}\n";
    fs::write(at.join("other.journal"), task).unwrap();
    fs::write(at.join("other.x.partial"), [0; 64]).unwrap();
    let text = output(&mut encode("other"));
    assert!(
        !text.contains("done before") && read("whole") == read("other"),
        "{text}"
    );
    assert!(partial().is_none() && !at.join("other.journal").exists());

    // Somebody's diary is no journal, and a journal takes nothing from elsewhere.
    fs::write(at.join("diary.journal"), "Dear diary,\n").unwrap();
    assert!(!encode("diary").output().unwrap().status.success());
    assert_eq!(read("diary.journal"), b"Dear diary,\n");
    let task = task.replace("other.x.partial", "whole");
    fs::write(at.join("sly.journal"), task).unwrap();
    output(&mut encode("sly"));
    assert!(read("whole") == read("sly"));
}

#[test]
fn songs_are_listed_by_side() {
    let folder = tempfile::tempdir().unwrap();
    fixtures::write(&folder.path().join("midi"), 40, 20);
    let path = folder.path().join("c");
    let outcome = fixtures::encode(&[folder.path().join("midi")], &path, 0.3).unwrap();
    let list = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_continuo-trainer"));
        let output = command.arg("songs").arg(&path).args(arguments).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let side = |held_out: bool| {
        let songs = outcome.songs.iter().filter(|s| s.held_out == held_out);
        songs.map(|s| s.path.clone()).collect::<Vec<_>>()
    };
    assert!(!side(true).is_empty() && !side(false).is_empty());
    assert_eq!(list(&["--held-out"]), side(true));
    assert_eq!(list(&["--training"]), side(false));
    let all = list(&["--json"]);
    assert_eq!(all.len(), outcome.songs.len());
    let first: serde_json::Value = serde_json::from_str(&all[0]).unwrap();
    assert_eq!(first["notes"], outcome.songs[0].notes);
}

#[test]
fn unusable_files_are_skipped_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let midi = folder.path().join("midi");
    fixtures::write(&midi, 2, 20);
    fs::write(midi.join("broken.mid"), b"MThd and then nothing").unwrap();
    fs::write(midi.join("empty.MID"), b"").unwrap();
    let silent = continuo_score::Score::new(12).to_midi();
    silent.write_file(&midi.join("silent.mid")).unwrap();
    fs::write(midi.join("notes.txt"), b"not music").unwrap();
    fixtures::tune(9, 15)
        .to_midi()
        .write_file(&midi.join("short.midi"))
        .unwrap();
    let outcome = fixtures::encode(&[midi], &folder.path().join("c"), 0.0).unwrap();
    assert_eq!(outcome.songs.len(), 2);
    let reasons = outcome.skipped_by_reason();
    let expected = [
        (SkipReason::Broken, 1),
        (SkipReason::Empty, 2),
        (SkipReason::TooShort, 1),
    ];
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), expected);
}

/// Notes of a sixteenth, which the pedal holds for a beat.
#[test]
fn the_pedal_is_heard_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let beat = |key: u8| {
        [
            0, 0xb0, 64, 127, 0, 0x90, key, 80, 24, 0x80, key, 0, 72, 0xb0, 64, 0,
        ]
    };
    let events: Vec<u8> = (40..80).flat_map(beat).chain([0, 0xff, 0x2f, 0]).collect();
    let head = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk";
    let length = (events.len() as u32).to_be_bytes();
    let songs = folder.path().join("songs");
    fs::create_dir(&songs).unwrap();
    let song = [&head[..], &length, &events].concat();
    fs::write(songs.join("song.mid"), song).unwrap();
    let path = folder.path().join("songs.corpus");
    let vocabulary = Vocabulary::continuo();
    let lengths = |pedal| {
        let options = encode::EncodeOptions {
            folders: std::slice::from_ref(&songs),
            output: &path,
            replace: continuo_files::Replace::SameKind,
            vocabulary: vocabulary.clone(),
            divide: false,
            merge: None,
            grooves: &[],
            reading: ReadOptions { pedal },
            split: encode::Split::Share {
                share: 0.0,
                seed: 1,
            },
        };
        encode::encode(&options, |_, _| {}).unwrap();
        let corpus = Corpus::open(&path).unwrap();
        let records = corpus.records(0, 0, corpus.songs[0].tokens as usize);
        let ids: Vec<u16> = records.map(|r| r.id).collect();
        let read = TokenSequence::from_ids(&ids, &vocabulary).unwrap();
        let notes = read.decode(&vocabulary).notes;
        notes.iter().map(|note| note.length).collect::<Vec<_>>()
    };
    assert_eq!(lengths(Pedal::Ignore), [3; 40]);
    assert_eq!(lengths(Pedal::Lengthen), [12; 40]);
}

/// A list of held-out songs splits another vocabulary's corpus in the same way; a version of a listed
/// song is held out as well.
#[test]
fn listed_songs_are_held_out_with_their_versions() {
    let folder = tempfile::tempdir().unwrap();
    let songs = folder.path().join("songs");
    fixtures::write(&songs, 12, 60);
    // A version of `b/7.mid` that is found before it.
    let mut version = fixtures::tune(7, 60);
    version.notes.truncate(50);
    version
        .to_midi()
        .write_file(&songs.join("a/version.mid"))
        .unwrap();
    let encode = |listed: &[&str]| {
        let options = encode::EncodeOptions {
            folders: std::slice::from_ref(&songs),
            output: &folder.path().join("songs.corpus"),
            replace: continuo_files::Replace::SameKind,
            vocabulary: Vocabulary::band(),
            divide: false,
            merge: None,
            grooves: &[],
            reading: ReadOptions::default(),
            split: encode::Split::Listed(listed.iter().map(|s| s.to_string()).collect()),
        };
        encode::encode(&options, |_, _| {})
    };
    let outcome = encode(&["b/7.mid", "a/2.mid"]).unwrap();
    let held_out = outcome.songs.iter().filter(|song| song.held_out);
    let mut held_out: Vec<&str> = held_out.map(|song| song.path.as_str()).collect();
    held_out.sort_unstable();
    assert_eq!(held_out, ["a/2.mid", "a/version.mid", "b/7.mid"]);
    assert_eq!(outcome.songs.len(), 13);
    let error = encode(&["b/8.mid"]).unwrap_err().to_string();
    assert!(error.contains("b/8.mid"), "{error}");
}

#[test]
fn damaged_corpora_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixtures::corpus(folder.path(), 3, 20).path().to_owned();
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
