//! Proof that an exported model equals the trained one: logits of ONNX Runtime against those of
//! the trainer, on real songs, with both memories in use.
//!
//! Two memories may be equally near, to rounding; then both choices are right but their logits
//! differ. So the search is proved separately (the trainer's choice is the nearest by the exported
//! queries and keys, to [`TIE`]), and the logits are compared with the trainer's choice.

mod comparison;
mod error;
mod ort_reference;
mod runtime;
mod test_songs;
pub mod variant_loss;

pub use comparison::{Parity, compare};
pub use error::{MOST_LOST, ParityError, TOLERANCE};
pub use ort_reference::TIE;
