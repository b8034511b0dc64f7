//! Samples of a model in training: the beginning of a held-out song and the model's continuation.
//! The trainer's own network generates it, constrained by the token grammar.

use continuo_files::{Output, Replace, WriteError, kind};
use continuo_score::grammar::{Grammar, GrammarState};
use continuo_score::{
    NoteState, Score, TimeSignature, TimeSignatureMap, TokenSequence, Vocabulary, roll,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::path::{Path, PathBuf};

use crate::data::corpus::{Corpus, TokenRecord};
use crate::data::song_input::note_contexts;
use crate::model::{Input, Memory, Model, values};

/// Bars of the song's beginning.
const GIVEN_BARS: u32 = 4;
/// Bars of the continuation.
const GENERATED_BARS: u32 = 12;
/// Most tokens generated.
const MOST_TOKENS: usize = 1200;
/// Sampling temperature, which sharpens the distribution a little.
const TEMPERATURE: f32 = 0.95;

/// A song's beginning and its continuation.
pub struct Sample {
    /// Beginning of the song.
    pub given: Score,
    /// Continuation, on the same timeline.
    pub played: Score,
}

/// Continues the beginning of a song; the same seed gives the same music. `None` if the song is
/// too short.
pub fn sample(model: &Model, corpus: &Corpus, song: usize, seed: u64) -> Option<Sample> {
    let vocabulary = &corpus.vocabulary;
    let all: Vec<_> = corpus
        .records(song, 0, corpus.songs[song].tokens as usize)
        .collect();
    let grammar = Grammar::new(vocabulary);
    let mut state = GrammarState::default();
    let bar = u32::from(all.first()?.metre).max(1);
    let mut ids = Vec::new();
    for record in &all {
        if state.is_between_notes() && state.step >= GIVEN_BARS * bar {
            break;
        }
        state = grammar.next_id(&state, record.id)?;
        ids.push(record.id);
    }
    if ids.len() == all.len() {
        return None;
    }
    let last = all[ids.len() - 1];
    let anchor = state.step;
    let until = anchor + GENERATED_BARS * bar;

    let mut reader = SongReader {
        model,
        vocabulary,
        memory: Memory::default(),
        sounding: NoteState::default(),
    };
    let mut logits = reader.read(&all[..ids.len()]);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut mask = vec![false; vocabulary.size()];
    for _ in 0..MOST_TOKENS {
        grammar.mask(&state, &mut mask);
        let Some(id) = categorical(&logits, &mask, &mut random) else {
            break;
        };
        state = grammar.next_id(&state, id)?;
        if state.step >= until {
            break;
        }
        ids.push(id);
        let record = later(last, state.step - anchor, id, corpus);
        logits = reader.read(&[record]);
    }
    let whole = TokenSequence::from_ids(&ids, vocabulary)
        .ok()?
        .decode(vocabulary);
    Some(split(whole, anchor, bar, vocabulary))
}

/// Reads the song and its growing continuation.
struct SongReader<'a> {
    model: &'a Model,
    vocabulary: &'a Vocabulary,
    memory: Memory,
    sounding: NoteState,
}

impl SongReader<'_> {
    /// Logits after the last of the tokens.
    fn read(&mut self, records: &[TokenRecord]) -> Vec<f32> {
        let mut input = Input::with_shape(1, records.len());
        let contexts = note_contexts(records, self.vocabulary, &mut self.sounding);
        input.push(records, &contexts, 0);
        let logits = values(&self.model.forward(&input, &mut self.memory));
        let size = self.model.config.shape.sizes.vocabulary;
        logits[logits.len() - size..].to_vec()
    }
}

/// A random allowed id, drawn by its probability; `None` if none is allowed.
fn categorical(logits: &[f32], mask: &[bool], random: &mut impl Rng) -> Option<u16> {
    let allowed = || {
        logits
            .iter()
            .zip(mask)
            .enumerate()
            .filter(|(_, (_, m))| **m)
    };
    let highest = allowed().map(|(_, (l, _))| *l).fold(f32::MIN, f32::max);
    let weight = |l: f32| ((l - highest) / TEMPERATURE).exp();
    let sum: f32 = allowed().map(|(_, (l, _))| weight(*l)).sum();
    let mut left = random.random::<f32>() * sum;
    let mut last = None;
    for (id, (l, _)) in allowed() {
        left -= weight(*l);
        last = Some(id as u16);
        if left < 0.0 {
            break;
        }
    }
    last
}

/// The record of a token `steps` after `before`, in bars of the same length.
fn later(before: TokenRecord, steps: u32, id: u16, corpus: &Corpus) -> TokenRecord {
    let bar = u32::from(before.metre).max(1);
    let offset = u32::from(before.bar_step) + steps;
    let bars = (u32::from(before.bar) + offset / bar) as usize % corpus.rows.bars;
    TokenRecord {
        id,
        bar_step: (offset % bar).min(corpus.rows.bar_steps as u32 - 1) as u16,
        bar: bars as u16,
        metre: before.metre,
    }
}

/// Splits the score at step `at` into beginning and continuation.
fn split(whole: Score, at: u32, bar: u32, vocabulary: &Vocabulary) -> Sample {
    let beat = vocabulary.steps_per_beat;
    // One of the time signatures with bars of this length; they look the same in a picture.
    let mut numerator = bar / beat;
    let mut denominator = 4;
    while numerator * 4 * beat < bar * denominator && denominator < 32 {
        denominator *= 2;
        numerator = bar * denominator / (4 * beat);
    }
    let metre = TimeSignature {
        numerator: numerator.clamp(1, 255) as u16,
        denominator: denominator as u16,
    };
    let mut given = whole.clone();
    given.time_signatures = TimeSignatureMap::constant(metre, beat);
    let mut played = given.clone();
    given.notes.retain(|n| n.start < at);
    played.notes.retain(|n| n.start >= at);
    Sample { given, played }
}

impl Sample {
    /// Writes `NAME.mid` (two tracks) and `NAME.png` into a folder.
    ///
    /// # Errors
    /// Another file is in the way, or a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str, title: &str) -> Result<PathBuf, WriteError> {
        let failed = |source| WriteError::Io {
            path: folder.into(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let parts = [("given", &self.given), ("model", &self.played)];
        let midi = folder.join(format!("{name}.mid"));
        let output = Output::check(&midi, &kind::MIDI, Replace::SameKind)?;
        let bytes = Score::parts_to_midi(&parts).to_bytes();
        output.write(&bytes.map_err(|why| failed(std::io::Error::other(why)))?)?;
        let part = |name, score, colour| roll::RollPart {
            name,
            score,
            colour,
        };
        let parts = [
            part("given", &self.given, roll::INPUT_COLOUR),
            part("model", &self.played, roll::GENERATED_COLOUR),
        ];
        let drawn = roll::draw(title, &parts);
        let picture = drawn.map_err(|why| failed(std::io::Error::other(why)))?;
        let path = folder.join(format!("{name}.png"));
        Output::check(&path, &kind::PNG, Replace::SameKind)?.write(&picture)?;
        Ok(midi)
    }
}
