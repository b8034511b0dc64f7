//! Messages to the composer about a block: triggers, settings, transport, player events, time. Audio thread.

use std::sync::atomic::Ordering;

use super::AudioProcessor;
use super::events::{BlockEvent, PlayerEvent};
use crate::ear::EarReport;
use continuo_accompaniment::counters::increment;
use continuo_accompaniment::messages::{ComposerInput, NOW_SECONDS, Settings};
use continuo_accompaniment::transport::{BlockTimeline, Seam, Span, StopPoint};
use continuo_accompaniment::trigger::TriggerSet;

impl AudioProcessor {
    /// Sends a message to the composer; returns whether the ring had room. A lost message is counted.
    pub(super) fn notify(&mut self, message: ComposerInput) -> bool {
        let sent = !self.needs_resync && self.to_composer.push(message).is_ok();
        if !sent {
            self.needs_resync = true;
            increment(&self.shared.counters.overflow);
        }
        sent
    }

    fn notify_cut(&mut self, beat: f64, cutoff_beat: f64) {
        self.generation += 1;
        self.last_stop = StopPoint { beat, cutoff_beat };
        self.notify(ComposerInput::Cancel {
            number: self.generation,
            beat,
            cutoff_beat,
        });
    }

    pub(super) fn notify_stop(&mut self, left: StopPoint) {
        self.notify_cut(left.beat, left.cutoff_beat);
        self.notify(ComposerInput::Stop { beat: left.beat });
    }

    /// Starts over after lost messages, as if the transport had stopped and started. Messages from here on
    /// belong to `session_epoch`.
    pub(super) fn resync(&mut self, session_epoch: u64) {
        self.needs_resync = false;
        self.settings = None;
        let left = self.tracker.halt().unwrap_or(self.last_stop);
        self.notify_stop(left);
        self.notify(ComposerInput::AllNotesOff { beat: left.beat });
        self.held_chord.off(None, None);
        let replaced = ComposerInput::SessionReplaced { session_epoch };
        if self.session_epoch != session_epoch && self.notify(replaced) {
            self.ear.forget();
            self.session_epoch = session_epoch;
        }
        self.schedule.cancel();
        self.active_notes.overdue();
    }

    /// Reports the whole block, and waits for the composer while the host renders offline. Returns the
    /// number of cancels before the block's first sample.
    pub(super) fn notify_block(
        &mut self,
        block_timeline: &BlockTimeline,
        settings: Settings,
        pressed: TriggerSet,
        frames: u32,
    ) -> u64 {
        let before = self.generation;
        match (block_timeline.left, block_timeline.seam) {
            (Some(left), Some(_)) => self.notify_cut(left.beat, left.cutoff_beat),
            (Some(left), None) => self.notify_stop(left),
            (None, _) => {}
        }
        let other = self
            .settings
            .is_some_and(|sent| sent.discards_plan(&settings));
        if (other || !pressed.is_empty()) && block_timeline.arrived.is_none() {
            // While the transport is stopped, nothing is planned.
            if let Some(span) = block_timeline.span_at(0) {
                self.notify_cut(span.start_beat, span.limit_of(0));
            }
        }
        for trigger in pressed.iter() {
            self.notify(ComposerInput::Trigger(trigger));
        }
        if self.settings != Some(settings) && self.notify(ComposerInput::Settings(settings)) {
            self.settings = Some(settings);
        }
        match (block_timeline.arrived, block_timeline.seam) {
            (Some(_), Some(seam)) => {
                self.notify(ComposerInput::Loop(seam));
            }
            (Some(beat), None) => {
                self.notify(ComposerInput::Jump { beat });
            }
            (None, _) => {}
        }
        if let Some(bars) = block_timeline.bars {
            let (bar_start, numerator, denominator) =
                (bars.bar_start, bars.numerator, bars.denominator);
            self.notify(ComposerInput::TimeSignature {
                bar_start,
                numerator,
                denominator,
            });
        }
        let opening = self.generation - before;

        self.chord_changes.clear();
        let mut loop_span = block_timeline.spans[1];
        for index in 0..self.events.len() {
            let (sample, _) = self.events[index];
            if let Some(span) = loop_span.filter(|span| span.first <= sample) {
                self.notify_loop(block_timeline, &span);
                loop_span = None;
            }
            self.notify_event(block_timeline.span_at(sample), index, settings.freeze);
        }
        if let Some(span) = loop_span {
            self.notify_loop(block_timeline, &span);
        }
        if let Some(span) = block_timeline.span_at(frames) {
            self.notify_now(span, frames);
        }
        opening
    }

    /// Reports a loop that ends inside the block; `again` is the span after its end.
    fn notify_loop(&mut self, block_timeline: &BlockTimeline, again: &Span) {
        let Some(before) = block_timeline.spans[0] else {
            return;
        };
        let end = before.end_beat();
        self.notify_cut(end, before.limit_of(before.end()));
        self.notify(ComposerInput::Loop(Seam {
            end,
            start: again.start_beat,
            slack: 0.0,
        }));
    }

    /// Reports event number `index`. A frozen loop follows no chord.
    fn notify_event(&mut self, span: Option<&Span>, index: usize, freeze: bool) {
        let (sample, event) = self.events[index];
        let beat = span.map_or(0.0, |span| span.beat_of(sample));
        let event = match event {
            BlockEvent::Host(event) => event,
            BlockEvent::Ear(report) => return self.notify_report(span, sample, report),
        };
        let player_event = PlayerEvent::of(&event).filter(|e| e.is_on(self.audio_settings.input));
        match player_event {
            Some(PlayerEvent::On { channel, pitch, .. }) if self.is_chord_key(channel, pitch) => {
                let changed = self.held_chord.on(channel, pitch);
                let cancelled = match span {
                    Some(span) if changed && !freeze => {
                        self.chord_changes.push(index);
                        self.notify_cut(beat, span.limit_of(sample));
                        true
                    }
                    _ => false,
                };
                self.notify(ComposerInput::ChordOn {
                    beat,
                    channel,
                    pitch,
                    cancelled,
                });
            }
            Some(PlayerEvent::On { .. }) if !self.audio_settings.hears_keys => {}
            Some(PlayerEvent::On {
                channel,
                pitch,
                velocity,
            }) => {
                if let Some(span) = span {
                    increment(&self.shared.counters.heard);
                    if self.yields_to(&BlockEvent::Host(event)) {
                        self.notify_cut(beat, span.limit_of(sample));
                    }
                }
                self.notify(ComposerInput::NoteOn {
                    beat,
                    channel,
                    pitch,
                    velocity,
                });
            }
            Some(PlayerEvent::Off { channel, pitch }) => {
                self.held_chord.off(channel, pitch);
                self.notify(ComposerInput::NoteOff {
                    beat,
                    channel,
                    pitch,
                });
            }
            Some(PlayerEvent::Pedal { channel, down }) => {
                self.notify(ComposerInput::Pedal {
                    beat,
                    channel,
                    down,
                });
            }
            None => {}
        }
    }

    /// Reports what the ear reports on this sample.
    fn notify_report(&mut self, span: Option<&Span>, sample: u32, report: EarReport) {
        if matches!(report, EarReport::Note { .. }) {
            increment(&self.shared.counters.heard);
        }
        // Rendering cancels at each note, too.
        if let Some(span) = span
            && self.yields_to(&BlockEvent::Ear(report))
        {
            self.notify_cut(span.beat_of(sample), span.limit_of(sample));
        }
        let beat = span.map_or(0.0, |span| span.beat_of(sample));
        if let Some(message) = self.ear.message(report, sample, beat) {
            self.notify(message);
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
        let now = ComposerInput::Time { beat, tempo, block };
        if !self.notify(now) || !offline {
            return;
        }
        self.wait_until(|_, barrier| barrier.has_finished(block));
    }
}
