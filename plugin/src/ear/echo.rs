//! The notes that the plugin played last, so that it does not listen to itself: a microphone hears the
//! loudspeakers. Audio thread; a fixed array.

/// Notes remembered.
const CAPACITY: usize = 128;
/// Time in seconds by which a note may seem to begin before it is played.
const BEFORE: f64 = 0.06;
/// Time in seconds by which it may be heard later: output and input latency of the system.
const AFTER: f64 = 0.25;

/// The last notes that the plugin played, with the clock of their onset.
#[derive(Debug)]
pub(crate) struct Echo {
    notes: [(u64, u8); CAPACITY],
    /// Number of notes so far.
    count: usize,
    before: u64,
    after: u64,
}

impl Echo {
    pub(crate) fn new() -> Self {
        Self {
            notes: [(0, 0); CAPACITY],
            count: 0,
            before: 0,
            after: 0,
        }
    }

    /// Forgets everything; samples come `rate` a second from here on.
    pub(crate) fn reset(&mut self, rate: f64) {
        self.count = 0;
        (self.before, self.after) = ((rate * BEFORE) as u64, (rate * AFTER) as u64);
    }

    /// The plugin plays a note.
    pub(crate) fn play(&mut self, clock: u64, pitch: u8) {
        self.notes[self.count % CAPACITY] = (clock, pitch);
        self.count += 1;
    }

    /// Whether a note that was heard is one that the plugin played, or its octave.
    pub(crate) fn is_own(&self, onset: u64, pitch: u8) -> bool {
        let known = &self.notes[..self.count.min(CAPACITY)];
        known.iter().any(|&(clock, own)| {
            let earliest = clock.saturating_sub(self.before);
            let same = own == pitch || own.abs_diff(pitch) == 12;
            same && (earliest..=clock + self.after).contains(&onset)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_notes_are_known_for_as_long_as_sound_takes() {
        let mut echo = Echo::new();
        echo.reset(1_000.0);
        echo.play(1_000, 60);
        for (onset, own) in [(930, false), (950, true), (1_200, true), (1_300, false)] {
            assert_eq!(echo.is_own(onset, 60), own, "{onset}");
        }
        assert!(echo.is_own(1_000, 72) && !echo.is_own(1_000, 67));
        for clock in 0..200 {
            echo.play(5_000 + clock, 40);
        }
        assert!(!echo.is_own(1_000, 60));
    }
}
