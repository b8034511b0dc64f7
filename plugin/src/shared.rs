//! State shared by the threads of an instance, beside the rings: counters, pressed triggers, and the
//! barrier at which offline rendering waits.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nice_plug::prelude::NoteOutput;
use rtrb::{Consumer, Producer};

use crate::ear::EarShared;
use continuo_accompaniment::counters::Counters;
use continuo_accompaniment::snapshot::{Health, NoteDialect};
use continuo_accompaniment::transport::Contradiction;
use continuo_accompaniment::trigger::TriggerSet;

/// Shared by the audio thread, the composer thread and the host's main thread.
#[derive(Debug, Default)]
pub struct Shared {
    /// Event counters. Audio thread.
    pub counters: Counters,
    /// Whether the host's bar lines contradict its positions. Set by the audio thread.
    pub bars_distrusted: AtomicBool,
    /// Whether the host's tempo contradicts its positions. Set by the audio thread.
    pub tempo_distrusted: AtomicBool,
    /// Whether the host's position stands still while it reports that it plays. Set by the audio thread.
    pub position_stands: AtomicBool,
    /// Whether the host renders faster than real time. Set by the main thread.
    pub offline: AtomicBool,
    /// Whether the host has removed the instance: the composer may stop its work. Set by the main
    /// thread.
    pub leaving: Arc<AtomicBool>,
    /// The dialect of the notes that a CLAP instance sends.
    pub note_output: Arc<NoteOutput>,
    /// State of the ear.
    pub ear: EarShared,
    /// Barrier at which offline rendering waits.
    pub barrier: OfflineBarrier,
    /// Triggers pressed in the editor.
    pub requests: TriggerRequests,
    /// Session epoch; incremented whenever saved state is loaded. At its next block the audio thread
    /// starts over, as if the transport had stopped and started, and reports the epoch with
    /// [`continuo_accompaniment::messages::ComposerInput::SessionReplaced`]. Main thread.
    pub session_epoch: AtomicU64,
    /// Position at which the plugin's own time starts once it is needed, in quarter notes, as the bits
    /// of an `f64`: after everything in the state that was loaded. Set by the main thread.
    pub own_time_from: AtomicU64,
}

impl Shared {
    /// Stores how the host's transport contradicts itself. Audio thread.
    pub fn set_contradictions(&self, bars_distrusted: bool, found: Option<Contradiction>) {
        let set = |flag: &AtomicBool, value| flag.store(value, Ordering::Relaxed);
        set(&self.bars_distrusted, bars_distrusted);
        set(&self.tempo_distrusted, found == Some(Contradiction::Tempo));
        set(
            &self.position_stands,
            found == Some(Contradiction::Position),
        );
    }

    /// Fills in the audio thread's counters and flags. Composer thread.
    pub fn fill_health(&self, health: &mut Health) {
        health.counters = self.counters.values();
        let flag = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        health.bars_distrusted = flag(&self.bars_distrusted);
        health.tempo_distrusted = flag(&self.tempo_distrusted);
        health.position_stands = flag(&self.position_stands);
        let output = &self.note_output;
        health.fallback_dialect = (output.retried() > 0).then(|| match output.sends_clap() {
            true => NoteDialect::Clap,
            false => NoteDialect::Midi,
        });
    }
}

/// Triggers pressed in the editor, on their way to the audio thread.
#[derive(Debug, Default)]
pub struct TriggerRequests(AtomicU8);

impl TriggerRequests {
    /// Presses triggers. Any thread.
    pub fn press(&self, triggers: impl Into<TriggerSet>) {
        self.0.fetch_or(triggers.into().bits(), Ordering::Relaxed);
    }

    /// The triggers pressed since the last call. Audio thread.
    pub fn take(&self) -> TriggerSet {
        if self.0.load(Ordering::Relaxed) == 0 {
            return TriggerSet::default();
        }
        TriggerSet::from_bits(self.0.swap(0, Ordering::Relaxed))
    }
}

/// Time for which offline rendering waits for a composer without a heartbeat. Loading a large model onto
/// a GPU takes about ten seconds.
pub const COMPOSER_TIMEOUT: Duration = Duration::from_secs(60);

/// Interval at which a waiting audio thread empties the ring of planned notes.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Barrier at which the audio thread waits until the composer has finished a block, **only when the host
/// renders offline**. In real time the audio thread never takes the lock.
#[derive(Debug, Default)]
pub struct OfflineBarrier {
    /// Number of the last block the composer has finished.
    done: AtomicU64,
    /// Count of the composer's heartbeats.
    heartbeats: AtomicU64,
    lock: Mutex<()>,
    changed: Condvar,
}

impl OfflineBarrier {
    /// Uses lock and condition once, for platforms that allocate them at first use. Main thread.
    pub fn prepare(&self) {
        let guard = self.lock();
        let _ = self.changed.wait_timeout(guard, Duration::ZERO);
    }

    /// Marks `block` and those before as finished; with `u64::MAX`, all blocks to come, so that the audio
    /// thread never waits. Composer thread.
    pub fn finish(&self, block: u64) {
        let guard = self.lock();
        self.done.fetch_max(block, Ordering::Release);
        drop(guard);
        self.changed.notify_all();
    }

    /// Undoes `finish(u64::MAX)`: the audio thread waits again for blocks after `block`. Composer thread.
    pub fn reopen(&self, block: u64) {
        self.done.store(block, Ordering::Release);
    }

    /// Shows that the composer works, and wakes the audio thread to empty the ring. Composer thread, and
    /// workers that it waits for.
    pub fn heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Whether the composer has finished `block` and those before.
    pub fn has_finished(&self, block: u64) -> bool {
        self.done.load(Ordering::Acquire) >= block
    }

    /// Waits until `reached` holds, and calls `drain` in between to empty the ring of planned notes. Returns
    /// `false` after `timeout` without a heartbeat. Audio thread, offline only.
    pub fn wait_until(
        &self,
        reached: impl Fn() -> bool,
        timeout: Duration,
        mut drain: impl FnMut(),
    ) -> bool {
        let mut seen = (self.heartbeats.load(Ordering::Relaxed), Instant::now());
        let mut guard = self.lock();
        while !reached() {
            let woken = self.changed.wait_timeout(guard, POLL_INTERVAL);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
            drain();
            let heartbeats = self.heartbeats.load(Ordering::Relaxed);
            if heartbeats != seen.0 {
                seen = (heartbeats, Instant::now());
            } else if seen.1.elapsed() >= timeout {
                return false;
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data, so a poisoned one is usable.
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills and empties a ring once, so that its pages are in memory. Each page fault would cost the
/// audio thread 10 to 50 µs.
pub fn fill_and_drain<T: Copy>(to: &mut Producer<T>, from: &mut Consumer<T>, filler: T) {
    while to.push(filler).is_ok() {}
    while from.pop().is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn barrier_waits_for_its_block_and_drains_meanwhile() {
        let barrier = Arc::new(OfflineBarrier::default());
        barrier.prepare();
        let other = barrier.clone();
        let composer = std::thread::spawn(move || {
            other.finish(1);
            other.heartbeat();
            std::thread::sleep(Duration::from_millis(60));
            other.finish(2);
        });
        let mut drained = 0;
        assert!(barrier.wait_until(
            || barrier.has_finished(2),
            COMPOSER_TIMEOUT,
            || drained += 1
        ));
        assert!(drained > 0);
        assert!(barrier.wait_until(|| barrier.has_finished(1), COMPOSER_TIMEOUT, || {}));
        composer.join().unwrap();
        assert!(
            !barrier.wait_until(|| barrier.has_finished(3), Duration::ZERO, || {}),
            "the composer has ended"
        );
    }
}
