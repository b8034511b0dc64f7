//! A small electric piano with a drum kit, so that Continuo's notes sound without a further
//! instrument. The piano uses frequency modulation, as FM pianos have since the DX7: two
//! oscillators, the body (1:1) and the tine (1:14), modulate the phase of one carrier. Only
//! [`Ensemble::new`] allocates memory; all other methods may run on an audio thread.
//!
//! ```
//! let mut ensemble = continuo_synth::Ensemble::new(48_000.0);
//! let (mut left, mut right) = ([0.0; 256], [0.0; 256]);
//! ensemble.note_on(0, 60, 0.8);
//! ensemble.render(&mut left, &mut right);
//! assert!(left.iter().any(|sample| *sample != 0.0));
//! ```

mod decay;
mod drums;
mod ensemble;
mod piano;
mod voice;
#[cfg(feature = "wav")]
pub mod wav;

pub use ensemble::{DRUM_CHANNEL, Ensemble};
pub use piano::POLYPHONY;
