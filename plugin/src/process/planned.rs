//! Planned notes from the composer to the schedule, and waiting for them offline. Audio thread.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::{Consumer, Producer};

use super::AudioProcessor;
use crate::counters::increment;
use crate::messages::{Heard, Planned};
use crate::schedule::Schedule;
use crate::shared::{OfflineBarrier, PATIENCE, Shared};

impl AudioProcessor {
    /// Whether the ring has room for more than a block of messages. Offline it waits for that, as the
    /// notes must not depend on the composer's speed.
    pub(super) fn has_room(&mut self) -> bool {
        if self.shared.offline.load(Ordering::Relaxed) {
            self.wait_until(|to_composer, _| has_room(to_composer));
        }
        has_room(&self.to_composer)
    }

    /// Waits for the composer until `reached` holds, and takes in planned notes meanwhile. Offline only.
    pub(super) fn wait_until(
        &mut self,
        reached: impl Fn(&Producer<Heard>, &OfflineBarrier) -> bool,
    ) {
        (self.wake)();
        // After a timeout it does not wait until the composer responds again.
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
            to_composer,
            ..
        } = self;
        let drain = || drain(planned, schedule, shared, last_stop.limit, |_| ());
        let reached = || reached(to_composer, &shared.barrier);
        self.composer_unresponsive = !shared.barrier.wait_until(reached, patience, drain);
        if self.composer_unresponsive {
            increment(&self.shared.counters.offline_timeouts);
        }
    }

    /// Takes planned notes from the ring into the schedule.
    pub(super) fn receive_planned(&mut self) {
        let Self {
            shared,
            planned,
            schedule,
            to_composer,
            last_stop,
            ..
        } = self;
        // With a full ring the composer takes the note as played; the overflow is counted elsewhere.
        drain(planned, schedule, shared, last_stop.limit, |id| {
            let _ = to_composer.push(Heard::Missed { id });
        });
    }

    /// Drops a planned note and reports it to the composer.
    pub(super) fn drop_note(&mut self, note: &Planned) {
        increment(&self.shared.counters.dropped);
        self.notify(Heard::Missed { id: note.id });
    }
}

/// Whether the ring has room for more than a block of messages.
fn has_room(to_composer: &Producer<Heard>) -> bool {
    to_composer.slots() >= to_composer.buffer().capacity() / 2
}

/// Moves planned notes from the ring to the schedule. A note cancelled by a cut is dropped without a count
/// if it starts at or after the cut's `limit`; if it starts before, it is too late, and `missed` gets its
/// id.
fn drain(
    planned: &mut Consumer<Planned>,
    schedule: &mut Schedule,
    shared: &Shared,
    limit: f64,
    mut missed: impl FnMut(u64),
) {
    while let Ok(note) = planned.pop() {
        let cancelled = note.after_cut < schedule.cuts();
        if !schedule.accept(note) && (!cancelled || note.start_beat < limit) {
            increment(&shared.counters.dropped);
            missed(note.id);
        }
    }
}
