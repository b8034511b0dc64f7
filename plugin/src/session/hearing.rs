//! The messages of the audio thread, taken in one by one.

use continuo_score::TimeSignature;

use super::playhead::Arrival;
use super::{Player, Session};
use crate::messages::{Heard, Settings};
use crate::trigger::Trigger;

impl<P: Player> Session<P> {
    /// Takes in one message: first time passes up to it, with every decision that falls due,
    /// then it counts. So what is decided does not depend on how the host cuts time.
    ///
    /// With `eager`, everything the time allows to be planned is planned before the message
    /// counts, as offline rendering needs it; else [`Session::work`] does it bit by bit. It takes
    /// no longer than a few milliseconds where [`Session::is_ready_for`] has said so before.
    pub fn hear(&mut self, message: Heard, eager: bool) -> Result<(), P::Error> {
        let ahead = self.ahead;
        match message {
            Heard::Now { beat, tempo, .. } => {
                self.tempo = tempo;
                self.advance(beat + ahead, eager)?;
            }
            Heard::On {
                beat,
                channel,
                pitch,
                velocity,
            } if self.running => {
                let beat = beat + ahead;
                self.advance(beat, eager)?;
                self.rule.on(self.timeline.step(beat), beat, channel, pitch);
                self.timeline.on(beat, channel, pitch, velocity);
            }
            Heard::On { channel, pitch, .. } => self.rule.hold(channel, pitch),
            Heard::Off {
                beat,
                channel,
                pitch,
            } => {
                let beat = self.reach(beat + ahead, eager)?;
                self.rule
                    .off(self.timeline.step(beat), beat, channel, pitch);
                self.timeline.off(beat, channel, pitch);
            }
            Heard::Pedal {
                beat,
                channel,
                down,
            } => {
                let beat = self.reach(beat + ahead, eager)?;
                self.timeline.pedal(beat, channel, down);
            }
            Heard::AllUp { .. } => {
                // Here, not where the last key went down: a silence that is long past would call
                // for an answer that is late already.
                let step = self.timeline.step(self.now);
                self.rule.off(step, self.now, None, None);
                self.timeline.all_up(self.now);
            }
            Heard::Cut {
                number,
                beat,
                limit,
            } => {
                self.advance(beat + ahead, eager)?;
                self.cuts = number;
                self.keep_voided(beat + ahead, limit + ahead);
                self.answer = None;
                self.planned.retain(|note| note.start_beat < limit);
                self.timeline.cut(beat + ahead, limit + ahead);
                // What was answered is not answered again.
                self.rule.cut(&self.timeline, &self.settings, beat + ahead);
            }
            Heard::TimeSignature {
                bar_start,
                numerator,
                denominator,
            } => {
                let metre = TimeSignature {
                    numerator,
                    denominator,
                };
                self.timeline.metre(bar_start + ahead, metre);
                if let Some(answer) = &mut self.answer {
                    answer.stale = true;
                }
                self.rule.change(&self.timeline, &self.settings, self.now);
            }
            Heard::Arrive { beat } => self.arrive(beat, Arrival::Jump)?,
            Heard::Loop(seam) => self.turn(seam)?,
            Heard::Stop { beat } => {
                self.advance(beat + ahead, eager)?;
                self.timeline.all_up(self.now);
                self.rule.stop();
                (self.running, self.answer) = (false, None);
            }
            Heard::Anew { .. } => {}
            Heard::Settings(settings) => self.set(settings)?,
            Heard::Trigger(trigger) => self.trigger(trigger)?,
            Heard::Missed { id } => self.timeline.missed(id),
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

    /// Takes in a message about another past than the one restored: only that what was planned
    /// before it is void.
    pub fn hear_stale(&mut self, message: Heard) {
        if let Heard::Cut { number, .. } = message {
            self.cuts = number;
            self.planned.clear();
        }
    }

    fn set(&mut self, settings: Settings) -> Result<(), P::Error> {
        let tunes = self.settings.tunes(&settings);
        if tunes {
            // What was heard before is read as it was to be, whenever there was time for it.
            self.catch_up()?;
        }
        let before = std::mem::replace(&mut self.settings, settings);
        if self.answer.is_some() && tunes {
            // Not earlier than what is planned, or would be were there time: so that it does
            // not depend on the time there is.
            let planned = self.timeline.step(self.now + before.lookahead);
            self.tunings.push_back((planned, settings));
        }
        self.settings_changed(&before);
        self.rule.change(&self.timeline, &settings, self.now);
        Ok(())
    }

    /// A cut has gone before, if anything was planned.
    fn trigger(&mut self, trigger: Trigger) -> Result<(), P::Error> {
        match trigger {
            Trigger::Panic => self.rule.rest(&self.timeline, self.now),
            Trigger::Regenerate => self.regenerate(),
            Trigger::Clear => self.clear()?,
            Trigger::Undo => self.undo()?,
            Trigger::Redo => self.redo()?,
        }
        Ok(())
    }
}
