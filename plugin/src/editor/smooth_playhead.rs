//! A playhead that moves evenly: the audio thread says where it is once a block, the screen
//! wants to know sixty times a second.

/// Farther off than this, in quarter notes, is a jump.
const JUMP: f64 = 0.5;

/// The playhead stands if no block moved it for this many seconds: the longest block of a slow
/// host is shorter.
const STANDS: f64 = 0.75;

/// How much of what it is off by it makes good with every frame.
const PULL: f64 = 0.15;

/// Where the playhead is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clock {
    shown: f64,
    /// Seconds, when it was there.
    at: f64,
    /// Where the last block said that it is.
    said: f64,
    /// Seconds, when that was first said.
    since: f64,
}

impl Clock {
    /// Where to show the playhead at `seconds`, when it was last said to be at `beat` and
    /// `tempo` is in quarter notes a minute; 0 when it stands still.
    pub fn show(&mut self, seconds: f64, beat: f64, tempo: f64) -> f64 {
        // After a pause of the window there is nothing to go on from.
        let passed = (seconds - self.at).clamp(0.0, 0.25);
        self.at = seconds;
        if beat != self.said {
            (self.said, self.since) = (beat, seconds);
        }
        let guess = self.shown + passed * tempo / 60.0;
        self.shown = if tempo == 0.0 || (beat - guess).abs() > JUMP {
            beat
        } else {
            // Never backwards: what was played was played.
            (guess + PULL * (beat - guess)).max(self.shown)
        };
        self.shown
    }

    /// Whether the host has called for no block for a while: some hosts do so at a stop, and never
    /// say that the transport stands.
    pub fn stands(&self) -> bool {
        self.at - self.since > STANDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_evenly_between_blocks() {
        // Blocks of 4096 samples, frames at 60 Hz, 120 BPM: twice a beat a second.
        let (block, mut clock) = (4096.0 / 48_000.0, Clock::default());
        let mut last = None;
        for frame in 1..600 {
            let seconds = f64::from(frame) / 60.0;
            let said = (seconds / block).floor() * block * 2.0;
            let shown = clock.show(seconds, said, 120.0);
            if let (Some(last), true) = (last, frame > 60) {
                let step: f64 = shown - last;
                assert!(
                    (step - 2.0 / 60.0).abs() < 0.03,
                    "frame {frame} moves by {step}"
                );
                assert!((shown - seconds * 2.0).abs() < 0.2);
            }
            last = Some(shown);
        }
    }

    #[test]
    fn it_stands_when_no_block_comes() {
        let mut clock = Clock::default();
        for frame in 0..60 {
            clock.show(f64::from(frame) / 60.0, f64::from(frame) / 30.0, 120.0);
            assert!(!clock.stands());
        }
        let mut last = (0.0, false);
        for frame in 60..240 {
            let seconds = f64::from(frame) / 60.0;
            last = (clock.show(seconds, 59.0 / 30.0, 120.0), clock.stands());
        }
        assert!(last.1);
        clock.show(4.0, 2.0, 120.0);
        assert!(!clock.stands(), "a block came");
    }

    #[test]
    fn it_jumps_and_stops_at_once() {
        let mut clock = Clock::default();
        clock.show(1.0, 10.0, 120.0);
        assert_eq!(clock.show(1.1, 90.0, 120.0), 90.0);
        assert_eq!(clock.show(1.2, 90.05, 0.0), 90.05);
        assert_eq!(clock.show(1.3, 2.0, 120.0), 2.0);
    }
}
