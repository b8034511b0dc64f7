//! The editor, drawn and pressed without a window: pictures of its main states, and a hand that
//! goes by AccessKit's labels.
//!
//! A picture that should look different now: `UPDATE_SNAPSHOTS=true cargo test -p continuo --test
//! editor`, then look at it. What a failed comparison saw lies beside the picture.

mod frame_cost;
mod interaction;
mod software_renderer;
mod fixtures;
mod snapshots;
