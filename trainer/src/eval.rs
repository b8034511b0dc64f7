//! Evaluation: the loss of a model on songs it was not trained on.

mod evaluation;
mod memory_ablation;
mod prediction;

pub use evaluation::{Evaluation, Measure, PartLoss, TokenGroupLoss, evaluate};
pub use memory_ablation::{LengthBucket, MemoryAblation, SongSums};
pub(crate) use prediction::{predict, song_losses};
