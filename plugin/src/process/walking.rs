//! What is sent, sample by sample: what is over ends, the player's events pass, what is due
//! starts. Audio thread.

use std::sync::atomic::Ordering;

use nice_plug::prelude::NoteEvent;

use super::events::{Event, Host, Touch, on, placed, send_off};
use super::{INPUT_CAPACITY, Performer};
use crate::gate::count;
use crate::schedule::{Due, Front};
use crate::transport::{Passage, Span};

impl Performer {
    /// Takes the host's events, each on a sample of the block and in order, whatever the host
    /// says.
    pub(super) fn take_events(&mut self, frames: u32, host: &mut impl Host) {
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
    pub(super) fn begin_walk(&mut self, opening: u64, host: &mut impl Host) {
        self.voices.begin_block();
        for _ in 0..opening {
            self.cut(0, host);
        }
        self.voices
            .end_overdue(&mut |channel, pitch| send_off(host, 0, channel, pitch));
        self.settle_through(host);
    }

    /// From sample to sample: what was cut ends, what is due ends, the player's events pass,
    /// what is due starts.
    pub(super) fn walk(&mut self, passage: &Passage, frames: u32, host: &mut impl Host) {
        let mut next = 0;
        for (index, span) in passage.spans.iter().flatten().enumerate() {
            if index > 0 {
                self.cut(span.first, host);
            }
            next = self.walk_span(span, passage.hold_from, next, host);
        }
        // Standing still, or in a block without samples, there are only the player's events.
        while let Some(&(sample, event)) = self.events.get(next) {
            if passage.spans[0].is_some() && self.yields_to(&event) {
                self.cut(sample, host);
            }
            self.pass(sample, event, host);
            next += 1;
        }
        self.pass_rest(frames, host);
    }

    /// Walks through one span, from event number `next` on; gives the first event after it. No
    /// generated note begins from sample `hold_from` on.
    fn walk_span(
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
            let end = self.voices.next_end(span, now);
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
                self.pass(sample, self.events[index].1, host);
            }
            next += here;
            if !held(sample) {
                self.start_due(span, sample, host);
            }
        }
    }

    /// A cut of [`Self::tell_block`]'s is reached: everything generated ends.
    fn cut(&mut self, sample: u32, host: &mut impl Host) {
        let void = self.schedule.cut();
        self.shared
            .counters
            .early
            .fetch_add(void, Ordering::Relaxed);
        self.voices
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
            voices, schedule, ..
        } = self;
        let mut send = |channel, pitch| send_off(host, sample, channel, pitch);
        voices.end_due(span, sample, &mut send);
        if !voices.is_empty() {
            for note in schedule.starting_on(*span, sample) {
                if voices.began_before(note.pitch, sample) {
                    voices.end(note.pitch, &mut send);
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
        let taken = self.voices.sounds(note.pitch) || self.through.contains(channel, note.pitch);
        if taken || !host.send(on(sample, channel, note.pitch, note.velocity)) {
            self.drop_note(&note);
            return;
        }
        self.voices
            .start(channel, note.pitch, sample, note.end_beat);
        count(&self.shared.counters.played);
        if late {
            count(&self.shared.counters.late);
        }
    }

    /// Note-offs of passed-through keys that are overdue, at the start of a block.
    fn settle_through(&mut self, host: &mut impl Host) {
        if !self.controls.thru {
            self.owed = self.through;
        }
        while let Some((channel, pitch)) = self.owed.first() {
            if !send_off(host, 0, channel, pitch) {
                return;
            }
            self.owed.remove(Some(channel), Some(pitch));
            self.through.remove(Some(channel), Some(pitch));
            self.ended.insert(channel, pitch);
        }
    }

    /// Passes one of the player's events on.
    fn pass(&mut self, sample: u32, event: Event, host: &mut impl Host) {
        let thru = self.controls.thru;
        match Touch::of(&event) {
            Some(Touch::On { channel, pitch, .. }) => {
                let key = (Some(channel), Some(pitch));
                self.ended.remove(key.0, key.1);
                if thru && channel == self.controls.output {
                    // The player's own key takes over from ours.
                    let mut send = |channel, pitch| send_off(host, sample, channel, pitch);
                    self.voices.end(pitch, &mut send);
                }
                if thru && host.send(placed(event, sample)) {
                    self.through.insert(channel, pitch);
                    self.owed.remove(key.0, key.1);
                }
            }
            Some(Touch::Off { channel, pitch }) if is_key(&event) => {
                let ended = self.ended.remove(channel, pitch);
                if !thru || ended {
                    return;
                }
                if host.send(placed(event, sample)) {
                    self.through.remove(channel, pitch);
                    self.owed.remove(channel, pitch);
                } else {
                    self.owe(channel, pitch);
                }
            }
            _ => {
                if thru {
                    host.send(placed(event, sample));
                }
            }
        }
    }

    /// Passed-through keys that fit are owed their note-off.
    fn owe(&mut self, channel: Option<u8>, pitch: Option<u8>) {
        let mut rest = self.through;
        while let Some((c, p)) = rest.first() {
            rest.remove(Some(c), Some(p));
            if channel.is_none_or(|x| x == c) && pitch.is_none_or(|x| x == p) {
                self.owed.insert(c, p);
            }
        }
    }

    /// What did not fit [`INPUT_CAPACITY`]: passed on, and not heard.
    fn pass_rest(&mut self, frames: u32, host: &mut impl Host) {
        if self.events.len() < INPUT_CAPACITY {
            return;
        }
        while let Some(event) = host.next_event() {
            count(&self.shared.counters.overflow);
            self.lost = true;
            self.pass(frames.saturating_sub(1), event, host);
        }
    }
}

/// Whether the event is about keys themselves, and not a controller that lets all of them go.
fn is_key(event: &Event) -> bool {
    matches!(event, NoteEvent::NoteOff { .. } | NoteEvent::Choke { .. })
}
