//! Tests of turn-taking.

use super::*;
use crate::choices::Enter;
use continuo_score::TimeSignature;

fn common() -> Timeline {
    let mut timeline = Timeline::new(12);
    timeline.add_time_signature(0.0, TimeSignature::COMMON);
    timeline
}

fn arrived(timeline: &Timeline) -> EntryPlanner {
    let mut rule = EntryPlanner::default();
    rule.arrive(timeline, 0.0);
    rule
}

fn settings(gap: f64, enter: Enter) -> Settings {
    Settings {
        gap,
        enter,
        ..Settings::default()
    }
}

#[test]
fn answer_begins_on_the_first_boundary_after_the_gap() {
    let timeline = common();
    let mut rule = arrived(&timeline);
    let bar = settings(2.0, Enter::Bar);
    assert_eq!(rule.next(&timeline, &bar), None);
    rule.on(12, 1.0, 0, 60);
    assert_eq!(rule.next(&timeline, &bar), None, "held");
    rule.off(24, 2.0, Some(0), Some(60));
    assert_eq!(
        rule.next(&timeline, &bar),
        Some(PlayWindow {
            at: 48,
            decided: 45,
            end: None,
        })
    );
    let beat = settings(0.5, Enter::Beat);
    assert_eq!(
        rule.next(&timeline, &beat),
        Some(PlayWindow {
            at: 36,
            decided: 33,
            end: None,
        })
    );
    let step = settings(0.3, Enter::Step);
    assert_eq!(
        rule.next(&timeline, &step),
        Some(PlayWindow {
            at: 28,
            decided: 25,
            end: None,
        })
    );
    assert_eq!(
        rule.next(
            &timeline,
            &Settings {
                mode: Mode::Off,
                ..bar
            }
        ),
        None
    );
}

/// Plays one note; returns the step on which the answer begins.
fn after(gap: f64, enter: Enter, on: i64, off: i64) -> Option<i64> {
    let timeline = common();
    let mut rule = arrived(&timeline);
    rule.on(on, timeline.beat(on), 0, 60);
    rule.off(off, timeline.beat(off), Some(0), Some(60));
    rule.next(&timeline, &settings(gap, enter)).map(|e| e.at)
}

#[test]
fn release_half_a_beat_late_delays_no_answer_by_a_bar() {
    // In 4/4 a bar has 48 steps. A release on the bar line with a gap of a bar gives the next bar line.
    assert_eq!(after(4.0, Enter::Bar, 36, 48), Some(96));
    for late in 1..=6 {
        assert_eq!(after(4.0, Enter::Bar, 36, 48 + late), Some(96), "{late}");
    }
    assert_eq!(
        after(4.0, Enter::Bar, 36, 55),
        Some(144),
        "more than half a beat"
    );
    // With a gap of two beats, a release in the middle of the bar is early enough.
    assert_eq!(after(2.0, Enter::Bar, 12, 24), Some(48));
    assert_eq!(after(2.0, Enter::Bar, 12, 30), Some(48));
    assert_eq!(after(2.0, Enter::Bar, 12, 31), Some(96));
    // A note-on there is no late release.
    assert_eq!(after(4.0, Enter::Bar, 48, 54), Some(144));
    assert_eq!(after(2.0, Enter::Bar, 24, 27), Some(96));
    assert_eq!(after(2.0, Enter::Bar, 23, 27), Some(48));
    // Beats and steps have no tolerance.
    assert_eq!(after(2.0, Enter::Beat, 12, 30), Some(60));
    assert_eq!(after(2.0, Enter::Step, 12, 30), Some(54));
}

#[test]
fn late_release_leaves_time_to_decide() {
    // Without a gap only the lead counts, three steps by default, so the answer is never in the past.
    assert_eq!(after(0.0, Enter::Bar, 36, 45), Some(48));
    assert_eq!(after(0.0, Enter::Bar, 36, 46), Some(96));
    assert_eq!(after(0.5, Enter::Bar, 36, 45), Some(48));
    assert_eq!(after(0.5, Enter::Bar, 36, 46), Some(96));
    let timeline = common();
    let mut rule = arrived(&timeline);
    let bar = settings(4.0, Enter::Bar);
    rule.on(36, 3.0, 0, 60);
    rule.off(50, timeline.beat(50), Some(0), Some(60));
    let entry = rule.next(&timeline, &bar).unwrap();
    assert!(entry.at == 96 && entry.decided > 50, "{entry:?}");
    // Postponed beyond that line, the answer begins on the next one.
    rule.postpone(97);
    assert_eq!(rule.next(&timeline, &bar).map(|e| e.at), Some(144));
}

#[test]
fn gaps_survive_the_rounding_of_parameters() {
    let timeline = common();
    assert_eq!(timeline.step_from(2.0), 24);
    assert_eq!(timeline.step_from(f64::from(2.000_000_2_f32)), 24);
    assert_eq!(timeline.step_from(2.01), 25);
}

#[test]
fn answer_never_begins_in_the_past() {
    let timeline = common();
    let mut rule = arrived(&timeline);
    rule.on(0, 0.0, 0, 60);
    rule.off(6, 0.5, Some(0), Some(60));
    let now = settings(1.0, Enter::Step);
    rule.change(&timeline, &now, 0.6);
    assert_eq!(
        rule.next(&timeline, &now).map(|e| e.at),
        Some(18),
        "time enough"
    );
    rule.change(&timeline, &now, 20.3);
    let entry = rule.next(&timeline, &now).unwrap();
    assert_eq!(
        entry,
        PlayWindow {
            at: 248,
            decided: 245,
            end: None,
        }
    );
    assert!(timeline.beat(entry.decided) > 20.3);
}

#[test]
fn keys_held_over_a_jump_still_count_as_held() {
    let timeline = common();
    let mut rule = arrived(&timeline);
    rule.on(0, 0.0, 0, 60);
    rule.arrive(&timeline, 0.0);
    rule.on(96, 8.0, 0, 62);
    rule.off(97, 8.1, Some(0), Some(62));
    let now = settings(1.0, Enter::Step);
    assert_eq!(rule.next(&timeline, &now), None);
    rule.off(108, 9.0, Some(0), Some(60));
    assert_eq!(rule.next(&timeline, &now).map(|e| e.at), Some(120));
}

#[test]
fn notes_before_a_jump_are_not_answered() {
    let timeline = common();
    let mut rule = arrived(&timeline);
    rule.on(0, 0.0, 0, 60);
    rule.arrive(&timeline, 0.0);
    rule.off(90, 7.5, Some(0), Some(60));
    assert_eq!(rule.next(&timeline, &settings(1.0, Enter::Step)), None);
}

/// The consecutive play windows of a mode, as `(at, decided, end)`.
fn play_windows(
    rule: &mut EntryPlanner,
    timeline: &Timeline,
    settings: &Settings,
    n: usize,
) -> Vec<[i64; 3]> {
    let mut found = Vec::new();
    for _ in 0..n {
        let entry = rule.next(timeline, settings).unwrap();
        rule.take(entry);
        found.push([entry.at, entry.decided, entry.end.unwrap()]);
    }
    found
}

#[test]
fn turns_count_from_the_bar_the_player_began_in() {
    let mut timeline = common();
    let trade = Settings {
        mode: Mode::Trade,
        bars: 2,
        ..settings(2.0, Enter::Bar)
    };
    let mut rule = arrived(&timeline);
    assert_eq!(rule.next(&timeline, &trade), None, "nobody has played yet");
    // In the second bar; the turns are bars 2-3, 4-5, 6-7 and so on.
    timeline.on(5.0, 0, 60, 90);
    rule.on(60, 5.0, 0, 60);
    assert_eq!(
        play_windows(&mut rule, &timeline, &trade, 2),
        [[144, 141, 240], [336, 333, 432]]
    );
    // A playhead that arrives inside the plugin's turn: the next beat that leaves enough time.
    let beat = Settings {
        enter: Enter::Beat,
        ..trade
    };
    rule.arrive(&timeline, 15.1);
    assert_eq!(
        play_windows(&mut rule, &timeline, &beat, 2),
        [[192, 189, 240], [336, 333, 432]]
    );
    // Too late for this turn: the next one.
    rule.arrive(&timeline, 19.9);
    assert_eq!(rule.next(&timeline, &trade).map(|e| e.at), Some(336));
}

#[test]
fn play_windows_of_along_and_free_are_contiguous() {
    let timeline = common();
    let along = |enter| Settings {
        mode: Mode::Along,
        ..settings(1.0, enter)
    };
    let mut rule = arrived(&timeline);
    assert_eq!(
        play_windows(&mut rule, &timeline, &along(Enter::Bar), 2),
        [[0, 0, 48], [48, 45, 96]]
    );
    rule.arrive(&timeline, 8.4);
    assert_eq!(
        play_windows(&mut rule, &timeline, &along(Enter::Step), 3),
        [[101, 101, 108], [108, 105, 120], [120, 117, 132]]
    );
    // After the gap, a player who has stopped no longer counts as playing.
    let entry = rule.next(&timeline, &along(Enter::Beat)).unwrap();
    assert!(!rule.plays(entry, &timeline, &along(Enter::Beat)));
    rule.on(120, 10.0, 0, 60);
    assert!(rule.plays(entry, &timeline, &along(Enter::Beat)));
    rule.off(121, 10.1, Some(0), Some(60));
    assert!(rule.plays(entry, &timeline, &along(Enter::Beat)));
    let later = PlayWindow {
        at: 144,
        decided: 141,
        end: Some(156),
    };
    assert!(!rule.plays(later, &timeline, &along(Enter::Beat)));
}
