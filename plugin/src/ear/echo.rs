//! The notes that the plugin played last, so that it does not listen to itself: a microphone hears the
//! loudspeakers. Audio thread; a fixed array.

/// Notes remembered.
const CAPACITY: usize = 128;
/// Time in seconds by which a note may seem to begin before it is played.
const BEFORE: f64 = 0.06;
/// Time in seconds by which it may be heard later: output and input latency of the system.
const AFTER: f64 = 0.25;

/// A note that the plugin played.
#[derive(Clone, Copy, Debug, Default)]
struct OwnNote {
    /// The clock at its onset, and after its end.
    onset: u64,
    end: u64,
    pitch: u8,
    /// Whether it was heard: a second note on its key is the player's.
    is_heard: bool,
}

/// The last notes that the plugin played.
#[derive(Debug)]
pub(crate) struct Echo {
    notes: [OwnNote; CAPACITY],
    /// Number of notes so far.
    count: usize,
    before: u64,
    after: u64,
}

impl Echo {
    pub(crate) fn new() -> Self {
        Self {
            notes: [OwnNote::default(); CAPACITY],
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
    pub(crate) fn play(&mut self, clock: u64, length: u64, pitch: u8) {
        self.notes[self.count % CAPACITY] = OwnNote {
            onset: clock,
            end: clock + length,
            pitch,
            is_heard: false,
        };
        self.count += 1;
    }

    /// Whether a note that was heard is one that the plugin played, or its octave. Each own note is
    /// heard once.
    pub(crate) fn is_own(&mut self, onset: u64, pitch: u8) -> bool {
        let known = &mut self.notes[..self.count.min(CAPACITY)];
        let own = known.iter_mut().find(|own| {
            let earliest = own.onset.saturating_sub(self.before);
            let same = own.pitch == pitch || own.pitch.abs_diff(pitch) == 12;
            !own.is_heard && same && (earliest..=own.onset + self.after).contains(&onset)
        });
        own.map(|own| own.is_heard = true).is_some()
    }

    /// Whether a note of the plugin may be heard at `clock`.
    pub(crate) fn sounds(&self, clock: u64) -> bool {
        let known = &self.notes[..self.count.min(CAPACITY)];
        let mut known = known.iter();
        known.any(|own| (own.onset..own.end + self.after).contains(&clock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_notes_are_known_for_as_long_as_sound_takes() {
        let mut echo = Echo::new();
        echo.reset(1_000.0);
        for (onset, own) in [(930, false), (950, true), (1_200, true), (1_300, false)] {
            echo.reset(1_000.0);
            echo.play(1_000, 500, 60);
            assert_eq!(echo.is_own(onset, 60), own, "{onset}");
        }
        echo.reset(1_000.0);
        echo.play(1_000, 500, 60);
        assert!(!echo.is_own(1_000, 67) && echo.is_own(1_000, 72));
        assert!(!echo.is_own(1_010, 60), "a second note is the player's");
        assert_eq!(
            [999, 1_000, 1_749, 1_750].map(|at| echo.sounds(at)),
            [false, true, true, false]
        );
        echo.play(3_000, 500, 60);
        for clock in 0..200 {
            echo.play(5_000 + clock, 10, 40);
        }
        assert!(!echo.is_own(3_000, 60));
    }
}
