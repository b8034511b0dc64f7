//! A small electric piano, for hearing what Continuo plays before it is routed anywhere: one
//! carrier whose phase two others move, the body (1:1) and the tine (1:14), as FM pianos have
//! been since the DX7. Everything is allocated in [`ElectricPiano::new`] and nothing after it,
//! so it may run on an audio thread.
//!
//! ```
//! let mut piano = continuo_synth::ElectricPiano::new(48_000.0);
//! let (mut left, mut right) = ([0.0; 256], [0.0; 256]);
//! piano.note_on(0, 60, 0.8);
//! piano.render(&mut left, &mut right);
//! assert!(left.iter().any(|sample| *sample != 0.0));
//! ```

mod piano;
mod voice;
#[cfg(feature = "wav")]
pub mod wav;

pub use piano::{ElectricPiano, POLYPHONY};
