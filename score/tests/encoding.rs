//! Encoding and decoding are inverse: random scores, all time signatures, random ids, real files.

mod common;

use common::{properties, shared};
use continuo_score::{
    Note, Part, Score, TempoMap, TimeSignature, TimeSignatureMap, Vocabulary, midi,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Returns a random normalised score on a random grid with changing time signatures.
fn score(rng: &mut ChaCha8Rng) -> Score {
    let steps = [4, 8, 12, 24, 7][rng.random_range(0..5)];
    let mut score = Score::new(steps);
    let span = [50, 800, 5000][rng.random_range(0..3)];
    let longest = [20, 400][rng.random_range(0..2)];
    // Often the keys alone.
    let parts = [&[Part::Keys][..], &Part::ALL][rng.random_range(0..2)];
    for _ in 0..rng.random_range(0..120) {
        score.notes.push(Note {
            start: rng.random_range(0..span),
            length: rng.random_range(1..=longest),
            pitch: rng.random_range(0..128),
            velocity: rng.random_range(1..128),
            part: parts[rng.random_range(0..parts.len())],
        });
    }
    score.length = rng.random_range(0..span * 2);
    let changes = (0..rng.random_range(0..6)).map(|_| {
        let metre = TimeSignature {
            numerator: rng.random_range(1..14),
            denominator: 1 << rng.random_range(0..8),
        };
        (rng.random_range(0..span), metre)
    });
    score.time_signatures = TimeSignatureMap::new(steps, changes.collect());
    score.tempos = TempoMap::new(vec![(
        rng.random_range(0..span),
        rng.random_range(20.0..300.0),
    )]);
    score.normalise();
    score
}

#[test]
fn random_scores() {
    for seed in 0..400 {
        let score = score(&mut ChaCha8Rng::seed_from_u64(seed));
        for vocabulary in properties::vocabularies() {
            eprintln!("seed {seed}, {}", vocabulary.name());
            properties::score_round_trip(&score, &vocabulary);
        }
    }
}

/// Every step lies in the bar that began last. Bars have the length of their time signature, except for
/// a fraction of a step and before a change.
#[test]
fn random_metres() {
    for seed in 0..400 {
        let score = score(&mut ChaCha8Rng::seed_from_u64(seed));
        let map = &score.time_signatures;
        let changes: Vec<u32> = map.changes().map(|(at, _)| at).collect();
        let end = score.length.clamp(1, 4000);
        let lines = map.bar_lines(end + 2000);
        assert!(
            changes.iter().all(|at| *at > end || lines.contains(at)),
            "seed {seed}"
        );
        for pair in lines.windows(2) {
            let metre = map.time_signature(pair[0]);
            let exact = metre.bar_beats() * f64::from(score.steps_per_beat);
            let length = f64::from(pair[1] - pair[0]);
            let cut = changes.contains(&pair[1]) && length < exact;
            assert!(
                cut || (length - exact.max(1.0)).abs() < 1.0,
                "seed {seed}: {metre:?} {length}"
            );
        }
        for step in 0..end {
            let bar = lines.partition_point(|&line| line <= step) - 1;
            let place = map.position(step);
            assert_eq!(
                (place.bar as usize, place.step_in_bar),
                (bar, step - lines[bar]),
                "seed {seed}"
            );
            let next = if place.step_in_bar == 0 {
                step
            } else {
                lines[bar + 1]
            };
            assert_eq!(map.next_bar(step), next, "seed {seed}");
        }
    }
}

#[test]
fn random_ids_and_walks() {
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let choices: Vec<u8> = (0..rng.random_range(0..600))
            .map(|_| rng.random())
            .collect();
        for vocabulary in properties::vocabularies() {
            properties::walk(&choices, &vocabulary);
            let size = vocabulary.size() as u16 + 2;
            let ids: Vec<u16> = (0..30).map(|_| rng.random_range(0..size)).collect();
            properties::ids(&ids, &vocabulary);
        }
    }
}

#[test]
fn every_real_file() {
    let plain = Vocabulary::continuo();
    let presets = [
        Vocabulary::midigen(),
        properties::learnt(&plain, 300),
        plain,
        Vocabulary::band(),
    ];
    shared::each(&shared::files(""), |path| {
        if let Ok(file) = midi::read_file(path) {
            presets
                .iter()
                .for_each(|v| properties::round_trip(&file, v));
        }
    });
}
