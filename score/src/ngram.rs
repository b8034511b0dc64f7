//! The n-gram memory: the tokens that followed the longest earlier n-grams equal to the last one.
//! Music repeats itself literally, and in other keys, more than a small network can remember. Where
//! the piece has such an n-gram, its continuations are mixed with the network's prediction
//! ([`Mixture`]): those in the same key, and those in other keys, transposed into this one.
//!
//! This is an unbounded n-gram model mixed with a network, as infini-gram (Liu et al. 2024, arXiv
//! 2401.17377), over the session and the learned pieces. The kNN memory finds similar passages; this
//! memory finds equal ones. Velocities are not compared, since players never repeat them exactly.
//! Runs of one part are continued in that part alone. The keys of drums are compared as they are, in
//! every key, and never transposed.
//!
//! Plain data without a network: the engine samples with it, the trainer fits its weights.
//!
//! ```
//! use continuo_score::ngram::NgramMemory;
//! use continuo_score::{TokenSequence, Vocabulary, tune};
//!
//! let vocabulary = Vocabulary::continuo();
//! let mut session = NgramMemory::new(&vocabulary);
//! let tune = TokenSequence::encode_open(&tune::minuet(), &vocabulary).ids(&vocabulary);
//! // The same bars twice, then their beginning.
//! for &id in tune.iter().chain(&tune[1..]).chain(&tune[1..40]) {
//!     session.push(id, 0);
//! }
//! let [same_key, _] = session.followed_within(&(0..session.len()));
//! assert_eq!(same_key.unwrap().shares[0].0, tune[40]);
//! ```

mod continuations;
mod mixture;

use std::collections::HashMap;
use std::ops::Range;

use crate::{Part, Token, Vocabulary};

pub use continuations::Continuations;
use continuations::{LONGEST, SHORTEST};
pub use mixture::{BANDS, Mixture, NgramWeights, PredictedToken, SOURCES, SourcePrediction};

/// N-grams compared for one prediction: the latest.
const MAX_MATCHES: usize = 64;
/// Tokens by which an n-gram at another position in its bar counts as shorter: only a long one may
/// shift the music against the beat.
const BAR_POSITION_PENALTY: usize = 8;
/// N-grams of fewer tokens are no passages to align with.
const SHORTEST_PASSAGE: usize = 6;
/// Offset of an interval in semitones, to tell intervals from ids, which are smaller.
const INTERVAL: u16 = 0x8000 + 128;

/// The way in which n-grams are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// Comparison ids.
    Ids,
    /// Comparison ids, but pitches by the interval from the pitch before.
    Intervals,
}

/// N-grams of [`SHORTEST`] keys, and their last indices in [`NgramMemory::compared`].
type EndPositions = HashMap<[u16; SHORTEST], Vec<u32>>;

/// The kind of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdKind {
    /// A velocity: not compared.
    Skipped,
    /// A pitch.
    Pitch(u8),
    /// Anything else.
    Other,
}

/// A token that is compared, with its position in the stream.
#[derive(Clone, Copy, Debug)]
struct Compared {
    position: u32,
    /// The id, or for a pitch the interval from the pitch before.
    interval: u16,
    /// The last pitch up to and including this token.
    pitch: Option<u8>,
    /// The part after this token.
    part: Part,
}

/// The tokens of a session or of learned pieces, and the end positions of every n-gram of
/// 4 tokens. A value: its owner may be any thread.
#[derive(Clone, Debug)]
pub struct NgramMemory {
    /// IdKind of each id.
    kinds: Vec<IdKind>,
    /// The part to which each id changes, if any; empty for a vocabulary without parts.
    parts: Vec<Option<Part>>,
    /// Id of each pitch.
    pitches: Vec<Option<u16>>,
    ids: Vec<u16>,
    /// Step in the bar of each token.
    bar_steps: Vec<u16>,
    compared: Vec<Compared>,
    by_ids: EndPositions,
    by_intervals: EndPositions,
}

/// An earlier n-gram equal to the last one.
struct Match {
    length: usize,
    /// The id that followed it.
    next: u16,
    /// Position of that id.
    at: usize,
}

impl NgramMemory {
    /// An empty memory for ids of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let kind = |id| {
            let tokens: Vec<Token> = vocabulary.tokens(id).collect();
            match tokens[..] {
                [Token::Pitch(pitch)] => IdKind::Pitch(pitch),
                [_, ..] if tokens.iter().all(|t| matches!(t, Token::Velocity(_))) => {
                    IdKind::Skipped
                }
                _ => IdKind::Other,
            }
        };
        let part = |id| {
            let parts = vocabulary.tokens(id).filter_map(|token| match token {
                Token::Start => Some(Part::Keys),
                Token::Part(part) => Some(part),
                _ => None,
            });
            parts.last()
        };
        let with_parts = match vocabulary.has_parts() {
            true => 0..vocabulary.size() as u16,
            false => 0..0,
        };
        let pitch = |pitch| vocabulary.id(Token::Pitch(pitch));
        Self {
            parts: with_parts.map(part).collect(),
            kinds: (0..vocabulary.size() as u16).map(kind).collect(),
            pitches: (0..128).map(pitch).collect(),
            ids: Vec::new(),
            bar_steps: Vec::new(),
            compared: Vec::new(),
            by_ids: EndPositions::new(),
            by_intervals: EndPositions::new(),
        }
    }

    /// Number of ids, which is the next id's position.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it has no ids.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn kind(&self, id: u16) -> IdKind {
        let known = self.kinds.get(usize::from(id));
        known.copied().unwrap_or(IdKind::Other)
    }

    /// The key by which the token at an index of `compared` is compared.
    fn key(&self, index: usize, by: Comparison) -> u16 {
        let compared = self.compared[index];
        match by {
            Comparison::Ids => self.ids[compared.position as usize],
            Comparison::Intervals => compared.interval,
        }
    }

    /// The [`SHORTEST`] keys up to and including index `end` of `compared`.
    fn ngram(&self, end: usize, by: Comparison) -> Option<[u16; SHORTEST]> {
        let from = (end + 1).checked_sub(SHORTEST)?;
        Some(std::array::from_fn(|i| self.key(from + i, by)))
    }

    fn ends_mut(&mut self, by: Comparison) -> &mut EndPositions {
        match by {
            Comparison::Ids => &mut self.by_ids,
            Comparison::Intervals => &mut self.by_intervals,
        }
    }

    /// Appends an id, at step `bar_step` of its bar.
    pub fn push(&mut self, id: u16, bar_step: u16) {
        let position = self.ids.len() as u32;
        self.ids.push(id);
        self.bar_steps.push(bar_step);
        let kind = self.kind(id);
        if kind == IdKind::Skipped {
            return;
        }
        let last = self.compared.last();
        let before = last.and_then(|c| c.pitch);
        let part_before = last.map_or(Part::Keys, |c| c.part);
        let (interval, pitch) = match (kind, before) {
            // The key of a drum is no pitch.
            (IdKind::Pitch(_), before) if !part_before.is_pitched() => (id, before),
            (IdKind::Pitch(pitch), Some(before)) => {
                (INTERVAL + u16::from(pitch) - u16::from(before), Some(pitch))
            }
            (IdKind::Pitch(pitch), None) => (id, Some(pitch)),
            _ => (id, before),
        };
        let change = self.parts.get(usize::from(id)).copied().flatten();
        let part = change.unwrap_or(part_before);
        let end = self.compared.len();
        self.compared.push(Compared {
            position,
            interval,
            pitch,
            part,
        });
        for by in [Comparison::Ids, Comparison::Intervals] {
            if let Some(ngram) = self.ngram(end, by) {
                let ends = self.ends_mut(by).entry(ngram).or_default();
                ends.push(end as u32);
            }
        }
    }

    /// Removes every id from position `to` on.
    pub fn truncate(&mut self, to: usize) {
        while let Some(end) = self.compared.len().checked_sub(1)
            && self.compared[end].position as usize >= to
        {
            for by in [Comparison::Ids, Comparison::Intervals] {
                if let Some(ngram) = self.ngram(end, by)
                    && let Some(ends) = self.ends_mut(by).get_mut(&ngram)
                {
                    // It was the last to come in.
                    ends.pop();
                    if ends.is_empty() {
                        self.ends_mut(by).remove(&ngram);
                    }
                }
            }
            self.compared.pop();
        }
        self.ids.truncate(to);
        self.bar_steps.truncate(to);
    }

    /// The continuations of the last n-gram at the positions `within`: in this key, and in other keys
    /// transposed into this one. `None` if there are none.
    pub fn followed_within(&self, within: &Range<usize>) -> [Option<Continuations>; 2] {
        [Comparison::Ids, Comparison::Intervals].map(|by| self.followed(self, by, within.clone()))
    }

    /// As [`NgramMemory::followed_within`], anywhere in `learned` pieces.
    pub fn followed_in(&self, learned: &Self) -> [Option<Continuations>; 2] {
        [Comparison::Ids, Comparison::Intervals].map(|by| {
            let followed = self.followed(learned, by, 0..usize::MAX)?;
            Some(Continuations {
                position: None,
                ..followed
            })
        })
    }

    /// Where a run of tokens stood before that equals the last one: the positions of its last token in
    /// the same key and in another, with the semitones from its pitches to those now.
    pub(crate) fn equal_passages(
        &self,
        [same, transposed]: [Option<&Continuations>; 2],
    ) -> impl Iterator<Item = (usize, i8)> {
        let before = |found: Option<&Continuations>| {
            let found = found.filter(|found| found.length >= SHORTEST_PASSAGE)?;
            found.position?.checked_sub(1)
        };
        let pitch_at = |position: usize| {
            let after = self
                .compared
                .partition_point(|c| c.position as usize <= position);
            self.compared.get(after.checked_sub(1)?)?.pitch
        };
        let interval = move |then: usize| {
            let now = self.compared.last()?.pitch?;
            i8::try_from(i16::from(now) - i16::from(pitch_at(then)?)).ok()
        };
        let same = before(same).map(|then| (then, 0));
        let transposed = before(transposed).and_then(move |then| Some((then, interval(then)?)));
        same.into_iter().chain(transposed)
    }

    /// The continuations in `held`, at its positions `within`.
    fn followed(&self, held: &Self, by: Comparison, within: Range<usize>) -> Option<Continuations> {
        let found = self.find(held, by, within);
        let length = found.iter().map(|f| f.length).max()?;
        let mut followed = Continuations {
            length,
            ..Continuations::default()
        };
        let mut sum = 0.0;
        for Match {
            length: its,
            next,
            at,
        } in found
        {
            let weight = 0.5f32.powi((length - its) as i32);
            sum += weight;
            if its == length {
                followed.position = followed.position.max(Some(at));
            }
            match followed.shares.iter_mut().find(|(known, _)| *known == next) {
                Some((_, share)) => *share += weight,
                None => followed.shares.push((next, weight)),
            }
        }
        let shares = &mut followed.shares;
        shares.iter_mut().for_each(|(_, share)| *share /= sum);
        shares.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Some(followed)
    }

    /// The n-grams in `held`, followed at the positions `within`, that equal the last one here.
    fn find(&self, held: &Self, by: Comparison, within: Range<usize>) -> Vec<Match> {
        let mut found = Vec::new();
        let Some(last) = self.compared.len().checked_sub(1) else {
            return found;
        };
        let now = self.compared[last];
        // Velocities that came after the last compared token.
        let since = self.ids.len() - 1 - now.position as usize;
        let ends = match by {
            Comparison::Ids => &held.by_ids,
            Comparison::Intervals => &held.by_intervals,
        };
        let ngram = self.ngram(last, by);
        // One for each equal n-gram, the last one itself included, oldest first.
        let Some(ends) = ngram.and_then(|ngram| ends.get(&ngram)) else {
            return found;
        };
        let next_of = |end: u32| held.compared[end as usize].position as usize + since + 1;
        let wanted = within.start..within.end.min(held.ids.len());
        let wanted = ends.partition_point(|&end| next_of(end) < wanted.start)
            ..ends.partition_point(|&end| next_of(end) < wanted.end);
        for &end in ends
            .get(wanted)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(MAX_MATCHES)
        {
            let next = next_of(end);
            let velocities = &held.ids[next - since..next];
            if velocities
                .iter()
                .any(|&id| held.kind(id) != IdKind::Skipped)
            {
                continue;
            }
            let then = held.compared[end as usize];
            if then.part != now.part {
                continue;
            }
            let pitches = (then.pitch, now.pitch);
            let Some(id) = self.transposed(held.ids[next], now.part, pitches, by) else {
                continue;
            };
            let length = self.common_length(last, held, end as usize, by);
            let [then, now] = [(held, then), (self, now)]
                .map(|(memory, compared)| memory.bar_steps[compared.position as usize]);
            let less = if then == now { 0 } else { BAR_POSITION_PENALTY };
            found.push(Match {
                length: length.saturating_sub(less).max(SHORTEST),
                next: id,
                at: next,
            });
        }
        found
    }

    /// The id that followed in `part`, transposed into the present key; `None` if the comparison is by
    /// intervals and the key is the same, or if the pitch leaves the keyboard.
    fn transposed(
        &self,
        id: u16,
        part: Part,
        (then, now): (Option<u8>, Option<u8>),
        by: Comparison,
    ) -> Option<u16> {
        if by == Comparison::Ids {
            return Some(id);
        }
        let distance = i16::from(now?) - i16::from(then?);
        if distance == 0 {
            return None;
        }
        match self.kind(id) {
            IdKind::Pitch(pitch) if part.is_pitched() => {
                let moved = usize::try_from(i16::from(pitch) + distance).ok()?;
                self.pitches.get(moved).copied().flatten()
            }
            _ => Some(id),
        }
    }

    /// Number of equal tokens up to an index of `compared` and up to an index of another memory's.
    fn common_length(&self, last: usize, held: &Self, end: usize, by: Comparison) -> usize {
        (0..LONGEST.min(end.min(last) + 1))
            .take_while(|&back| held.key(end - back, by) == self.key(last - back, by))
            .count()
    }
}

#[cfg(test)]
mod tests;
