//! Reading, quantising, encoding, decoding: `cargo bench -p continuo-score`.
//!
//! The piece is made here: 3,000 notes in four tracks, dense as piano music. Where the shared
//! folder is at hand, its first 100 POP909 files are read as well.

use std::hint::black_box;
use std::path::PathBuf;

use continuo_score::{Drums, Note, Score, TokenIds, TokenSequence, Vocabulary, midi};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Four voices of 750 notes, no two of them alike.
fn piece() -> Vec<u8> {
    let voice = |voice: u32| {
        let mut score = Score::new(12);
        score.notes = (0..750)
            .map(|i| Note {
                start: i * 6 + voice % 2 * 3,
                length: 4 + (i * 7 + voice) % 13,
                pitch: (30 + 12 * voice + i * 5 % 24) as u8,
                velocity: (40 + i * 11 % 80) as u8,
                ..Note::default()
            })
            .collect();
        score.normalise();
        score
    };
    let voices: Vec<Score> = (0..4).map(voice).collect();
    let parts: Vec<(&str, &Score)> = voices.iter().map(|v| ("voice", v)).collect();
    Score::parts_to_midi(&parts)
        .to_bytes()
        .expect("a small file")
}

fn shared() -> Vec<Vec<u8>> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("CONTINUO_SHARED");
    let shared = shared.map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let Ok(folder) = std::fs::read_dir(shared.join("data/train/pop909")) else {
        eprintln!("SKIPPED: pop909 needs the shared data");
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let files = paths.iter().take(100).map(std::fs::read);
    files.flatten().collect()
}

fn stages(c: &mut Criterion) {
    let v = Vocabulary::continuo();
    let bytes = piece();
    let file = midi::read_bytes(&bytes).expect("our own file");
    let score = Score::from_midi(&file, v.steps_per_beat, Drums::Drop);
    let index = TokenIds::encode(&score, &v);
    let mut group = c.benchmark_group("3000 notes");
    group.throughput(Throughput::Elements(score.notes.len() as u64));
    group.bench_function("read", |b| b.iter(|| midi::read_bytes(black_box(&bytes))));
    group.bench_function("quantise", |b| {
        b.iter(|| Score::from_midi(black_box(&file), 12, Drums::Drop));
    });
    group.bench_function("encode", |b| {
        b.iter(|| TokenSequence::encode(black_box(&score), &v).ids(&v));
    });
    group.bench_function("decode", |b| b.iter(|| black_box(&index).decode(&v)));
    group.finish();

    let files = shared();
    if !files.is_empty() {
        let mut group = c.benchmark_group("100 files of pop909");
        group.sample_size(20);
        group.throughput(Throughput::Elements(files.len() as u64));
        let read = |bytes: &Vec<u8>| midi::read_bytes(bytes).map_or(0, |f| f.notes.len());
        group.bench_function("read", |b| {
            b.iter(|| files.iter().map(read).sum::<usize>());
        });
        let encode = |bytes: &Vec<u8>| {
            let file = midi::read_bytes(bytes).unwrap_or_default();
            let score = Score::from_midi(&file, v.steps_per_beat, Drums::Drop);
            TokenIds::encode(&score, &v).ids().len()
        };
        group.bench_function("bytes to ids", |b| {
            b.iter(|| files.iter().map(encode).sum::<usize>());
        });
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
