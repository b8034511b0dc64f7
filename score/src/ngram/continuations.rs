//! The tokens that followed earlier n-grams.

/// Shortest n-gram, in tokens, velocities not counted: a note and the move before it.
pub(super) const SHORTEST: usize = 4;
/// Tokens compared at most.
pub(super) const LONGEST: usize = 64;
/// Share of the likeliest continuation at which n-grams agree.
const AGREEMENT: f32 = 0.9;

/// The tokens that followed earlier n-grams equal to the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Continuations {
    /// Length of the longest n-gram in tokens, velocities not counted: 4 or more. One at
    /// another position in its bar counts as eight tokens shorter.
    pub length: usize,
    /// `(id, share)`, sorted by share from large to small, then by id; the shares sum to 1. An
    /// n-gram counts half as much for each token that it is shorter than the longest.
    pub shares: Vec<(u16, f32)>,
    /// Position of the token that followed the longest n-gram, the latest of several; `None` for
    /// learned pieces.
    pub position: Option<usize>,
}

impl Continuations {
    /// Whether the n-grams agree on the next token: one has a share of 0.9 or more.
    pub fn agreed(&self) -> bool {
        self.shares
            .first()
            .is_some_and(|&(_, most)| most >= AGREEMENT)
    }

    /// The share of an id; 0 if it never followed.
    pub fn share(&self, id: u16) -> f32 {
        let of = |&&(known, _): &&(u16, f32)| known == id;
        self.shares.iter().find(of).map_or(0.0, |&(_, share)| share)
    }
}
