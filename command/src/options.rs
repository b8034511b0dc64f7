//! Command-line options that several commands share.

mod compute;
mod harmony;
mod paths;
mod sampling;

pub use compute::ComputeOptions;
pub use harmony::HarmonyOptions;
pub use paths::ModelPaths;
pub use sampling::SamplingOptions;
