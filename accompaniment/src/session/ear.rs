//! The player as found in sound. It comes a second late or more: notes are added to the past, and
//! turn-taking counts them from the moment at which they become known.

use super::{Player, Session};
use crate::choices::MemoryMode;
use crate::messages::EarNote;
use crate::timeline::HeardNote;

/// Time in seconds after which another report of the ear would have come.
const LONGEST_SILENCE: f64 = 4.0;

impl<P: Player> Session<P> {
    /// Adds a note that becomes known now.
    pub(super) fn hear_note(&mut self, note: EarNote) {
        let start_beat = match self.settings.memory {
            _ if note.this_pass => note.start_beat + self.session_offset,
            MemoryMode::Song => note.start_beat,
            MemoryMode::Session => self.now - note.age,
        };
        // The part that its instrument had before does not count for a player without parts.
        if self.player.is_ready() && !self.player.has_parts() {
            self.timeline.forget_channel_parts();
        }
        let heard = HeardNote {
            start_beat,
            end_beat: start_beat + note.length,
            pitch: note.pitch,
            velocity: note.velocity,
            confidence: note.confidence,
        };
        self.timeline.hear(heard, self.now);
        // A phrase from before a jump is not answered after it.
        if note.this_pass {
            self.player_sounds(true);
        }
        if let Some(answer) = &mut self.answer {
            answer.stale = true;
        }
        if self.answer.is_none() {
            // Up to the last whole beat, as everything is read.
            let line = self.timeline.step(self.now.floor());
            self.unread_from.get_or_insert(line);
        }
    }

    /// The sound up to `age` quarter notes ago is read; `sounding` says whether a pitch sounds then.
    pub(super) fn ear_read(&mut self, age: f64, sounding: bool) {
        let read = self.timeline.step(self.now - age);
        self.timeline.set_unheard_from(Some(read));
        self.player_sounds(sounding);
    }

    /// Forgets how much sound is read if the last report is too old: the worker is far behind, or has
    /// failed.
    pub(super) fn expire_ear(&mut self) {
        let longest = LONGEST_SILENCE * self.tempo / 60.0;
        let unheard = self
            .timeline
            .unheard_from()
            .map(|step| self.timeline.beat(step));
        if unheard.is_some_and(|beat| self.now - beat > longest) {
            self.ear_stops();
        }
    }

    /// Forgets how much sound is read: the playhead moved, or no sound is heard any more.
    pub(super) fn ear_stops(&mut self) {
        self.timeline.set_unheard_from(None);
        self.player_sounds(false);
    }

    /// Tells turn-taking what becomes known now.
    fn player_sounds(&mut self, sounds: bool) {
        if self.running {
            let step = self.timeline.step(self.now);
            self.entry_planner.heard(step, self.now, sounds);
        }
    }
}
