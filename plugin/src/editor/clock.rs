//! A playhead that moves evenly: the audio thread says where it is once a block, the screen
//! wants to know sixty times a second.

/// Farther off than this, in quarter notes, is a jump.
const JUMP: f64 = 0.5;

/// How much of what it is off by it makes good with every frame.
const PULL: f64 = 0.15;

/// Where the playhead is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clock {
    shown: f64,
    /// Seconds, when it was there.
    at: f64,
}

impl Clock {
    /// Where to show the playhead at `seconds`, when it was last said to be at `beat` and
    /// `tempo` is in quarter notes a minute; 0 when it stands still.
    pub fn show(&mut self, seconds: f64, beat: f64, tempo: f64) -> f64 {
        // After a pause of the window there is nothing to go on from.
        let passed = (seconds - self.at).clamp(0.0, 0.25);
        self.at = seconds;
        let guess = self.shown + passed * tempo / 60.0;
        self.shown = if tempo == 0.0 || (beat - guess).abs() > JUMP {
            beat
        } else {
            // Never backwards: what was played was played.
            (guess + PULL * (beat - guess)).max(self.shown)
        };
        self.shown
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
    fn it_jumps_and_stops_at_once() {
        let mut clock = Clock::default();
        clock.show(1.0, 10.0, 120.0);
        assert_eq!(clock.show(1.1, 90.0, 120.0), 90.0);
        assert_eq!(clock.show(1.2, 90.05, 0.0), 90.05);
        assert_eq!(clock.show(1.3, 2.0, 120.0), 2.0);
    }
}
