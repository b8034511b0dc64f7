//! Tests of the editor without a window: pictures of its states, and widgets driven by AccessKit labels.
//!
//! To accept changed pictures, run `UPDATE_SNAPSHOTS=true cargo test --workspace --test editor` and look at them.
//! A failed comparison leaves its picture beside the expected one.

mod actions;
mod drag_out;
mod fixtures;
mod frame_cost;
mod harness;
mod interaction;
mod keyboard;
mod snapshots;
mod software_renderer;
