//! Accompaniment: when to play, the memory of a session, and the schedule of planned notes.
//!
//! The crate knows no plugin framework, no window and no thread. Callers own every value, and each
//! type says which thread of the plugin that is.
//!
//! ```text
//! transport ─ messages::ComposerInput ─> session::Session ─ messages::ScheduledNote ─> schedule
//! audio thread                           composer thread                               audio thread
//! ```
//!
//! # Example
//! A session without a host. Its player answers with one key on every beat.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use continuo_accompaniment::choices::Enter;
//! use continuo_accompaniment::messages::{ComposerInput, Settings};
//! use continuo_accompaniment::session::{Player, Session};
//! use continuo_score::{Note, Score};
//!
//! struct Pulse {
//!     next: u32,
//! }
//!
//! impl Player for Pulse {
//!     type Error = Infallible;
//!     fn steps_per_beat(&self) -> u32 {
//!         12
//!     }
//!     fn listen(&mut self, _score: &Score) -> Result<(), Infallible> {
//!         Ok(())
//!     }
//!     fn answer(&mut self, at: u32, _: &Settings, _: u64, _: &[Note]) -> Result<(), Infallible> {
//!         self.next = at;
//!         Ok(())
//!     }
//!     fn tune(&mut self, _settings: &Settings) {}
//!     fn poll_notes(&mut self, until: u32) -> Result<Option<Vec<Note>>, Infallible> {
//!         let starts = (self.next..until).step_by(12);
//!         let notes: Vec<Note> = starts
//!             .map(|start| Note { start, length: 6, pitch: 60, velocity: 80, ..Note::default() })
//!             .collect();
//!         self.next += 12 * notes.len() as u32;
//!         Ok(Some(notes))
//!     }
//! }
//!
//! let mut session = Session::new(Pulse { next: 0 });
//! let settings = Settings { enter: Enter::Beat, gap: 1.0, ..Settings::default() };
//! for message in [
//!     ComposerInput::Settings(settings),
//!     ComposerInput::Jump { beat: 0.0 },
//!     ComposerInput::NoteOn { beat: 0.0, channel: 0, pitch: 67, velocity: 90 },
//!     ComposerInput::NoteOff { beat: 0.5, channel: Some(0), pitch: Some(67) },
//!     ComposerInput::Time { beat: 2.0, tempo: 120.0, block: 1 },
//! ] {
//!     session.receive(message, false)?;
//! }
//! while session.work()? {}
//! // One beat of silence after beat 0.5: the answer begins on beat 2.
//! let starts: Vec<f64> = session.planned().iter().map(|note| note.start_beat).collect();
//! assert_eq!(starts, [2.0, 3.0, 4.0, 5.0]);
//! # Ok::<(), Infallible>(())
//! ```

pub mod bar_grid;
pub mod choices;
pub mod counters;
pub mod file_learning;
pub mod held_chord;
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
