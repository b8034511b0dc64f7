//! Jumps and loops of the host's playhead, and the memory ahead of it.

use super::pending_work::Stall;
use super::{Player, Session};
use crate::choices::MemoryMode;
use crate::transport::Seam;

/// Cause of a move of the playhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The transport started or jumped.
    Jump,
    /// The loop's end was reached.
    Loop,
}

impl<P: Player> Session<P> {
    /// Moves the playhead to `beat`, in the host's quarter notes.
    pub(super) fn arrive(&mut self, beat: f64, arrival: Arrival) -> Result<(), P::Error> {
        // A pedal that is held over the loop's end, or pressed before the start, stays down: no host
        // presses it again. After a jump the host sends its position there.
        match arrival == Arrival::Jump && self.running {
            true => self.timeline.release_all(self.now),
            false => self.timeline.end_all(self.now),
        }
        if arrival == Arrival::Jump {
            self.ear_stops();
        }
        match self.settings.memory {
            MemoryMode::Song => {
                if self.session_offset != 0.0 {
                    // Notes of Session memory have no song positions.
                    self.clear_for_song()?;
                    self.session_offset = 0.0;
                }
                self.timeline.set_aside_from(beat);
            }
            MemoryMode::Session => {
                // Whole steps keep the host's grid; the smallest offset keeps bars contiguous where
                // the loop has whole bars.
                let session_offset = self.timeline.step_from(self.now - beat);
                let session_offset = self.timeline.beat(session_offset);
                if !self.timeline.is_empty() || self.undo_stack.holds_memory() {
                    self.session_offset = session_offset;
                }
                self.timeline.forget_from(beat + self.session_offset);
            }
        }
        self.now = beat + self.session_offset;
        self.undo_stack.arrive(self.now, arrival);
        self.entry_planner.arrive(&self.timeline, self.now);
        self.running = true;
        self.answer = None;
        // A session that was just loaded is read before it answers.
        let opens = self.is_opening() && !self.timeline.is_empty();
        self.unread_from = opens.then(|| self.timeline.step(self.now));
        self.stall = Stall::default();
        Ok(())
    }

    /// Goes round the loop at `seam`. Input at or after the loop's end, which may lie several
    /// blocks back, moves behind its start, because the host did not split its block there.
    pub(super) fn loop_around(&mut self, seam: Seam) -> Result<(), P::Error> {
        let end = seam.end + self.session_offset;
        let carried = self.timeline.take_input_from(end - seam.slack);
        self.now = end;
        self.arrive(seam.start, Arrival::Loop)?;
        let moved = self.now - end;
        for note in carried {
            let start = (note.start_beat + moved).max(self.now);
            let (channel, pitch) = (note.channel, note.pitch);
            self.entry_planner
                .on(self.timeline.step(start), start, channel, pitch);
            self.note_on(start, channel, pitch, note.velocity);
            if let Some(stop) = note.end {
                let stop = (self.timeline.beat(stop) + moved).max(start);
                let step = self.timeline.step(stop);
                self.entry_planner
                    .off(step, stop, Some(channel), Some(pitch));
                self.timeline.off(stop, Some(channel), Some(pitch));
            }
        }
        Ok(())
    }

    /// Advances the playhead to `beat`; new input replaces notes of an earlier pass.
    pub(super) fn pass_to(&mut self, beat: f64) {
        self.now = beat;
        let over = self.timeline.play_over(beat);
        self.undo_stack.play_over(over);
    }
}
