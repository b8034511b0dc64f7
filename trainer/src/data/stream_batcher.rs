//! Batches for training: each batch row is a stream of songs, cut into segments.
//!
//! [`Batching`] selects the order of the songs in a row. Where one song follows another within a
//! segment, the mask hides the first from the second: each token carries the stream position at
//! which its song begins. The target of every token is its successor; the last token of a song is
//! a target only, and padding has the target [`IGNORED`].
//!
//! The whole state can be saved and restored ([`BatcherState`]).

use continuo_score::{NoteContext, NoteState, Token};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::data::augment::{AugmentRange, Shift};
use crate::data::corpus::{Corpus, TokenRecord};
use crate::data::micro_batch::{MicroBatch, TokenSpan};
use crate::data::song_input::note_contexts;
use crate::data::style_sampler::StyleSampler;
use crate::model::{IGNORED, Input};

/// Order in which a batch row goes through songs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// Each segment is an excerpt of some song, without memory of earlier tokens.
    Random,
    /// A row plays one song from beginning to end, pads its last segment, and begins the next
    /// song with the next segment.
    Songs,
    /// A row plays whole songs one after the other without padding. Rows begin at different
    /// positions of their first songs, so that they do not end together.
    #[default]
    Contiguous,
}

/// Composition of the batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchConfig {
    /// Order of the songs.
    #[serde(rename = "batches")]
    pub batching: Batching,
    /// Streams side by side.
    #[serde(rename = "lanes")]
    pub batch_rows: usize,
    /// Seed of all random draws.
    pub seed: u64,
    /// Exponent of a style's share of the corpus: with 1 its share of the batches is the same,
    /// with 0 all styles have equal shares.
    pub balance: f64,
    /// Range of the random transposition and loudness.
    #[serde(rename = "reach")]
    pub augment: AugmentRange,
}

/// Cuts the training songs of a corpus into batches.
pub struct StreamBatcher<'a> {
    corpus: &'a Corpus,
    sampler: StyleSampler,
    /// Song that each row plays, augmented.
    playing: Vec<AugmentedSong>,
    /// Saved state.
    pub state: BatcherState,
}

/// An augmented song with the context of each token.
struct AugmentedSong {
    records: Vec<TokenRecord>,
    contexts: Vec<NoteContext>,
}

/// Positions of all batch rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatcherState {
    /// Composition of the batches.
    #[serde(rename = "plan")]
    pub config: BatchConfig,
    /// Songs drawn so far.
    draws: u64,
    /// Songs drawn of each style.
    drawn: Vec<u64>,
    #[serde(rename = "lanes")]
    rows: Vec<BatchRow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct BatchRow {
    song: usize,
    shift: Shift,
    /// Next token of the song.
    #[serde(rename = "at")]
    next_token: usize,
    /// Stream position at which the song begins.
    #[serde(rename = "began")]
    song_start: u64,
    /// Tokens of the stream so far, padding included.
    position: u64,
}

impl<'a> StreamBatcher<'a> {
    /// Rows at the beginning of their streams. `None` if the corpus has no training songs.
    pub fn new(corpus: &'a Corpus, config: BatchConfig) -> Option<Self> {
        let sampler = sampler(corpus, config);
        if sampler.len() == 0 {
            return None;
        }
        let state = BatcherState {
            config,
            draws: 0,
            drawn: vec![0; sampler.len()],
            rows: Vec::new(),
        };
        let mut new = Self {
            corpus,
            sampler,
            playing: Vec::new(),
            state,
        };
        for index in 0..config.batch_rows {
            let (mut row, song) = new.draw(0);
            if config.batching == Batching::Contiguous {
                row.next_token = (song.records.len() - 1) * index / config.batch_rows;
            }
            new.state.rows.push(row);
            new.playing.push(song);
        }
        Some(new)
    }

    /// Rows at their saved positions. `None` if the state belongs to another corpus.
    pub fn restore(corpus: &'a Corpus, state: BatcherState) -> Option<Self> {
        let sampler = sampler(corpus, state.config);
        if sampler.len() != state.drawn.len() {
            return None;
        }
        let playing = state.rows.iter().map(|row| {
            let known = row.song < corpus.songs.len();
            let song = known.then(|| augmented(corpus, row.song, row.shift));
            song.filter(|song| row.next_token < song.records.len())
        });
        Some(Self {
            corpus,
            sampler,
            playing: playing.collect::<Option<_>>()?,
            state,
        })
    }

    /// The next segment (in tokens) of every row, `micro_batch` rows at a time.
    pub fn next(&mut self, micro_batch: usize, segment: usize) -> Vec<MicroBatch> {
        let rows = self.state.rows.len();
        let mut all = Vec::with_capacity(rows.div_ceil(micro_batch));
        for first in (0..rows).step_by(micro_batch) {
            let count = micro_batch.min(rows - first);
            let mut out = MicroBatch {
                input: Input::with_shape(count, segment),
                targets: Vec::with_capacity(count * segment),
                spans: Vec::new(),
            };
            for row in first..first + count {
                self.play(row, segment, &mut out);
            }
            all.push(out);
        }
        all
    }

    fn play(&mut self, index: usize, segment: usize, out: &mut MicroBatch) {
        let batching = self.state.config.batching;
        if batching == Batching::Random {
            self.next_song(index);
            self.begin_anywhere(index, segment);
        }
        let mut wanted = segment;
        while wanted > 0 {
            let row = &mut self.state.rows[index];
            let AugmentedSong { records, contexts } = &self.playing[index];
            // The last token of a song is a target only.
            let inputs = records.len() - 1;
            let count = wanted.min(inputs - row.next_token);
            let (from, to) = (row.next_token, row.next_token + count);
            out.input
                .push(&records[from..to], &contexts[from..to], row.song_start);
            out.targets
                .extend(records[from + 1..=to].iter().map(|r| r.id));
            out.spans.push(TokenSpan::Song {
                song: row.song,
                shift: row.shift,
                at: from,
                count,
            });
            row.next_token = to;
            row.position += count as u64;
            wanted -= count;
            if to < inputs {
                break;
            }
            if batching != Batching::Contiguous {
                self.pad(index, wanted, out);
                wanted = 0;
            }
            // With random excerpts, the next song is drawn when its segment begins.
            if batching != Batching::Random {
                self.next_song(index);
            }
        }
    }

    fn next_song(&mut self, index: usize) {
        let position = self.state.rows[index].position;
        (self.state.rows[index], self.playing[index]) = self.draw(position);
    }

    /// Moves a row to a random position of its song at which a segment is full, if there is one.
    fn begin_anywhere(&mut self, index: usize, segment: usize) {
        let inputs = self.playing[index].records.len() - 1;
        // A stream of its own: the song and its augmentation use the other.
        let mut random = self.random(self.state.draws, 1);
        self.state.rows[index].next_token = random.random_range(0..=inputs.saturating_sub(segment));
    }

    /// Appends padding, which attends only to itself and has no targets.
    fn pad(&mut self, index: usize, count: usize, out: &mut MicroBatch) {
        let row = &mut self.state.rows[index];
        let id = self.corpus.vocabulary.id(Token::Pad).unwrap_or_default();
        let pad = TokenRecord {
            id,
            bar_step: 0,
            bar: 0,
            metre: 0,
        };
        let silence = vec![NoteContext::NOTHING; count];
        out.input.push(&vec![pad; count], &silence, row.position);
        out.targets.extend(std::iter::repeat_n(IGNORED, count));
        out.spans.push(TokenSpan::Padding(count));
        row.position += count as u64;
    }

    /// Random numbers of a draw, for one of two purposes (0 or 1).
    fn random(&self, draw: u64, purpose: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.state.config.seed);
        random.set_stream(1 + 2 * draw + purpose);
        random
    }

    /// Draws the next song, with the row at its beginning.
    fn draw(&mut self, position: u64) -> (BatchRow, AugmentedSong) {
        let mut random = self.random(self.state.draws, 0);
        let BatchConfig {
            batching, augment, ..
        } = self.state.config;
        self.state.draws += 1;
        let style = self.sampler.draw_style(&mut random);
        let drawn = self.state.drawn[style];
        self.state.drawn[style] += 1;
        let song = match batching {
            Batching::Random => self.sampler.draw_by_token(style, &mut random),
            _ => self.sampler.in_order(style, drawn),
        };
        let tokens = self.corpus.songs[song].tokens as usize;
        let records = self.corpus.records(song, 0, tokens);
        let shift = Shift::draw(augment, records, &self.corpus.vocabulary, &mut random);
        let row = BatchRow {
            song,
            shift,
            next_token: 0,
            song_start: position,
            position,
        };
        (row, augmented(self.corpus, song, shift))
    }
}

impl BatcherState {
    /// Number of batch rows.
    pub fn batch_rows(&self) -> usize {
        self.rows.len()
    }
}

fn sampler(corpus: &Corpus, config: BatchConfig) -> StyleSampler {
    let by_token = config.batching == Batching::Random;
    StyleSampler::new(corpus, config.seed, config.balance, by_token)
}

/// A song of the corpus, augmented.
fn augmented(corpus: &Corpus, song: usize, shift: Shift) -> AugmentedSong {
    let tokens = corpus.songs[song].tokens as usize;
    let records = corpus.records(song, 0, tokens).collect();
    let records = shift.apply(records, &corpus.vocabulary, corpus.rows.bars);
    let contexts = note_contexts(&records, &corpus.vocabulary, &mut NoteState::default());
    AugmentedSong { records, contexts }
}
