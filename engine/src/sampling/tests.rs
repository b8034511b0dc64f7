//! Tests of the sampler.

mod chords;
mod constraints;
mod continuations;
mod loops;
mod random;

use continuo_score::{Grammar, GrammarState, Part, PartSet, Token, Vocabulary};

use super::*;

/// Settings that leave the prediction of the model unchanged.
pub(super) const PLAIN: Sampling = Sampling {
    pitch_temperature: 1.0,
    rhythm_temperature: 1.0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    loop_temperature: 1.0,
    constraints: FREE,
};
const FREE: Constraints = Constraints {
    scale: ScaleLock::Off,
    range: (0, 127),
    polyphony: None,
    density: None,
    register: None,
    longest: None,
    velocity: (1, 127),
    parts: PartSet::ALL,
    owed: PartSet::EMPTY,
    of_part: [PartLimits {
        range: (0, 127),
        polyphony: None,
    }; Part::COUNT],
    chord_pull: 0.0,
};

#[test]
fn non_finite_logits_are_refused_and_minus_infinity_is_never_drawn() {
    let vocabulary = Vocabulary::continuo();
    let mut sampler = Sampler::new(&vocabulary);
    sampler.begin(0, &PLAIN, 1, None, &[]);
    let grammar = Grammar::new(&vocabulary);
    let state = grammar.next(&GrammarState::default(), Token::Start);
    let pitch = |p| usize::from(vocabulary.id(Token::Pitch(p)).unwrap());
    let mut logits = vec![0.0; vocabulary.size()];
    for bad in [f32::NAN, f32::INFINITY] {
        logits[pitch(60)] = bad;
        let error = sampler.choose(&state, &logits).unwrap_err().to_string();
        assert!(error.contains("not a finite number"), "{error}");
    }
    // The logit of a token that the grammar or the constraints forbid is not read.
    let mut narrow = PLAIN;
    narrow.constraints.range = (61, 70);
    sampler.begin(0, &narrow, 1, None, &[]);
    logits[usize::from(vocabulary.id(Token::Velocity(0)).unwrap())] = f32::NAN;
    assert!(sampler.choose(&state, &logits).is_ok());

    let only = pitch(64);
    let mut logits = vec![f32::NEG_INFINITY; vocabulary.size()];
    logits[only] = -3.0;
    for _ in 0..100 {
        assert_eq!(usize::from(sampler.choose(&state, &logits).unwrap()), only);
    }
    // Where every logit is minus infinity, the first allowed token is drawn.
    logits[only] = f32::NEG_INFINITY;
    let separator = usize::from(vocabulary.id(Token::Separator).unwrap());
    let chosen = usize::from(sampler.choose(&state, &logits).unwrap());
    assert_eq!(chosen, separator.min(pitch(61)));
    for wrong in [0, vocabulary.size() - 1, vocabulary.size() + 1] {
        assert!(sampler.choose(&state, &vec![0.0; wrong]).is_err());
    }
    let over = grammar.next(&state, Token::End);
    assert!(
        sampler
            .choose(&over, &vec![0.0; vocabulary.size()])
            .is_err()
    );
}
