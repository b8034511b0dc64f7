//! Tests of the tracker and its spans.

use super::*;
use crate::testing::Rng;

const RATE: f64 = 48_000.0;

fn playing(beat: f64, tempo: f64) -> Reading {
    Reading {
        playing: true,
        beat: Some(beat),
        tempo: Some(tempo),
        ..Reading::default()
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
    let mut tracker = Tracker::new(RATE);
    for &frames in blocks {
        let reading = playing(fixed_point(f64::from(at) / spb), RATE * 60.0 / spb);
        let passage = tracker.next(&reading, frames);
        assert_eq!(passage.arrived.is_some(), at == 0);
        let span = passage.spans[0].unwrap();
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
fn the_sample_does_not_depend_on_the_blocks() {
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
fn the_limit_is_the_sample_rule() {
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
        // Nearer to the edge than f64 tells apart there is nothing to say.
        if (beat - span.limit_of(sample)).abs() > 1e-12 * beat.abs().max(1.0) {
            let before = span.due(beat) < i64::from(sample);
            assert_eq!(before, beat < span.limit_of(sample));
        }
    }
}

#[test]
fn starts_stops_and_jumps() {
    let mut tracker = Tracker::new(RATE);
    let stopped = Reading {
        beat: Some(4.0),
        tempo: Some(120.0),
        ..Reading::default()
    };
    assert_eq!(tracker.next(&stopped, 480), Passage::default());

    let first = tracker.next(&playing(4.0, 120.0), 480);
    assert_eq!((first.left, first.arrived), (None, Some(4.0)));
    assert_eq!(
        first.metre,
        Some(HostMetre {
            bar_start: 4.0,
            numerator: 4,
            denominator: 4
        })
    );
    let span = first.spans[0].unwrap();
    assert_eq!((span.frames, span.samples_per_beat), (480, 24_000.0));

    let next = tracker.next(&playing(4.02, 120.0), 480);
    assert_eq!((next.left, next.arrived, next.metre), (None, None, None));

    let jump = tracker.next(&playing(1.0, 120.0), 480);
    assert!((jump.left.unwrap().beat - 4.04).abs() < 1e-9);
    assert_eq!(jump.arrived, Some(1.0));
    assert!(jump.metre.is_some());

    let stop = tracker.next(
        &Reading {
            playing: false,
            ..playing(1.02, 120.0)
        },
        480,
    );
    let left = stop.left.unwrap();
    assert!((left.beat - 1.02).abs() < 1e-9 && left.limit < left.beat);
    assert_eq!((stop.arrived, stop.spans), (None, [None, None]));
}

#[test]
fn a_tempo_ramp_is_no_jump() {
    let mut tracker = Tracker::new(RATE);
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
fn no_position_or_tempo_is_standing_still() {
    let mut tracker = Tracker::new(RATE);
    tracker.next(&playing(0.0, 120.0), 64);
    let lost = tracker.next(
        &Reading {
            beat: None,
            ..playing(0.0, 120.0)
        },
        64,
    );
    assert!(lost.left.is_some() && lost.spans == [None, None]);
    for tempo in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(tracker.next(&playing(0.0, tempo), 64), Passage::default());
    }
    assert_eq!(
        tracker.next(&playing(f64::NAN, 120.0), 64),
        Passage::default()
    );
}

#[test]
fn a_loop_that_comes_round_inside_a_block_is_two_spans() {
    let mut tracker = Tracker::new(RATE);
    let reading = Reading {
        cycle: Some((4.0, 8.0)),
        ..playing(7.99, 120.0)
    };
    let passage = tracker.next(&reading, 480);
    let [Some(before), Some(after)] = passage.spans else {
        panic!("{passage:?}")
    };
    assert_eq!((before.first, before.frames), (0, 240));
    assert_eq!((after.first, after.frames), (240, 240));
    assert!((after.start_beat - 4.0).abs() < 1e-4);
    assert_eq!(passage.span_at(239), Some(&before));
    assert_eq!(passage.span_at(240), Some(&after));
    // The host goes on from there: nothing has happened, but the bars are told again.
    let next = tracker.next(
        &Reading {
            beat: Some(4.01),
            ..reading
        },
        480,
    );
    assert_eq!((next.left, next.arrived), (None, None));
    assert!(next.metre.is_some());
    // Behind the loop it does not come round.
    let mut tracker = Tracker::new(RATE);
    let behind = Reading {
        beat: Some(8.0),
        ..reading
    };
    assert_eq!(tracker.next(&behind, 480).spans[1], None);
}

#[test]
fn bars_are_told_when_they_change() {
    let mut tracker = Tracker::new(RATE);
    let mut beat = 0.0;
    let mut told = Vec::new();
    while beat < 16.0 {
        // Two bars of 4/4, then 3/4.
        let (bar_start, numerator) = match beat {
            b if b < 8.0 => ((b / 4.0_f64).floor() * 4.0, 4),
            b => (8.0 + ((b - 8.0) / 3.0_f64).floor() * 3.0, 3),
        };
        let reading = Reading {
            bar_start: Some(bar_start),
            numerator: Some(numerator),
            denominator: Some(4),
            ..playing(beat, 120.0)
        };
        told.extend(tracker.next(&reading, 480).metre);
        beat += 0.02;
    }
    let figures: Vec<_> = told.iter().map(|m| (m.bar_start, m.numerator)).collect();
    assert_eq!(figures, [(0.0, 4), (8.0, 3)]);
}

/// How a host rounds its positions.
#[derive(Clone, Copy, Debug)]
enum Rounding {
    Down(f64),
    Nearest(f64),
}

impl Rounding {
    const ALL: [Self; 6] = [
        Self::Nearest(480.0),
        Self::Down(480.0),
        Self::Nearest(960.0),
        Self::Nearest(1_920.0),
        Self::Down(7_680.0),
        Self::Nearest(617.0),
    ];

    fn round(self, beat: f64) -> f64 {
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
        let mut tracker = Tracker::new(RATE);
        let mut first = 0.0;
        for block in 0..3_000u32 {
            let at = f64::from(block * frames) / spb + 4.0;
            let reported = rounding.round(at);
            let passage = tracker.next(&playing(reported, tempo), frames);
            let what = format!("{rounding:?}, {tempo} BPM, blocks of {frames}, block {block}");
            assert_eq!(passage.arrived.is_some(), block == 0, "{what}");
            let start = passage.spans[0].unwrap().start_beat;
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
        let mut tracker = Tracker::new(RATE);
        let (exact, told, frames) = (133.337, 133.34, 256);
        let spb = RATE * 60.0 / exact;
        let mut last: Option<f64> = None;
        for block in 0..100_000u32 {
            let at = f64::from(block) * f64::from(frames) / spb;
            let passage = tracker.next(&playing(rounding.round(at), told), frames);
            assert_eq!(
                passage.arrived.is_some(),
                block == 0,
                "{rounding:?}, {block}"
            );
            let span = passage.spans[0].unwrap();
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
fn a_loop_whose_end_lies_inside_a_block_is_found_told_or_not() {
    let mut rng = Rng::new(5);
    for round in 0..300 {
        let rounding = Rounding::ALL[round % 5];
        let tempo = 40.0 + 300.0 * rng.unit();
        let spb = RATE * 60.0 / tempo;
        let frames = [64, 480, 1_024, 4_096][rng.below(4) as usize];
        let (start, end) = [(0.0, 28.0), (4.0, 12.0), (3.0, 7.0)][rng.below(3) as usize];
        let told = rng.below(2) == 0;
        let what = format!("{rounding:?}, {tempo} BPM, {frames}, {start} to {end}, told {told}");
        // The host loops on whole samples.
        let length = ((end - start) * spb).round();
        let mut tracker = Tracker::new(RATE);
        let (mut at, mut seams, mut turns) = (rng.below(frames) as f64, 0, 0);
        while seams + turns < 4 {
            let reading = Reading {
                cycle: told.then_some((start, end)),
                ..playing(rounding.round(start + at / spb), tempo)
            };
            let passage = tracker.next(&reading, frames as u32);
            if let Some(seam) = passage.seam {
                assert_eq!((seam.start, seam.end), (start, end), "{what}");
                let since = passage.arrived.unwrap() - start;
                assert!((since * spb - at).abs() < spb / 240.0, "{what}");
                seams += 1;
            } else {
                assert_eq!(
                    passage.arrived.is_some(),
                    turns + seams == 0 && passage.left.is_none() && passage.arrived.is_some(),
                    "{what}"
                );
            }
            if let [Some(_), Some(after)] = passage.spans {
                let sample = length - at;
                assert!(
                    (f64::from(after.first) - sample).abs() < spb / 240.0 + 2.0,
                    "{what}"
                );
                turns += 1;
            }
            at = (at + f64::from(frames as u32)) % length;
        }
        assert!(told || turns == 0, "{what}");
    }
}

#[test]
fn a_jump_that_is_no_loop_is_a_jump() {
    let mut tracker = Tracker::new(RATE);
    tracker.next(&playing(10.3, 120.0), 480);
    let jump = tracker.next(&playing(2.7, 120.0), 480);
    assert_eq!((jump.seam, jump.arrived), (None, Some(2.7)));
    assert!((jump.left.unwrap().beat - 10.32).abs() < 1e-9);
    let forward = tracker.next(&playing(16.0, 120.0), 480);
    assert_eq!((forward.seam, forward.arrived), (None, Some(16.0)));
}

#[test]
fn a_stop_inside_the_last_block_is_where_the_host_stands() {
    let mut tracker = Tracker::new(RATE);
    tracker.next(&playing(4.0, 120.0), 4_800);
    let stopped = Reading {
        playing: false,
        ..playing(4.05, 120.0)
    };
    assert!((tracker.next(&stopped, 4_800).left.unwrap().beat - 4.05).abs() < 1e-9);
    // A host that goes back to where it started says nothing of where it stopped.
    tracker.next(&playing(4.0, 120.0), 4_800);
    let back = Reading {
        beat: Some(4.0),
        ..stopped
    };
    assert!((tracker.next(&back, 4_800).left.unwrap().beat - 4.2).abs() < 1e-9);
}

#[test]
fn blocks_of_one_sample_and_of_none() {
    let mut tracker = Tracker::new(RATE);
    let spb = 24_000.0;
    for sample in 0..5_000u32 {
        let reading = playing(fixed_point(f64::from(sample) / spb), 120.0);
        if sample % 7 == 0 {
            assert_eq!(tracker.next(&reading, 0), Passage::default());
        }
        let passage = tracker.next(&reading, 1);
        assert_eq!(passage.arrived.is_some(), sample == 0);
        let start = passage.spans[0].unwrap().start_beat;
        assert!((start - f64::from(sample) / spb).abs() < 1e-9);
    }
}

const OWN: OwnTime = OwnTime {
    tempo: 90.0,
    always: false,
};

/// What the tracker makes of a block, with what is missing filled in.
fn next(tracker: &mut Tracker, reading: &Reading, frames: u32) -> Passage {
    let reading = tracker.complete(reading, frames, OWN);
    tracker.next(&reading, frames)
}

#[test]
fn blocks_without_information_start_no_time_and_end_none() {
    let nothing = Reading::default();
    for blocks in [1, 3, 20] {
        let mut tracker = Tracker::new(RATE);
        for _ in 0..blocks {
            assert_eq!(next(&mut tracker, &nothing, 1_024), Passage::default());
        }
        let standing = Reading {
            playing: false,
            ..playing(0.0, 120.0)
        };
        assert_eq!(next(&mut tracker, &standing, 1_024), Passage::default());
        assert_eq!(
            next(&mut tracker, &playing(2.0, 120.0), 24_000).arrived,
            Some(2.0)
        );
        // In the midst of playing the playhead goes on.
        let passage = next(&mut tracker, &nothing, 2_400);
        assert_eq!((passage.left, passage.arrived), (None, None));
        assert!((passage.spans[0].unwrap().start_beat - 3.0).abs() < 1e-9);
        let passage = next(&mut tracker, &playing(3.1, 120.0), 24_000);
        assert_eq!((passage.left, passage.arrived), (None, None));
        // A host that says nothing any more stands still, and its own time does not begin.
        let mut left = None;
        for _ in 0..200 {
            let passage = next(&mut tracker, &nothing, 1_024);
            left = left.or(passage.left);
            assert_eq!(passage.arrived, None);
        }
        assert!((left.unwrap().beat - 5.1).abs() < 0.1, "{left:?}");
    }
}

#[test]
fn a_single_block_without_tempo_or_position_is_filled_in() {
    let mut tracker = Tracker::new(RATE);
    next(&mut tracker, &playing(0.0, 120.0), 2_400);
    for gap in [
        Reading {
            tempo: None,
            ..playing(0.1, 0.0)
        },
        Reading {
            beat: None,
            ..playing(0.0, 120.0)
        },
    ] {
        let start = tracker.running.unwrap().next_beat();
        let passage = next(&mut tracker, &gap, 2_400);
        assert_eq!((passage.left, passage.arrived), (None, None), "{gap:?}");
        let span = passage.spans[0].unwrap();
        assert!((span.start_beat - start).abs() < 1e-9 && span.samples_per_beat == 24_000.0);
    }
}

#[test]
fn a_host_without_a_transport_plays_by_our_own_time() {
    for frames in [333, 4_800] {
        let mut tracker = Tracker::new(RATE);
        let mut arrived = None;
        for block in 0..20_000 / frames * 10 {
            let passage = next(&mut tracker, &Reading::default(), frames);
            let sample = f64::from(block * frames);
            // Nothing for half a second, and beat 0 after a second.
            assert_eq!(passage.spans[0].is_some(), sample >= RATE / 2.0, "{sample}");
            let Some(span) = passage.spans[0] else {
                continue;
            };
            assert_eq!(passage.arrived.is_some(), arrived.is_none());
            arrived = arrived.or(passage.arrived);
            let exact = (sample - RATE) / 32_000.0;
            assert!((span.start_beat - exact).abs() < 1e-9, "{span:?}, {exact}");
        }
        assert!(arrived.is_some_and(|beat| beat < 0.0));
        // Another tempo goes on from there.
        let faster = OwnTime {
            tempo: 180.0,
            ..OWN
        };
        let reading = tracker.complete(&Reading::default(), frames, faster);
        assert_eq!(tracker.next(&reading, frames).arrived, None);
    }
    // A host that stands still, and says where, stands still.
    let mut tracker = Tracker::new(RATE);
    let standing = Reading {
        playing: false,
        ..playing(3.0, 120.0)
    };
    assert_eq!(tracker.complete(&standing, 64, OWN), standing);
    let always = OwnTime {
        always: true,
        ..OWN
    };
    assert!(tracker.complete(&standing, 64, always).playing);
}

#[test]
fn own_time_goes_on_after_what_was_loaded() {
    let mut tracker = Tracker::new(RATE);
    tracker.resume_own_time_at(32.0);
    let first = (0..100).find_map(|_| next(&mut tracker, &Reading::default(), 2_400).arrived);
    assert!((first.unwrap() - (32.0 - 0.75)).abs() < 1e-9, "{first:?}");
}

#[test]
fn a_host_that_tells_a_tempo_and_no_position_is_followed() {
    let mut tracker = Tracker::new(RATE);
    let host = Reading {
        playing: true,
        tempo: Some(120.0),
        numerator: Some(3),
        denominator: Some(4),
        ..Reading::default()
    };
    for block in 0..200 {
        let passage = next(&mut tracker, &host, 480);
        assert_eq!(passage.arrived.is_some(), block == 50);
        assert_eq!(passage.spans[0].is_some(), block >= 50);
        if let Some(span) = passage.spans[0] {
            assert!((span.start_beat - (f64::from(block) * 0.02 - 2.0)).abs() < 1e-9);
        }
    }
    // Once it is known to tell none, it is not waited for again.
    let standing = Reading {
        playing: false,
        ..host
    };
    assert!(next(&mut tracker, &standing, 480).left.is_some());
    assert!(next(&mut tracker, &host, 480).arrived.is_some());
}
