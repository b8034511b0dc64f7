//! Merged tokens, learnt from songs by byte-pair encoding (arXiv 1508.07909).
//!
//! The `tokenizers` crate learns the merges of characters within words. A base id therefore
//! becomes a character of Unicode's private use area, and a word is a sequence of about 250 base
//! tokens that begins with a move in time. Merges may cross steps and bars; `<sos>`, `<eos>` and
//! `<pad>` are in no word and hence in no merge.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use continuo_score::{Token, Vocabulary, vocabulary::VocabularyError};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::tokenizer::Trainer as _;

use crate::data::corpus::Corpus;

/// Base tokens after which a word ends, at the next move in time. Pairs across the cut are not
/// counted; much longer words make learning slow.
const WORD_TOKENS: usize = 256;
/// First character of Unicode's private use area, which has room for 6400 ids; a vocabulary has
/// at most 4357 base tokens.
const PRIVATE: u32 = 0xe000;
/// The share of the words, one in this many, from which the time for all of them is estimated.
const SAMPLE: usize = 32;
/// Fewest occurrences of a pair that is merged.
const FEWEST: u64 = 2;

/// Error that keeps a vocabulary from being learnt.
#[derive(Debug, thiserror::Error)]
pub enum VocabError {
    /// The requested number of ids leaves no room for merges, or exceeds 16 bits.
    #[error("{asked} ids: the base tokens alone are {base}, and an id is below 65536; ask for {} to 65535", base + 1)]
    Ids {
        /// Ids requested.
        asked: usize,
        /// Base tokens.
        base: usize,
    },
    /// All songs are held out.
    #[error("no songs to learn from: all are held out")]
    NoSongs,
    /// The songs have too few repeated pairs.
    #[error(
        "the songs give {given} ids, not {asked}: no further pair of tokens comes twice; ask for fewer, or give more songs"
    )]
    TooFew {
        /// Ids requested.
        asked: usize,
        /// Ids learnt.
        given: usize,
    },
    /// The `tokenizers` crate fails.
    #[error("byte-pair encoding failed: {0}")]
    Bpe(String),
    /// The merges make no valid vocabulary.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
}

/// Learns the merges of a vocabulary of `ids` ids, base tokens included, from the training songs
/// of a corpus. Merged tokens of the corpus are expanded first.
///
/// `expect` is called at most once, with an estimate of the remaining time.
///
/// # Errors
/// There are no training songs, `ids` is out of range, or the songs give fewer ids.
pub fn learn(
    corpus: &Corpus,
    ids: usize,
    expect: impl FnOnce(Duration),
) -> Result<Vocabulary, VocabError> {
    let base = corpus.vocabulary.base();
    if ids <= base.size() || ids > usize::from(u16::MAX) {
        let (asked, base) = (ids, base.size());
        return Err(VocabError::Ids { asked, base });
    }
    let training = (0..corpus.songs.len()).filter(|&i| !corpus.songs[i].held_out);
    let words: Vec<String> = training.flat_map(|song| words(corpus, song)).collect();
    if words.is_empty() {
        return Err(VocabError::NoSongs);
    }
    if words.len() >= SAMPLE * SAMPLE {
        // Time grows as the number of words does. The sample's merges are not used.
        let sample = words.iter().step_by(SAMPLE).cloned().collect();
        let begun = Instant::now();
        pairs(&base, sample, ids)?;
        expect(begun.elapsed() * SAMPLE as u32);
    }
    let merges = pairs(&base, words, ids)?;
    let learnt = base.with_merges(merges)?;
    if learnt.size() < ids {
        let (asked, given) = (ids, learnt.size());
        return Err(VocabError::TooFew { asked, given });
    }
    Ok(learnt)
}

/// A base id as a character.
fn character(id: u16) -> char {
    char::from_u32(PRIVATE + u32::from(id)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Base ids of a song; merged ids are expanded.
pub fn base_ids(corpus: &Corpus, song: usize) -> Vec<u16> {
    let records = corpus.records(song, 0, corpus.songs[song].tokens as usize);
    let ids = records.flat_map(|r| corpus.vocabulary.expand(r.id).iter().copied());
    ids.collect()
}

/// A song as words, as the module's header defines them.
fn words(corpus: &Corpus, song: usize) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut length) = (String::new(), 0);
    for id in base_ids(corpus, song) {
        match corpus.vocabulary.token(id) {
            Some(Token::Start | Token::End | Token::Pad) | None => continue,
            Some(Token::Separator) if length >= WORD_TOKENS => {
                words.push(std::mem::take(&mut word));
                length = 0;
            }
            _ => {}
        }
        word.push(character(id));
        length += 1;
    }
    words.extend((length > 0).then_some(word));
    words
}

/// Pairs to merge, by rank.
fn pairs(base: &Vocabulary, words: Vec<String>, ids: usize) -> Result<Vec<[u16; 2]>, VocabError> {
    let alphabet: HashSet<char> = (0..base.size() as u16).map(character).collect();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(ids)
        .min_frequency(FEWEST)
        .initial_alphabet(alphabet)
        // The limit is exclusive.
        .max_token_length(Some(Vocabulary::LONGEST_MERGE + 1))
        .show_progress(false)
        .build();
    let failed = |why: &dyn std::fmt::Display| VocabError::Bpe(why.to_string());
    let whole = |word: &str| Ok(vec![word.to_owned()]);
    trainer
        .feed(words.into_iter(), whole)
        .map_err(|e| failed(&e))?;
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(|e| failed(&e))?;
    // Only the serialised model exposes its merges in order.
    let json = serde_json::to_value(&model).map_err(|e| failed(&e))?;
    let merges: Vec<[String; 2]> =
        serde_json::from_value(json["merges"].clone()).map_err(|e| failed(&e))?;

    let mut known: HashMap<String, u16> = HashMap::new();
    known.extend((0..base.size() as u16).map(|id| (character(id).to_string(), id)));
    let mut pairs = Vec::with_capacity(merges.len());
    for [left, right] in merges {
        let (Some(&a), Some(&b)) = (known.get(&left), known.get(&right)) else {
            return Err(failed(&"a merge of an unknown token"));
        };
        pairs.push([a, b]);
        // The vocabulary numbers them so: equal expansions share an id.
        let next = known.len() as u16;
        known.entry(left + &right).or_insert(next);
    }
    Ok(pairs)
}
