//! Hosts that lose some blocks, or repeat one.

use super::*;

const SPB: f64 = RATE * 60.0 / 141.0;

/// Plays blocks of `frames` samples for ten quarter notes at 141 BPM, with `moved` added to the
/// position halfway. Gives the jumps, and the tracker's error behind that place in samples.
fn play(frames: u32, moved: f64) -> (u32, f64) {
    let mut tracker = PlayheadTracker::new(RATE);
    let (mut at, mut jumps, mut off) = (0.0, 0, 0.0_f64);
    let mut moved = Some(moved);
    while at < 10.0 * SPB {
        let timeline = tracker.next(&playing(fixed_point(at / SPB), 141.0), frames);
        jumps += u32::from(timeline.left.is_some());
        let start = timeline.spans[0].unwrap().start_beat;
        off = off.max((start * SPB - at).abs());
        at += f64::from(frames);
        if at > 5.0 * SPB {
            at += moved.take().unwrap_or(0.0);
        }
    }
    (jumps, off)
}

#[test]
fn lost_blocks_advance_the_playhead() {
    for (frames, lost) in [
        (64, 1),
        (64, 70),
        (256, 1),
        (256, 18),
        (1_024, 1),
        (1_024, 4),
    ] {
        let (jumps, off) = play(frames, f64::from(frames * lost));
        assert_eq!(jumps, 0, "{lost} of {frames}");
        assert!(off < 0.01, "{lost} of {frames}: {off} samples off");
    }
}

#[test]
fn repeated_block_advances_the_playhead_again() {
    for frames in [64, 256, 1_024, 4_096] {
        let (jumps, off) = play(frames, -f64::from(frames));
        assert_eq!(jumps, 0, "{frames}");
        // Up to a few samples may be rounding, until the host's is known.
        assert!(off < 0.01, "{frames}: {off} samples off");
    }
}

#[test]
fn longer_gap_is_a_jump() {
    for (frames, moved) in [
        (64, 5_000.0),
        (256, 8_000.0),
        (1_024, 24_000.0),
        (256, -8_000.0),
        (1_024, -2_048.0),
    ] {
        assert_eq!(play(frames, moved).0, 1, "{frames}, {moved}");
    }
}

/// A host loses a block around the seam of a loop that is known.
#[test]
fn known_loop_restarts_although_the_block_at_its_end_is_lost() {
    for reported in [true, false] {
        let (mut tracker, mut at, mut turns) = (PlayheadTracker::new(RATE), 0.0, 0);
        let length = (8.0 * SPB).floor();
        while turns < 6 {
            let reading = HostTransport {
                cycle: reported.then_some((0.0, 8.0)),
                ..playing(fixed_point(at / SPB), 141.0)
            };
            let timeline = tracker.next(&reading, 256);
            let [_, again] = timeline.spans;
            if timeline.left.is_some() || again.is_some() {
                turns += 1;
                let seam = timeline.seam.map(|seam| (seam.start, seam.end));
                assert!(again.is_some() || seam == Some((0.0, 8.0)), "{timeline:?}");
            }
            at += 256.0;
            if turns > 1 && turns % 2 == 0 && at + 256.0 >= length {
                at += 256.0;
            }
            if at >= length {
                at -= length;
            }
        }
    }
}
