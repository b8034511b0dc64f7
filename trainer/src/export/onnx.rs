//! ONNX files: [`proto`] has the messages of the format (`build.rs` generates them), [`graph`]
//! builds a graph node by node, [`network`] writes the network as graphs.

mod blocks;
pub mod graph;
pub mod network;
mod ort_ops;
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
mod retrieval;
pub mod variant;
