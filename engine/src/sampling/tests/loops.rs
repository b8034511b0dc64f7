//! Loop detection raises the temperature and lowers it again.

use continuo_score::{Grammar, GrammarState, Token, Vocabulary};

use super::super::*;
use super::PLAIN;

#[test]
fn a_loop_raises_the_temperature_until_the_model_leaves_it() {
    let v = Vocabulary::continuo();
    let grammar = Grammar::new(&v);
    let tune = "n60 d6 v8 <sep> d6 n64 d6 v8 <sep> d6 n67 d6 v8 <sep> d12";
    let pattern: Vec<Token> = tune
        .split(' ')
        .map(|name| {
            grammar
                .tokens()
                .iter()
                .copied()
                .find(|t| t.to_string() == name)
                .unwrap()
        })
        .collect();
    let play = |loop_temperature: f32| {
        let sampling = Sampling {
            loop_temperature,
            ..PLAIN
        };
        let mut sampler = Sampler::new(&v);
        sampler.begin(0, &sampling, 3, None, &[]);
        let mut state = grammar.next(&GrammarState::default(), Token::Start);
        let (mut highest, mut left) = (1.0f32, None);
        for step in 0..1500 {
            // The logits all but force the next token of the pattern.
            let mut logits = vec![0.0; v.size()];
            let wanted = pattern[step % pattern.len()];
            logits[usize::from(v.id(wanted).unwrap())] = 20.0;
            let id = sampler.choose(&state, &logits).unwrap();
            let token = v.token(id).unwrap();
            if token != wanted && left.is_none() {
                left = Some((step, sampler.temperature_multiplier()));
            }
            highest = highest.max(sampler.temperature_multiplier());
            sampler.read(token);
            state = grammar.next(&state, token);
            if let Some((when, _)) = left
                && step == when + 60
            {
                return (highest, left, sampler.temperature_multiplier());
            }
        }
        (highest, left, sampler.temperature_multiplier())
    };
    let (never, stuck, _) = play(1.0);
    assert_eq!(
        (never, stuck),
        (1.0, None),
        "without a higher temperature it never leaves"
    );
    let (loop_temperature, left, after) = play(4.0);
    let (_, temperature_multiplier) = left.expect("it leaves the loop");
    assert!(
        temperature_multiplier > 1.2 && loop_temperature <= 4.0,
        "{temperature_multiplier}, {loop_temperature}"
    );
    assert!(
        after < 1.0 + (loop_temperature - 1.0) / 2.0,
        "{after} after {loop_temperature}"
    );
}
