//! Planned notes from the composer to the schedule, and waiting for them offline. Audio thread.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::{Consumer, Producer};

use super::AudioProcessor;
use crate::shared::{COMPOSER_TIMEOUT, OfflineBarrier, Shared};
use continuo_accompaniment::counters::increment;
use continuo_accompaniment::messages::{ComposerInput, ScheduledNote};
use continuo_accompaniment::schedule::Schedule;

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
        reached: impl Fn(&Producer<ComposerInput>, &OfflineBarrier) -> bool,
    ) {
        (self.wake)();
        // After a timeout it does not wait until the composer responds again.
        let patience = if self.composer_unresponsive {
            Duration::ZERO
        } else {
            COMPOSER_TIMEOUT
        };
        let Self {
            shared,
            planned,
            schedule,
            last_stop,
            to_composer,
            ..
        } = self;
        let drain = || drain(planned, schedule, shared, last_stop.cutoff_beat, |_| ());
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
        drain(planned, schedule, shared, last_stop.cutoff_beat, |id| {
            let _ = to_composer.push(ComposerInput::NoteMissed { id });
        });
    }

    /// Drops a planned note and reports it to the composer.
    pub(super) fn drop_note(&mut self, note: &ScheduledNote) {
        increment(&self.shared.counters.dropped);
        self.notify(ComposerInput::NoteMissed { id: note.id });
    }
}

/// Whether the ring has room for more than a block of messages.
fn has_room(to_composer: &Producer<ComposerInput>) -> bool {
    to_composer.slots() >= to_composer.buffer().capacity() / 2
}

/// Moves planned notes from the ring to the schedule. A note cancelled by a cancel is dropped without a count
/// if it starts at or after the cancel's `cutoff_beat`; if it starts before, it is too late, and `missed` gets its
/// id.
fn drain(
    planned: &mut Consumer<ScheduledNote>,
    schedule: &mut Schedule,
    shared: &Shared,
    cutoff_beat: f64,
    mut missed: impl FnMut(u64),
) {
    while let Ok(note) = planned.pop() {
        let cancelled = note.generation < schedule.generation();
        if !schedule.accept(note) && (!cancelled || note.start_beat < cutoff_beat) {
            increment(&shared.counters.dropped);
            missed(note.id);
        }
    }
}
