//! Infilling chooses by what follows, depends on the seed alone, and leaves the memory as it was.

use continuo_engine::loss::nats;
use continuo_engine::{Composer, EngineError, Infill, Infilled, Model, Sampling};
use continuo_score::{Note, Score, tune};

use crate::fixtures::{assert_same, long_score, model, models, tokens};

/// Steps of a bar of the minuet.
const BAR: u32 = 36;

/// Bars of a score as input, bars to fill after them, and the rest as what follows.
fn gap(score: &Score, first: u32, bars: u32, candidates: u32) -> (Score, Infill) {
    let (from, until) = (first * BAR, (first + bars) * BAR);
    let mut input = score.clone();
    input.notes.retain(|note| note.start < from);
    let mut following = score.notes.clone();
    following.retain(|note| note.start >= until);
    let infill = Infill {
        from,
        until,
        following,
        staying: Vec::new(),
        candidates,
        sampling: Sampling {
            top_p: 0.95,
            ..Sampling::default().with_temperature(0.95)
        },
        seed: 7,
        own: Vec::new(),
    };
    (input, infill)
}

fn sliced(composer: &mut Composer, infill: &Infill) -> Infilled {
    composer.begin_infill(infill.clone());
    loop {
        if let Some(infilled) = composer.poll_infill().unwrap() {
            return infilled;
        }
    }
}

/// Loss of the notes that follow, in nats a note, from one run over all tokens.
fn following_loss(model: &Model, input: &Score, notes: &[Note], following: &[Note]) -> f64 {
    let mut score = input.clone();
    score.notes.extend_from_slice(notes);
    score.normalise();
    let before = tokens(model, &score).len();
    score.notes.extend_from_slice(following);
    score.normalise();
    let tokens = tokens(model, &score);
    let logits = model.forward(&mut model.memory(), &tokens, 1.0).unwrap();
    let size = model.sizes().vocabulary;
    let sum: f64 = (before..tokens.len())
        .map(|at| {
            let logits = &logits[(at - 1) * size..at * size];
            nats(logits, usize::from(tokens[at].id))
        })
        .sum();
    sum / following.len() as f64
}

/// In every variant, also with a stream that is longer than the window, and with learned pieces.
#[test]
fn infill_depends_on_the_seed_and_leaves_the_memory_as_it_was() {
    for model in models() {
        for (times, first, learns) in [(1, 4, false), (3, 20, true)] {
            let score = long_score(times);
            let (input, infill) = gap(&score, first, 2, 4);
            let mut fresh = Composer::new(model.clone());
            let mut composer = Composer::new(model.clone());
            let mut other = Composer::new(model.clone());
            for composer in [&mut fresh, &mut composer, &mut other] {
                if learns {
                    composer.learn(&[tune::minuet()]).unwrap();
                }
                composer.listen(&input).unwrap();
            }
            let whole = composer.infill(infill.clone()).unwrap();
            let case = format!("{}, {times} times", model.variant());
            assert_eq!(sliced(&mut other, &infill), whole, "{case}");
            assert_eq!(sliced(&mut other, &infill), whole, "{case}, again");
            let expected = fresh.logits().unwrap().to_vec();
            for composer in [&mut composer, &mut other] {
                assert_same(&model, &expected, composer.logits().unwrap(), &case);
                assert_eq!(composer.tokens(), fresh.tokens(), "{case}");
            }
            // The n-gram and kNN memories are as before, too.
            let play = |composer: &mut Composer| {
                let at = first * BAR;
                composer.answer(at, &Sampling::default(), 3).unwrap();
                composer.play_until(at + 4 * BAR).unwrap()
            };
            let expected = play(&mut fresh);
            assert_eq!(play(&mut composer), expected, "{case}");
            assert_eq!(play(&mut other), expected, "{case}");
        }
    }
}

/// The loss is that of a run over everything, and no more candidates make it worse.
#[test]
fn the_candidate_with_the_likeliest_following_notes_is_kept() {
    let model = model();
    let score = long_score(1);
    let mut last = f64::INFINITY;
    let mut kept = Vec::new();
    for candidates in 1..=8 {
        let (input, infill) = gap(&score, 5, 1, candidates);
        let mut composer = Composer::new(model.clone());
        composer.listen(&input).unwrap();
        let following: Vec<Note> = (infill.following.iter().copied())
            .filter(|note| note.start < infill.until + 4 * BAR)
            .take(48)
            .collect();
        let infilled = composer.infill(infill).unwrap();
        let loss = infilled.nats.unwrap();
        let expected = following_loss(&model, &input, &infilled.notes, &following);
        assert!((loss - expected).abs() < 1e-4, "{loss}, {expected}");
        assert!(loss <= last + 1e-9, "{candidates}: {loss} after {last}");
        last = loss;
        kept.push(infilled.candidate);
    }
    assert_eq!(kept[0], 0);
    assert!(
        kept[7] > 0,
        "one of eight is better than the first: {kept:?}"
    );
}

/// One candidate is the answer with the same seed, as far as it lies in the range.
#[test]
fn one_candidate_is_the_answer_itself() {
    let model = model();
    let score = long_score(1);
    let (input, mut infill) = gap(&score, 5, 2, 1);
    let mut composer = Composer::new(model.clone());
    composer.listen(&input).unwrap();
    let one = composer.infill(infill.clone()).unwrap();
    infill.following.clear();
    infill.candidates = 8;
    let last = composer.infill(infill.clone()).unwrap();
    assert_eq!((last.candidate, last.nats), (0, None), "nothing follows");
    assert_eq!(one.notes, last.notes);
    composer
        .answer(infill.from, &infill.sampling, infill.seed)
        .unwrap();
    let answer = composer.play_until(infill.until).unwrap();
    let starts = |notes: &[Note]| {
        let mut starts: Vec<_> = notes.iter().map(|n| (n.start, n.pitch)).collect();
        starts.sort_unstable();
        starts
    };
    assert_eq!(starts(&one.notes), starts(&answer));
    assert!(one.notes.iter().all(|n| n.end() <= infill.until));
}

/// A note that is held into the range keeps its key.
#[test]
fn a_held_key_is_not_struck_again() {
    let model = model();
    let score = long_score(1);
    let (mut input, mut infill) = gap(&score, 5, 2, 3);
    input.notes.extend((36..96).map(|pitch| Note {
        start: infill.from - 1,
        length: 1 + 2 * BAR,
        pitch,
        velocity: 60,
        ..Note::default()
    }));
    input.normalise();
    let mut composer = Composer::new(model);
    composer.listen(&input).unwrap();
    infill.sampling.constraints.range = (36, 95);
    let infilled = composer.infill(infill).unwrap();
    assert_eq!(infilled.notes, [], "every key is held");
}

#[test]
fn listening_gives_an_infill_up() {
    let (input, infill) = gap(&long_score(1), 5, 1, 4);
    let mut composer = Composer::new(model());
    composer.listen(&input).unwrap();
    composer.begin_infill(infill);
    assert_eq!(composer.poll_infill().unwrap(), None);
    composer.listen(&input).unwrap();
    let refused = composer.poll_infill().unwrap_err();
    assert!(matches!(refused, EngineError::Run(_)), "{refused}");
}
