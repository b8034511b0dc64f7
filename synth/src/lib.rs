//! A small electric piano, so that Continuo's notes sound without a further instrument. It uses
//! frequency modulation, as FM pianos have since the DX7: two oscillators, the body (1:1) and the tine
//! (1:14), modulate the phase of one carrier. [`ElectricPiano::new`] allocates all memory, so that the
//! other methods may run on an audio thread.
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
