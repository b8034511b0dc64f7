//! The suffix memory: what followed the longest passages that are like the last one, token for
//! token. Music repeats itself literally, and in other keys, more than a small network can
//! remember, so where the piece has been here before, what came next is added to what the network
//! expects ([`Mixture`]): what followed the same passage, and what followed it in another key, moved
//! into this one.
//!
//! This is an n-gram model without bound mixed with a network, as infini-gram (Liu et al. 2024,
//! arXiv 2401.17377), over the session and what was learned; where the kNN memory finds what is
//! alike, it finds what is the same. How loud a note was is not compared, as players never are the
//! same there.
//!
//! Plain data without a model: the engine plays with it, the trainer fits its weights.

mod mixture;

use std::collections::HashMap;
use std::ops::Range;

use crate::{Token, Vocabulary};

pub use mixture::{BANDS, Mixture, NgramWeights, PredictedToken, SOURCES, SourcePrediction};

/// Tokens, velocities not counted, that a passage must have in common with the last one: a note
/// and what it begins on.
const SHORTEST: usize = 4;
/// More are not compared.
const LONGEST: usize = 64;
/// Of the passages with the last [`SHORTEST`] tokens in common, so many are looked at: the latest.
const LOOKED_AT: usize = 64;
/// A passage that lies elsewhere in its bar counts as if it had so many tokens less in common: it
/// takes a long one to shift what is played against the beat.
const ELSEWHERE: usize = 8;
/// Passages found agree if the likeliest that followed has such a share.
const AGREED: f32 = 0.9;
/// A pitch by how far it is from the one before it, in semitones, plus this: no id is as large.
const INTERVAL: u16 = 0x8000 + 128;

/// What passages are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Their ids.
    Ids,
    /// The same, but pitches by their distance from the one before.
    Intervals,
}

/// Passages of [`SHORTEST`]: where they end, as indices into [`NgramMemory::compared`].
type Ends = HashMap<[u16; SHORTEST], Vec<u32>>;

/// What an id is to the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A velocity: not compared.
    PassedOver,
    /// A pitch.
    Pitch(u8),
    /// Anything else.
    Other,
}

/// A token that is compared.
#[derive(Clone, Copy, Debug)]
struct Compared {
    position: u32,
    /// Itself, or, if it is a pitch, how far it is from the one before.
    interval: u16,
    /// The last pitch up to here.
    pitch: Option<u8>,
}

/// The tokens of a session, or of pieces, and where each passage of four ends.
#[derive(Clone, Debug)]
pub struct NgramMemory {
    /// By id.
    kinds: Vec<Kind>,
    /// By pitch: its id.
    pitches: Vec<Option<u16>>,
    ids: Vec<u16>,
    places: Vec<u16>,
    compared: Vec<Compared>,
    same: Ends,
    alike: Ends,
}

/// What followed the passages found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Continuations {
    /// Tokens that the longest of them has in common with the last one, velocities not counted:
    /// [`BANDS`]`[0]` or more. One that lies elsewhere in its bar counts as eight tokens shorter.
    pub length: usize,
    /// Ids and their shares, which sum to 1, largest first and of equals the lower id. A passage
    /// counts half as much for each token less that it has in common.
    pub shares: Vec<(u16, f32)>,
    /// Where the passage that counts most, of these the latest, was followed: a position, if it is
    /// of the session.
    pub at: Option<usize>,
}

/// A passage that ends as the last one does.
struct Found {
    length: usize,
    next: u16,
    at: usize,
}

impl NgramMemory {
    /// An empty memory of ids of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let kind = |id| {
            let tokens: Vec<Token> = vocabulary.tokens(id).collect();
            match tokens[..] {
                [Token::Pitch(pitch)] => Kind::Pitch(pitch),
                [_, ..] if tokens.iter().all(|t| matches!(t, Token::Velocity(_))) => {
                    Kind::PassedOver
                }
                _ => Kind::Other,
            }
        };
        let pitch = |pitch| vocabulary.id(Token::Pitch(pitch));
        Self {
            kinds: (0..vocabulary.size() as u16).map(kind).collect(),
            pitches: (0..128).map(pitch).collect(),
            ids: Vec::new(),
            places: Vec::new(),
            compared: Vec::new(),
            same: Ends::new(),
            alike: Ends::new(),
        }
    }

    /// Ids held: the next one's position.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn kind(&self, id: u16) -> Kind {
        let known = self.kinds.get(usize::from(id));
        known.copied().unwrap_or(Kind::Other)
    }

    /// What is compared of the token at an index of `compared`.
    fn key(&self, index: usize, by: By) -> u16 {
        let compared = self.compared[index];
        match by {
            By::Ids => self.ids[compared.position as usize],
            By::Intervals => compared.interval,
        }
    }

    /// The last [`SHORTEST`] of these, up to index `end` of `compared`.
    fn passage(&self, end: usize, by: By) -> Option<[u16; SHORTEST]> {
        let from = (end + 1).checked_sub(SHORTEST)?;
        Some(std::array::from_fn(|i| self.key(from + i, by)))
    }

    fn ends_mut(&mut self, by: By) -> &mut Ends {
        match by {
            By::Ids => &mut self.same,
            By::Intervals => &mut self.alike,
        }
    }

    /// One more id, at step `place` of its bar.
    pub fn push(&mut self, id: u16, place: u16) {
        let position = self.ids.len() as u32;
        self.ids.push(id);
        self.places.push(place);
        let kind = self.kind(id);
        if kind == Kind::PassedOver {
            return;
        }
        let before = self.compared.last().and_then(|c| c.pitch);
        let (interval, pitch) = match (kind, before) {
            (Kind::Pitch(pitch), Some(before)) => {
                (INTERVAL + u16::from(pitch) - u16::from(before), Some(pitch))
            }
            (Kind::Pitch(pitch), None) => (id, Some(pitch)),
            _ => (id, before),
        };
        let end = self.compared.len();
        self.compared.push(Compared {
            position,
            interval,
            pitch,
        });
        for by in [By::Ids, By::Intervals] {
            if let Some(passage) = self.passage(end, by) {
                let ends = self.ends_mut(by).entry(passage).or_default();
                ends.push(end as u32);
            }
        }
    }

    /// Forgets every id from position `to` on.
    pub fn truncate(&mut self, to: usize) {
        while let Some(end) = self.compared.len().checked_sub(1)
            && self.compared[end].position as usize >= to
        {
            for by in [By::Ids, By::Intervals] {
                if let Some(passage) = self.passage(end, by)
                    && let Some(ends) = self.ends_mut(by).get_mut(&passage)
                {
                    // It was the last to come in.
                    ends.pop();
                    if ends.is_empty() {
                        self.ends_mut(by).remove(&passage);
                    }
                }
            }
            self.compared.pop();
        }
        self.ids.truncate(to);
        self.places.truncate(to);
    }

    /// What followed the passages most like the last one, by source: at the positions `within`,
    /// in this key and in others, and anywhere in what was `learned`, likewise. What was in another
    /// key is moved into this one. `None` where there is none.
    pub fn look(&self, within: Range<usize>, learned: &Self) -> [Option<Continuations>; SOURCES] {
        let all = 0..usize::MAX;
        let learned = |by| {
            let followed = self.followed(learned, by, all.clone())?;
            Some(Continuations {
                at: None,
                ..followed
            })
        };
        [
            self.followed(self, By::Ids, within.clone()),
            self.followed(self, By::Intervals, within),
            learned(By::Ids),
            learned(By::Intervals),
        ]
    }

    /// What followed the passages of `held`, at its positions `within`.
    fn followed(&self, held: &Self, by: By, within: Range<usize>) -> Option<Continuations> {
        let found = self.find(held, by, within);
        let length = found.iter().map(|f| f.length).max()?;
        let mut followed = Continuations {
            length,
            ..Continuations::default()
        };
        let mut sum = 0.0;
        for Found {
            length: its,
            next,
            at,
        } in found
        {
            let weight = 0.5f32.powi((length - its) as i32);
            sum += weight;
            if its == length {
                followed.at = followed.at.max(Some(at));
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

    /// The passages of `held`, followed at the positions `within`, that end as the last one here
    /// does.
    fn find(&self, held: &Self, by: By, within: Range<usize>) -> Vec<Found> {
        let mut found = Vec::new();
        let Some(last) = self.compared.len().checked_sub(1) else {
            return found;
        };
        let now = self.compared[last];
        // A velocity may have come since.
        let since = self.ids.len() - 1 - now.position as usize;
        let ends = match by {
            By::Ids => &held.same,
            By::Intervals => &held.alike,
        };
        let passage = self.passage(last, by);
        // One for each passage that ends as the last one does, itself included, oldest first.
        let Some(ends) = passage.and_then(|passage| ends.get(&passage)) else {
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
            .take(LOOKED_AT)
        {
            let next = next_of(end);
            let velocities = &held.ids[next - since..next];
            if velocities
                .iter()
                .any(|&id| held.kind(id) != Kind::PassedOver)
            {
                continue;
            }
            let then = held.compared[end as usize];
            let Some(id) = self.moved(held.ids[next], then.pitch, now.pitch, by) else {
                continue;
            };
            let length = self.in_common(last, held, end as usize, by);
            let [then, now] = [(held, then), (self, now)]
                .map(|(memory, compared)| memory.places[compared.position as usize]);
            let less = if then == now { 0 } else { ELSEWHERE };
            found.push(Found {
                length: length.saturating_sub(less).max(SHORTEST),
                next: id,
                at: next,
            });
        }
        found
    }

    /// The id that followed, as it would follow here; `None` for what is compared by intervals and
    /// is not in another key, or leaves the keyboard.
    fn moved(&self, id: u16, then: Option<u8>, now: Option<u8>, by: By) -> Option<u16> {
        if by == By::Ids {
            return Some(id);
        }
        let distance = i16::from(now?) - i16::from(then?);
        if distance == 0 {
            return None;
        }
        match self.kind(id) {
            Kind::Pitch(pitch) => {
                let moved = usize::try_from(i16::from(pitch) + distance).ok()?;
                self.pitches.get(moved).copied().flatten()
            }
            _ => Some(id),
        }
    }

    /// How many tokens up to an index of `compared` are the same as up to an index of another's.
    fn in_common(&self, last: usize, held: &Self, end: usize, by: By) -> usize {
        (0..LONGEST.min(end.min(last) + 1))
            .take_while(|&back| held.key(end - back, by) == self.key(last - back, by))
            .count()
    }
}

impl Continuations {
    /// Whether the passages agree on what follows.
    pub fn agreed(&self) -> bool {
        self.shares.first().is_some_and(|&(_, most)| most >= AGREED)
    }

    /// The share of an id.
    pub fn share(&self, id: u16) -> f32 {
        let of = |&&(known, _): &&(u16, f32)| known == id;
        self.shares.iter().find(of).map_or(0.0, |&(_, share)| share)
    }
}

#[cfg(test)]
mod tests;
