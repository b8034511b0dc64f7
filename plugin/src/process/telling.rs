//! What the composer is told of a block, and what it answers. Audio thread.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::{Consumer, Producer};

use super::events::Touch;
use super::{Buttons, Event, Performer};
use crate::gate::{Gate, PATIENCE, Shared, count};
use crate::messages::{Ask, Heard, NOW_SECONDS, Planned, Settings};
use crate::params::Mode;
use crate::schedule::Schedule;
use crate::transport::{Left, Passage, Seam, Span};

impl Performer {
    /// Tells the composer, or counts that it could not.
    pub(super) fn tell(&mut self, message: Heard) -> bool {
        let told = !self.lost && self.heard.push(message).is_ok();
        if !told {
            self.lost = true;
            count(&self.shared.counters.overflow);
        }
        told
    }

    fn tell_cut(&mut self, beat: f64, limit: f64) {
        self.cuts += 1;
        self.place = Left { beat, limit };
        self.tell(Heard::Cut {
            number: self.cuts,
            beat,
            limit,
        });
    }

    pub(super) fn tell_left(&mut self, left: Left) {
        self.tell_cut(left.beat, left.limit);
        self.tell(Heard::Stop { beat: left.beat });
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
    fn wait_until(&mut self, reached: impl Fn(&Producer<Heard>, &Gate) -> bool) {
        (self.wake)();
        // Once it was waited for in vain, there is no waiting until it moves again.
        let patience = if self.abandoned {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let Self {
            shared,
            planned,
            schedule,
            place,
            heard,
            ..
        } = self;
        let drain = || drain(planned, schedule, shared, place.limit, |_| ());
        let reached = || reached(heard, &shared.gate);
        self.abandoned = !shared.gate.wait_until(reached, patience, drain);
        if self.abandoned {
            count(&self.shared.counters.gave_up);
        }
    }

    /// After messages were lost: as if the transport had stopped and started. What is told from
    /// here on belongs to the composer's past number `past`.
    pub(super) fn begin_anew(&mut self, past: u64) {
        self.lost = false;
        self.settings = None;
        let left = self.tracker.halt().unwrap_or(self.place);
        self.tell_left(left);
        self.tell(Heard::AllUp { beat: left.beat });
        if self.past != past && self.tell(Heard::Anew { past }) {
            self.past = past;
        }
        self.schedule.cut();
        self.voices.overdue();
    }

    /// Tells everything about this block, and waits for the composer if the host renders
    /// offline. Gives the number of cuts at the very start of the block.
    pub(super) fn tell_block(
        &mut self,
        passage: &Passage,
        settings: Settings,
        pressed: Buttons,
        frames: u32,
    ) -> u64 {
        let before = self.cuts;
        match (passage.left, passage.seam) {
            (Some(left), Some(_)) => self.tell_cut(left.beat, left.limit),
            (Some(left), None) => self.tell_left(left),
            (None, _) => {}
        }
        let other = self.settings.is_some_and(|told| told.voids(&settings));
        if (other || pressed != Buttons::default()) && passage.arrived.is_none() {
            // Standing still there is nothing planned.
            if let Some(span) = passage.span_at(0) {
                self.tell_cut(span.start_beat, span.limit_of(0));
            }
        }
        for (button, ask) in [
            (pressed.panic, Ask::Panic),
            (pressed.regenerate, Ask::Regenerate),
            (pressed.clear, Ask::Clear),
            (pressed.undo, Ask::Undo),
            (pressed.redo, Ask::Redo),
        ] {
            if button {
                self.tell(Heard::Ask(ask));
            }
        }
        if self.settings != Some(settings) && self.tell(Heard::Settings(settings)) {
            self.settings = Some(settings);
        }
        match (passage.arrived, passage.seam) {
            (Some(_), Some(seam)) => {
                self.tell(Heard::Loop(seam));
            }
            (Some(beat), None) => {
                self.tell(Heard::Arrive { beat });
            }
            (None, _) => {}
        }
        if let Some(metre) = passage.metre {
            let (bar_start, numerator, denominator) =
                (metre.bar_start, metre.numerator, metre.denominator);
            self.tell(Heard::TimeSignature {
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
                self.tell_turn(passage, &span);
                turn = None;
            }
            self.tell_event(passage.span_at(sample), sample, &event);
        }
        if let Some(span) = turn {
            self.tell_turn(passage, &span);
        }
        if let Some(span) = passage.span_at(frames) {
            self.tell_now(span, frames);
        }
        opening
    }

    /// A loop comes round inside the block, which goes on with `again`.
    fn tell_turn(&mut self, passage: &Passage, again: &Span) {
        let Some(before) = passage.spans[0] else {
            return;
        };
        let end = before.end_beat();
        self.tell_cut(end, before.limit_of(before.end()));
        self.tell(Heard::Loop(Seam {
            end,
            start: again.start_beat,
            slack: 0.0,
        }));
    }

    /// Whether an event makes everything generated yield.
    pub(super) fn yields_to(&self, event: &Event) -> bool {
        self.mode == Mode::Continue
            && Touch::of(event).is_some_and(|touch| {
                matches!(touch, Touch::On { .. }) && touch.is_on(self.controls.input)
            })
    }

    fn tell_event(&mut self, span: Option<&Span>, sample: u32, event: &Event) {
        let beat = span.map_or(0.0, |span| span.beat_of(sample));
        let touch = Touch::of(event).filter(|touch| touch.is_on(self.controls.input));
        match touch {
            Some(Touch::On {
                channel,
                pitch,
                velocity,
            }) => {
                if let Some(span) = span {
                    count(&self.shared.counters.heard);
                    if self.yields_to(event) {
                        self.tell_cut(beat, span.limit_of(sample));
                    }
                }
                self.tell(Heard::On {
                    beat,
                    channel,
                    pitch,
                    velocity,
                });
            }
            Some(Touch::Off { channel, pitch }) => {
                self.tell(Heard::Off {
                    beat,
                    channel,
                    pitch,
                });
            }
            Some(Touch::Pedal { channel, down }) => {
                self.tell(Heard::Pedal {
                    beat,
                    channel,
                    down,
                });
            }
            None => {}
        }
    }

    fn tell_now(&mut self, span: &Span, frames: u32) {
        let beat = span.end_beat();
        let tempo = 60.0 * self.sample_rate / span.samples_per_beat;
        let offline = self.shared.offline.load(Ordering::Relaxed);
        self.silent_for += f64::from(frames) / self.sample_rate;
        if !offline && self.silent_for < NOW_SECONDS {
            return;
        }
        self.silent_for = 0.0;
        let block = self.block;
        // A message that was lost is never answered.
        let now = Heard::Now { beat, tempo, block };
        if !self.tell(now) || !offline {
            return;
        }
        self.wait_until(|_, gate| gate.has_finished(block));
    }

    pub(super) fn take_planned(&mut self) {
        let Self {
            shared,
            planned,
            schedule,
            heard,
            place,
            ..
        } = self;
        // Were the ring full, the composer would take a note as played that was not: a pity,
        // and counted already.
        drain(planned, schedule, shared, place.limit, |id| {
            let _ = heard.push(Heard::Missed { id });
        });
    }

    /// The composer is told that a note did not sound.
    pub(super) fn drop_note(&mut self, note: &Planned) {
        count(&self.shared.counters.dropped);
        self.tell(Heard::Missed { id: note.id });
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
