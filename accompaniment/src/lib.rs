//! Musical decisions of Continuo: when to play, what to remember, on which sample a note sounds.
//!
//! Nothing here knows a plugin framework, a window or a thread. Callers own every value, and each
//! type says which thread of the plugin that is. Tests drive it without a host.
//!
//! ```text
//! transport ─ messages::Heard ─> session::Session ─ messages::Planned ─> schedule
//!  audio thread                   composer thread: timeline, rules          audio thread
//! ```

pub mod bar_grid;
pub mod choices;
pub mod counters;
pub mod file_learning;
pub mod key_set;
pub mod messages;
pub mod midi_export;
pub mod schedule;
pub mod seed;
pub mod session;
pub mod snapshot;
#[doc(hidden)]
pub mod testing;
pub mod timeline;
pub mod transport;
pub mod trigger;
pub mod turn_taking;
