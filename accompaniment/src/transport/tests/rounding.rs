//! Hosts that round their positions, with loops and without.

use super::*;

/// Rounding of a host's positions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rounding {
    Down(f64),
    Nearest(f64),
}

impl Rounding {
    pub(super) const ALL: [Self; 6] = [
        Self::Nearest(480.0),
        Self::Down(480.0),
        Self::Nearest(960.0),
        Self::Nearest(1_920.0),
        Self::Down(7_680.0),
        Self::Nearest(617.0),
    ];

    pub(super) fn round(self, beat: f64) -> f64 {
        fixed_point(match self {
            Self::Down(ticks) => (beat * ticks + 1e-9).floor() / ticks,
            Self::Nearest(ticks) => (beat * ticks).round() / ticks,
        })
    }
}

#[test]
fn rounded_positions_are_no_jumps_and_move_no_sample() {
    let mut rng = Rng::new(11);
    for round in 0..200 {
        let rounding = Rounding::ALL[round % Rounding::ALL.len()];
        let tempo = [20.0, 120.0, 141.0, 400.0, 20.0 + 380.0 * rng.unit()][round % 5];
        let frames = [1, 16, 64, 100, 1_024, 8_192][rng.below(6) as usize];
        let spb = RATE * 60.0 / tempo;
        let mut tracker = PlayheadTracker::new(RATE);
        let mut first = 0.0;
        for block in 0..3_000u32 {
            let at = f64::from(block * frames) / spb + 4.0;
            let reported = rounding.round(at);
            let block_timeline = tracker.next(&playing(reported, tempo), frames);
            let what = format!("{rounding:?}, {tempo} BPM, blocks of {frames}, block {block}");
            assert_eq!(block_timeline.arrived.is_some(), block == 0, "{what}");
            let start = block_timeline.spans[0].unwrap().start_beat;
            if block == 0 {
                first = start - at;
            }
            let off = (start - at - first).abs();
            assert!(off < 1e-8, "{what}: {off} beats off");
        }
    }
}

#[test]
fn drift_is_followed_without_a_jump() {
    // The host reports its tempo in whole hundredths, and its positions rounded.
    for rounding in Rounding::ALL {
        let mut tracker = PlayheadTracker::new(RATE);
        let (exact, reported, frames) = (133.337, 133.34, 256);
        let spb = RATE * 60.0 / exact;
        let mut last: Option<f64> = None;
        for block in 0..100_000u32 {
            let at = f64::from(block) * f64::from(frames) / spb;
            let block_timeline = tracker.next(&playing(rounding.round(at), reported), frames);
            assert_eq!(
                block_timeline.arrived.is_some(),
                block == 0,
                "{rounding:?}, {block}"
            );
            let span = block_timeline.spans[0].unwrap();
            let off = (span.start_beat - at).abs();
            assert!(
                off < 2.0 / 480.0,
                "{rounding:?}, block {block}: {off} beats"
            );
            let moved = last.map_or(0.0, |last| (span.start_beat - last).abs());
            assert!(
                moved < 2.0 / 480.0,
                "{rounding:?}, block {block}: moved by {moved}"
            );
            last = Some(span.end_beat());
        }
    }
}

#[test]
fn loop_end_inside_a_block_is_found_reported_or_not() {
    let mut rng = Rng::new(5);
    for round in 0..300 {
        let rounding = Rounding::ALL[round % 5];
        let tempo = 40.0 + 300.0 * rng.unit();
        let spb = RATE * 60.0 / tempo;
        let frames = [64, 480, 1_024, 4_096][rng.below(4) as usize];
        let (start, end) = [(0.0, 28.0), (4.0, 12.0), (3.0, 7.0)][rng.below(3) as usize];
        let reported = rng.below(2) == 0;
        let what =
            format!("{rounding:?}, {tempo} BPM, {frames}, {start} to {end}, reported {reported}");
        // The host loops on whole samples.
        let length = ((end - start) * spb).round();
        let mut tracker = PlayheadTracker::new(RATE);
        let (mut at, mut seams, mut turns) = (rng.below(frames) as f64, 0, 0);
        while seams + turns < 4 {
            let reading = HostTransport {
                cycle: reported.then_some((start, end)),
                ..playing(rounding.round(start + at / spb), tempo)
            };
            let block_timeline = tracker.next(&reading, frames as u32);
            if let Some(seam) = block_timeline.seam {
                assert_eq!((seam.start, seam.end), (start, end), "{what}");
                let since = block_timeline.arrived.unwrap() - start;
                assert!((since * spb - at).abs() < spb / 240.0, "{what}");
                seams += 1;
            } else {
                assert_eq!(
                    block_timeline.arrived.is_some(),
                    turns + seams == 0
                        && block_timeline.left.is_none()
                        && block_timeline.arrived.is_some(),
                    "{what}"
                );
            }
            if let [Some(_), Some(after)] = block_timeline.spans {
                let sample = length - at;
                assert!(
                    (f64::from(after.first) - sample).abs() < spb / 240.0 + 2.0,
                    "{what}"
                );
                turns += 1;
            }
            at = (at + f64::from(frames as u32)) % length;
        }
        assert!(reported || turns == 0, "{what}");
    }
}
