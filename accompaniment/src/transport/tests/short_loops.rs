//! Loops that are shorter than a block, in a host that does not split its blocks.

use super::missing_info::next;
use super::rounding::Rounding;
use super::*;

/// After the turn the tracked position equals that of the host, to its rounding, though a report may
/// be missing.
#[test]
fn loop_shorter_than_a_block_leaves_no_error() {
    for seed in 0..2_000 {
        let mut rng = Rng::new(seed);
        let tempo = 20.0 + 380.0 * rng.unit();
        let spb = RATE * 60.0 / tempo;
        let rounding = Rounding::ALL[rng.below(Rounding::ALL.len() as u64) as usize];
        let (Rounding::Down(ticks) | Rounding::Nearest(ticks)) = rounding;
        let length = [0.01, 0.1, 2.3][rng.below(3) as usize];
        let (start, end) = (4.0, 4.0 + length);
        let longest = [64, 512, 4_096][rng.below(3) as usize];
        // Rounding hides where in a loop of a hundredth of a beat the playhead is.
        let gaps = if length < 0.1 {
            0
        } else {
            [0, 7][rng.below(2) as usize]
        };
        let mut tracker = PlayheadTracker::new(RATE);
        let mut beat = start - 3.0 * rng.unit();
        let mut unsure = true;
        for block in 0..600 {
            let frames = 1 + rng.below(longest) as u32;
            let silent = gaps > 0 && rng.below(gaps) == 0;
            let reading = match silent {
                true => HostTransport::default(),
                false => HostTransport {
                    cycle: Some((start, end)),
                    ..playing(rounding.round(beat), tempo)
                },
            };
            let timeline = next(&mut tracker, &reading, frames);
            let mut after = beat + f64::from(frames) / spb;
            let turned = beat < end && after >= end;
            if turned {
                after = start + (after - end) % (end - start);
            }
            if let (Some(span), false) = (timeline.spans[0], turned || unsure && silent) {
                // Around the seam one of both may have turned and the other not yet.
                let off = [-length, 0.0, length]
                    .map(|by| (span.start_beat + by - beat) * spb)
                    .into_iter()
                    .min_by(|a, b| a.abs().total_cmp(&b.abs()))
                    .unwrap();
                let allowed = 2.0 / ticks * spb + 0.502;
                assert!(
                    off.abs() <= allowed,
                    "seed {seed}, block {block}: {off} samples off at {beat}, {allowed} allowed; \
                     {tempo} {rounding:?} {length} {frames} {silent}"
                );
            }
            unsure = turned || unsure && silent;
            beat = after;
            if beat > end + 2.0 {
                break;
            }
        }
    }
}
