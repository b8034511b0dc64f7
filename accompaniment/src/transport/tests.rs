//! Tests of the tracker and its spans.

mod adversary;
mod late_turn;
mod lost_blocks;
mod missing_info;
mod random_host;
mod rounding;
mod short_loops;

use super::*;
use crate::testing::Rng;

const RATE: f64 = 48_000.0;

fn playing(beat: f64, tempo: f64) -> HostTransport {
    HostTransport {
        playing: true,
        beat: Some(beat),
        tempo: Some(tempo),
        ..HostTransport::default()
    }
}

/// As CLAP hands positions over.
fn fixed_point(beat: f64) -> f64 {
    let factor = (1u64 << 31) as f64;
    (beat * factor).round() / factor
}

/// Where the notes of every step fall, counted from the start of the song, if the song is
/// cut into the given blocks.
fn samples(notes: &[f64], spb: f64, blocks: &[u32]) -> Vec<i64> {
    let (mut at, mut next, mut found) = (0u32, 0, Vec::new());
    let mut tracker = PlayheadTracker::new(RATE);
    for &frames in blocks {
        let reading = playing(fixed_point(f64::from(at) / spb), RATE * 60.0 / spb);
        let block_timeline = tracker.next(&reading, frames);
        assert_eq!(block_timeline.arrived.is_some(), at == 0);
        let span = block_timeline.spans[0].unwrap();
        while let Some(&beat) = notes.get(next) {
            let sample = span.sample_of(beat);
            assert!(sample >= -1, "missed by more than rounding: {sample}");
            if sample >= i64::from(frames) {
                break;
            }
            found.push(i64::from(at) + sample.max(0));
            next += 1;
        }
        at += frames;
    }
    found
}

#[test]
fn sample_of_a_note_does_not_depend_on_the_blocks() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let rate = [44_100.0, 48_000.0, 96_000.0][rng.below(3) as usize];
        let tempo = match rng.below(3) {
            0 => [60.0, 90.0, 120.0, 133.7, 150.0][rng.below(5) as usize],
            _ => 30.0 + rng.unit() * 270.0,
        };
        let spb = rate * 60.0 / tempo;
        let steps = f64::from([4, 8, 12, 24][rng.below(4) as usize]);
        let notes: Vec<f64> = (0..200).map(|n| f64::from(n) / steps).collect();
        let end = (notes[notes.len() - 1] * spb) as u32 + 5_000;
        let absolute: Vec<i64> = notes
            .iter()
            .map(|b| (b * spb + 0.5 + Span::NOISE * spb).floor() as i64)
            .collect();
        for _ in 0..3 {
            let largest = [32, 512, 4096][rng.below(3) as usize];
            let mut blocks = Vec::new();
            let mut left = end;
            while left > 0 {
                let frames = (1 + rng.below(largest) as u32).min(left);
                blocks.push(frames);
                left -= frames;
            }
            assert_eq!(
                samples(&notes, spb, &blocks),
                absolute,
                "seed {seed}, tempo {tempo}"
            );
        }
    }
}

#[test]
fn cutoff_beat_follows_the_sample_rule() {
    let mut rng = Rng::new(7);
    for _ in 0..20_000 {
        let span = Span {
            first: rng.below(100) as u32,
            frames: 512,
            start_beat: rng.unit() * 1000.0 - 100.0,
            samples_per_beat: 5_000.0 + rng.unit() * 100_000.0,
            shift: rng.below(400) as i64 - 200,
        };
        let sample = span.first + rng.below(512) as u32;
        let beat = span.due_beat(sample) + (rng.unit() - 0.5) * 4.0 / span.samples_per_beat;
        // Differences below the precision of f64 are not tested.
        if (beat - span.limit_of(sample)).abs() > 1e-12 * beat.abs().max(1.0) {
            let before = span.due(beat) < i64::from(sample);
            assert_eq!(before, beat < span.limit_of(sample));
        }
    }
}

#[test]
fn starts_stops_and_jumps_are_reported() {
    let mut tracker = PlayheadTracker::new(RATE);
    let stopped = HostTransport {
        beat: Some(4.0),
        tempo: Some(120.0),
        ..HostTransport::default()
    };
    assert_eq!(tracker.next(&stopped, 480), BlockTimeline::default());

    let first = tracker.next(&playing(4.0, 120.0), 480);
    assert_eq!((first.left, first.arrived), (None, Some(4.0)));
    assert_eq!(
        first.bars,
        Some(HostBars {
            bar_start: 4.0,
            numerator: 4,
            denominator: 4
        })
    );
    let span = first.spans[0].unwrap();
    assert_eq!((span.frames, span.samples_per_beat), (480, 24_000.0));

    let next = tracker.next(&playing(4.02, 120.0), 480);
    assert_eq!((next.left, next.arrived, next.bars), (None, None, None));

    let jump = tracker.next(&playing(1.0, 120.0), 480);
    assert!((jump.left.unwrap().beat - 4.04).abs() < 1e-9);
    assert_eq!(jump.arrived, Some(1.0));
    assert!(jump.bars.is_some());

    let stop = tracker.next(
        &HostTransport {
            playing: false,
            ..playing(1.02, 120.0)
        },
        480,
    );
    let left = stop.left.unwrap();
    assert!((left.beat - 1.02).abs() < 1e-9 && left.cutoff_beat < left.beat);
    assert_eq!((stop.arrived, stop.spans), (None, [None, None]));
}

#[test]
fn tempo_ramp_is_no_jump() {
    let mut tracker = PlayheadTracker::new(RATE);
    let (mut beat, mut tempo) = (0.0, 60.0);
    assert!(tracker.next(&playing(beat, tempo), 4096).arrived.is_some());
    for _ in 0..200 {
        let next = tempo * 1.01;
        beat += 4096.0 / RATE / 60.0 * (tempo + next) / 2.0;
        tempo = next;
        assert_eq!(tracker.next(&playing(beat, tempo), 4096).arrived, None);
    }
}

#[test]
fn missing_position_or_tempo_counts_as_a_stop() {
    let mut tracker = PlayheadTracker::new(RATE);
    tracker.next(&playing(0.0, 120.0), 64);
    let lost = tracker.next(
        &HostTransport {
            beat: None,
            ..playing(0.0, 120.0)
        },
        64,
    );
    assert!(lost.left.is_some() && lost.spans == [None, None]);
    for tempo in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            tracker.next(&playing(0.0, tempo), 64),
            BlockTimeline::default()
        );
    }
    assert_eq!(
        tracker.next(&playing(f64::NAN, 120.0), 64),
        BlockTimeline::default()
    );
}

#[test]
fn loop_seam_inside_a_block_makes_two_spans() {
    let mut tracker = PlayheadTracker::new(RATE);
    let reading = HostTransport {
        cycle: Some((4.0, 8.0)),
        ..playing(7.99, 120.0)
    };
    let block_timeline = tracker.next(&reading, 480);
    let [Some(before), Some(after)] = block_timeline.spans else {
        panic!("{block_timeline:?}")
    };
    assert_eq!((before.first, before.frames), (0, 240));
    assert_eq!((after.first, after.frames), (240, 240));
    assert!((after.start_beat - 4.0).abs() < 1e-4);
    assert_eq!(block_timeline.span_at(239), Some(&before));
    assert_eq!(block_timeline.span_at(240), Some(&after));
    // The host goes on from there: the playhead did not jump, but the bars are reported again.
    let next = tracker.next(
        &HostTransport {
            beat: Some(4.01),
            ..reading
        },
        480,
    );
    assert_eq!((next.left, next.arrived), (None, None));
    assert!(next.bars.is_some());
    // Behind the loop it does not come round.
    let mut tracker = PlayheadTracker::new(RATE);
    let behind = HostTransport {
        beat: Some(8.0),
        ..reading
    };
    assert_eq!(tracker.next(&behind, 480).spans[1], None);
}

#[test]
fn bars_are_reported_when_they_change() {
    let mut tracker = PlayheadTracker::new(RATE);
    let mut beat = 0.0;
    let mut sent = Vec::new();
    while beat < 16.0 {
        // Two bars of 4/4, then 3/4.
        let (bar_start, numerator) = match beat {
            b if b < 8.0 => ((b / 4.0_f64).floor() * 4.0, 4),
            b => (8.0 + ((b - 8.0) / 3.0_f64).floor() * 3.0, 3),
        };
        let reading = HostTransport {
            bar_start: Some(bar_start),
            numerator: Some(numerator),
            denominator: Some(4),
            ..playing(beat, 120.0)
        };
        sent.extend(tracker.next(&reading, 480).bars);
        beat += 0.02;
    }
    let figures: Vec<_> = sent.iter().map(|m| (m.bar_start, m.numerator)).collect();
    assert_eq!(figures, [(0.0, 4), (8.0, 3)]);
}

#[test]
fn jump_that_fits_no_loop_is_a_jump() {
    let mut tracker = PlayheadTracker::new(RATE);
    tracker.next(&playing(10.3, 120.0), 480);
    let jump = tracker.next(&playing(2.7, 120.0), 480);
    assert_eq!((jump.seam, jump.arrived), (None, Some(2.7)));
    assert!((jump.left.unwrap().beat - 10.32).abs() < 1e-9);
    let forward = tracker.next(&playing(16.0, 120.0), 480);
    assert_eq!((forward.seam, forward.arrived), (None, Some(16.0)));
}

#[test]
fn stop_point_is_the_reported_position_inside_the_last_block() {
    let mut tracker = PlayheadTracker::new(RATE);
    tracker.next(&playing(4.0, 120.0), 4_800);
    let stopped = HostTransport {
        playing: false,
        ..playing(4.05, 120.0)
    };
    assert!((tracker.next(&stopped, 4_800).left.unwrap().beat - 4.05).abs() < 1e-9);
    // A host that goes back to its start does not report where it stopped.
    tracker.next(&playing(4.0, 120.0), 4_800);
    let back = HostTransport {
        beat: Some(4.0),
        ..stopped
    };
    assert!((tracker.next(&back, 4_800).left.unwrap().beat - 4.2).abs() < 1e-9);
}

#[test]
fn blocks_of_one_sample_and_of_none_are_accepted() {
    let mut tracker = PlayheadTracker::new(RATE);
    let spb = 24_000.0;
    for sample in 0..5_000u32 {
        let reading = playing(fixed_point(f64::from(sample) / spb), 120.0);
        if sample % 7 == 0 {
            let block_timeline = tracker.next(&reading, 0);
            assert_eq!((block_timeline.left, block_timeline.arrived), (None, None));
            // Its events belong where the next block begins.
            let span = block_timeline.spans[0];
            assert_eq!(span.is_some(), sample > 0);
            let beat = span.map_or(0.0, |span| span.beat_of(0));
            assert!((beat - f64::from(sample) / spb).abs() < 1e-9);
        }
        let block_timeline = tracker.next(&reading, 1);
        assert_eq!(block_timeline.arrived.is_some(), sample == 0);
        let start = block_timeline.spans[0].unwrap().start_beat;
        assert!((start - f64::from(sample) / spb).abs() < 1e-9);
    }
}
