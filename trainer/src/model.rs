//! The network: a decoder-only transformer with two memories.
//!
//! ```text
//! h  = E[token] + bar_step[..] + bar[..] + metre[..] + Σ sounding[..]
//!                                                            E = token + A·pitch
//! h += out · attention(rotate(q), rotate(k), v)              q k v = qkv · norm(h)
//! h += down · (silu(gate) * up)                              gate up = gate_up · norm(h)
//! logits = E · norm(h)
//! ```
//!
//! - Matrices are `[in, out]`; RMSNorm is `x / sqrt(mean(x²) + NORM_EPSILON) * gain`.
//! - For comparison, parts can be built [as in MIDIGen](config::LikeMidigen).
//! - **XL memory** ([`attention`]): a token attends to exactly the last `window` tokens, itself
//!   included, in every layer.
//! - **kNN memory** ([`retrieval`]): one layer also recalls, of the tokens that have left its
//!   window, those nearest to its query.
//! - On the CPU, operations with a derivative of their own compute most of it in one pass each
//!   (module `cpu`); elsewhere `burn`'s do.
//! - Neither memory reaches into an earlier song, and neither has a gradient.

pub mod attention;
mod attention_context;
pub mod config;
pub(crate) mod cpu;
mod distance_bias;
pub mod dropout;
pub mod embedding;
mod feed_forward;
mod initial;
mod input;
mod loss;
mod memory;
mod network;
pub mod parameters;
mod precision;
pub mod retrieval;
mod retrieval_mask;
pub mod rotary;
pub(crate) mod tensors;

pub use config::{LikeMidigen, ModelConfig};
pub use initial::{initial, random_model};
pub use input::Input;
pub use loss::{IGNORED, cross_entropy};
pub use memory::{KeysValues, Memory, MemoryMode, RetrievedPositions};
pub use network::Model;
pub use parameters::{ParamInit, ParamRole, ParamSpec};
pub use precision::Precision;
pub use tensors::values;
