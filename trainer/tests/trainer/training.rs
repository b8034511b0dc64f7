//! Training: it learns, it can be interrupted, it plays every song to its end.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use continuo_trainer::checkpoint::{self, Checkpoint};
use continuo_trainer::eval::evaluate;
use continuo_trainer::lanes::Lanes;
use continuo_trainer::train::{Ending, Event, Start, train};

use crate::songs;

/// Step, loss and norm columns of `losses.csv`.
fn losses(folder: &Path) -> Vec<[String; 3]> {
    let text = fs::read_to_string(folder.join("losses.csv")).unwrap();
    let row = |line: &str| {
        let columns: Vec<_> = line.split(',').collect();
        [0, 3, 4].map(|i| columns[i].to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn resumed_is_uninterrupted() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 6, 30);
    let [whole, parts] = ["whole", "parts"].map(|f| folder.path().join(f));
    let stop = AtomicBool::new(false);
    let all = songs::options(&corpus, &whole, songs::begin(&corpus, 12), &stop);
    assert_eq!(train(&all, |_| {}).unwrap(), Ending::Done);

    // Stopped after step 5, as Ctrl-C does it, and again after step 9.
    let mut start = songs::begin(&corpus, 12);
    for at in [5, 9] {
        stop.store(false, Ordering::Relaxed);
        let part = songs::options(&corpus, &parts, start, &stop);
        let ending = train(&part, |event| {
            if matches!(event, Event::Step(t) if t.steps == at) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert_eq!(ending.unwrap(), Ending::Stopped);
        start = Start::Resume { budget: None };
    }
    // What was logged after the last checkpoint is logged anew, not twice.
    let log = parts.join("losses.csv");
    fs::write(&log, fs::read_to_string(&log).unwrap() + "10,1,1,9,9,9\n").unwrap();
    stop.store(false, Ordering::Relaxed);
    let rest = songs::options(&corpus, &parts, start, &stop);
    assert_eq!(train(&rest, |_| {}).unwrap(), Ending::Done);

    assert_eq!(losses(&whole), losses(&parts));
    let weights = |f: &Path| {
        let newest = Checkpoint::open(f).unwrap().path;
        ["weights", "training"].map(|n| fs::read(newest.join(format!("{n}.safetensors"))).unwrap())
    };
    assert!(
        weights(&whole) == weights(&parts),
        "parameters, moments and memory to the bit"
    );
}

#[test]
fn learns_what_it_hears() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 12, 60);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut begin = songs::begin(&corpus, 150);
    if let Start::New { recipe, .. } = &mut begin {
        recipe.learning_rate = 1e-2;
    }
    let options = songs::options(&corpus, &output, begin, &stop);
    train(&options, |_| {}).unwrap();
    let model = Checkpoint::open(&output)
        .unwrap()
        .model(&burn::tensor::Device::flex())
        .unwrap();
    let measured = evaluate(&model, &corpus, |_, _| {}).unwrap();
    let all = measured.all;
    let [model, unigram] = [all.nats, all.unigram_nats].map(|n| all.per_token(n));
    assert!(
        model < 0.8 * unigram,
        "{model} nats a token, unigram {unigram}"
    );
    let songs = corpus.songs.iter().filter(|s| s.held_out);
    let (tokens, notes) = songs.fold((0, 0), |(t, n), s| (t + s.tokens - 1, n + s.notes));
    assert_eq!((all.tokens, all.notes), (tokens, notes));
    assert_eq!(
        measured.kinds.values().map(|k| k.tokens).sum::<u64>(),
        tokens
    );
    assert_eq!(measured.held_out.nats_per_token, model);
}

#[test]
fn only_the_newest_two_checkpoints_stay() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 4, 20);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut options = songs::options(&corpus, &output, songs::begin(&corpus, 5), &stop);
    options.checkpoint_every = Duration::ZERO;
    train(&options, |_| {}).unwrap();
    let steps: Vec<u64> = checkpoint::steps(&output)
        .into_iter()
        .map(|s| s.0)
        .collect();
    assert_eq!(steps, [4, 5]);
}

#[test]
fn lanes_play_whole_songs_without_pads() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 8, 20);
    let mut lanes = Lanes::new(&corpus, 3, 1, 0.5).unwrap();
    // What each lane was asked, token after token, with the song's beginning.
    let mut played = vec![Vec::new(); 3];
    for _ in 0..40 {
        let groups = lanes.next(2, 16);
        assert_eq!(
            groups.iter().map(|g| g.input.lanes).collect::<Vec<_>>(),
            [2, 1]
        );
        for (lane, played) in played.iter_mut().enumerate() {
            let group = &groups[lane / 2];
            let row = (lane % 2) * 16..(lane % 2 + 1) * 16;
            let input = &group.input;
            for i in row {
                played.push((input.song[i], input.tokens[i], group.targets[i]));
            }
        }
    }
    let mut heard = 0;
    for played in played {
        let songs: Vec<_> = played.chunk_by(|a, b| a.0 == b.0).collect();
        let mut position = 0;
        // The last one may be cut short.
        for song in &songs[..songs.len() - 1] {
            assert_eq!(song[0].0, position);
            position += song.len() as u64;
            let mut ids: Vec<u16> = song.iter().map(|s| s.1).collect();
            ids.push(song[song.len() - 1].2);
            let same = |i: usize| {
                let tokens = corpus.songs[i].tokens as usize;
                corpus
                    .records(i, 0, tokens)
                    .map(|r| r.id)
                    .eq(ids.iter().copied())
            };
            let index = (0..corpus.songs.len())
                .find(|&i| same(i))
                .expect("a whole song");
            assert!(!corpus.songs[index].held_out);
            assert!(
                song.windows(2).all(|w| w[0].2 == w[1].1),
                "targets are what follows"
            );
            heard += 1;
        }
    }
    assert!(heard > 10);
}
