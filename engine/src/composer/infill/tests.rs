//! Tests of infill.

use continuo_score::Part;

use super::*;

fn note(start: u32, length: u32, pitch: u8) -> Note {
    Note {
        start,
        length,
        pitch,
        velocity: 80,
        ..Note::default()
    }
}

#[test]
fn held_keys_are_left_alone_and_notes_end_with_the_range() {
    let input = [note(0, 60, 60), note(12, 12, 64)];
    let sampled = vec![
        note(48, 12, 60),
        note(48, 6, 64),
        note(50, 40, 67),
        note(56, 12, 67),
        note(60, 96, 60),
        note(72, 12, 50),
        note(96, 12, 72),
    ];
    let staying = [note(64, 12, 50), note(84, 6, 60)];
    let kept = [
        note(48, 6, 64),
        note(50, 6, 67),
        note(56, 12, 67),
        note(60, 24, 60),
    ];
    let others = input.iter().chain(&staying);
    assert_eq!(as_played(sampled, others, 48..96), kept);
}

#[test]
fn a_key_of_one_part_is_free_in_the_others() {
    let of = |part, note| Note { part, ..note };
    let input = [of(Part::Bass, note(0, 60, 36))];
    let hit = of(Part::Drums, note(48, 1, 36));
    let chord = of(Part::Chords, note(48, 12, 36));
    let sampled = vec![hit, chord, of(Part::Bass, note(50, 4, 36))];
    assert_eq!(as_played(sampled, input.iter(), 48..96), [chord, hit]);
}

#[test]
fn notes_of_four_bars_weigh_and_chords_stay_whole() {
    let mut infill = Infill {
        from: 48,
        until: 96,
        following: (0..10).map(|bar| note(48 * bar, 12, 60)).collect(),
        staying: Vec::new(),
        candidates: 8,
        sampling: Sampling::default(),
        seed: 1,
        own: Vec::new(),
    };
    let counted = |infill: &Infill| {
        let notes = following(infill, &Score::new(12));
        notes.iter().map(|note| note.start).collect::<Vec<_>>()
    };
    assert_eq!(counted(&infill), [96, 144, 192, 240]);
    let chord = |at: u32| (0..20).map(move |key| note(at, 12, 40 + key));
    infill.following = (96..100).flat_map(chord).collect();
    assert_eq!(counted(&infill).len(), 40);
    infill.following = (0..60).map(|key| note(96, 12, 30 + key)).collect();
    assert_eq!(counted(&infill).len(), MAX_FOLLOWING);
}

#[test]
fn a_candidate_without_notes_is_kept_only_if_all_are() {
    let mut work = InfillWork {
        infill: Infill {
            from: 0,
            until: 48,
            following: Vec::new(),
            staying: Vec::new(),
            candidates: 4,
            sampling: Sampling::default(),
            seed: 1,
            own: Vec::new(),
        },
        input: Score::new(12),
        candidate: 0,
        phase: Phase::Begin,
        notes: Vec::new(),
        ids: Vec::new(),
        attributions: Vec::new(),
        best: None,
    };
    let mut offer = |candidate, notes: Vec<Note>, nats| {
        (work.candidate, work.notes) = (candidate, notes);
        work.compare(Some(nats));
        work.best.as_ref().unwrap().0.candidate
    };
    assert_eq!(offer(0, vec![], 1.0), 0);
    assert_eq!(offer(1, vec![note(0, 1, 60)], 5.0), 1);
    assert_eq!(offer(2, vec![note(0, 1, 61)], 5.0), 1);
    assert_eq!(offer(3, vec![note(0, 1, 61)], 4.0), 3);
    assert_eq!(offer(4, vec![], 0.5), 3);
}
