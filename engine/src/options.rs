//! Command-line options that every command that plays shares.

mod places;
mod sampling;

pub use places::Places;
pub use sampling::SamplingOptions;
