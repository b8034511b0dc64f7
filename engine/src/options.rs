//! Command-line options that every command that plays shares.

mod compute;
mod places;
mod sampling;

pub use compute::ComputeOptions;
pub use places::Places;
pub use sampling::SamplingOptions;
