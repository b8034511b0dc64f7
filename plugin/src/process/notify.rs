//! What the composer is told of a block, and what it answers. Audio thread.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::{Consumer, Producer};

use super::events::PlayerEvent;
use super::{Buttons, Event, AudioProcessor};
use crate::shared::{OfflineBarrier, PATIENCE, Shared, count};
use crate::messages::{Trigger, Heard, NOW_SECONDS, Planned, Settings};
use crate::choices::Mode;
use crate::schedule::Schedule;
use crate::transport::{Left, Passage, Seam, Span};

impl AudioProcessor {
    /// Tells the composer, or counts that it could not.
    pub(super) fn notify(&mut self, message: Heard) -> bool {
        let told = !self.needs_resync && self.heard.push(message).is_ok();
        if !told {
            self.needs_resync = true;
            count(&self.shared.counters.overflow);
        }
        told
    }

    fn notify_cut(&mut self, beat: f64, limit: f64) {
        self.cuts += 1;
        self.last_stop = Left { beat, limit };
        self.notify(Heard::Cut {
            number: self.cuts,
            beat,
            limit,
        });
    }

    pub(super) fn notify_stop(&mut self, left: Left) {
        self.notify_cut(left.beat, left.limit);
        self.notify(Heard::Stop { beat: left.beat });
    }

    /// Whether the composer can be told of more than a block. Waited for if the host renders
    /// offline, as what is played must not depend on how fast the composer is.
    pub(super) fn has_room(&mut self) -> bool {
        if self.shared.offline.load(Ordering::Relaxed) {
            self.wait_until(|heard, _| has_room(heard));
        }
        has_room(&self.heard)
    }

    /// Waits for the composer, taking what it plans meanwhile, until `reached` of what it is
    /// told and of the gate. Only when the host renders offline.
    fn wait_until(&mut self, reached: impl Fn(&Producer<Heard>, &OfflineBarrier) -> bool) {
        (self.wake)();
        // Once it was waited for in vain, there is no waiting until it moves again.
        let patience = if self.composer_unresponsive {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let Self {
            shared,
            planned,
            schedule,
            last_stop,
            heard,
            ..
        } = self;
        let drain = || drain(planned, schedule, shared, last_stop.limit, |_| ());
        let reached = || reached(heard, &shared.barrier);
        self.composer_unresponsive = !shared.barrier.wait_until(reached, patience, drain);
        if self.composer_unresponsive {
            count(&self.shared.counters.gave_up);
        }
    }

    /// After messages were lost: as if the transport had stopped and started. What is told from
    /// here on belongs to the composer's past number `past`.
    pub(super) fn resync(&mut self, past: u64) {
        self.needs_resync = false;
        self.settings = None;
        let left = self.tracker.halt().unwrap_or(self.last_stop);
        self.notify_stop(left);
        self.notify(Heard::AllUp { beat: left.beat });
        if self.past != past && self.notify(Heard::Anew { past }) {
            self.past = past;
        }
        self.schedule.cut();
        self.active_notes.overdue();
    }

    /// Tells everything about this block, and waits for the composer if the host renders
    /// offline. Gives the number of cuts at the very start of the block.
    pub(super) fn notify_block(
        &mut self,
        passage: &Passage,
        settings: Settings,
        pressed: Buttons,
        frames: u32,
    ) -> u64 {
        let before = self.cuts;
        match (passage.left, passage.seam) {
            (Some(left), Some(_)) => self.notify_cut(left.beat, left.limit),
            (Some(left), None) => self.notify_stop(left),
            (None, _) => {}
        }
        let other = self.settings.is_some_and(|told| told.voids(&settings));
        if (other || pressed != Buttons::default()) && passage.arrived.is_none() {
            // Standing still there is nothing planned.
            if let Some(span) = passage.span_at(0) {
                self.notify_cut(span.start_beat, span.limit_of(0));
            }
        }
        for (button, ask) in [
            (pressed.panic, Trigger::Panic),
            (pressed.regenerate, Trigger::Regenerate),
            (pressed.clear, Trigger::Clear),
            (pressed.undo, Trigger::Undo),
            (pressed.redo, Trigger::Redo),
        ] {
            if button {
                self.notify(Heard::Trigger(ask));
            }
        }
        if self.settings != Some(settings) && self.notify(Heard::Settings(settings)) {
            self.settings = Some(settings);
        }
        match (passage.arrived, passage.seam) {
            (Some(_), Some(seam)) => {
                self.notify(Heard::Loop(seam));
            }
            (Some(beat), None) => {
                self.notify(Heard::Arrive { beat });
            }
            (None, _) => {}
        }
        if let Some(metre) = passage.metre {
            let (bar_start, numerator, denominator) =
                (metre.bar_start, metre.numerator, metre.denominator);
            self.notify(Heard::Metre {
                bar_start,
                numerator,
                denominator,
            });
        }
        let opening = self.cuts - before;

        let mut turn = passage.spans[1];
        for index in 0..self.events.len() {
            let (sample, event) = self.events[index];
            if let Some(span) = turn.filter(|span| span.first <= sample) {
                self.notify_loop(passage, &span);
                turn = None;
            }
            self.notify_event(passage.span_at(sample), sample, &event);
        }
        if let Some(span) = turn {
            self.notify_loop(passage, &span);
        }
        if let Some(span) = passage.span_at(frames) {
            self.notify_now(span, frames);
        }
        opening
    }

    /// A loop comes round inside the block, which goes on with `again`.
    fn notify_loop(&mut self, passage: &Passage, again: &Span) {
        let Some(before) = passage.spans[0] else {
            return;
        };
        let end = before.end_beat();
        self.notify_cut(end, before.limit_of(before.end()));
        self.notify(Heard::Loop(Seam {
            end,
            start: again.start_beat,
            slack: 0.0,
        }));
    }

    /// Whether an event makes everything generated yield.
    pub(super) fn yields_to(&self, event: &Event) -> bool {
        self.mode == Mode::Continue
            && PlayerEvent::of(event).is_some_and(|touch| {
                matches!(touch, PlayerEvent::On { .. }) && touch.is_on(self.controls.input)
            })
    }

    fn notify_event(&mut self, span: Option<&Span>, sample: u32, event: &Event) {
        let beat = span.map_or(0.0, |span| span.beat_of(sample));
        let touch = PlayerEvent::of(event).filter(|touch| touch.is_on(self.controls.input));
        match touch {
            Some(PlayerEvent::On {
                channel,
                pitch,
                velocity,
            }) => {
                if let Some(span) = span {
                    count(&self.shared.counters.heard);
                    if self.yields_to(event) {
                        self.notify_cut(beat, span.limit_of(sample));
                    }
                }
                self.notify(Heard::On {
                    beat,
                    channel,
                    pitch,
                    velocity,
                });
            }
            Some(PlayerEvent::Off { channel, pitch }) => {
                self.notify(Heard::Off {
                    beat,
                    channel,
                    pitch,
                });
            }
            Some(PlayerEvent::Pedal { channel, down }) => {
                self.notify(Heard::Pedal {
                    beat,
                    channel,
                    down,
                });
            }
            None => {}
        }
    }

    fn notify_now(&mut self, span: &Span, frames: u32) {
        let beat = span.end_beat();
        let tempo = 60.0 * self.sample_rate / span.samples_per_beat;
        let offline = self.shared.offline.load(Ordering::Relaxed);
        self.since_notify += f64::from(frames) / self.sample_rate;
        if !offline && self.since_notify < NOW_SECONDS {
            return;
        }
        self.since_notify = 0.0;
        let block = self.block;
        // A message that was lost is never answered.
        let now = Heard::Now { beat, tempo, block };
        if !self.notify(now) || !offline {
            return;
        }
        self.wait_until(|_, gate| gate.has_finished(block));
    }

    pub(super) fn receive_planned(&mut self) {
        let Self {
            shared,
            planned,
            schedule,
            heard,
            last_stop,
            ..
        } = self;
        // Were the ring full, the composer would take a note as played that was not: a pity,
        // and counted already.
        drain(planned, schedule, shared, last_stop.limit, |id| {
            let _ = heard.push(Heard::Missed { id });
        });
    }

    /// The composer is told that a note did not sound.
    pub(super) fn drop_note(&mut self, note: &Planned) {
        count(&self.shared.counters.dropped);
        self.notify(Heard::Missed { id: note.id });
    }
}

/// Whether the composer can be told of more than a block.
fn has_room(heard: &Producer<Heard>) -> bool {
    heard.slots() >= heard.buffer().capacity() / 2
}

/// Moves planned notes from the ring to the schedule. A note that comes after the cut that made
/// it void is nothing special if it starts behind the cut's `limit`; if it was to start before,
/// it is too late, and `missed` hears of it.
fn drain(
    planned: &mut Consumer<Planned>,
    schedule: &mut Schedule,
    shared: &Shared,
    limit: f64,
    mut missed: impl FnMut(u64),
) {
    while let Ok(note) = planned.pop() {
        let void = note.after_cut < schedule.cuts();
        if !schedule.accept(note) && (!void || note.start_beat < limit) {
            count(&shared.counters.dropped);
            missed(note.id);
        }
    }
}
