//! The messages of the audio thread, taken in one by one.

use continuo_score::TimeSignature;

use super::playhead::Arrival;
use super::{Player, Session};
use crate::messages::{ComposerInput, Settings};
use crate::trigger::Trigger;

impl<P: Player> Session<P> {
    /// Takes in one message: first time passes up to it, with every decision that falls due,
    /// then it counts. So what is decided does not depend on how the host cuts time.
    ///
    /// With `eager`, everything the time allows to be planned is planned before the message
    /// counts, as offline rendering urgencies it; else [`Session::work`] does it bit by bit. It takes
    /// no longer than a few milliseconds where [`Session::is_ready_for`] has said so before.
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
                self.timeline.on(beat, channel, pitch, velocity);
            }
            ComposerInput::NoteOn { channel, pitch, .. } => self.entry_planner.hold(channel, pitch),
            ComposerInput::NoteOff {
                beat,
                channel,
                pitch,
            } => {
                let beat = self.reach(beat + session_offset, eager)?;
                self.entry_planner
                    .off(self.timeline.step(beat), beat, channel, pitch);
                self.timeline.off(beat, channel, pitch);
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
                // Here, not where the last key went down: a silence that is long cleared would call
                // for an answer that is late already.
                let step = self.timeline.step(self.now);
                self.entry_planner.off(step, self.now, None, None);
                self.timeline.release_all(self.now);
            }
            ComposerInput::Cancel {
                number,
                beat,
                cutoff_beat,
            } => {
                self.advance(beat + session_offset, eager)?;
                self.generation = number;
                self.keep_discarded(beat + session_offset, cutoff_beat + session_offset);
                self.answer = None;
                self.planned.retain(|note| note.start_beat < cutoff_beat);
                self.timeline
                    .cancel(beat + session_offset, cutoff_beat + session_offset);
                // What was answered is not answered again.
                self.entry_planner
                    .cancel(&self.timeline, &self.settings, beat + session_offset);
            }
            ComposerInput::TimeSignature {
                bar_start,
                numerator,
                denominator,
            } => {
                let metre = TimeSignature {
                    numerator,
                    denominator,
                };
                self.timeline
                    .add_time_signature(bar_start + session_offset, metre);
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
                (self.running, self.answer) = (false, None);
            }
            ComposerInput::SessionReplaced { .. } => {}
            ComposerInput::Settings(settings) => self.set(settings)?,
            ComposerInput::Trigger(trigger) => self.trigger(trigger)?,
            ComposerInput::NoteMissed { id } => self.timeline.remove_generated(id),
        }
        Ok(())
    }

    /// Time passes up to `beat` if it passes at all. Gives where that is.
    fn reach(&mut self, beat: f64, eager: bool) -> Result<f64, P::Error> {
        if !self.running {
            return Ok(self.now);
        }
        self.advance(beat, eager)?;
        Ok(beat)
    }

    /// Takes in a message about another cleared than the one restored: only that what was planned
    /// before it is void.
    pub fn receive_stale(&mut self, message: ComposerInput) {
        if let ComposerInput::Cancel { number, .. } = message {
            self.generation = number;
            self.planned.clear();
        }
    }

    fn set(&mut self, settings: Settings) -> Result<(), P::Error> {
        let retunes = self.settings.retunes(&settings);
        if retunes {
            // What was heard before is read as it was to be, whenever there was time for it.
            self.catch_up()?;
        }
        let before = std::mem::replace(&mut self.settings, settings);
        if self.answer.is_some() && retunes {
            // Not earlier than what is planned, or would be were there time: so that it does
            // not depend on the time there is.
            let planned = self.timeline.step(self.now + before.lookahead);
            self.pending_settings.push_back((planned, settings));
        }
        self.settings_changed(&before);
        self.entry_planner
            .change(&self.timeline, &settings, self.now);
        Ok(())
    }

    /// A cut has gone before, if anything was planned.
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
