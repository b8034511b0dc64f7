//! The two rings of an instance, seen from the composer thread: which past a message belongs to,
//! and the way of planned notes.

use std::time::{Duration, Instant};

use continuo_engine::EngineError;
use rtrb::Producer;

use crate::player::EnginePlayer;
use crate::shared::Shared;
use continuo_accompaniment::messages::{ComposerInput, ScheduledNote};
use continuo_accompaniment::session::Session;

/// How long an offline plan waits for room in the ring of planned notes.
const RING_TIMEOUT: Duration = Duration::from_secs(2);

/// Which past the audio thread speaks of, and which one the session has. What was on its way
/// when a project was loaded is about the past before it, and must not change the one loaded.
#[derive(Default)]
pub(super) struct SessionEpochs {
    audio: u64,
    pub(super) session: u64,
}

impl SessionEpochs {
    fn note(&mut self, message: ComposerInput) {
        if let ComposerInput::SessionReplaced { session_epoch } = message {
            self.audio = session_epoch;
        }
    }

    /// Whether a message is about another past than the session's.
    pub(super) fn is_stale(&self, message: ComposerInput) -> bool {
        let mut after = Self { ..*self };
        after.note(message);
        after.audio < after.session
    }

    pub(super) fn receive(
        &mut self,
        session: &mut Session<EnginePlayer>,
        message: ComposerInput,
        eager: bool,
    ) -> Result<(), EngineError> {
        self.note(message);
        if self.audio < self.session {
            session.receive_stale(message);
            return Ok(());
        }
        session.receive(message, eager)
    }
}

/// Hands planned notes over as far as there is room.
pub(super) fn hand_over(
    session: &mut Session<EnginePlayer>,
    planned: &mut Producer<ScheduledNote>,
) {
    let waiting = session.planned();
    while let Some(&note) = waiting.front() {
        if planned.push(note).is_err() {
            return;
        }
        waiting.pop_front();
    }
}

/// Hands all of them over; the audio thread, waiting at the gate, makes room.
pub(super) fn hand_over_all(
    session: &mut Session<EnginePlayer>,
    planned: &mut Producer<ScheduledNote>,
    shared: &Shared,
) {
    let began = Instant::now();
    loop {
        hand_over(session, planned);
        if session.planned().is_empty() || began.elapsed() > RING_TIMEOUT {
            return;
        }
        shared.barrier.heartbeat();
        std::thread::sleep(Duration::from_millis(1));
    }
}
