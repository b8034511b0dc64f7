use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A prediction of id 7 by the predictors that are present.
fn prediction(present: [bool; PREDICTORS], length: usize) -> PiecePrediction {
    let seven = Continuations {
        length,
        shares: vec![(7, 1.0)],
        position: Some(3),
    };
    PiecePrediction {
        continuations: present.map(|present| present.then(|| seven.clone())),
        similarity: 0.6,
        hit_rates: [0.5; PREDICTORS],
        phase: Phase::Length,
        is_band: false,
    }
}

#[test]
fn shares_are_a_distribution_over_those_present() {
    let mut weights = GateWeights([[0.1; FEATURES + 1]; PREDICTORS]);
    weights.0[1][FEATURES] = 400.0;
    let gate = Gate::same(weights);
    let network = NetworkPrediction::from_logits(&[0.0; 10]);
    for present in [
        [true; 3],
        [true, false, true],
        [false, true, false],
        [false; 3],
    ] {
        let shares = gate.shares(&prediction(present, 12), &network);
        for (share, present) in shares.into_iter().zip(present) {
            assert!(
                (0.0..=1.0).contains(&share) && (present || share == 0.0),
                "{shares:?}"
            );
        }
        let sum: f32 = shares.iter().sum();
        assert!(sum <= 1.0 + 1e-6, "{shares:?}");
        // A large score takes all, without overflow.
        assert_eq!(present[1], shares[1] > 0.99, "{shares:?}");
    }
}

#[test]
fn network_prediction_is_the_softmax_of_its_logits() {
    let network = NetworkPrediction::from_logits(&[2.0f32.ln(), 0.0, 1.0f32.ln()]);
    assert!((network.of(0) - 0.5).abs() < 1e-6 && (network.of(2) - 0.25).abs() < 1e-6);
    assert_eq!(network.of(9), 0.0);
    assert!((network.entropy - 1.5 * 2.0f32.ln()).abs() < 1e-6);
    assert_eq!(network.largest, network.of(0));
}

/// The first predictor is right as often as its n-grams are long; the third never is.
#[test]
fn fitted_shares_are_how_often_a_predictor_is_right() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let network = NetworkPrediction::from_logits(&[0.0; 345]);
    let rates = [(4, 0.2), (16, 0.6), (64, 0.9)];
    let draw = |_| {
        let (length, rate) = rates[rng.random_range(0..rates.len())];
        let id = if rng.random_bool(rate) {
            7
        } else {
            rng.random_range(8..345)
        };
        let mut said = prediction([true, false, true], length);
        said.continuations[2] = Some(Continuations {
            shares: vec![(5, 1.0)],
            ..Continuations::default()
        });
        Example::new(&said, &network, id)
    };
    let examples: Vec<Example> = (0..6_000).map(draw).collect();
    let gate = Gate::fit(&examples);
    assert!(gate.is_valid());
    for (length, rate) in rates {
        let mut said = prediction([true, false, true], length);
        said.continuations[2] = Some(Continuations {
            shares: vec![(5, 1.0)],
            ..Continuations::default()
        });
        let [first, second, third] = gate.shares(&said, &network);
        assert!(
            (f64::from(first) - rate).abs() < 0.06,
            "{length}: {first}, {rate}"
        );
        assert!(second == 0.0 && third < 0.01, "{second}, {third}");
    }
    let none = Gate::same(GateWeights([[0.0; FEATURES + 1]; PREDICTORS]));
    assert!(gate.loss(&examples) < none.loss(&examples));
}

#[test]
fn predictor_that_never_predicts_gets_a_small_share_and_sure_ones_stay_finite() {
    // The network is all but certain of an id that never comes, the first predictor always right.
    let mut logits = vec![-200.0; 345];
    logits[3] = 200.0;
    let network = NetworkPrediction::from_logits(&logits);
    let prediction = prediction([true, false, false], 64);
    let examples = vec![Example::new(&prediction, &network, 7); 300];
    let gate = Gate::fit(&examples);
    assert!(gate.is_valid() && gate.loss(&examples).is_finite());
    assert!(gate.shares(&prediction, &network)[0] > 0.95);
    let unseen = super::tests::prediction([false, true, false], 64);
    assert!(gate.shares(&unseen, &network)[1] < 0.2);
}

#[test]
fn keyboard_and_band_have_weights_of_their_own() {
    let network = NetworkPrediction::from_logits(&[0.0; 345]);
    let at = |is_band: bool| PiecePrediction {
        is_band,
        ..prediction([true, false, false], 12)
    };
    let examples: Vec<Example> = (0..400)
        .map(|i| Example::new(&at(i % 2 == 0), &network, if i % 2 == 0 { 7 } else { 9 }))
        .collect();
    let gate = Gate::fit(&examples);
    assert!(gate.shares(&at(true), &network)[0] > 0.9);
    assert!(gate.shares(&at(false), &network)[0] < 0.1);
    // With one kind alone, the other has its weights.
    let keys: Vec<Example> = (0..50)
        .map(|_| Example::new(&at(false), &network, 9))
        .collect();
    let gate = Gate::fit(&keys);
    assert_eq!(gate.keys, gate.band);
}
