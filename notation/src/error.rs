//! Reasons why a score is not written.

/// A score that was not written as notation.
#[derive(Debug, thiserror::Error)]
pub enum NotationError {
    /// It has no notes.
    #[error("there are no notes to write")]
    Empty,
    /// Its steps are shorter than the shortest note value.
    #[error(
        "a grid of {0} steps a beat is too fine for note values; quantise the score to 12 steps a beat"
    )]
    TooFine(u32),
    /// It has more bars than notation programs open.
    #[error(
        "there are {bars} bars, and at most {most} are written; choose some of them with --last"
    )]
    TooLong {
        /// Bars of the score.
        bars: u32,
        /// Most bars that are written.
        most: u32,
    },
    /// The system refused the output.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
