//! What is sent, sample by sample: what is over ends, the player's events pass, what is due
//! starts. Audio thread.

use std::sync::atomic::Ordering;

use nice_plug::prelude::NoteEvent;

use super::events::{Event, Host, PlayerEvent, on, at_sample, send_off};
use super::{INPUT_CAPACITY, AudioProcessor};
use crate::shared::count;
use crate::schedule::{Due, Front};
use crate::transport::{Passage, Span};

impl AudioProcessor {
    /// Takes the host's events, each on a sample of the block and in order, whatever the host
    /// says.
    pub(super) fn collect_events(&mut self, frames: u32, host: &mut impl Host) {
        self.events.clear();
        let mut earliest = 0;
        while self.events.len() < INPUT_CAPACITY {
            let Some(event) = host.next_event() else {
                return;
            };
            earliest = event.timing().max(earliest).min(frames.saturating_sub(1));
            self.events.push((earliest, event));
        }
    }

    /// What was cut before the first sample ends, and what could not be ended before.
    pub(super) fn begin_render(&mut self, opening: u64, host: &mut impl Host) {
        self.active_notes.begin_block();
        for _ in 0..opening {
            self.cut(0, host);
        }
        self.active_notes
            .end_overdue(&mut |channel, pitch| send_off(host, 0, channel, pitch));
        self.end_thru_keys(host);
    }

    /// From sample to sample: what was cut ends, what is due ends, the player's events pass,
    /// what is due starts.
    pub(super) fn render(&mut self, passage: &Passage, frames: u32, host: &mut impl Host) {
        let mut next = 0;
        for (index, span) in passage.spans.iter().flatten().enumerate() {
            if index > 0 {
                self.cut(span.first, host);
            }
            next = self.render_span(span, passage.hold_from, next, host);
        }
        // Standing still there are only the player's events.
        while let Some(&(sample, event)) = self.events.get(next) {
            self.pass_thru(sample, event, host);
            next += 1;
        }
        self.pass_overflow(frames, host);
    }

    /// Walks through one span, from event number `next` on; gives the first event after it. No
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
                if self.yields_to(&self.events[index].1) {
                    self.cut(sample, host);
                }
            }
            self.end_due(span, sample, host);
            for index in next..next + here {
                self.pass_thru(sample, self.events[index].1, host);
            }
            next += here;
            if !held(sample) {
                self.start_due(span, sample, host);
            }
        }
    }

    /// A cut of [`Self::notify_block`]'s is reached: everything generated ends.
    fn cut(&mut self, sample: u32, host: &mut impl Host) {
        let void = self.schedule.cut();
        self.shared
            .counters
            .early
            .fetch_add(void, Ordering::Relaxed);
        self.active_notes
            .end_all(&mut |channel, pitch| send_off(host, sample, channel, pitch));
    }

    /// The sample of the next planned note in `span`; what came too late is dropped.
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

    /// Ends what is due, and what a note about to start on the same key would strike again.
    fn end_due(&mut self, span: &Span, sample: u32, host: &mut impl Host) {
        let Self {
            active_notes, schedule, ..
        } = self;
        let mut send = |channel, pitch| send_off(host, sample, channel, pitch);
        active_notes.end_due(span, sample, &mut send);
        if !active_notes.is_empty() {
            for note in schedule.starting_on(*span, sample) {
                if active_notes.began_before(note.pitch, sample) {
                    active_notes.end(note.pitch, &mut send);
                }
            }
        }
    }

    fn start_due(&mut self, span: &Span, sample: u32, host: &mut impl Host) {
        while let Front::Due(due) = self.schedule.front(span, sample) {
            if due.sample > sample {
                return;
            }
            self.schedule.pop();
            self.start(due, host);
        }
    }

    fn start(&mut self, due: Due, host: &mut impl Host) {
        let Due { note, sample, late } = due;
        // Two notes of one key on one sample, or a key the player holds: one must give way.
        let channel = self.controls.output;
        let taken = self.active_notes.sounds(note.pitch) || self.thru_keys.contains(channel, note.pitch);
        if taken || !host.send(on(sample, channel, note.pitch, note.velocity)) {
            self.drop_note(&note);
            return;
        }
        self.active_notes
            .start(channel, note.pitch, sample, note.end_beat);
        count(&self.shared.counters.played);
        if late {
            count(&self.shared.counters.late);
        }
    }

    /// Note-offs of passed-through keys that are overdue, at the start of a block.
    fn end_thru_keys(&mut self, host: &mut impl Host) {
        if !self.controls.thru {
            self.pending_note_offs = self.thru_keys;
        }
        while let Some((channel, pitch)) = self.pending_note_offs.first() {
            if !send_off(host, 0, channel, pitch) {
                return;
            }
            self.pending_note_offs.remove(Some(channel), Some(pitch));
            self.thru_keys.remove(Some(channel), Some(pitch));
            self.suppressed_note_offs.insert(channel, pitch);
        }
    }

    /// Passes one of the player's events on.
    fn pass_thru(&mut self, sample: u32, event: Event, host: &mut impl Host) {
        let thru = self.controls.thru;
        match PlayerEvent::of(&event) {
            Some(PlayerEvent::On { channel, pitch, .. }) => {
                let key = (Some(channel), Some(pitch));
                self.suppressed_note_offs.remove(key.0, key.1);
                if thru && channel == self.controls.output {
                    // The player's own key takes over from ours.
                    let mut send = |channel, pitch| send_off(host, sample, channel, pitch);
                    self.active_notes.end(pitch, &mut send);
                }
                if thru && host.send(at_sample(event, sample)) {
                    self.thru_keys.insert(channel, pitch);
                    self.pending_note_offs.remove(key.0, key.1);
                }
            }
            Some(PlayerEvent::Off { channel, pitch }) if is_key(&event) => {
                let suppressed_note_offs = self.suppressed_note_offs.remove(channel, pitch);
                if !thru || suppressed_note_offs {
                    return;
                }
                if host.send(at_sample(event, sample)) {
                    self.thru_keys.remove(channel, pitch);
                    self.pending_note_offs.remove(channel, pitch);
                } else {
                    self.defer_note_off(channel, pitch);
                }
            }
            _ => {
                if thru {
                    host.send(at_sample(event, sample));
                }
            }
        }
    }

    /// Passed-through keys that fit are owed their note-off.
    fn defer_note_off(&mut self, channel: Option<u8>, pitch: Option<u8>) {
        let mut rest = self.thru_keys;
        while let Some((c, p)) = rest.first() {
            rest.remove(Some(c), Some(p));
            if channel.is_none_or(|x| x == c) && pitch.is_none_or(|x| x == p) {
                self.pending_note_offs.insert(c, p);
            }
        }
    }

    /// What did not fit [`INPUT_CAPACITY`]: passed on, and not heard.
    fn pass_overflow(&mut self, frames: u32, host: &mut impl Host) {
        if self.events.len() < INPUT_CAPACITY {
            return;
        }
        while let Some(event) = host.next_event() {
            count(&self.shared.counters.overflow);
            self.needs_resync = true;
            self.pass_thru(frames.saturating_sub(1), event, host);
        }
    }
}

/// Whether the event is about keys themselves, and not a controller that lets all of them go.
fn is_key(event: &Event) -> bool {
    matches!(event, NoteEvent::NoteOff { .. } | NoteEvent::Choke { .. })
}
