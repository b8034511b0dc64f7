//! Hosts that leave out information, and the plugin's own time.

use super::*;

pub(super) const OWN: OwnTime = OwnTime {
    tempo: 90.0,
    always: false,
};

/// The tracker's result for a block, with missing information filled in.
pub(super) fn next(
    tracker: &mut PlayheadTracker,
    reading: &HostTransport,
    frames: u32,
) -> BlockTimeline {
    let reading = tracker.complete(reading, frames, OWN);
    tracker.next(&reading, frames)
}

#[test]
fn blocks_without_information_neither_start_nor_stop_the_transport() {
    let nothing = HostTransport::default();
    for blocks in [1, 3, 20] {
        let mut tracker = PlayheadTracker::new(RATE);
        for _ in 0..blocks {
            assert_eq!(
                next(&mut tracker, &nothing, 1_024),
                BlockTimeline::default()
            );
        }
        let standing = HostTransport {
            playing: false,
            ..playing(0.0, 120.0)
        };
        assert_eq!(
            next(&mut tracker, &standing, 1_024),
            BlockTimeline::default()
        );
        assert_eq!(
            next(&mut tracker, &playing(2.0, 120.0), 24_000).arrived,
            Some(2.0)
        );
        // In the midst of playing the playhead goes on.
        let block_timeline = next(&mut tracker, &nothing, 2_400);
        assert_eq!((block_timeline.left, block_timeline.arrived), (None, None));
        assert!((block_timeline.spans[0].unwrap().start_beat - 3.0).abs() < 1e-9);
        let block_timeline = next(&mut tracker, &playing(3.1, 120.0), 24_000);
        assert_eq!((block_timeline.left, block_timeline.arrived), (None, None));
        // A host that stops to report anything stands still, and its own time does not begin.
        let mut left = None;
        for _ in 0..200 {
            let block_timeline = next(&mut tracker, &nothing, 1_024);
            left = left.or(block_timeline.left);
            assert_eq!(block_timeline.arrived, None);
        }
        assert!((left.unwrap().beat - 5.1).abs() < 0.1, "{left:?}");
    }
}

#[test]
fn block_without_tempo_or_position_is_filled_in() {
    let mut tracker = PlayheadTracker::new(RATE);
    next(&mut tracker, &playing(0.0, 120.0), 2_400);
    for gap in [
        HostTransport {
            tempo: None,
            ..playing(0.1, 0.0)
        },
        HostTransport {
            beat: None,
            ..playing(0.0, 120.0)
        },
    ] {
        let start = tracker.running.unwrap().next_beat();
        let block_timeline = next(&mut tracker, &gap, 2_400);
        assert_eq!(
            (block_timeline.left, block_timeline.arrived),
            (None, None),
            "{gap:?}"
        );
        let span = block_timeline.spans[0].unwrap();
        assert!((span.start_beat - start).abs() < 1e-9 && span.samples_per_beat == 24_000.0);
    }
}

#[test]
fn host_without_a_transport_plays_by_own_time() {
    for frames in [333, 4_800] {
        let mut tracker = PlayheadTracker::new(RATE);
        let mut arrived = None;
        for block in 0..20_000 / frames * 10 {
            let block_timeline = next(&mut tracker, &HostTransport::default(), frames);
            let sample = f64::from(block * frames);
            // Nothing for half a second, and beat 0 after a second.
            assert_eq!(
                block_timeline.spans[0].is_some(),
                sample >= RATE / 2.0,
                "{sample}"
            );
            let Some(span) = block_timeline.spans[0] else {
                continue;
            };
            assert_eq!(block_timeline.arrived.is_some(), arrived.is_none());
            arrived = arrived.or(block_timeline.arrived);
            let exact = (sample - RATE) / 32_000.0;
            assert!((span.start_beat - exact).abs() < 1e-9, "{span:?}, {exact}");
        }
        assert!(arrived.is_some_and(|beat| beat < 0.0));
        // Another tempo goes on from there.
        let faster = OwnTime {
            tempo: 180.0,
            ..OWN
        };
        let reading = tracker.complete(&HostTransport::default(), frames, faster);
        assert_eq!(tracker.next(&reading, frames).arrived, None);
    }
    // A host that stands still, and says where, stands still.
    let mut tracker = PlayheadTracker::new(RATE);
    let standing = HostTransport {
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
fn own_time_continues_after_a_loaded_state() {
    let mut tracker = PlayheadTracker::new(RATE);
    tracker.resume_own_time_at(32.0);
    let first = (0..100).find_map(|_| next(&mut tracker, &HostTransport::default(), 2_400).arrived);
    assert!((first.unwrap() - (32.0 - 0.75)).abs() < 1e-9, "{first:?}");
}

#[test]
fn host_with_a_tempo_and_no_position_is_followed() {
    let mut tracker = PlayheadTracker::new(RATE);
    let host = HostTransport {
        playing: true,
        tempo: Some(120.0),
        numerator: Some(3),
        denominator: Some(4),
        ..HostTransport::default()
    };
    for block in 0..200 {
        let block_timeline = next(&mut tracker, &host, 480);
        assert_eq!(block_timeline.arrived.is_some(), block == 50);
        assert_eq!(block_timeline.spans[0].is_some(), block >= 50);
        if let Some(span) = block_timeline.spans[0] {
            assert!((span.start_beat - (f64::from(block) * 0.02 - 2.0)).abs() < 1e-9);
        }
    }
    // Once it is known to tell none, it is not waited for again.
    let standing = HostTransport {
        playing: false,
        ..host
    };
    assert!(next(&mut tracker, &standing, 480).left.is_some());
    assert!(next(&mut tracker, &host, 480).arrived.is_some());
}
