use super::Message::{Drop, Enter, Leave, Position};
use super::*;

const HOST: Target = Target {
    window: 7,
    receiver: 7,
    version: 5,
};

/// A window whose messages go to a proxy.
const DESKTOP: Target = Target {
    window: 8,
    receiver: 9,
    version: 4,
};

/// An exchange over the host, which has answered the first position.
fn over_host(accepts: bool, now: Instant) -> Exchange {
    let mut exchange = Exchange::default();
    let messages = exchange.moved((1, 1), Some(HOST));
    assert_eq!(messages, [Enter(HOST), Position(HOST, (1, 1))]);
    assert_eq!(exchange.status(7, accepts, now), []);
    assert_eq!(exchange.is_accepted(), accepts);
    exchange
}

#[test]
fn accepted_drop_ends_when_the_target_is_done() {
    let now = Instant::now();
    let mut exchange = over_host(true, now);
    assert_eq!(exchange.released(now), [Drop(HOST)]);
    assert_eq!(exchange.outcome(), None);
    // Of another window.
    assert_eq!(exchange.finished(8, true), []);
    assert_eq!(exchange.outcome(), None);
    assert_eq!(exchange.finished(7, true), []);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Dropped));
}

#[test]
fn next_position_waits_for_the_answer_to_the_last() {
    let now = Instant::now();
    let mut exchange = over_host(false, now);
    // The pointer stands still.
    assert_eq!(exchange.moved((1, 1), Some(HOST)), []);
    assert_eq!(exchange.moved((2, 1), Some(HOST)), [Position(HOST, (2, 1))]);
    assert_eq!(exchange.moved((3, 1), Some(HOST)), []);
    assert_eq!(exchange.moved((4, 1), Some(HOST)), []);
    // Released meanwhile, the last position is sent and its answer decides.
    assert_eq!(exchange.released(now), []);
    assert_eq!(exchange.status(7, false, now), [Position(HOST, (4, 1))]);
    assert_eq!(exchange.outcome(), None);
    assert_eq!(exchange.status(7, true, now), [Drop(HOST)]);
}

#[test]
fn target_that_refuses_or_is_not_there_gets_no_drop() {
    let now = Instant::now();
    let mut exchange = over_host(false, now);
    assert_eq!(exchange.released(now), [Leave(HOST)]);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Refused));

    let mut exchange = over_host(true, now);
    assert_eq!(exchange.moved((90, 1), None), [Leave(HOST)]);
    assert!(!exchange.is_accepted());
    // A late answer of the target that was left.
    assert_eq!(exchange.status(7, true, now), []);
    assert_eq!(exchange.released(now), []);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Refused));

    let mut exchange = over_host(true, now);
    exchange.released(now);
    exchange.finished(7, false);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Refused));
}

#[test]
fn a_new_target_starts_without_the_answer_of_the_last() {
    let now = Instant::now();
    let mut exchange = over_host(true, now);
    let at = (2, 2);
    let messages = exchange.moved(at, Some(DESKTOP));
    assert_eq!(
        messages,
        [Leave(HOST), Enter(DESKTOP), Position(DESKTOP, at)]
    );
    assert!(!exchange.is_accepted());
    assert_eq!(exchange.status(8, true, now), []);
    assert_eq!(exchange.released(now), [Drop(DESKTOP)]);
    // Its version has no flag for what it took.
    exchange.finished(8, false);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Dropped));
}

#[test]
fn silent_targets_end_the_drag_after_a_time() {
    let now = Instant::now();
    let mut exchange = Exchange::default();
    exchange.moved((1, 1), Some(HOST));
    assert_eq!(exchange.released(now), []);
    assert_eq!(exchange.check_limits(now + STATUS_LIMIT / 2), []);
    assert_eq!(exchange.check_limits(now + STATUS_LIMIT), [Leave(HOST)]);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Refused));

    let mut exchange = over_host(true, now);
    exchange.released(now);
    assert_eq!(exchange.check_limits(now + FINISH_LIMIT / 2), []);
    assert_eq!(exchange.check_limits(now + FINISH_LIMIT), []);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Unanswered));
}

#[test]
fn cancelled_drag_leaves_its_target_once() {
    let now = Instant::now();
    let mut exchange = over_host(true, now);
    assert_eq!(exchange.cancel(), [Leave(HOST)]);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Cancelled));
    assert_eq!(exchange.cancel(), []);
    assert_eq!(exchange.moved((5, 5), Some(DESKTOP)), []);
    assert_eq!(exchange.released(now), []);

    let mut exchange = over_host(true, now);
    exchange.released(now);
    assert_eq!(exchange.cancel(), []);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Unanswered));
}

#[test]
fn target_that_vanishes_gets_no_more_messages() {
    let now = Instant::now();
    let mut exchange = over_host(true, now);
    assert_eq!(exchange.lost(1), []);
    assert!(exchange.is_accepted());
    exchange.lost(7);
    assert!(!exchange.is_accepted());
    assert_eq!(exchange.released(now), []);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Refused));

    let mut exchange = Exchange::default();
    exchange.moved((1, 1), Some(DESKTOP));
    exchange.status(8, true, now);
    exchange.released(now);
    exchange.lost(9);
    assert_eq!(exchange.outcome(), Some(DragOutcome::Unanswered));
}
