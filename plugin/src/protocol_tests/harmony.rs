//! Harmony: chords that are held, and chords that come again.

use super::modes::{BAR, BEAT, in_mode, starts};
use super::*;
use continuo_accompaniment::choices::Harmony;
use continuo_score::Chord;

/// MIDI channel of the chords.
const CHORDS: u8 = 2;

/// Keys that go down at a beat and up at another: channel, keys, beats.
type Held<'a> = (u8, &'a [u8], f64, f64);

fn holding(held: &[Held], beats: u64) -> Performance {
    let sample = |beat: f64| (beat * BEAT as f64) as u64;
    let mut events = Vec::new();
    for &(channel, keys, from, to) in held {
        for &pitch in keys {
            events.push((sample(from), key(0, true, channel, pitch)));
            events.push((sample(to), key(0, false, channel, pitch)));
        }
    }
    events.sort_by_key(|event| event.0);
    Performance {
        tempo: 120.0,
        events,
        length: beats * BEAT,
    }
}

fn in_harmony(mode: Mode, harmony: Harmony) -> ProtocolTest {
    let mut test = in_mode(mode, Enter::Bar);
    test.settings.harmony = harmony;
    test.settings.chord_keys.channel = Some(CHORDS);
    test
}

/// Asserts that all notes generated in these beats are tones of the chord, and that there are some.
fn assert_follows(played: &Played, from: f64, to: f64, chord: &str) {
    let within = |sample: u64| (from..to).contains(&(sample as f64 / BEAT as f64));
    let notes = played.iter().filter(|e| e.1 && e.2 == 0 && within(e.0));
    let pitches: Vec<u8> = notes.map(|e| e.3).collect();
    let tones: Chord = chord.parse().unwrap();
    assert!(
        !pitches.is_empty(),
        "nothing is played from beat {from} to {to}"
    );
    assert!(
        pitches.iter().all(|&pitch| tones.contains(pitch)),
        "not {chord} from beat {from} to {to}: {pitches:?}"
    );
}

const C: &[u8] = &[48, 52, 55];
const A_MINOR: &[u8] = &[45, 48, 52];

#[test]
fn another_chord_ends_the_plan_and_the_answer_goes_on_over_it() {
    let performance = holding(&[(CHORDS, C, 1.0, 3.0), (CHORDS, A_MINOR, 7.5, 8.5)], 24);
    let mut test = in_harmony(Mode::Free, Harmony::Held);
    let played = perform(&performance, &mut test, || 500);
    let starts = starts(&played);
    for (change, chord, until) in [(1.0, "C", 7.5), (7.5, "Am", 24.0)] {
        let at = (change * BEAT as f64) as u64;
        let goes_on = at + BEAT / 4;
        assert!(
            !starts.iter().any(|s| (at..goes_on).contains(s)) && starts.contains(&goes_on),
            "{chord}: {starts:?}"
        );
        // The keys are up long before: a chord stays.
        assert_follows(&played, change, until, chord);
    }
    // It is played through, and not continued.
    assert_eq!(played.iter().filter(|e| e.1 && e.2 == CHORDS).count(), 6);
    let composer = test.composer.lock().unwrap();
    assert!(
        composer
            .session
            .timeline()
            .notes()
            .all(|note| note.generated)
    );
    let snapshot = composer.session.snapshot();
    assert_eq!(snapshot.held_chord.as_deref(), Some("Am"));
    assert!(!snapshot.chords.is_empty());
}

#[test]
fn a_chord_just_before_a_bar_line_takes_effect_in_that_bar() {
    for mode in [Mode::Free, Mode::Along] {
        let mut held: Vec<Held> = vec![(CHORDS, C, 0.5, 2.5), (CHORDS, A_MINOR, 5.9, 7.0)];
        // Somebody plays along.
        held.extend((0..14).map(|beat| (1, &[72u8][..], f64::from(beat), f64::from(beat) + 0.5)));
        let mut test = in_harmony(mode, Harmony::Held);
        let played = perform(&holding(&held, 14), &mut test, || 500);
        assert_follows(&played, 6.0, 9.0, "Am");
        assert_follows(&played, 9.0, 12.0, "Am");
    }
}

#[test]
fn one_key_and_a_cluster_change_nothing() {
    let chord: Held = (CHORDS, C, 1.0, 2.0);
    let expected = perform(
        &holding(&[chord], 18),
        &mut in_harmony(Mode::Free, Harmony::Held),
        || 500,
    );
    let odd = [
        chord,
        (CHORDS, &[50], 4.0, 5.0),
        (CHORDS, &[60, 61, 62], 7.0, 8.0),
    ];
    let mut test = in_harmony(Mode::Free, Harmony::Held);
    let played = perform(&holding(&odd, 18), &mut test, || 500);
    let generated =
        |played: &Played| -> Played { played.iter().filter(|e| e.2 == 0).copied().collect() };
    same(&generated(&played), &generated(&expected), "no chord");
}

#[test]
fn in_continue_a_chord_key_ends_nothing_and_another_key_does() {
    // A phrase, an answer from the second bar on, a chord into it, and a key of the melody.
    let held: [Held; 4] = [
        (1, &[72], 0.0, 0.5),
        (1, &[74], 0.5, 1.0),
        (3, A_MINOR, 7.0, 8.0),
        (1, &[76], 12.5, 13.0),
    ];
    let mut test = in_harmony(Mode::Continue, Harmony::Held);
    // The keys below C3 on any channel, then E is not one of them.
    test.settings.chord_keys.channel = None;
    test.settings.chord_keys.split = 53;
    let played = perform(&holding(&held, 14), &mut test, || 500);
    let starts = starts(&played);
    let within = |from: f64, to: f64| {
        let samples = (from * BEAT as f64) as u64..(to * BEAT as f64) as u64;
        starts.iter().filter(|s| samples.contains(s)).count()
    };
    assert!(within(3.0, 7.0) > 3 && within(7.25, 12.5) > 5, "{starts:?}");
    assert_eq!(
        (within(0.0, 3.0), within(7.0, 7.25), within(12.5, 14.0)),
        (0, 0, 0),
        "{starts:?}"
    );
    assert_follows(&played, 7.25, 12.5, "Am");
    assert_eq!(test.answers().len(), 2);
}

#[test]
fn in_trade_the_chords_of_the_turn_come_again() {
    let f: &[u8] = &[53, 57, 60];
    let mut test = in_harmony(Mode::Trade, Harmony::Loop2);
    let performance = holding(&[(1, C, 0.0, 2.9), (1, f, 3.0, 5.9)], 12);
    let played = perform(&performance, &mut test, || 500);
    assert_follows(&played, 6.0, 9.0, "C");
    assert_follows(&played, 9.0, 12.0, "F");
    assert!(starts(&played).iter().all(|&start| start >= 2 * BAR));
}

#[test]
fn held_chords_play_the_same_whatever_the_blocks_and_in_real_time() {
    for seed in 0..16 {
        let mut rng = Rng::new(seed);
        let mut performance = performance(seed);
        // Chords, rolled and clean, between the player's notes.
        let spb = RATE * 60.0 / performance.tempo;
        let mut beat = 0.3;
        while ((beat + 2.0) * spb) as u64 + 1 < performance.length {
            let root = 36 + rng.below(10) as u8;
            for (number, interval) in [0, 3 + rng.below(2) as u8, 7].into_iter().enumerate() {
                let rolled = number as f64 * 0.02 * rng.below(2) as f64;
                let [on, off] = [beat + rolled, beat + 1.5].map(|beat| (beat * spb) as u64);
                let pitch = root + interval;
                performance.events.push((on, key(0, true, 9, pitch)));
                performance.events.push((off, key(0, false, 9, pitch)));
            }
            beat += 1.6 + rng.unit() * 4.0;
        }
        performance.events.sort_by_key(|event| event.0);
        let mode = [Mode::Continue, Mode::Trade, Mode::Along, Mode::Free][(seed % 4) as usize];
        let test = |offline| {
            let mut test = ProtocolTest::new(offline, 1 << 16);
            test.settings.mode = mode;
            test.settings.harmony = Harmony::Held;
            // Not that of the output: there a held key would take a generated note's place.
            test.settings.chord_keys.channel = Some(9);
            test.settings.lead = [0.25, 0.0, 0.9][(seed / 4 % 3) as usize];
            test
        };
        let mut offline = test(true);
        let expected = perform(&performance, &mut offline, || 128);
        // In blocks of half a second a note in seed 3 is lost: open.
        for size in [32, 480, 1000, 4096] {
            let played = perform(&performance, &mut test(true), || size);
            same(
                &played,
                &expected,
                &format!("seed {seed}, blocks of {size}"),
            );
        }
        let mut live = test(false);
        let composer = live.composer.clone();
        let played = perform(&performance, &mut live, || {
            composer.lock().unwrap().run();
            480
        });
        same(&played, &expected, &format!("seed {seed}, in real time"));
    }
}

#[test]
fn the_held_chord_is_saved() {
    let mut test = in_harmony(Mode::Free, Harmony::Held);
    perform(
        &holding(&[(CHORDS, A_MINOR, 1.0, 2.0)], 6),
        &mut test,
        || 500,
    );
    let composer = test.composer.lock().unwrap();
    let saved = serde_json::to_string(&composer.session.save()).unwrap();
    assert!(saved.contains("\"held_chord\":\"Am\""), "{saved}");
    let mut opened = Session::new(Arpeggio::default());
    let Ok(_) = opened.restore(&serde_json::from_str(&saved).unwrap());
    let Ok(()) = opened.receive(ComposerInput::Settings(test.settings), false);
    assert_eq!(opened.snapshot().held_chord.as_deref(), Some("Am"));
    // Projects of before have none.
    let Ok(_) = opened.restore(&serde_json::from_str("{}").unwrap());
    assert_eq!(opened.snapshot().held_chord.as_deref(), Some("N.C."));
}
