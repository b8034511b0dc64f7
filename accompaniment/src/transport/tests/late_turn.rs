//! Hosts that cut a period into blocks and turn back only at the period's end, as qtractor does
//! under JACK.

use super::rounding::Rounding;
use super::*;

/// A loop from `start` to `end`, in quarter notes, of a host that turns back at the end of a
/// period of `period` samples.
#[derive(Clone, Copy, Debug)]
struct LateHost {
    tempo: f64,
    period: u32,
    frames: u32,
    start: f64,
    end: f64,
    reported: bool,
    rounding: Option<Rounding>,
}

/// One turn: where the playhead really was behind the loop's start, and the tracker's result.
struct Turn {
    since: f64,
    timeline: BlockTimeline,
}

impl LateHost {
    /// The tracker's result for each jump in `passes` passes. `check` gets each block's true
    /// position, in quarter notes from the loop's start, the number of turns before, and the
    /// tracker's result.
    fn play(self, passes: usize, mut check: impl FnMut(f64, usize, &BlockTimeline)) -> Vec<Turn> {
        let spb = RATE * 60.0 / self.tempo;
        let length = ((self.end - self.start) * spb).floor();
        let (mut tracker, mut position, mut turns) = (PlayheadTracker::new(RATE), 0.0, Vec::new());
        let mut first = true;
        while turns.len() < passes {
            for _ in 0..self.period / self.frames {
                let beat = self.start + position / spb;
                let reading = HostTransport {
                    cycle: self.reported.then_some((self.start, self.end)),
                    bar_start: Some((beat / 4.0).floor() * 4.0),
                    ..playing(
                        self.rounding.map_or(fixed_point(beat), |r| r.round(beat)),
                        self.tempo,
                    )
                };
                let timeline = tracker.next(&reading, self.frames);
                check(position / spb, turns.len(), &timeline);
                if !first && (timeline.left.is_some() || timeline.spans[1].is_some()) {
                    let since = position / spb;
                    turns.push(Turn { since, timeline });
                }
                first = false;
                position += f64::from(self.frames);
            }
            if position >= length {
                position -= length;
            }
        }
        turns
    }
}

fn hosts() -> impl Iterator<Item = LateHost> {
    let tempos = [120.0, 141.0];
    let blocks = [
        (1_024, 64),
        (1_024, 256),
        (1_024, 1_024),
        (4_096, 64),
        (2_048, 1_024),
    ];
    let roundings = [
        None,
        Some(Rounding::Nearest(960.0)),
        Some(Rounding::Down(7_680.0)),
    ];
    let hosts = tempos.into_iter().flat_map(move |tempo| {
        blocks
            .into_iter()
            .map(move |(period, frames)| (tempo, period, frames))
    });
    hosts.flat_map(move |(tempo, period, frames)| {
        roundings.into_iter().map(move |rounding| LateHost {
            tempo,
            period,
            frames,
            start: 0.0,
            end: 28.0,
            reported: false,
            rounding,
        })
    })
}

#[test]
fn loop_of_whole_bars_is_known_at_its_first_late_turn() {
    for host in hosts() {
        let spb = RATE * 60.0 / host.tempo;
        let turns = host.play(4, |_, _, _| ());
        for (pass, turn) in turns.iter().enumerate() {
            let what = format!("{host:?}, pass {pass}: {:?}", turn.timeline);
            let seam = turn.timeline.seam.expect(&what);
            assert_eq!((seam.start, seam.end), (0.0, 28.0), "{what}");
            let left = turn.timeline.left.unwrap();
            assert_eq!(left.beat, 28.0, "{what}");
            assert!(
                left.cutoff_beat < 28.0 && left.cutoff_beat > 28.0 - 2.0 / spb,
                "{what}"
            );
            let off = turn.timeline.arrived.unwrap() - turn.since;
            assert!(off.abs() < 2.0 / 480.0, "{what}");
        }
    }
}

#[test]
fn generated_notes_stop_at_the_end_of_a_known_loop() {
    for host in hosts() {
        let spb = RATE * 60.0 / host.tempo;
        let mut overrun = 0;
        host.play(4, |position, turns, timeline| {
            let span = timeline.spans[0].unwrap();
            let sample = ((28.0 - position) * spb).round();
            let rounding = spb * 2.0 / 480.0 + 2.0;
            if turns == 0 || sample > f64::from(host.frames) + rounding {
                assert_eq!(timeline.hold_from, None, "{host:?}, {span:?}");
            } else if sample < -rounding {
                overrun += 1;
                assert_eq!(timeline.hold_from, Some(0), "{host:?}, {span:?}");
            } else if sample > rounding && sample < f64::from(host.frames) - rounding {
                let hold = f64::from(timeline.hold_from.unwrap());
                assert!(
                    (hold - sample).abs() <= rounding,
                    "{host:?}, {hold}, {sample}"
                );
            }
        });
        assert!(overrun > 0 || host.frames == host.period, "{host:?}");
    }
}

#[test]
fn late_turn_of_a_reported_loop_is_no_jump() {
    for host in hosts() {
        let host = LateHost {
            reported: true,
            ..host
        };
        let mut jumps = 0;
        host.play(4, |_, turns, timeline| {
            jumps += u32::from(timeline.left.is_some() && timeline.seam.is_none());
            let behind = timeline.spans[0].unwrap().start_beat > 28.0 + 2.0 / 480.0;
            assert!(
                turns == 0 || !behind || timeline.hold_from == Some(0),
                "{host:?}"
            );
        });
        assert_eq!(jumps, 0, "{host:?}");
    }
}

#[test]
fn late_loop_on_the_grid_of_steps_is_known_from_the_second_pass_on() {
    for (start, end) in [(0.25, 10.5), (1.0 / 3.0, 9.0 + 2.0 / 3.0)] {
        let host = LateHost {
            tempo: 141.0,
            period: 1_024,
            frames: 64,
            start,
            end,
            reported: false,
            rounding: None,
        };
        let turns = host.play(5, |_, _, _| ());
        for turn in &turns[2..] {
            let seam = turn.timeline.seam.expect("a seam");
            let off = (seam.end - seam.start - (end - start)).abs();
            assert!(off < 1e-3 && (seam.start - start).abs() < 0.06, "{seam:?}");
        }
    }
}

/// The loop is switched off: the host goes on behind its end, and so does the music.
#[test]
fn notes_are_delayed_by_a_tenth_of_a_second_at_most() {
    let mut tracker = PlayheadTracker::new(RATE);
    let (spb, frames) = (24_000.0, 64);
    let mut play = |from: u32, to: u32| {
        let mut held = 0;
        for at in (from..to).step_by(frames as usize) {
            let reading = playing(fixed_point(f64::from(at) / spb), 120.0);
            let timeline = tracker.next(&reading, frames);
            held += frames * u32::from(timeline.hold_from.is_some());
        }
        held
    };
    let end = 8 * 24_000;
    assert_eq!(play(0, end + 768), 0);
    assert_eq!(play(768, end + 768), 768);
    // It does not turn back.
    let held = play(768, end + 48_000);
    assert!((4_700..=4_900).contains(&held), "{held}");
    // And the loop is forgotten.
    assert_eq!(play(end - 4_096, end + 48_000), 0);
}
