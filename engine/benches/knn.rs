//! Cost of one token's search in the kNN memory: `cargo bench -p continuo-engine`.

use continuo_engine::knn::{KnnMemory, Neighbours};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Keys of music: many near to each other, all of length 1.
fn rows(rng: &mut ChaCha8Rng, count: usize, dim: usize) -> Vec<f32> {
    let centres: Vec<f32> = (0..512 * dim)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let mut rows = Vec::with_capacity(count * dim);
    for _ in 0..count {
        let centre = &centres[rng.random_range(0..512) * dim..][..dim];
        let row: Vec<f32> = centre
            .iter()
            .map(|x| x + rng.random_range(-0.3..0.3))
            .collect();
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        rows.extend(row.iter().map(|x| x / length));
    }
    rows
}

fn search(c: &mut Criterion) {
    let mut group = c.benchmark_group("search");
    group.sample_size(20);
    for (dim, heads) in [(32, 4), (32, 8), (64, 4), (64, 8)] {
        for memories in [2_048, 8_192, 65_536, 131_072] {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let keys = rows(&mut rng, memories, dim);
            let mut memory = KnnMemory::new(dim, 32, memories, 1, 0);
            memory.append(&keys, &keys).expect("there is memory for it");
            let query = rows(&mut rng, heads, dim);
            let mut found = Neighbours::default();
            let name = BenchmarkId::new(format!("{heads}x{dim}"), memories);
            group.bench_function(name, |b| {
                b.iter(|| memory.search(&query, heads, memories, &mut found))
            });
        }
    }
    group.finish();
}

criterion_group!(benches, search);
criterion_main!(benches);
