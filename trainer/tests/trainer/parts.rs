//! Parts: corpora of bands, divided keyboard solos, losses by part.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor};
use continuo_files::Replace;
use continuo_score::merge_parts;
use continuo_score::{
    Note, Part, Score, TimeSignature, TimeSignatureMap, TokenSequence, Vocabulary, tune,
};
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::encode::{self, DIVIDED, MERGED, Merge, WITH_DRUMS};
use continuo_trainer::eval::{Evaluation, evaluate};
use continuo_trainer::train::checkpoint::{Checkpoint, average};

use continuo_trainer::train::{Start, train};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::fixtures;

/// A high line, a low line and drums; each seed gives others.
fn band(seed: u64, [high, low]: [Part; 2]) -> Score {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut score = Score::new(12);
    for beat in 0..24u32 {
        let mut note = |start: u32, pitch, part| {
            score.notes.push(Note {
                start: beat * 12 + start,
                length: if part == Part::Drums { 1 } else { 6 },
                pitch,
                velocity: 84,
                part,
            });
        };
        let scale = [0, 2, 4, 5, 7, 9, 11];
        let mut degree = || scale[random.random_range(0..7)];
        note(0, 72 + degree(), high);
        note(6, 72 + degree(), high);
        note(0, 36 + degree(), low);
        note(0, 36, Part::Drums);
        note(6, 42, Part::Drums);
    }
    score.normalise();
    score
}

fn encode(midi: &Path, name: &str, merge: Option<Merge>, held_out: f64) -> Corpus {
    encode_with_grooves(midi, &[], name, merge, held_out)
}

fn encode_with_grooves(
    midi: &Path,
    grooves: &[PathBuf],
    name: &str,
    merge: Option<Merge>,
    held_out: f64,
) -> Corpus {
    let path = midi.with_file_name(name);
    let options = encode::EncodeOptions {
        folders: &[midi.to_path_buf()],
        output: &path,
        replace: continuo_files::Replace::SameKind,
        vocabulary: Vocabulary::band(),
        divide: merge == Some(Merge::Also),
        merge,
        grooves,
        reading: Default::default(),
        split: encode::Split::Share {
            share: held_out,
            seed: 1,
        },
    };
    encode::encode(&options, |_, _| {}).unwrap();
    Corpus::open(&path).unwrap()
}

/// A corpus of bands.
fn bands(folder: &Path, name: &str, seeds: std::ops::Range<u64>, lines: [Part; 2]) -> Corpus {
    let midi = folder.join(name);
    std::fs::create_dir_all(&midi).unwrap();
    for seed in seeds {
        let file = band(seed, lines).to_midi();
        file.write_file(&midi.join(format!("{seed}.mid"))).unwrap();
    }
    // All songs of a test are held out.
    let held_out = if name == "train" { 0.0 } else { 0.999999 };
    encode(&midi, &format!("{name}.corpus"), None, held_out)
}

fn score_of(corpus: &Corpus, song: usize) -> Score {
    let records = corpus.records(song, 0, corpus.songs[song].tokens as usize);
    let ids: Vec<u16> = records.map(|r| r.id).collect();
    let read = TokenSequence::from_ids(&ids, &corpus.vocabulary).unwrap();
    read.decode(&corpus.vocabulary)
}

#[test]
fn corpus_keeps_parts_and_drums() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = bands(folder.path(), "train", 0..2, [Part::Lead, Part::Bass]);
    assert_eq!(corpus.songs.len(), 2);
    for song in 0..2 {
        let seed = corpus.songs[song]
            .path
            .trim_end_matches(".mid")
            .parse()
            .unwrap();
        let expected = band(seed, [Part::Lead, Part::Bass]).quantise(&corpus.vocabulary);
        assert_eq!(score_of(&corpus, song).notes, expected.notes);
        assert_eq!(corpus.songs[song].notes, expected.notes.len() as u64);
    }
}

#[test]
fn songs_are_also_encoded_in_other_forms_on_the_same_side() {
    let folder = tempfile::tempdir().unwrap();
    let midi = folder.path().join("midi");
    std::fs::create_dir_all(&midi).unwrap();
    let write = |name: &str, score: &Score| {
        score.to_midi().write_file(&midi.join(name)).unwrap();
    };
    write("minuet.mid", &tune::minuet());
    write("band.mid", &band(3, [Part::Lead, Part::Bass]));
    write("line.mid", &fixtures::tune(1, 30));
    let grooves = folder.path().join("grooves");
    std::fs::create_dir_all(&grooves).unwrap();
    for (name, numerator) in [("waltz.mid", 3), ("rock.mid", 4)] {
        let metre = TimeSignature {
            numerator,
            denominator: 4,
        };
        let mut score = band(1, [Part::Lead, Part::Bass]);
        score.time_signatures = TimeSignatureMap::constant(metre, 12);
        score.notes.retain(|note| note.part == Part::Drums);
        score.to_midi().write_file(&grooves.join(name)).unwrap();
    }
    for held_out in [0.0, 0.999999] {
        let corpus = encode(&midi, "divided.corpus", Some(Merge::Also), held_out);
        let paths: Vec<&str> = corpus.songs.iter().map(|s| s.path.as_str()).collect();
        let (divided, merged_path) = (format!("minuet.mid{DIVIDED}"), format!("band.mid{MERGED}"));
        assert_eq!(
            paths,
            ["band.mid", &merged_path, "line.mid", "minuet.mid", &divided]
        );
        for song in &corpus.songs {
            assert_eq!(song.held_out, held_out > 0.0);
        }
        let [band, merged] = [0, 1].map(|song| score_of(&corpus, song).notes);
        assert_eq!(merged, *merge_parts(&band));
        let [whole, parts] = [3, 4].map(|song| score_of(&corpus, song).notes);
        assert!(whole.iter().all(|n| n.part == Part::Keys));
        assert_eq!(whole.len(), parts.len());
        let played = |part| parts.iter().filter(|n| n.part == part).count();
        let counts = Part::ALL.map(played);
        assert_eq!(counts, [37, 64, 0, 0, 0], "its hash chose lead and keys");

        let folder = [grooves.clone()];
        let also = Some(Merge::Also);
        let corpus = encode_with_grooves(&midi, &folder, "drums.corpus", also, held_out);
        let paths: Vec<&str> = corpus.songs.iter().map(|s| s.path.as_str()).collect();
        let (line, minuet) = (
            format!("line.mid{WITH_DRUMS}"),
            format!("minuet.mid{WITH_DRUMS}"),
        );
        assert_eq!(
            paths,
            [
                "band.mid",
                &merged_path,
                "line.mid",
                &line,
                "minuet.mid",
                &divided,
                &minuet
            ],
            "the band has drums"
        );
        assert!(corpus.songs.iter().all(|s| s.held_out == (held_out > 0.0)));
        let with_drums = score_of(&corpus, 6).notes;
        let (drums, others): (Vec<Note>, Vec<Note>) =
            with_drums.iter().partition(|n| n.part == Part::Drums);
        assert_eq!(others, parts);
        assert_eq!(drums.len(), 2 * 48);

        let corpus = encode(&midi, "merged.corpus", Some(Merge::Only), held_out);
        let paths: Vec<&str> = corpus.songs.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(paths, ["band.mid", "line.mid", "minuet.mid"]);
        assert_eq!(score_of(&corpus, 0).notes, merged);
        assert_eq!(score_of(&corpus, 2).notes, whole);
    }
}

/// A small model has learned parts: the notes of a bass cost less under the bass than as a lead.
#[test]
fn bass_costs_less_under_its_own_part_than_under_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let corpus = bands(folder, "train", 0..24, [Part::Lead, Part::Bass]);
    let model = fixtures::trained(&corpus, &folder.join("out"), 200);
    let measured = |name, lines| -> Evaluation {
        let corpus = bands(folder, name, 100..104, lines);
        evaluate(&model, &corpus, false, |_, _| {}).unwrap()
    };
    let own = measured("own", [Part::Lead, Part::Bass]);
    let swapped = measured("swapped", [Part::Bass, Part::Lead]);
    let notes = |part| own.parts.get(part).map(|loss| loss.notes);
    assert_eq!(
        (notes("lead"), notes("bass"), notes("drums"), notes("keys")),
        (Some(4 * 48), Some(4 * 24), Some(4 * 48), None)
    );
    for (name, other) in [("bass", "lead"), ("lead", "bass")] {
        let (own, other) = (own.parts[name].per_note(), swapped.parts[other].per_note());
        println!("{name}: {own:.2} nats a note under its own part, {other:.2} under another");
        assert!(own + 1.0 < other, "{name}: {own} nats, {other} elsewhere");
    }
    let nats: f64 = own.parts.values().map(|loss| loss.nats).sum();
    let group = |name: &str| own.token_groups[name].nats;
    let notes = ["part", "pitch", "duration", "velocity"].map(group);
    assert!((nats - notes.iter().sum::<f64>()).abs() < 1e-6 * nats);
}

/// A model without parts that gets them keeps its parameters; rows that are new show no sounding notes.
#[test]
fn model_without_parts_can_be_given_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = folder.join("first");
    fixtures::trained(&fixtures::corpus(folder, 8, 30), &first, 2);
    let checkpoint = Checkpoint::open(&first).unwrap();
    let device = Device::flex();
    let before = checkpoint.model(&device).unwrap();
    let corpus = bands(folder, "train", 0..8, [Part::Lead, Part::Bass]);
    let mut start = fixtures::begin(&corpus, 1);
    let Start::New { from, model, .. } = &mut start else {
        unreachable!("it begins anew")
    };
    let wanted = model.model;
    *from = Some(Checkpoint::open(&first).unwrap());
    let after = checkpoint.model_with_more(wanted, &corpus.vocabulary, &device, 1);
    let mut grown = 0;
    let after = after.unwrap();
    for ((spec, old), new) in before
        .specs()
        .iter()
        .zip(before.parameters())
        .zip(after.parameters())
    {
        let [rows, all] = [old.dims()[0], new.dims()[0]];
        let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(
            values(old),
            values(new.clone().narrow(0, 0, rows)),
            "{}",
            spec.name
        );
        if rows < all {
            grown += 1;
            let added = values(new.narrow(0, rows, all - rows));
            let is_zero = added.iter().all(|&value| value == 0.0);
            assert_eq!(is_zero, spec.name.contains("sounding"), "{}", spec.name);
        }
    }
    assert_eq!(grown, 2, "the token table and that of the sounding notes");

    let second = folder.join("second");
    let stop = AtomicBool::new(false);
    train(&fixtures::options(&corpus, &second, start, &stop), |_| {}).unwrap();
    let second = Checkpoint::open(&second).unwrap();
    assert_eq!(second.vocabulary, Vocabulary::band());
    // The average with the model before: rows of the parts are those of the second.
    let path = folder.join("average");
    let checkpoints = [Checkpoint::open(&first).unwrap(), second];
    average(&checkpoints, &path, Replace::SameKind, &device).unwrap();
    let mean = Checkpoint::open(&path).unwrap();
    assert_eq!(mean.vocabulary, Vocabulary::band());
    let [second, mean] = [&checkpoints[1], &mean].map(|c| c.model(&device).unwrap());
    let numbers = |tensor: &Tensor<2>| tensor.to_data().try_to_vec::<f32>().unwrap();
    let parameters = before.parameters().into_iter().zip(second.parameters());
    for ((old, new), mean) in parameters.zip(mean.parameters()) {
        let [old, new, mean] = [&old, &new, &mean].map(numbers);
        for (at, &mean) in mean.iter().enumerate() {
            let expected = old.get(at).map_or(new[at], |old| (old + new[at]) / 2.0);
            assert!((mean - expected).abs() < 1e-6, "{mean} is not {expected}");
        }
    }
    // A network of another shape is refused by name.
    let other = folder.join("merged");
    fixtures::trained(&corpus, &other, 1);
    let mut other = Checkpoint::open(&other).unwrap();
    other.config.model.shape.window += 1;
    let refused = average(
        &[other, checkpoints.into_iter().next().unwrap()],
        &path,
        Replace::SameKind,
        &device,
    );
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("another shape"), "{refused}");
}
