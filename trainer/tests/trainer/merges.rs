//! Merged tokens: learning, equality with the `tokenizers` crate, training.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use continuo_files::onnx_runtime;
use continuo_score::{Token, TokenSequence, Vocabulary, tune};
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::encode;
use continuo_trainer::data::merges::{self, VocabError};
use continuo_trainer::eval::evaluate;
use continuo_trainer::export::export;
use continuo_trainer::model::config::grid_sizes;
use continuo_trainer::model::random_model;
use continuo_trainer::model::values;
use continuo_trainer::train::checkpoint::Checkpoint;
use continuo_trainer::train::config::preset;
use continuo_trainer::train::train;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokenizers::Model as _;
use tokenizers::models::bpe::BPE;

use crate::fixtures;

fn learn(corpus: &Corpus, ids: usize) -> Result<Vocabulary, VocabError> {
    merges::learn(corpus, ids, |_| ())
}

/// Any character that stands for a base id.
fn character(id: u16) -> char {
    char::from_u32(0x1000 + u32::from(id)).unwrap()
}

fn text(ids: &[u16]) -> String {
    ids.iter().map(|&id| character(id)).collect()
}

/// The same merges in the `tokenizers` crate.
fn reference(vocabulary: &Vocabulary) -> BPE {
    let spelled = |id| text(vocabulary.expand(id));
    let ids = (0..vocabulary.size() as u16).map(|id| (spelled(id), id));
    let merges = vocabulary.merges().iter();
    let merges: Vec<_> = merges.map(|&[a, b]| [spelled(a), spelled(b)]).collect();
    let ids: HashMap<String, u16> = ids.collect();
    let json = serde_json::json!({ "type": "BPE", "vocab": ids, "merges": merges });
    serde_json::from_str(&json.to_string()).unwrap()
}

/// Base ids as the `tokenizers` crate merges them.
fn merged(reference: &BPE, base: &[u16]) -> Vec<u16> {
    let tokens = reference.tokenize(&text(base)).unwrap();
    tokens.into_iter().map(|t| t.id as u16).collect()
}

/// Encodes the songs of `folder` with a vocabulary.
fn corpus(folder: &Path, vocabulary: &Vocabulary, name: &str) -> Corpus {
    let path = folder.join(name);
    let options = encode::EncodeOptions {
        folders: &[folder.join("midi")],
        output: &path,
        replace: continuo_files::Replace::SameKind,
        vocabulary: vocabulary.clone(),
        divide: false,
        merge: None,
        grooves: &[],
        reading: Default::default(),
        split: encode::Split::Share {
            share: 0.25,
            seed: 1,
        },
    };
    encode::encode(&options, |_, _| {}).unwrap();
    Corpus::open(&path).unwrap()
}

#[test]
fn merges_are_applied_as_the_tokenizers_crate_applies_them() {
    let folder = tempfile::tempdir().unwrap();
    let songs = fixtures::corpus(folder.path(), 12, 150);
    let learnt = learn(&songs, 500).unwrap();
    assert_eq!(
        (learnt.size(), learnt.base()),
        (500, Vocabulary::continuo())
    );
    let end = |token| learnt.id(token).unwrap();
    let ends = [Token::Start, Token::End, Token::Pad].map(end);
    let apart = (340..500).all(|id| !learnt.expand(id).iter().any(|id| ends.contains(id)));
    assert!(apart, "no merge has <sos>, <eos> or <pad>");
    let crosses = (340..500).any(|id| learnt.expand(id)[1..].contains(&end(Token::Separator)));
    assert!(crosses, "some merge crosses a step");

    for seed in 0..300 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Merges learnt, or any at all, also those that make one id in several ways.
        let vocabulary = if seed % 3 == 0 {
            learnt.clone()
        } else {
            random_merges(&mut random)
        };
        let reference = reference(&vocabulary);
        let streams = [
            TokenSequence::encode(&fixtures::tune(seed, 80), &learnt).base_ids(&learnt),
            TokenSequence::encode(&tune::minuet(), &learnt).base_ids(&learnt),
            (0..random.random_range(0..400))
                .map(|_| random.random_range(0..14))
                .collect(),
        ];
        for base in streams {
            let ours = vocabulary.merge(base.clone());
            assert_eq!(ours, merged(&reference, &base), "seed {seed}");
            let expanded: Vec<u16> = ours
                .iter()
                .flat_map(|&id| vocabulary.expand(id))
                .copied()
                .collect();
            assert_eq!(expanded, base, "seed {seed}");
        }
    }
}

/// Merges of a few ids, so that pairs overlap and the same is spelt in several ways.
fn random_merges(random: &mut ChaCha8Rng) -> Vocabulary {
    let mut vocabulary = Vocabulary::continuo();
    let mut pairs: Vec<[u16; 2]> = Vec::new();
    for _ in 0..60 {
        let mut id = || match random.random_bool(0.6) {
            true => random.random_range(3..8),
            false => random.random_range(335..vocabulary.size() as u16),
        };
        pairs.push([id(), id()]);
        match vocabulary.base().with_merges(pairs.clone()) {
            Ok(larger) => vocabulary = larger,
            Err(_) => drop(pairs.pop()),
        }
    }
    vocabulary
}

#[test]
fn a_corpus_of_merged_tokens_is_the_same_music() {
    let folder = tempfile::tempdir().unwrap();
    let plain = fixtures::corpus(folder.path(), 9, 60);
    let learnt = learn(&plain, 420).unwrap();
    let merged = corpus(folder.path(), &learnt, "merged.corpus");
    let sizes = grid_sizes(&learnt);
    for (i, (a, b)) in plain.songs.iter().zip(&merged.songs).enumerate() {
        assert_eq!(
            (&a.path, a.notes, a.hash, a.held_out),
            (&b.path, b.notes, b.hash, b.held_out)
        );
        assert!(b.tokens < a.tokens);
        let base: Vec<_> = plain.records(i, 0, a.tokens as usize).collect();
        let mut read = 0;
        for record in merged.records(i, 0, b.tokens as usize) {
            read += learnt.expand(record.id).len();
            let last = base[read - 1];
            assert_eq!(
                (record.bar_step, record.bar, record.metre),
                (last.bar_step, last.bar, last.metre)
            );
        }
        assert_eq!(read as u64, a.tokens);
        assert!(merged.fits(&learnt, &sizes).is_ok() && plain.fits(&learnt, &sizes).is_err());
    }
    // A merged corpus gives the same merges.
    assert_eq!(learn(&merged, 420).unwrap(), learnt);
}

#[test]
fn impossible_numbers_of_ids_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 3, 20);
    for ids in [0, 340, 65_536] {
        assert!(
            matches!(learn(&corpus, ids), Err(VocabError::Ids { base: 340, .. })),
            "{ids}"
        );
    }
    let few = learn(&corpus, 20_000).unwrap_err();
    assert!(
        matches!(few, VocabError::TooFew { asked: 20_000, .. }),
        "{few}"
    );
}

#[test]
fn a_merged_token_has_the_average_of_its_pitches() {
    let plain = Vocabulary::continuo();
    let pitch = |p| plain.id(Token::Pitch(p)).unwrap();
    let pairs = vec![
        [pitch(60), pitch(64)],
        [340, pitch(67)],
        [3, pitch(60)],
        [3, 133],
    ];
    let vocabulary = plain.clone().with_merges(pairs).unwrap();
    let (config, _) = preset("tiny", &vocabulary).unwrap();
    let mut model = random_model(config, &vocabulary, &Device::flex(), 3);
    // Without the tokens' own rows, only A·P is left.
    let specs = model.specs().iter().zip(model.parameters());
    let parameters = specs.map(|(spec, parameter)| match spec.name.as_str() {
        "embedding.token" => parameter.zeros_like(),
        _ => parameter,
    });
    let parameters = parameters.collect();
    model.set_parameters(parameters);
    let table = values(&model.token_table());
    let width = config.shape.sizes.width;
    let row = |id: u16| &table[usize::from(id) * width..][..width];
    for (id, parts) in [
        (340, &[60, 64][..]),
        (341, &[60, 64, 67]),
        (342, &[60]),
        (343, &[]),
    ] {
        for column in 0..width {
            let sum: f32 = parts.iter().map(|&p| row(pitch(p))[column]).sum();
            let average = sum / parts.len().max(1) as f32;
            assert!((row(id)[column] - average).abs() < 1e-6, "id {id}");
        }
    }
}

/// Merged tokens train, are measured, and ONNX Runtime computes the same with them.
#[test]
fn models_of_merged_tokens_train_and_export() {
    let runtime = onnx_runtime::find(None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plain = fixtures::corpus(folder.path(), 9, 120);
    let learnt = learn(&plain, 400).unwrap();
    let merged = corpus(folder.path(), &learnt, "merged.corpus");
    let trained = folder.path().join("trained");
    let stop = AtomicBool::new(false);
    let begin = fixtures::begin(&merged, 60);
    train(&fixtures::options(&merged, &trained, begin, &stop), |_| {}).unwrap();
    let checkpoint = Checkpoint::open(&trained).unwrap();
    assert_eq!(checkpoint.vocabulary, learnt);
    let model = checkpoint.model(&Device::flex()).unwrap();
    let measured = evaluate(&model, &merged, false, |_, _| {}).unwrap();
    assert!(
        measured.all.nats < measured.all.uniform_nats,
        "it learnt something"
    );
    assert!(measured.token_groups["merged"].tokens > 0);
    let all: u64 = measured.token_groups.values().map(|k| k.tokens).sum();
    assert_eq!(all, measured.all.tokens);
    let output = folder.path().join("model");
    let options = fixtures::export_options(&checkpoint, &merged, &output, &runtime);
    export(&options).unwrap().parity.check().unwrap();
}
