//! What the two threads of an instance share beside the rings: counters, and the gate at which
//! offline rendering waits.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nice_plug::prelude::NoteOutput;

use crate::snapshot::{NoteDialect, Health};
use crate::process::Buttons;

/// Counted by the audio thread unless said otherwise, read by the composer thread.
#[derive(Debug, Default)]
pub struct Counters {
    /// Notes the composer was told of while the transport ran.
    pub heard: AtomicU64,
    /// Generated notes sent.
    pub played: AtomicU64,
    /// Generated notes started late and shortened.
    pub late: AtomicU64,
    /// Generated notes not sent: too late, no room, or the key was taken.
    pub dropped: AtomicU64,
    /// Note-ons and note-offs that the host refused; a note-off is offered again.
    pub refused: AtomicU64,
    /// Generated notes made void by a cut before their time.
    pub early: AtomicU64,
    /// Messages lost because a ring was full.
    pub overflow: AtomicU64,
    /// Whether the host's bar lines contradict its positions, so that bars are counted instead.
    pub bars_distrusted: AtomicBool,
    /// Offline blocks that gave up waiting for a composer that did not move.
    pub gave_up: AtomicU64,
}

impl Counters {
    /// Fills in what was counted.
    pub fn show(&self, health: &mut Health) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        health.heard = value(&self.heard);
        health.played = value(&self.played);
        health.late = value(&self.late);
        health.dropped = value(&self.dropped);
        health.refused = value(&self.refused);
        health.early = value(&self.early);
        health.overflow = value(&self.overflow);
        health.bars_distrusted = self.bars_distrusted.load(Ordering::Relaxed);
    }
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Shared by the audio thread, the composer thread and the host's main thread.
#[derive(Debug, Default)]
pub struct Shared {
    /// What happened.
    pub counters: Counters,
    /// Whether the host renders faster than real time; set by the main thread.
    pub offline: AtomicBool,
    /// Whether the host has let the instance go: nobody hears what it would still think of. Set by
    /// the main thread.
    pub leaving: Arc<AtomicBool>,
    /// The dialect of the notes that a CLAP instance sends.
    pub note_output: Arc<NoteOutput>,
    /// Where offline rendering waits.
    pub gate: OfflineBarrier,
    /// Buttons the editor has pressed.
    pub requests: Requests,
    /// How often the composer's past was put in the place of another. Each time the audio thread
    /// begins anew at its next block, as if the transport had stopped and started, and says so
    /// with [`crate::messages::Heard::Anew`]. Counted by the main thread.
    pub pasts: AtomicU64,
    /// Where the plugin's own time goes on once it is needed, in quarter notes, as the bits of an
    /// `f64`: after everything in the state that was loaded. Set by the main thread.
    pub own_time_from: AtomicU64,
}

impl Shared {
    /// Fills in what was counted, and how notes go out.
    pub fn show(&self, health: &mut Health) {
        self.counters.show(health);
        let output = &self.note_output;
        health.switched = (output.retried() > 0).then(|| match output.sends_clap() {
            true => NoteDialect::Clap,
            false => NoteDialect::Midi,
        });
    }
}

/// Buttons pressed elsewhere than in the host, on their way to the audio thread.
#[derive(Debug, Default)]
pub struct Requests(AtomicU8);

impl Requests {
    /// Presses buttons. Any thread.
    pub fn press(&self, buttons: Buttons) {
        let bits = u8::from(buttons.panic)
            | u8::from(buttons.regenerate) << 1
            | u8::from(buttons.clear) << 2
            | u8::from(buttons.undo) << 3
            | u8::from(buttons.redo) << 4;
        self.0.fetch_or(bits, Ordering::Relaxed);
    }

    /// Those pressed since the last call. Audio thread.
    pub fn take(&self) -> Buttons {
        if self.0.load(Ordering::Relaxed) == 0 {
            return Buttons::default();
        }
        let bits = self.0.swap(0, Ordering::Relaxed);
        Buttons {
            panic: bits & 1 != 0,
            regenerate: bits & 2 != 0,
            clear: bits & 4 != 0,
            undo: bits & 8 != 0,
            redo: bits & 16 != 0,
        }
    }
}

/// How long offline rendering waits for a composer that gives no sign of life. Loading a large
/// model onto a GPU takes some ten seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at the ring of planned notes while waiting.
const LOOK: Duration = Duration::from_millis(20);

/// Where the audio thread waits until the composer has finished a block: **only when the host
/// renders offline**. In real time the audio thread never touches the lock.
#[derive(Debug, Default)]
pub struct OfflineBarrier {
    /// The last block the composer has finished.
    done: AtomicU64,
    /// Signs of life of the composer.
    moved: AtomicU64,
    lock: Mutex<()>,
    changed: Condvar,
}

impl OfflineBarrier {
    /// Touches lock and condition once, for platforms that allocate them at first use. Main
    /// thread.
    pub fn prepare(&self) {
        let guard = self.lock();
        let _ = self.changed.wait_timeout(guard, Duration::ZERO);
    }

    /// The composer has finished `block` and those before; `u64::MAX`: it will finish nothing
    /// more, and nobody is to wait. Composer thread.
    pub fn finish(&self, block: u64) {
        let guard = self.lock();
        self.done.fetch_max(block, Ordering::Release);
        drop(guard);
        self.changed.notify_all();
    }

    /// After [`OfflineBarrier::finish`] for good: blocks after `block` are waited for again. Composer
    /// thread.
    pub fn reopen(&self, block: u64) {
        self.done.store(block, Ordering::Release);
    }

    /// The composer is at work, or needs room in its ring. Composer thread.
    pub fn heartbeat(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Whether the composer has finished `block` and those before.
    pub fn has_finished(&self, block: u64) -> bool {
        self.done.load(Ordering::Acquire) >= block
    }

    /// Waits until what the composer is to do is `reached`, calling `drain` in between so that
    /// the composer finds room. `false` if it gave no sign of life for as long as `patience`.
    /// Audio thread, offline only.
    pub fn wait_until(
        &self,
        reached: impl Fn() -> bool,
        patience: Duration,
        mut drain: impl FnMut(),
    ) -> bool {
        let mut seen = (self.moved.load(Ordering::Relaxed), Instant::now());
        let mut guard = self.lock();
        while !reached() {
            let woken = self.changed.wait_timeout(guard, LOOK);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
            drain();
            let moved = self.moved.load(Ordering::Relaxed);
            if moved != seen.0 {
                seen = (moved, Instant::now());
            } else if seen.1.elapsed() >= patience {
                return false;
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // Nothing is guarded but the moment of waking: a poisoned lock is as good as a new one.
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn waits_for_its_block_and_drains_meanwhile() {
        let gate = Arc::new(OfflineBarrier::default());
        gate.prepare();
        let other = gate.clone();
        let composer = std::thread::spawn(move || {
            other.finish(1);
            other.heartbeat();
            std::thread::sleep(Duration::from_millis(60));
            other.finish(2);
        });
        let mut drained = 0;
        assert!(gate.wait_until(|| gate.has_finished(2), PATIENCE, || drained += 1));
        assert!(drained > 0);
        assert!(gate.wait_until(|| gate.has_finished(1), PATIENCE, || {}));
        composer.join().unwrap();
        assert!(
            !gate.wait_until(|| gate.has_finished(3), Duration::ZERO, || {}),
            "nobody is there any more"
        );
    }
}
