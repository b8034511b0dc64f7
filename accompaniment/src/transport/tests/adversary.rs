//! Random transports with the behaviour of known hosts, and invalid values.

use super::missing_info::{OWN, next};
use super::random_host::Song;
use super::rounding::Rounding;
use super::*;

/// Every sample of the block lies in one span, and nothing is out of bounds.
fn check(block_timeline: &BlockTimeline, frames: u32) {
    let spans: Vec<&Span> = block_timeline.spans.iter().flatten().collect();
    let mut next = 0;
    for span in &spans {
        assert_eq!(span.first, next, "{block_timeline:?}");
        next = span.end();
        assert!(span.start_beat.abs() < 1e10, "{block_timeline:?}");
        assert!(span.samples_per_beat > 0.0 && span.samples_per_beat < 1e9);
        assert!(spans.len() == 1 || span.frames > 0);
    }
    assert!(spans.is_empty() || next == frames, "{block_timeline:?}");
    let beats = [
        block_timeline.left.map(|left| left.beat),
        block_timeline.arrived,
    ];
    assert!(beats.into_iter().flatten().all(f64::is_finite));
}

#[test]
fn random_host_causes_no_jump_and_moves_no_note() {
    for seed in 0..600 {
        let mut song = Song::new(seed);
        let mut tracker = PlayheadTracker::new(song.rate);
        let mut arrivals = 0;
        for block in 0..1_500 {
            let frames = song.frames();
            let mut reading = song.report(frames, arrivals == 0);
            reading = tracker.complete(&reading, frames, OWN);
            let block_timeline = tracker.next(&reading, frames);
            check(&block_timeline, frames);
            let what = || {
                format!(
                    "seed {seed}, block {block}, {} BPM, {:?}",
                    song.tempo, song.rounding
                )
            };
            arrivals += u32::from(block_timeline.arrived.is_some());
            assert!(
                block_timeline.left.is_none() && arrivals <= 1,
                "{}: {block_timeline:?}",
                what()
            );
            if let [Some(span), None] = block_timeline.spans {
                // While it reports nothing the tempo is that of the block before.
                let blind = song.slope.abs() * 0.5 * 0.5 / 60.0;
                let first = tracker.position_rounding.step().max(song.step());
                let off = (span.start_beat - song.beat).abs();
                let most = 2.0 * first + if song.silent > 0.0 { blind } else { 0.0 };
                assert!(off <= most + 1e-6, "{}: {off} beats off", what());
            }
            song.advance(frames);
        }
        assert_eq!(
            (arrivals, tracker.contradiction()),
            (1, None),
            "seed {seed}"
        );
        // It stops inside the last block.
        let stop = song.beat
            - 0.3 * tracker.running.unwrap().last.frames as f64 * song.tempo / (60.0 * song.rate);
        let said = HostTransport {
            playing: false,
            ..playing(stop, song.tempo)
        };
        let left = next(&mut tracker, &said, 64).left.unwrap();
        assert!(
            (left.beat - stop).abs() < 2.0 * song.step() + 0.02,
            "seed {seed}"
        );
        assert!(left.cutoff_beat <= left.beat);
    }
}

#[test]
fn loop_that_begins_anywhere_is_known_from_the_second_pass_on() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let rounding = [
            None,
            Some(Rounding::Nearest(960.0)),
            Some(Rounding::Down(1_920.0)),
        ];
        let rounding = rounding[rng.below(3) as usize];
        let round = |beat: f64| rounding.map_or(fixed_point(beat), |r| r.round(beat));
        let tempo = 40.0 + 300.0 * rng.unit();
        let spb = RATE * 60.0 / tempo;
        let frames = [64, 480, 1_024, 4_096][rng.below(4) as usize];
        let start = 8.0 * rng.unit();
        // On whole samples, and more than some blocks long.
        let length = (f64::from(frames) * (5.0 + 30.0 * rng.unit())).round();
        let what = format!("seed {seed}, {rounding:?}, {tempo} BPM, {frames}");
        let mut tracker = PlayheadTracker::new(RATE);
        let (mut at, mut turns) = (0.0, 0);
        while turns < 8 {
            let block_timeline = tracker.next(&playing(round(start + at / spb), tempo), frames);
            check(&block_timeline, frames);
            if block_timeline.left.is_some() {
                turns += 1;
                // The first time it may be any jump.
                let seam = block_timeline.seam;
                assert!(
                    turns == 1 || seam.is_some(),
                    "{what}, turn {turns}: {block_timeline:?}"
                );
                if let Some(seam) = seam {
                    let off = seam.end - seam.start - length / spb;
                    assert!(off.abs() < 3.0 / 480.0, "{what}: {off} longer");
                    // Within the block; a start on the grid is likelier than one beside it, and a
                    // beat a little earlier than one in the block.
                    let near = f64::from(frames) / spb + 3.0 / 480.0 + 2.0 / spb;
                    let on_beat = seam.start == seam.start.round() && seam.start < start;
                    let near = if on_beat {
                        near.max(SHORT_GAP * RATE / spb)
                    } else {
                        near
                    };
                    assert!((seam.start - start).abs() < near, "{what}: {seam:?}");
                    let later = seam.start - start > 3.0 / 480.0 + 2.0 / spb;
                    let steps = seam.start * 12.0;
                    assert!(
                        !later || (steps - steps.round()).abs() < 1e-6,
                        "{what}: {seam:?}"
                    );
                }
            }
            at += f64::from(frames);
            if at >= length {
                at -= length;
            }
        }
    }
}

#[test]
fn loop_on_the_grid_of_steps_is_known_at_once() {
    for (start, end) in [(1.0 / 3.0, 9.0 + 2.0 / 3.0), (4.0 + 1.0 / 12.0, 7.0)] {
        let (mut tracker, spb, frames) = (PlayheadTracker::new(RATE), 24_000.0, 1_000);
        let length = (end - start) * spb;
        let (mut at, mut seams) = (0.0, 0);
        for _ in 0..800 {
            let said = playing(fixed_point(start + at / spb), 120.0);
            let block_timeline = tracker.next(&said, frames);
            if let Some(seam) = block_timeline.seam {
                assert!((seam.start - start).abs() < 1e-9 && (seam.end - end).abs() < 1e-9);
                seams += 1;
            }
            assert_eq!(block_timeline.left.is_some(), block_timeline.seam.is_some());
            at = (at + f64::from(frames)) % length;
        }
        assert!(seams >= 2);
    }
}

#[test]
fn loop_seam_without_a_report_is_followed() {
    let mut tracker = PlayheadTracker::new(RATE);
    let (mut beat, frames) = (6.0, 480);
    let mut turns = 0;
    for block in 0..800 {
        let mut said = HostTransport {
            cycle: Some((4.0, 8.0)),
            ..playing(beat, 120.0)
        };
        if !(4.05..=7.95).contains(&beat) {
            said = HostTransport::default();
        }
        let block_timeline = next(&mut tracker, &said, frames);
        check(&block_timeline, frames);
        assert_eq!(
            block_timeline.arrived.is_some() && block_timeline.seam.is_none(),
            block == 0,
            "{block}"
        );
        turns += u32::from(block_timeline.spans[1].is_some() || block_timeline.seam.is_some());
        beat += 0.02;
        if beat >= 8.0 {
            beat -= 4.0;
        }
    }
    assert!(turns >= 3, "{turns} turns");
}

#[test]
fn wrong_tempo_is_measured_within_three_intervals() {
    for factor in [0.5, 0.97, 1.5, 2.0] {
        for (frames, rounding) in [
            (64, Rounding::ALL[0]),
            (512, Rounding::ALL[2]),
            (4_096, Rounding::ALL[4]),
        ] {
            let (mut tracker, mut jumps, mut off) = (PlayheadTracker::new(RATE), 0, 0.0);
            for block in 0..3_000u32 {
                let at = f64::from(block * frames) * factor / 24_000.0;
                let block_timeline =
                    next(&mut tracker, &playing(rounding.round(at), 120.0), frames);
                check(&block_timeline, frames);
                jumps += u32::from(block_timeline.left.is_some());
                off = (block_timeline.spans[0].unwrap().start_beat - at).abs();
            }
            let intervals = (24_000.0 / 15.0 / f64::from(frames)).ceil();
            assert!(
                f64::from(jumps) <= 3.0 * intervals && off < 2.0 / 480.0,
                "{factor}, {frames}: {jumps}, {off}"
            );
            // Per block, the tempos are further apart than rounding.
            let apart = (factor - 1.0_f64).abs() * f64::from(frames) / 24_000.0;
            if apart > TOLERANCE {
                assert_eq!(tracker.contradiction(), Some(Contradiction::Tempo));
            }
        }
    }
}

/// The value four times in five.
fn maybe<T>(value: T, rng: &mut Rng) -> Option<T> {
    (rng.below(5) > 0).then_some(value)
}

#[test]
fn invalid_values_never_panic_and_are_never_passed_on() {
    let mut rng = Rng::new(3);
    let number = |rng: &mut Rng| {
        let odd = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            -0.0,
            1e300,
            -1e300,
            1e9,
            -1e9,
            4e9,
            0.0,
            120.0,
            1e-300,
            9_999.0,
            1.0,
        ];
        match rng.below(3) {
            0 => odd[rng.below(odd.len() as u64) as usize],
            _ => 40.0 * rng.unit() - 4.0,
        }
    };
    for round in 0..400 {
        let mut tracker = PlayheadTracker::new(RATE);
        tracker.shift([0, 4_800, -4_800][round % 3]);
        let mut said = playing(0.0, 120.0);
        for _ in 0..400 {
            let frames = [0, 1, 64, 1_024, 4_096][rng.below(5) as usize];
            match rng.below(12) {
                0 => said.playing = rng.below(4) > 0,
                1 => said.beat = maybe(number(&mut rng), &mut rng),
                2 => said.tempo = maybe(10.0 * number(&mut rng), &mut rng),
                3 => said.bar_start = maybe(number(&mut rng), &mut rng),
                4 => said.numerator = maybe(rng.draw() as i32 % 70, &mut rng),
                5 => said.denominator = maybe(1 << rng.below(31), &mut rng),
                6 => {
                    let ends = (number(&mut rng), number(&mut rng));
                    said.cycle = maybe(ends, &mut rng);
                }
                7 => tracker.set_sample_rate(RATE * (1.0 + rng.unit())),
                8 => said = HostTransport::default(),
                9 => said = playing(40.0 * rng.unit(), 20.0 + 380.0 * rng.unit()),
                _ => said.beat = said.beat.map(|b| b + f64::from(frames) / 24_000.0),
            }
            let own = OwnTime {
                always: rng.below(20) == 0,
                ..OWN
            };
            let reading = tracker.complete(&said, frames, own);
            let mut block_timeline = tracker.next(&reading, frames);
            check(&block_timeline, frames);
            let mut note_ons: Vec<u32> =
                (0..rng.below(4)).map(|_| rng.below(4_096) as u32).collect();
            note_ons.retain(|&at| at < frames);
            note_ons.sort_unstable();
            block_timeline.snap_seam(tracker.slack(), note_ons.into_iter());
            check(&block_timeline, frames);
        }
    }
}
