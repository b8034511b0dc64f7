//! Lanes: which song each lane plays, and where in it. All of it can be saved and restored.
//!
//! A lane plays whole songs, one after the other, with nothing between them: where a song
//! ends inside a segment the next begins, and the mask keeps it from seeing what was before.
//! So no token is a pad, and every token but each song's last is asked for its successor.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::learner::Group;
use crate::model::Input;

/// Plays the training songs of a corpus in lanes.
pub struct Lanes<'a> {
    corpus: &'a Corpus,
    styles: Vec<Style>,
    /// What is saved.
    pub state: LanesState,
}

/// Songs drawn together.
struct Style {
    /// Their indices in the corpus.
    songs: Vec<usize>,
    /// Chance that the next song is of this style.
    chance: f64,
    /// The order of the current pass, and which pass it is of.
    order: Vec<usize>,
    pass: Option<u64>,
}

/// Where all lanes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanesState {
    seed: u64,
    balance: f64,
    /// Songs drawn so far.
    draws: u64,
    /// Songs drawn of each style.
    drawn: Vec<u64>,
    lanes: Vec<Lane>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Lane {
    song: usize,
    /// Next token of the song.
    at: usize,
    /// Position in the lane's stream at which the song began.
    began: u64,
    /// Tokens played.
    position: u64,
}

impl<'a> Lanes<'a> {
    /// Lanes at the beginning. A style's share of the tokens played is its share of the
    /// corpus to the power of `balance`: 1 as the corpus has it, 0 all styles alike.
    /// `None` if the corpus has no training songs.
    pub fn new(corpus: &'a Corpus, lanes: usize, seed: u64, balance: f64) -> Option<Self> {
        let styles = styles(corpus, balance);
        if styles.is_empty() {
            return None;
        }
        let drawn = vec![0; styles.len()];
        let state = LanesState {
            seed,
            balance,
            draws: 0,
            drawn,
            lanes: Vec::new(),
        };
        let mut new = Self {
            corpus,
            styles,
            state,
        };
        for _ in 0..lanes {
            let song = new.draw();
            new.state.lanes.push(Lane {
                song,
                at: 0,
                began: 0,
                position: 0,
            });
        }
        Some(new)
    }

    /// Lanes where they were. `None` if the state is of another corpus.
    pub fn restore(corpus: &'a Corpus, state: LanesState) -> Option<Self> {
        let styles = styles(corpus, state.balance);
        let fits = |l: &Lane| {
            corpus
                .songs
                .get(l.song)
                .is_some_and(|s| (l.at as u64) < s.tokens)
        };
        let whole = styles.len() == state.drawn.len() && state.lanes.iter().all(fits);
        whole.then_some(Self {
            corpus,
            styles,
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
            };
            for lane in first..first + count {
                self.play(lane, segment, &mut out);
            }
            groups.push(out);
        }
        groups
    }

    fn play(&mut self, index: usize, segment: usize, out: &mut Group) {
        let mut lane = self.state.lanes[index];
        let mut wanted = segment;
        while wanted > 0 {
            // The last token of a song is a target only.
            let inputs = self.corpus.songs[lane.song].tokens as usize - 1;
            let count = wanted.min(inputs - lane.at);
            out.input
                .extend(self.corpus, lane.song, lane.at, count, lane.began);
            let targets = self
                .corpus
                .records(lane.song, lane.at + 1, lane.at + 1 + count);
            out.targets.extend(targets.map(|r| r.id));
            lane.at += count;
            lane.position += count as u64;
            wanted -= count;
            if lane.at == inputs {
                lane = Lane {
                    song: self.draw(),
                    at: 0,
                    began: lane.position,
                    ..lane
                };
            }
        }
        self.state.lanes[index] = lane;
    }

    /// The next song: a style by chance, then its songs in a new order each pass.
    fn draw(&mut self) -> usize {
        let state = &mut self.state;
        let mut random = ChaCha8Rng::seed_from_u64(state.seed);
        random.set_stream(1 + state.draws);
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
        if style.pass != Some(pass) {
            let mixed = state.seed ^ (chosen as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut random = ChaCha8Rng::seed_from_u64(mixed);
            random.set_stream(pass);
            style.order = style.songs.clone();
            style.order.shuffle(&mut random);
            style.pass = Some(pass);
        }
        style.order[at as usize]
    }
}

impl LanesState {
    /// How many lanes.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }
}

impl Input {
    /// Adds `count` tokens of a song, from `at` on; the song began at `began` in the stream.
    pub fn extend(&mut self, corpus: &Corpus, song: usize, at: usize, count: usize, began: u64) {
        for r in corpus.records(song, at, at + count) {
            self.tokens.push(r.id);
            self.bar_step.push(r.bar_step);
            self.bar.push(r.bar);
            self.metre.push(r.metre);
            self.song.push(began);
        }
    }
}

fn styles(corpus: &Corpus, balance: f64) -> Vec<Style> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, song) in corpus.songs.iter().enumerate().filter(|(_, s)| !s.held_out) {
        by_name.entry(&song.style).or_default().push(i);
    }
    let tokens =
        |songs: &[usize]| songs.iter().map(|&i| corpus.songs[i].tokens).sum::<u64>() as f64;
    let all: f64 = by_name.values().map(|songs| tokens(songs)).sum();
    let mut styles: Vec<Style> = by_name
        .into_values()
        .map(|songs| {
            // Wanted share of tokens, over the tokens a drawn song brings.
            let tokens = tokens(&songs);
            let chance = (tokens / all).powf(balance) / (tokens / songs.len() as f64);
            Style {
                songs,
                chance,
                order: Vec::new(),
                pass: None,
            }
        })
        .collect();
    let sum: f64 = styles.iter().map(|s| s.chance).sum();
    styles.iter_mut().for_each(|s| s.chance /= sum);
    styles
}
