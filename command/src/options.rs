//! Command-line options that every command that plays shares.

mod compute;
mod paths;
mod sampling;

pub use compute::ComputeOptions;
pub use paths::ModelPaths;
pub use sampling::SamplingOptions;
