//! Lanes: which song each lane plays, and where in it. All of it can be saved and restored.
//!
//! How a lane goes through the songs is [`Batches`]. Where one song follows another inside a
//! segment, the mask keeps it from seeing what was before: each token carries the place in
//! the stream at which its song began. Every token but each song's last is asked for its
//! successor; pads are asked for [`NOTHING`].

use std::collections::BTreeMap;

use continuo_score::{NoteContext, NoteState, Token, Vocabulary};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::augment::{Reach, Shift};
use crate::corpus::{Corpus, Record};
use crate::learner::{Group, NOTHING};
use crate::model::Input;
use crate::resident::Piece;

/// How lanes go through songs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batches {
    /// Each segment is a piece of some song, without memory of what was before it.
    Random,
    /// A lane plays a song from its beginning to its end, the rest of the last segment is
    /// pads, and the next song begins with the next segment.
    Songs,
    /// A lane plays whole songs one after the other, with nothing between them. Lanes begin
    /// at different places of their first songs, so that they do not end together.
    #[default]
    Contiguous,
}

/// What lanes play, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How lanes go through songs.
    pub batches: Batches,
    /// Songs side by side.
    pub lanes: usize,
    /// Of everything that is drawn.
    pub seed: u64,
    /// A style's share of the tokens played is its share of the corpus to this power: 1 as
    /// the corpus has it, 0 all styles alike.
    pub balance: f64,
    /// How far songs are moved.
    pub reach: Reach,
}

/// Plays the training songs of a corpus in lanes.
pub struct Lanes<'a> {
    corpus: &'a Corpus,
    styles: Vec<Style>,
    /// What each lane plays, moved as its shift says.
    playing: Vec<Moved>,
    /// What is saved.
    pub state: LanesState,
}

/// A song, moved, with what each of its tokens is told.
struct Moved {
    records: Vec<Record>,
    told: Vec<NoteContext>,
}

/// Songs drawn together.
struct Style {
    /// Their indices in the corpus.
    songs: Vec<usize>,
    /// Tokens of the songs up to and including each.
    tokens: Vec<u64>,
    /// Chance that the next song, or the next piece, is of this style.
    chance: f64,
    /// The order of the current pass, and which pass it is of.
    order: Vec<usize>,
    pass: Option<u64>,
}

/// Where all lanes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanesState {
    /// What they play, and how.
    pub plan: Plan,
    /// Songs drawn so far.
    draws: u64,
    /// Songs drawn of each style.
    drawn: Vec<u64>,
    lanes: Vec<Lane>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Lane {
    song: usize,
    shift: Shift,
    /// Next token of the song.
    at: usize,
    /// Position in the lane's stream at which the song began.
    began: u64,
    /// Tokens played, pads included.
    position: u64,
}

impl<'a> Lanes<'a> {
    /// Lanes at the beginning. `None` if the corpus has no training songs.
    pub fn new(corpus: &'a Corpus, plan: Plan) -> Option<Self> {
        let styles = styles(corpus, plan);
        if styles.is_empty() {
            return None;
        }
        let drawn = vec![0; styles.len()];
        let state = LanesState {
            plan,
            draws: 0,
            drawn,
            lanes: Vec::new(),
        };
        let mut new = Self {
            corpus,
            styles,
            playing: Vec::new(),
            state,
        };
        for index in 0..plan.lanes {
            let (mut lane, song) = new.draw(0);
            if plan.batches == Batches::Contiguous {
                lane.at = (song.records.len() - 1) * index / plan.lanes;
            }
            new.state.lanes.push(lane);
            new.playing.push(song);
        }
        Some(new)
    }

    /// Lanes where they were. `None` if the state is of another corpus.
    pub fn restore(corpus: &'a Corpus, state: LanesState) -> Option<Self> {
        let styles = styles(corpus, state.plan);
        if styles.len() != state.drawn.len() {
            return None;
        }
        let playing = state.lanes.iter().map(|l| {
            let known = l.song < corpus.songs.len();
            let song = known.then(|| song(corpus, l.song, l.shift));
            song.filter(|song| l.at < song.records.len())
        });
        Some(Self {
            corpus,
            styles,
            playing: playing.collect::<Option<_>>()?,
            state,
        })
    }

    /// The next segment of every lane, `group` lanes at a time.
    pub fn next(&mut self, group: usize, segment: usize) -> Vec<Group> {
        let lanes = self.state.lanes.len();
        let mut groups = Vec::with_capacity(lanes.div_ceil(group));
        for first in (0..lanes).step_by(group) {
            let count = group.min(lanes - first);
            let input = Input {
                lanes: count,
                length: segment,
                ..Input::default()
            };
            let mut out = Group {
                input,
                targets: Vec::with_capacity(count * segment),
                pieces: Vec::new(),
            };
            for lane in first..first + count {
                self.play(lane, segment, &mut out);
            }
            groups.push(out);
        }
        groups
    }

    fn play(&mut self, index: usize, segment: usize, out: &mut Group) {
        let batches = self.state.plan.batches;
        if batches == Batches::Random {
            let position = self.state.lanes[index].position;
            (self.state.lanes[index], self.playing[index]) = self.draw(position);
            self.cut(index, segment);
        }
        let mut wanted = segment;
        while wanted > 0 {
            let lane = &mut self.state.lanes[index];
            let song = &self.playing[index];
            // The last token of a song is a target only.
            let Moved { records, told } = song;
            let inputs = records.len() - 1;
            let count = wanted.min(inputs - lane.at);
            let (from, to) = (lane.at, lane.at + count);
            let input = &mut out.input;
            input.push(&records[from..to], &told[from..to], lane.began);
            out.targets
                .extend(records[from + 1..=to].iter().map(|r| r.id));
            out.pieces.push(Piece::Song {
                song: lane.song,
                shift: lane.shift,
                at: from,
                count,
            });
            lane.at = to;
            lane.position += count as u64;
            wanted -= count;
            if to < inputs {
                break;
            }
            if batches != Batches::Contiguous {
                self.pad(index, wanted, out);
                wanted = 0;
            }
            // A random piece is drawn when it is played.
            if batches != Batches::Random {
                let position = self.state.lanes[index].position;
                (self.state.lanes[index], self.playing[index]) = self.draw(position);
            }
        }
    }

    /// Lets a lane begin anywhere in its song, but so that a segment is full if it can be.
    fn cut(&mut self, index: usize, segment: usize) {
        let inputs = self.playing[index].records.len() - 1;
        // Its own numbers: the song and the shift have taken others.
        let mut random = self.random(self.state.draws, 1);
        self.state.lanes[index].at = random.random_range(0..=inputs.saturating_sub(segment));
    }

    /// Pads see only themselves, and are asked for nothing.
    fn pad(&mut self, index: usize, count: usize, out: &mut Group) {
        let lane = &mut self.state.lanes[index];
        let id = self.corpus.vocabulary.id(Token::Pad).unwrap_or_default();
        let pad = Record {
            id,
            bar_step: 0,
            bar: 0,
            metre: 0,
        };
        let silent = vec![NoteContext::NOTHING; count];
        out.input.push(&vec![pad; count], &silent, lane.position);
        out.targets.extend(std::iter::repeat_n(NOTHING, count));
        out.pieces.push(Piece::Pads(count));
        lane.position += count as u64;
    }

    /// The random numbers of a draw.
    fn random(&self, draw: u64, purpose: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.state.plan.seed);
        random.set_stream(1 + 2 * draw + purpose);
        random
    }

    /// The next song, from its beginning: a style by chance, then its songs in a new order
    /// each pass; for random pieces, any of its songs by length.
    fn draw(&mut self, position: u64) -> (Lane, Moved) {
        let mut random = self.random(self.state.draws, 0);
        let Plan {
            seed,
            batches,
            reach,
            ..
        } = self.state.plan;
        let state = &mut self.state;
        state.draws += 1;
        let mut chance = random.random::<f64>();
        let mut chosen = self.styles.len() - 1;
        for (i, style) in self.styles.iter().enumerate() {
            if chance < style.chance {
                chosen = i;
                break;
            }
            chance -= style.chance;
        }
        let style = &mut self.styles[chosen];
        let songs = style.songs.len() as u64;
        let (pass, at) = (state.drawn[chosen] / songs, state.drawn[chosen] % songs);
        state.drawn[chosen] += 1;
        let index = if batches == Batches::Random {
            let all = style.tokens.last().copied().unwrap_or(1);
            let token = random.random_range(0..all);
            style.songs[style.tokens.partition_point(|&sum| sum <= token)]
        } else {
            if style.pass != Some(pass) {
                let mixed = seed ^ (chosen as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut random = ChaCha8Rng::seed_from_u64(mixed);
                random.set_stream(pass);
                style.order = style.songs.clone();
                style.order.shuffle(&mut random);
                style.pass = Some(pass);
            }
            style.order[at as usize]
        };
        let tokens = self.corpus.songs[index].tokens as usize;
        let records = self.corpus.records(index, 0, tokens);
        let shift = Shift::draw(reach, records, &self.corpus.vocabulary, &mut random);
        let lane = Lane {
            song: index,
            shift,
            at: 0,
            began: position,
            position,
        };
        (lane, song(self.corpus, index, shift))
    }
}

impl LanesState {
    /// How many lanes.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }
}

impl Input {
    /// Adds tokens of a song that began at `began` in the stream, and what they are told.
    pub fn push(&mut self, records: &[Record], told: &[NoteContext], began: u64) {
        self.told.extend_from_slice(told);
        for r in records {
            self.tokens.push(r.id);
            self.bar_step.push(r.bar_step);
            self.bar.push(r.bar);
            self.metre.push(r.metre);
            self.song.push(began);
        }
    }

    /// Adds `count` tokens of a song, from `at` on; the song began at `began` in the stream.
    pub fn extend(&mut self, corpus: &Corpus, song: usize, at: usize, count: usize, began: u64) {
        let records: Vec<_> = corpus.records(song, 0, at + count).collect();
        let told = told(&records, &corpus.vocabulary, &mut NoteState::default());
        self.push(&records[at..], &told[at..], began);
    }
}

/// A song of the corpus, moved.
fn song(corpus: &Corpus, index: usize, shift: Shift) -> Moved {
    let tokens = corpus.songs[index].tokens as usize;
    let records = corpus.records(index, 0, tokens).collect();
    let records = shift.apply(records, &corpus.vocabulary, corpus.rows.bars);
    let told = told(&records, &corpus.vocabulary, &mut NoteState::default());
    Moved { records, told }
}

/// What tokens are told, as `sounding` goes through them.
pub(crate) fn told(
    records: &[Record],
    vocabulary: &Vocabulary,
    sounding: &mut NoteState,
) -> Vec<NoteContext> {
    let told = records.iter().map(|record| {
        let tokens = vocabulary.tokens(record.id);
        tokens.for_each(|token| sounding.read(token));
        sounding.context()
    });
    told.collect()
}

fn styles(corpus: &Corpus, plan: Plan) -> Vec<Style> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, song) in corpus.songs.iter().enumerate().filter(|(_, s)| !s.held_out) {
        by_name.entry(&song.style).or_default().push(i);
    }
    let mut styles: Vec<Style> = by_name
        .into_values()
        .map(|songs| {
            let mut sum = 0;
            let tokens = songs.iter().map(|&i| {
                sum += corpus.songs[i].tokens;
                sum
            });
            Style {
                tokens: tokens.collect(),
                songs,
                chance: 0.0,
                order: Vec::new(),
                pass: None,
            }
        })
        .collect();
    let tokens = |s: &Style| s.tokens.last().copied().unwrap_or(0) as f64;
    let all: f64 = styles.iter().map(tokens).sum();
    for style in &mut styles {
        style.chance = (tokens(style) / all).powf(plan.balance);
        if plan.batches != Batches::Random {
            // A song that is drawn brings all its tokens.
            style.chance /= tokens(style) / style.songs.len() as f64;
        }
    }
    let sum: f64 = styles.iter().map(|s| s.chance).sum();
    styles.iter_mut().for_each(|s| s.chance /= sum);
    styles
}
