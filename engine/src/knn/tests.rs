use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of length 1.
fn rows(rng: &mut ChaCha8Rng, count: usize, dim: usize) -> Vec<f32> {
    let mut rows: Vec<f32> = (0..count * dim)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    for row in rows.chunks_exact_mut(dim) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
    rows
}

/// The memory as one would write it down: everything is kept, everything is compared.
#[derive(Default)]
struct Plain {
    song: Vec<(Vec<f32>, Vec<f32>)>,
    learned: Vec<(Vec<f32>, Vec<f32>)>,
    /// Offset from key to value in the song: 0 for its own token, 1 for the next.
    value_offset: usize,
}

impl Plain {
    fn search(&self, query: &[f32], visible: usize, capacity: usize, k: usize) -> Neighbours {
        let seen = visible.min(self.song.len());
        let seen = (seen.saturating_sub(capacity)..seen)
            .map(|at| (&self.song[at].0, &self.song[at + self.value_offset].1));
        let learned = &self.learned[self.learned.len().saturating_sub(capacity)..];
        let all = seen.chain(learned.iter().map(|(key, value)| (key, value)));
        let dot = |key: &[f32]| key.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        let mut all: Vec<_> = all.map(|(key, value)| (dot(key), value)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut found = Neighbours {
            locations: Vec::new(),
            scores: vec![NOTHING; k],
            values: vec![0.0; k * query.len()],
        };
        for (at, (score, value)) in all.into_iter().take(k).enumerate() {
            found.scores[at] = score;
            found.values[at * value.len()..][..value.len()].copy_from_slice(value);
        }
        found
    }
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
}

/// After any sequence of appends, rewinds, learned pieces and clears, every token finds the neighbours
/// that an exhaustive comparison finds.
#[test]
fn search_equals_exhaustive_comparison() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let dim = 8 * rng.random_range(1..4);
        let (k, capacity) = (rng.random_range(1..6), rng.random_range(1..60));
        let (heads, window) = (rng.random_range(1..4), rng.random_range(1..12usize));
        let mut memory = KnnMemory::new(dim, k, capacity, window, 0);
        let mut plain = Plain::default();
        if window > 1 && rng.random() {
            memory = memory.with_next_values();
            plain.value_offset = 1;
        }
        for turn in 0..40 {
            let what = format!("seed {seed}, turn {turn}");
            let visible = |position: usize| (position + 1).saturating_sub(window);
            match rng.random_range(0..10) {
                0 => {
                    let to = rng.random_range(0..=plain.song.len());
                    if memory.holds(to) {
                        memory.truncate(to).unwrap();
                        plain.song.truncate(to);
                    } else {
                        let seen = visible(to);
                        assert!(seen + 2 * capacity < plain.song.len() + capacity, "{what}");
                    }
                }
                1 if rng.random_bool(0.3) => {
                    memory.clear();
                    plain.song.clear();
                }
                2 if rng.random_bool(0.3) => {
                    memory.forget_learned();
                    plain.learned.clear();
                }
                3 => {
                    let count = rng.random_range(1..30);
                    let (keys, values) = (rows(&mut rng, count, dim), rows(&mut rng, count, dim));
                    // A piece, in two portions.
                    let (begin, end) = (rng.random_range(0..=count) * dim, count * dim);
                    for kv_store in [0..begin, begin..end] {
                        memory
                            .learn(&keys[kv_store.clone()], &values[kv_store])
                            .unwrap();
                    }
                    memory.end_piece();
                    let values = values.chunks(dim).skip(plain.value_offset);
                    let pairs = keys.chunks(dim).zip(values);
                    plain
                        .learned
                        .extend(pairs.map(|(k, v)| (k.to_vec(), v.to_vec())));
                }
                _ => {
                    let count = rng.random_range(1..100);
                    let (keys, values) = (rows(&mut rng, count, dim), rows(&mut rng, count, dim));
                    let start = memory.len();
                    memory.trim().unwrap();
                    memory.append(&keys, &values).unwrap();
                    let pairs = keys.chunks(dim).zip(values.chunks(dim));
                    plain
                        .song
                        .extend(pairs.map(|(k, v)| (k.to_vec(), v.to_vec())));
                    let queries = rows(&mut rng, count * heads, dim);
                    let mut found = Neighbours::default();
                    memory.search(&queries, heads, start, &mut found).unwrap();
                    for (at, query) in queries.chunks(dim).enumerate() {
                        let seen = visible(start + at / heads);
                        let expected = plain.search(query, seen, capacity, k);
                        let scores = &found.scores[at * k..][..k];
                        let values = &found.values[at * k * dim..][..k * dim];
                        assert!(close(&expected.scores, scores), "{what}, query {at}");
                        assert!(close(&expected.values, values), "{what}, query {at}");
                    }
                }
            }
            assert_eq!(memory.len(), plain.song.len(), "{what}");
            assert_eq!(
                memory.learned(),
                plain.learned.len().min(capacity),
                "{what}"
            );
        }
    }
}

#[test]
fn memory_keeps_no_more_keys_than_its_capacity() {
    let mut memory = KnnMemory::new(8, 2, 100, 1, 0);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let keys = rows(&mut rng, 50, 8);
        memory.trim().unwrap();
        memory.append(&keys, &keys).unwrap();
        memory.learn(&keys, &keys).unwrap();
        assert!(
            memory.bytes() <= (213 + 50 + 107) * 8 * 8,
            "{}",
            memory.bytes()
        );
    }
    assert!(memory.holds(9_890), "below an eviction");
    assert!(!memory.holds(5_000), "dropped");
    memory.truncate(9_890).unwrap();
    assert_eq!(memory.len(), 9_890);
}

/// Above [`EXACT`] keys the trained lists find most neighbours; a rewind below it is exact again.
#[test]
fn index_finds_most_neighbours() {
    let (dim, k) = (16, 32);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut memory = KnnMemory::new(dim, k, 2 * EXACT, 1, 0);
    // Music repeats itself: keys lie in clusters.
    let centres = rows(&mut rng, 500, dim);
    let mut keys = Vec::with_capacity((EXACT + 5_000) * dim);
    for _ in 0..EXACT + 5_000 {
        let centre = rng.random_range(0..500);
        keys.extend(
            centres[centre * dim..][..dim]
                .iter()
                .map(|x| x + rng.random_range(-0.2..0.2)),
        );
    }
    memory.append(&keys, &keys).unwrap();
    let queries = keys[..64 * dim].to_vec();
    let mut found = Neighbours::default();
    memory
        .search(&queries, 4, EXACT + 4_000, &mut found)
        .unwrap();
    let mut exact = Hits::default();
    memory
        .song
        .rows()
        .search(&queries, 0..EXACT + 4_000, k, &mut exact)
        .unwrap();
    let pairs = found.scores.iter().zip(&exact.scores);
    let same = pairs.filter(|(a, b)| (*a - *b).abs() < 1e-5).count();
    assert!(
        same * 10 >= 9 * found.scores.len(),
        "{same} of {}",
        found.scores.len()
    );
    // Below, the search is exact.
    memory.truncate(EXACT).unwrap();
    memory.search(&queries, 4, EXACT - 20, &mut found).unwrap();
    memory
        .song
        .rows()
        .search(&queries[..4 * dim], 0..EXACT - 20, k, &mut exact)
        .unwrap();
    assert!(close(&found.scores[..4 * k], &exact.scores));
}

/// A repeated theme finds its own first occurrence, note by note.
#[test]
fn planted_theme_is_recalled() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (dim, k, heads, window) = (16, rng.random_range(1..4), 2, 8);
        let mut memory = KnnMemory::new(dim, k, 500, window, 0);
        let theme = rows(&mut rng, 6, dim);
        let at = rng.random_range(0..200);
        for keys in [
            rows(&mut rng, at, dim),
            theme.clone(),
            rows(&mut rng, 60, dim),
        ] {
            memory.append(&keys, &keys).unwrap();
        }
        memory.learn(&theme[..dim], &theme[..dim]).unwrap();
        for (note, key) in theme.chunks_exact(dim).enumerate() {
            let position = memory.len();
            memory.append(key, key).unwrap();
            let queries = [key, key].concat();
            let mut out = Neighbours::default();
            memory.search(&queries, heads, position, &mut out).unwrap();
            let latest: Vec<_> = memory.latest().collect();
            assert_eq!(latest.len(), heads, "seed {seed}");
            for found in latest {
                let locations: Vec<_> = found.iter().take(2).map(|f| f.0).collect();
                let planted = MemoryLocation::Song(at + note);
                // The first was learned as well.
                let wanted = if note == 0 {
                    [planted, MemoryLocation::Learned]
                } else {
                    [planted; 2]
                };
                assert!(wanted.contains(&locations[0]), "seed {seed}: {found:?}");
                assert!((found[0].1 - 1.0).abs() < 1e-5, "seed {seed}: {found:?}");
                assert!(found.iter().all(|f| f.0 != MemoryLocation::Song(position)));
            }
        }
    }
}

/// With a limited reach, a token finds the neighbours that an exhaustive comparison within the reach
/// finds, for any division into calls.
#[test]
fn search_stays_within_the_reach() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (dim, k, heads) = (8, rng.random_range(1..6), rng.random_range(1..4));
        let (capacity, window) = (rng.random_range(1..60), rng.random_range(1..12usize));
        let mut memory = KnnMemory::new(dim, k, capacity, window, 0);
        let mut plain = Plain::default();
        let mut limit = 0;
        for turn in 0..20 {
            let what = format!("seed {seed}, turn {turn}");
            let (at, count) = (memory.len(), rng.random_range(1..30));
            let (keys, values) = (rows(&mut rng, count, dim), rows(&mut rng, count, dim));
            memory.append(&keys, &values).unwrap();
            let pairs = keys.chunks_exact(dim).zip(values.chunks_exact(dim));
            plain
                .song
                .extend(pairs.map(|(key, value)| (key.to_vec(), value.to_vec())));
            let earliest: Vec<usize> = (at..at + count)
                .map(|position| {
                    limit = rng.random_range(limit..=position).min(limit + 9);
                    limit
                })
                .collect();
            memory.limit_reach(at, earliest.clone());
            let queries = rows(&mut rng, count * heads, dim);
            let mut out = Neighbours::default();
            memory.search(&queries, heads, at, &mut out).unwrap();
            for (number, query) in queries.chunks_exact(dim).enumerate() {
                let token = number / heads;
                let visible = (at + token + 1).saturating_sub(window);
                let from = earliest[token].min(visible);
                let near = Plain {
                    song: plain.song[from..visible].to_vec(),
                    learned: Vec::new(),
                    value_offset: 0,
                };
                let wanted = near.search(query, visible - from, capacity, k);
                assert!(
                    close(&wanted.scores, &out.scores[number * k..][..k]),
                    "{what}"
                );
                assert!(
                    close(&wanted.values, &out.values[number * k * dim..][..k * dim]),
                    "{what}"
                );
            }
        }
    }
}
