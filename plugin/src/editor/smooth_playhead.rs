//! A playhead that moves evenly: its position arrives once a block, and is drawn sixty times a second. Window
//! thread.

/// Distance beyond which the playhead jumps, in quarter notes.
const JUMP: f64 = 0.5;

/// Time without a new position after which the host has stopped, in seconds: longer than any block.
const STALLED: f64 = 0.75;

/// Share of the error that each frame corrects.
const CORRECTION: f64 = 0.15;

/// The playhead as it is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SmoothPlayhead {
    shown: f64,
    /// Time of the last frame, in seconds.
    at: f64,
    /// The last position received.
    received: f64,
    /// Time at which it was received, in seconds.
    received_at: f64,
}

impl SmoothPlayhead {
    /// The position to draw at the time `seconds`, where `beat` is the last position received and `tempo`
    /// is in quarter notes a minute, 0 while the transport is stopped.
    pub fn advance(&mut self, seconds: f64, beat: f64, tempo: f64) -> f64 {
        // After a pause of the window, the last frame is too old to go on from.
        let passed = (seconds - self.at).clamp(0.0, 0.25);
        self.at = seconds;
        if beat != self.received {
            (self.received, self.received_at) = (beat, seconds);
        }
        let guess = self.shown + passed * tempo / 60.0;
        self.shown = if tempo == 0.0 || (beat - guess).abs() > JUMP {
            beat
        } else {
            // It never moves backwards.
            (guess + CORRECTION * (beat - guess)).max(self.shown)
        };
        self.shown
    }

    /// Whether the host has stopped calling for blocks: some hosts do so at a stop, without reporting it.
    pub fn is_stalled(&self) -> bool {
        self.at - self.received_at > STALLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playhead_moves_evenly_between_blocks() {
        // Blocks of 4096 samples, frames at 60 Hz, 120 BPM: twice a beat a second.
        let (block, mut playhead) = (4096.0 / 48_000.0, SmoothPlayhead::default());
        let mut last = None;
        for frame in 1..600 {
            let seconds = f64::from(frame) / 60.0;
            let received = (seconds / block).floor() * block * 2.0;
            let shown = playhead.advance(seconds, received, 120.0);
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
    fn playhead_is_stalled_without_blocks() {
        let mut playhead = SmoothPlayhead::default();
        for frame in 0..60 {
            playhead.advance(f64::from(frame) / 60.0, f64::from(frame) / 30.0, 120.0);
            assert!(!playhead.is_stalled());
        }
        let mut last = (0.0, false);
        for frame in 60..240 {
            let seconds = f64::from(frame) / 60.0;
            last = (
                playhead.advance(seconds, 59.0 / 30.0, 120.0),
                playhead.is_stalled(),
            );
        }
        assert!(last.1);
        playhead.advance(4.0, 2.0, 120.0);
        assert!(!playhead.is_stalled(), "a block has arrived");
    }

    #[test]
    fn playhead_jumps_and_stops_at_once() {
        let mut playhead = SmoothPlayhead::default();
        playhead.advance(1.0, 10.0, 120.0);
        assert_eq!(playhead.advance(1.1, 90.0, 120.0), 90.0);
        assert_eq!(playhead.advance(1.2, 90.05, 0.0), 90.05);
        assert_eq!(playhead.advance(1.3, 2.0, 120.0), 2.0);
    }
}
