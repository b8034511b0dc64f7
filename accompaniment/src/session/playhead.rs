//! The playhead of the host: where it goes on from, and what memory lies ahead of it.

use super::pending_work::Stall;
use super::{Player, Session};
use crate::choices::Memory;
use crate::transport::Seam;

/// How the playhead came to where it goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The transport started or jumped.
    Jump,
    /// A loop came round.
    Loop,
}

impl<P: Player> Session<P> {
    /// The playhead goes on from `beat`, in the host's quarter notes.
    pub(super) fn arrive(&mut self, beat: f64, arrival: Arrival) -> Result<(), P::Error> {
        self.timeline.release_all(self.now);
        match self.settings.memory {
            Memory::Song => {
                if self.session_offset != 0.0 {
                    // Nothing of the session has a place in the song.
                    self.clear_for_song()?;
                    self.session_offset = 0.0;
                }
                self.timeline.set_aside_from(beat);
            }
            Memory::Session => {
                // Whole steps, so that the grid stays the host's; no more than needed, so that
                // bars follow on bars where the loop is of whole bars.
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
        (self.answer, self.unread_from) = (None, None);
        self.stall = Stall::default();
        Ok(())
    }

    /// A loop came round at `seam`. The player's notes at its end or later, which may lie several
    /// blocks back, belong behind its start: the host did not split its block there.
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
            self.timeline.on(start, channel, pitch, note.velocity);
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

    /// Time has passed up to `beat`: memory of an earlier pass is replaced by what was heard.
    pub(super) fn pass_to(&mut self, beat: f64) {
        self.now = beat;
        let over = self.timeline.play_over(beat);
        self.undo_stack.play_over(over);
    }
}
