//! Messages of the audio thread, applied one by one.

use continuo_score::TimeSignature;

use super::loops_and_jumps::Arrival;
use super::{Player, Session};
use crate::messages::{ComposerInput, Settings};
use crate::trigger::Trigger;

impl<P: Player> Session<P> {
    /// Applies one message: first time passes up to its position, with every decision that falls
    /// due. So decisions do not depend on the host's block sizes.
    ///
    /// With `eager`, all notes that can be planned are planned first, as offline rendering needs
    /// it; else [`Session::work`] plans in slices. A call takes a few milliseconds at most if
    /// [`Session::is_ready_for`] returned `true` for the message.
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn receive(&mut self, message: ComposerInput, eager: bool) -> Result<(), P::Error> {
        let session_offset = self.session_offset;
        match message {
            ComposerInput::Time { beat, tempo, .. } => {
                self.tempo = tempo;
                self.advance(beat + session_offset, eager)?;
            }
            ComposerInput::NoteOn {
                beat,
                channel,
                pitch,
                velocity,
            } if self.running => {
                let beat = beat + session_offset;
                self.advance(beat, eager)?;
                self.entry_planner
                    .on(self.timeline.step(beat), beat, channel, pitch);
                self.note_on(beat, channel, pitch, velocity);
            }
            ComposerInput::NoteOn { channel, pitch, .. } => self.entry_planner.hold(channel, pitch),
            ComposerInput::ChordOn {
                beat,
                channel,
                pitch,
                cancelled,
            } => {
                self.reach(beat + session_offset, eager)?;
                self.held_chord.on(channel, pitch);
                if cancelled {
                    self.resume();
                }
            }
            ComposerInput::NoteOff {
                beat,
                channel,
                pitch,
            } => {
                let beat = self.reach(beat + session_offset, eager)?;
                self.entry_planner
                    .off(self.timeline.step(beat), beat, channel, pitch);
                self.timeline.off(beat, channel, pitch);
                self.held_chord.off(channel, pitch);
            }
            ComposerInput::EarNote { beat, note } => {
                self.reach(beat + session_offset, eager)?;
                self.hear_note(note);
            }
            ComposerInput::EarRead {
                beat,
                age,
                sounding,
            } => {
                self.reach(beat + session_offset, eager)?;
                self.ear_read(age, sounding);
            }
            ComposerInput::Pedal {
                beat,
                channel,
                down,
            } => {
                let beat = self.reach(beat + session_offset, eager)?;
                self.timeline.pedal(beat, channel, down);
            }
            ComposerInput::AllNotesOff { .. } => {
                // The silence begins here, not at the last note-off: an earlier one would make an
                // answer due that is late already.
                let step = self.timeline.step(self.now);
                self.entry_planner.off(step, self.now, None, None);
                self.timeline.release_all(self.now);
                self.held_chord.off(None, None);
            }
            ComposerInput::Cancel {
                number,
                beat,
                cutoff_beat,
            } => {
                self.advance(beat + session_offset, eager)?;
                self.generation = number;
                // The end of the block before may lie beyond `beat`, by rounding.
                self.keep_discarded(self.now, cutoff_beat + session_offset);
                self.answer = None;
                self.planned.retain(|note| note.start_beat < cutoff_beat);
                self.timeline
                    .cancel(beat + session_offset, cutoff_beat + session_offset);
                // An answered phrase is not answered twice.
                self.entry_planner
                    .cancel(&self.timeline, &self.settings, beat + session_offset);
            }
            ComposerInput::TimeSignature {
                bar_start,
                numerator,
                denominator,
            } => {
                let time_signature = TimeSignature {
                    numerator,
                    denominator,
                };
                self.timeline
                    .add_time_signature(bar_start + session_offset, time_signature);
                if let Some(answer) = &mut self.answer {
                    answer.stale = true;
                }
                self.entry_planner
                    .change(&self.timeline, &self.settings, self.now);
            }
            ComposerInput::Jump { beat } => self.arrive(beat, Arrival::Jump)?,
            ComposerInput::Loop(seam) => self.loop_around(seam)?,
            ComposerInput::Stop { beat } => {
                self.advance(beat + session_offset, eager)?;
                self.timeline.release_all(self.now);
                self.entry_planner.stop();
                self.ear_stops();
                (self.running, self.answer) = (false, None);
            }
            ComposerInput::SessionReplaced { .. } => {}
            ComposerInput::Settings(settings) => self.set(settings)?,
            ComposerInput::Trigger(trigger) => self.trigger(trigger)?,
            ComposerInput::NoteMissed { id } => self.timeline.remove_generated(id),
        }
        Ok(())
    }

    /// Advances to `beat` if the transport runs. Returns the position reached.
    fn reach(&mut self, beat: f64, eager: bool) -> Result<f64, P::Error> {
        if !self.running {
            return Ok(self.now);
        }
        self.advance(beat, eager)?;
        Ok(beat)
    }

    /// Applies a message of an earlier session epoch: only a cancel counts.
    pub fn receive_stale(&mut self, message: ComposerInput) {
        if let ComposerInput::Cancel { number, .. } = message {
            self.generation = number;
            self.planned.clear();
        }
    }

    fn set(&mut self, settings: Settings) -> Result<(), P::Error> {
        let retunes = self.settings.retunes(&settings);
        // A session that was just loaded is read under the settings of its first answer.
        if retunes && !self.is_opening() {
            // Earlier input is processed under the old settings first.
            self.catch_up()?;
        }
        let before = std::mem::replace(&mut self.settings, settings);
        if self.answer.is_some() && retunes {
            // The step that the lookahead reaches, planned or not: so the result does not depend on
            // computing time.
            let planned = self.timeline.step(self.now + before.lookahead);
            self.pending_settings.push_back((planned, settings));
        }
        if !settings.listen_to.hears_audio() {
            self.ear_stops();
        }
        self.settings_changed(&before);
        self.entry_planner
            .change(&self.timeline, &settings, self.now);
        Ok(())
    }

    /// Adds a note-on to the timeline. For a player without parts, the parts that a channel had before
    /// do not count.
    pub(super) fn note_on(&mut self, beat: f64, channel: u8, pitch: u8, velocity: u8) {
        if self.player.is_ready() && !self.player.has_parts() {
            self.timeline.forget_channel_parts();
        }
        self.timeline.on(beat, channel, pitch, velocity);
    }

    /// Executes a trigger. A cancel comes before it if anything was planned.
    fn trigger(&mut self, trigger: Trigger) -> Result<(), P::Error> {
        match trigger {
            Trigger::Panic => self.entry_planner.rest(&self.timeline, self.now),
            Trigger::Regenerate => self.regenerate(),
            Trigger::Clear => self.clear()?,
            Trigger::Undo => self.undo()?,
            Trigger::Redo => self.redo()?,
        }
        Ok(())
    }
}
