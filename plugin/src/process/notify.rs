//! Messages to the composer about a block: triggers, settings, transport, player events, time. Audio thread.

use std::sync::atomic::Ordering;

use super::events::PlayerEvent;
use super::{AudioProcessor, Event};
use crate::counters::increment;
use crate::messages::{Heard, NOW_SECONDS, Settings};
use crate::transport::{Left, Passage, Seam, Span};
use crate::trigger::TriggerSet;

impl AudioProcessor {
    /// Sends a message to the composer; gives whether the ring had room. A lost message is counted.
    pub(super) fn notify(&mut self, message: Heard) -> bool {
        let sent = !self.needs_resync && self.to_composer.push(message).is_ok();
        if !sent {
            self.needs_resync = true;
            increment(&self.shared.counters.overflow);
        }
        sent
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

    /// Starts over after lost messages, as if the transport had stopped and started. Messages from here on
    /// belong to `session_epoch`.
    pub(super) fn resync(&mut self, session_epoch: u64) {
        self.needs_resync = false;
        self.settings = None;
        let left = self.tracker.halt().unwrap_or(self.last_stop);
        self.notify_stop(left);
        self.notify(Heard::AllUp { beat: left.beat });
        let replaced = Heard::Anew {
            past: session_epoch,
        };
        if self.session_epoch != session_epoch && self.notify(replaced) {
            self.session_epoch = session_epoch;
        }
        self.schedule.cut();
        self.active_notes.overdue();
    }

    /// Reports the whole block, and waits for the composer while the host renders offline. Gives the
    /// number of cuts before the block's first sample.
    pub(super) fn notify_block(
        &mut self,
        passage: &Passage,
        settings: Settings,
        pressed: TriggerSet,
        frames: u32,
    ) -> u64 {
        let before = self.cuts;
        match (passage.left, passage.seam) {
            (Some(left), Some(_)) => self.notify_cut(left.beat, left.limit),
            (Some(left), None) => self.notify_stop(left),
            (None, _) => {}
        }
        let other = self.settings.is_some_and(|sent| sent.voids(&settings));
        if (other || !pressed.is_empty()) && passage.arrived.is_none() {
            // While the transport stands still, nothing is planned.
            if let Some(span) = passage.span_at(0) {
                self.notify_cut(span.start_beat, span.limit_of(0));
            }
        }
        for trigger in pressed.iter() {
            self.notify(Heard::Trigger(trigger));
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
            self.notify(Heard::TimeSignature {
                bar_start,
                numerator,
                denominator,
            });
        }
        let opening = self.cuts - before;

        let mut loop_span = passage.spans[1];
        for index in 0..self.events.len() {
            let (sample, event) = self.events[index];
            if let Some(span) = loop_span.filter(|span| span.first <= sample) {
                self.notify_loop(passage, &span);
                loop_span = None;
            }
            self.notify_event(passage.span_at(sample), sample, &event);
        }
        if let Some(span) = loop_span {
            self.notify_loop(passage, &span);
        }
        if let Some(span) = passage.span_at(frames) {
            self.notify_now(span, frames);
        }
        opening
    }

    /// Reports a loop that ends inside the block; `again` is the span after its end.
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

    fn notify_event(&mut self, span: Option<&Span>, sample: u32, event: &Event) {
        let beat = span.map_or(0.0, |span| span.beat_of(sample));
        let player_event = PlayerEvent::of(event).filter(|e| e.is_on(self.audio_settings.input));
        match player_event {
            Some(PlayerEvent::On {
                channel,
                pitch,
                velocity,
            }) => {
                if let Some(span) = span {
                    increment(&self.shared.counters.heard);
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

    /// Reports the end of the block, at most every [`NOW_SECONDS`] in real time. Offline it reports every
    /// block and waits until the composer has finished it.
    fn notify_now(&mut self, span: &Span, frames: u32) {
        let beat = span.end_beat();
        let tempo = 60.0 * self.sample_rate / span.samples_per_beat;
        let offline = self.shared.offline.load(Ordering::Relaxed);
        self.since_now += f64::from(frames) / self.sample_rate;
        if !offline && self.since_now < NOW_SECONDS {
            return;
        }
        self.since_now = 0.0;
        let block = self.block;
        // The composer never answers a lost message.
        let now = Heard::Now { beat, tempo, block };
        if !self.notify(now) || !offline {
            return;
        }
        self.wait_until(|_, barrier| barrier.has_finished(block));
    }
}
