//! ONNX files: [`proto`] is the format's own messages (`build.rs` generates it), [`graph`] builds
//! one node by node, [`network`] writes our network as such.

mod blocks;
mod fused;
pub mod graph;
pub mod kind;
pub mod network;
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
mod recall;
