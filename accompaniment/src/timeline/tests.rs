//! Tests of the timeline.

use super::*;
use crate::choices::Enter;

const THREE_FOUR: TimeSignature = TimeSignature {
    numerator: 3,
    denominator: 4,
};

fn notes(timeline: &Timeline, before: i64) -> Vec<(u32, u32, u8)> {
    let score = timeline.score(before, before);
    score
        .notes
        .iter()
        .map(|n| (n.start, n.length, n.pitch))
        .collect()
}

/// A generated note from step `start` to step `end`.
fn generated(id: u64, start: i64, end: i64, pitch: u8) -> GeneratedNote {
    GeneratedNote {
        id,
        start_beat: start as f64 / 12.0,
        start,
        end,
        pitch,
        velocity: 80,
        ..GeneratedNote::default()
    }
}

fn heard(timeline: &mut Timeline, from: f64, to: f64, pitch: u8) {
    timeline.on(from, 0, pitch, 90);
    timeline.off(to, Some(0), Some(pitch));
}

#[test]
fn score_begins_on_the_bar_line_before_the_first_note() {
    let mut timeline = Timeline::new(12);
    timeline.add_time_signature(8.0, TimeSignature::COMMON);
    heard(&mut timeline, 9.0, 9.5, 60);
    heard(&mut timeline, 10.02, 10.99, 62);
    assert_eq!(timeline.origin(), Some(96));
    assert_eq!(notes(&timeline, 1000), [(12, 6, 60), (24, 12, 62)]);
    assert_eq!(notes(&timeline, 120), [(12, 6, 60)]);
}

#[test]
fn a_count_in_has_negative_steps() {
    let mut timeline = Timeline::new(12);
    timeline.add_time_signature(-4.0, TimeSignature::COMMON);
    heard(&mut timeline, -1.0, 0.0, 60);
    assert_eq!(
        (timeline.origin(), notes(&timeline, 0)),
        (Some(-48), vec![(36, 12, 60)])
    );
    assert_eq!(timeline.boundary(-3, Enter::Bar), 0);
}

#[test]
fn a_note_slightly_before_the_bar_belongs_to_it() {
    let mut timeline = Timeline::new(12);
    timeline.add_time_signature(0.0, TimeSignature::COMMON);
    heard(&mut timeline, 3.98, 4.5, 60);
    assert_eq!(
        (timeline.origin(), notes(&timeline, 99)),
        (Some(48), vec![(0, 6, 60)])
    );
}

#[test]
fn note_offs_match_repeated_keys_and_wildcards() {
    let mut timeline = Timeline::new(12);
    timeline.on(0.0, 0, 60, 90);
    timeline.on(1.0, 0, 60, 90);
    timeline.on(1.0, 5, 64, 90);
    assert_eq!(timeline.first_held(), Some(12));
    assert_eq!(
        notes(&timeline, 18),
        [(0, 12, 60), (12, 6, 60), (12, 6, 64)]
    );
    timeline.off(2.0, None, Some(64));
    timeline.off(3.0, Some(0), None);
    timeline.off(3.5, None, None);
    assert_eq!(
        notes(&timeline, 99),
        [(0, 12, 60), (12, 24, 60), (12, 12, 64)]
    );
}

#[test]
fn note_ended_at_once_by_the_host_ends_with_its_second_note_off() {
    let mut timeline = Timeline::new(12);
    timeline.on(0.0, 0, 60, 90);
    timeline.off(0.0, Some(0), Some(60));
    timeline.on(1.0, 0, 62, 90);
    timeline.off(1.25, Some(0), Some(62));
    timeline.off(1.5, Some(0), Some(60));
    // A note-off more than needed changes nothing where the first one was later.
    timeline.off(2.0, Some(0), Some(62));
    timeline.off(3.0, Some(0), Some(60));
    assert_eq!(notes(&timeline, 99), [(0, 18, 60), (12, 3, 62)]);
}

#[test]
fn a_cancel_ends_sounding_notes_and_removes_planned_ones() {
    let mut timeline = Timeline::new(12);
    heard(&mut timeline, 0.0, 0.5, 60);
    timeline.play(generated(1, 24, 48, 64));
    timeline.play(generated(2, 36, 40, 65));
    timeline.play(generated(3, 40, 44, 66));
    timeline.cancel(3.0 + 1.0 / 12.0, 3.0 + 1.0 / 12.0 - 1e-5);
    assert_eq!(
        notes(&timeline, 99),
        [(0, 6, 60), (24, 13, 64), (36, 1, 65)]
    );
    timeline.remove_generated(2);
    assert_eq!(notes(&timeline, 99), [(0, 6, 60), (24, 13, 64)]);
}

#[test]
fn jump_removes_the_notes_ahead() {
    let mut timeline = Timeline::new(12);
    timeline.add_time_signature(4.0, TimeSignature::COMMON);
    heard(&mut timeline, 4.0, 5.0, 60);
    heard(&mut timeline, 6.0, 9.0, 62);
    heard(&mut timeline, 8.0, 9.0, 64);
    // The same position except for the host's rounding.
    timeline.forget_from(8.0 + 4e-10);
    assert_eq!(notes(&timeline, 999), [(0, 12, 60), (24, 24, 62)]);
    timeline.forget_from(4.0);
    assert!(timeline.is_empty() && timeline.origin().is_none());
}

#[test]
fn boundaries_follow_the_time_signatures_of_the_host() {
    let mut timeline = Timeline::new(12);
    timeline.add_time_signature(0.0, TimeSignature::COMMON);
    timeline.add_time_signature(8.0, THREE_FOUR);
    heard(&mut timeline, 1.0, 2.0, 60);
    assert_eq!(timeline.boundary(25, Enter::Step), 25);
    assert_eq!(timeline.boundary(25, Enter::Beat), 36);
    assert_eq!(timeline.boundary(36, Enter::Beat), 36);
    assert_eq!(timeline.boundary(25, Enter::Bar), 48);
    assert_eq!(timeline.boundary(97, Enter::Bar), 96 + 36);
    // 7/8 counts eighths from its bar line.
    timeline.add_time_signature(
        11.0,
        TimeSignature {
            numerator: 7,
            denominator: 8,
        },
    );
    assert_eq!(timeline.boundary(133, Enter::Beat), 138);
    assert_eq!(timeline.boundary(133 + 36, Enter::Beat), 132 + 42);
    assert_eq!(timeline.boundary(133 + 42, Enter::Beat), 132 + 42 + 6);
}

#[test]
fn boundary_is_the_first_at_or_after_a_step() {
    for (numerator, denominator) in [(4, 4), (3, 4), (6, 8), (5, 32), (7, 16)] {
        let mut timeline = Timeline::new(12);
        timeline.add_time_signature(
            1.0,
            TimeSignature {
                numerator,
                denominator,
            },
        );
        heard(&mut timeline, 1.0, 2.0, 60);
        for enter in [Enter::Step, Enter::Beat, Enter::Bar] {
            let mut last = 12;
            for step in 12..400 {
                let found = timeline.boundary(step, enter);
                assert!(
                    found >= step && found >= last,
                    "{numerator}/{denominator} {step}"
                );
                assert_eq!(timeline.boundary(found, enter), found);
                last = found;
            }
        }
    }
}

#[test]
fn the_pedal_sustains_released_keys() {
    let mut timeline = Timeline::new(12);
    timeline.on(0.0, 2, 60, 90);
    timeline.pedal(0.5, 2, true);
    timeline.off(1.0, Some(2), Some(60));
    timeline.on(1.0, 2, 64, 90);
    // Another channel has a pedal of its own.
    timeline.on(1.0, 3, 67, 90);
    timeline.off(1.5, Some(3), Some(67));
    // Struck again while the pedal holds it.
    timeline.on(2.0, 2, 60, 80);
    timeline.pedal(3.0, 2, false);
    assert_eq!(timeline.first_held(), Some(12), "two keys are still down");
    timeline.off(4.0, None, None);
    assert_eq!(
        notes(&timeline, 99),
        [(0, 24, 60), (12, 36, 64), (12, 6, 67), (24, 24, 60)]
    );
}

#[test]
fn trade_turns_continue_over_a_change_of_time_signature() {
    let mut timeline = Timeline::new(12);
    timeline.add_time_signature(0.0, TimeSignature::COMMON);
    timeline.add_time_signature(12.0, THREE_FOUR);
    assert_eq!(timeline.trade_turn(0, 2), None, "nobody has played");
    heard(&mut timeline, 4.5, 5.0, 60);
    let turn = |step| {
        let turn = timeline.trade_turn(step, 2).unwrap();
        (turn.number, turn.start, turn.end)
    };
    // From the second bar on: bars 2-3, then two of three beats.
    assert_eq!(timeline.trade_turn(47, 2), None);
    assert_eq!(turn(48), (0, 48, 144));
    assert_eq!(turn(143), (0, 48, 144));
    assert_eq!(turn(144), (1, 144, 216));
    assert_eq!(turn(5000), (68, 4968, 5040));
}

#[test]
fn oldest_notes_are_removed_at_the_limit() {
    let mut timeline = Timeline::new(12);
    let last = MAX_NOTES as u32 + 10;
    for n in 0..=last {
        heard(&mut timeline, f64::from(n), f64::from(n) + 0.5, 60);
    }
    let count = timeline.notes().count();
    assert!(count <= MAX_NOTES && count > MAX_NOTES / 2);
    let score = timeline.score(i64::MAX, i64::MAX);
    assert_eq!(score.notes.len(), count);
    assert!(
        score.notes[0].start < 48,
        "counted from the bar of the first"
    );
}

#[test]
fn imagined_notes_count_only_where_nothing_is_known() {
    let mut timeline = Timeline::new(12);
    heard(&mut timeline, 0.0, 0.5, 60);
    for (id, start) in [(1, 12), (2, 24), (3, 36)] {
        timeline.play(GeneratedNote {
            imagined: true,
            part: Part::Bass,
            ..generated(id, start, start + 6, 40)
        });
    }
    timeline.play(generated(4, 24, 30, 72));
    let score = timeline.score(24, 36);
    let notes: Vec<_> = score.notes.iter().map(|n| (n.start, n.part)).collect();
    let (keys, bass) = (Part::Keys, Part::Bass);
    assert_eq!(notes, [(0, keys), (24, keys), (24, bass)]);
    assert_eq!(timeline.own(0, 99).len(), 1, "they are nobody's own");
    timeline.forget_imagined(24);
    assert_eq!(timeline.notes().filter(|n| n.imagined).count(), 2);
    timeline.set_aside_from(2.5);
    assert_eq!(timeline.notes().filter(|n| n.imagined).count(), 0);
    timeline.set_aside_from(9.0);
    assert_eq!(timeline.notes().count(), 2, "they do not come back");
}
