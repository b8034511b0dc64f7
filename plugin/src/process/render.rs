//! Output of one block, sample by sample: ends notes, passes the player's events, starts planned notes.
//! Audio thread.

use std::sync::atomic::Ordering;

use super::AudioProcessor;
use super::events::{BlockEvent, Host, on, send_off};
use continuo_accompaniment::counters::increment;
use continuo_accompaniment::schedule::{Due, Front};
use continuo_accompaniment::transport::{BlockTimeline, Span};

impl AudioProcessor {
    /// Starts a block: executes the `opening` cancels before its first sample, and sends note-offs still due.
    pub(super) fn begin_render(&mut self, opening: u64, host: &mut impl Host) {
        self.active_notes.begin_block();
        for _ in 0..opening {
            self.cancel(0, host);
        }
        self.active_notes
            .end_overdue(&mut |channel, pitch| send_off(host, 0, channel, pitch));
        self.end_thru_keys(host);
    }

    /// Renders the block. On each sample, cancels come first, then note-offs, the player's events, and
    /// note-ons.
    pub(super) fn render(
        &mut self,
        block_timeline: &BlockTimeline,
        frames: u32,
        host: &mut impl Host,
    ) {
        let mut next = 0;
        for (index, span) in block_timeline.spans.iter().flatten().enumerate() {
            if index > 0 {
                self.cancel(span.first, host);
            }
            next = self.render_span(span, block_timeline.hold_from, next, host);
        }
        // While the transport is stopped, or in a block without samples, there are only the
        // player's events.
        while let Some(&(sample, event)) = self.events.get(next) {
            if block_timeline.spans[0].is_some() && self.is_cancelled_by(next) {
                self.cancel(sample, host);
            }
            if let BlockEvent::Host(event) = event {
                self.pass_thru(sample, event, host);
            }
            next += 1;
        }
        self.pass_overflow(frames, host);
    }

    /// Renders one span, from event number `next` on, and returns the number of the first event after it. No
    /// generated note begins from sample `hold_from` on.
    fn render_span(
        &mut self,
        span: &Span,
        hold_from: Option<u32>,
        mut next: usize,
        host: &mut impl Host,
    ) -> usize {
        let held = |sample: u32| hold_from.is_some_and(|from| sample >= from);
        let mut now = span.first;
        loop {
            let event = self
                .events
                .get(next)
                .map(|e| e.0)
                .filter(|&s| s < span.end());
            let end = self.active_notes.next_end(span, now);
            let start = self.next_start(span, now).filter(|&sample| !held(sample));
            let Some(sample) = [event, end, start].into_iter().flatten().min() else {
                return next;
            };
            now = sample;

            let here = self.events[next..]
                .iter()
                .take_while(|e| e.0 == sample)
                .count();
            for index in next..next + here {
                if self.is_cancelled_by(index) {
                    self.cancel(sample, host);
                }
            }
            self.end_due(span, sample, host);
            for index in next..next + here {
                if let BlockEvent::Host(event) = self.events[index].1 {
                    self.pass_thru(sample, event, host);
                }
            }
            next += here;
            if !held(sample) {
                self.start_due(span, sample, host);
            }
        }
    }

    /// Executes a cancel that [`Self::notify_block`] has sent: all generated notes end.
    fn cancel(&mut self, sample: u32, host: &mut impl Host) {
        let cancelled = self.schedule.cancel();
        self.shared
            .counters
            .early
            .fetch_add(cancelled, Ordering::Relaxed);
        self.active_notes
            .end_all(&mut |channel, pitch| send_off(host, sample, channel, pitch));
    }

    /// The sample of the next planned note in `span`. Drops notes that are too late.
    fn next_start(&mut self, span: &Span, now: u32) -> Option<u32> {
        loop {
            match self.schedule.front(span, now) {
                Front::Nothing => return None,
                Front::Due(due) => return Some(due.sample),
                Front::TooLate(note) => {
                    self.schedule.pop();
                    self.drop_note(&note);
                }
            }
        }
    }

    /// Ends notes that are due, and notes on keys that start again on this sample.
    fn end_due(&mut self, span: &Span, sample: u32, host: &mut impl Host) {
        let Self {
            active_notes,
            schedule,
            audio_settings,
            ..
        } = self;
        let mut send = |channel, pitch| send_off(host, sample, channel, pitch);
        active_notes.end_due(span, sample, &mut send);
        if !active_notes.is_empty() {
            for note in schedule.starting_on(*span, sample) {
                let channel = audio_settings.channel(note.part);
                if active_notes.began_before(channel, note.pitch, sample) {
                    active_notes.end(channel, note.pitch, &mut send);
                }
            }
        }
    }

    /// Starts the planned notes of this sample.
    fn start_due(&mut self, span: &Span, sample: u32, host: &mut impl Host) {
        while let Front::Due(due) = self.schedule.front(span, sample) {
            if due.sample > sample {
                return;
            }
            self.schedule.pop();
            self.start(due, span, host);
        }
    }

    /// Starts a note, or drops it where its key sounds already or the host refuses it.
    fn start(&mut self, due: Due, span: &Span, host: &mut impl Host) {
        let Due { note, sample, late } = due;
        // A key sounds once: another note on it on this sample, or the player, comes first.
        let channel = self.audio_settings.channel(note.part);
        let taken = self.active_notes.sounds(channel, note.pitch)
            || self.thru_keys.contains(channel, note.pitch);
        if taken || !host.send(on(sample, channel, note.pitch, note.velocity)) {
            self.drop_note(&note);
            return;
        }
        self.active_notes
            .start(channel, note.pitch, sample, note.end_beat);
        let length = (note.end_beat - note.start_beat) * span.samples_per_beat;
        self.ear.plays(sample, length as u64, note.pitch);
        increment(&self.shared.counters.played);
        if late {
            increment(&self.shared.counters.late);
        }
    }
}
