//! The modes other than Continue, the triggers, and memory.

use super::*;
use continuo_accompaniment::choices::{MemoryMode, Variation};

pub(super) const BEAT: u64 = 24_000;
/// Beats in a bar of [`perform`]: three quarters.
pub(super) const BAR: u64 = 3 * BEAT;

/// Samples of all generated note-ons.
pub(super) fn starts(played: &Played) -> Vec<u64> {
    let generated = played.iter().filter(|e| e.1 && e.2 == 0);
    generated.map(|e| e.0).collect()
}

/// A key on every beat of these, a quarter long; `beats` of song in all.
pub(super) fn beats(at: &[u64], beats: u64) -> Performance {
    let mut events = Vec::new();
    for &beat in at {
        events.push((beat * BEAT, key(0, true, 1, 60 + (beat % 5) as u8)));
        events.push((
            beat * BEAT + BEAT - 100,
            key(0, false, 1, 60 + (beat % 5) as u8),
        ));
    }
    Performance {
        tempo: 120.0,
        events,
        length: beats * BEAT,
    }
}

pub(super) fn in_mode(mode: Mode, enter: Enter) -> ProtocolTest {
    let mut test = ProtocolTest::new(true, 1 << 16);
    (test.settings.mode, test.settings.enter) = (mode, enter);
    test.settings.bars = 2;
    test
}

/// A host that plays at 120 BPM in three quarters, `at` samples from its first bar.
pub(super) fn in_three(at: u64) -> HostTransport {
    HostTransport {
        bar_start: Some((at / BAR * 3) as f64),
        numerator: Some(3),
        denominator: Some(4),
        ..rolling(at as f64 / BEAT as f64)
    }
}

#[test]
fn trade_mode_keeps_to_its_bars() {
    // Six bars: two of the player, two of the plugin, two of the player, who plays into the
    // plugin's turn.
    let performance = beats(&[0, 1, 4, 5, 6, 7, 8, 12], 24);
    let mut trading = in_mode(Mode::Trade, Enter::Bar);
    let played = perform(&performance, &mut trading, || 500);
    let starts = starts(&played);
    let turns = [2 * BAR..4 * BAR, 6 * BAR..8 * BAR];
    assert!(
        starts.iter().all(|s| turns.iter().any(|t| t.contains(s))),
        "{starts:?}"
    );
    for turn in &turns {
        assert!(
            starts.contains(&turn.start),
            "{starts:?} not on {}",
            turn.start
        );
        assert!(starts.iter().filter(|s| turn.contains(s)).count() > 3);
    }
    // Every generated note ends with the plugin's turn.
    let generated: Vec<_> = played.iter().filter(|e| e.2 == 0).collect();
    let inside = |sample| turns.iter().any(|t| t.start <= sample && sample <= t.end);
    assert!(generated.iter().all(|e| inside(e.0)), "{generated:?}");
}

#[test]
fn along_mode_plays_while_the_player_plays() {
    let performance = beats(&[0, 1, 2, 3, 4, 5, 18, 19, 20, 21], 30);
    for enter in [Enter::Beat, Enter::Bar] {
        let mut along = in_mode(Mode::Along, enter);
        let starts = starts(&perform(&performance, &mut along, || 500));
        let within = |from: u64, to: u64| {
            let inside = from * BEAT..to * BEAT;
            starts.iter().filter(|s| inside.contains(s)).count()
        };
        // After a gap of one beat, the decided window plays to its end.
        assert!(
            within(0, 6) > 3 && within(19, 22) > 1,
            "{enter:?}: {starts:?}"
        );
        assert_eq!(
            (within(10, 18), within(28, 30)),
            (0, 0),
            "{enter:?}: {starts:?}"
        );
    }
}

#[test]
fn free_mode_plays_without_input_and_follows_input() {
    let alone = beats(&[], 24);
    let expected = perform(&alone, &mut in_mode(Mode::Free, Enter::Bar), || 500);
    let first = starts(&expected);
    assert!(first.len() > 20 && first[0] == 0, "{first:?}");
    // A key in the sixth bar changes what is played from the seventh on, and nothing before.
    let heard = beats(&[16], 24);
    let other = perform(&heard, &mut in_mode(Mode::Free, Enter::Bar), || 500);
    let until = |played: &Played, sample| {
        let generated = played.iter().filter(|e| e.2 == 0 && e.1 && e.0 < sample);
        generated.copied().collect::<Played>()
    };
    assert_eq!(until(&other, 6 * BAR), until(&expected, 6 * BAR));
    assert_ne!(until(&other, 8 * BAR), until(&expected, 8 * BAR));
}

#[test]
fn every_mode_plays_the_same_for_all_blocks_and_in_real_time() {
    let (mut notes, mut answers) = (0, 0);
    for seed in 0..24 {
        let performance = performance(seed);
        let mode = [Mode::Trade, Mode::Along, Mode::Free][(seed % 3) as usize];
        let set = |test: &mut ProtocolTest| {
            test.settings.mode = mode;
            test.settings.bars = 1 + (seed % 2) as u32;
            test.settings.feel = 0.7;
            test.settings.enter = [Enter::Step, Enter::Beat, Enter::Bar][(seed / 3 % 3) as usize];
            test.settings.lead = [0.25, 0.0, 0.9][(seed / 9 % 3) as usize];
            test.settings.memory = [MemoryMode::Song, MemoryMode::Session][(seed % 2) as usize];
        };
        let mut offline = ProtocolTest::new(true, 1 << 16);
        set(&mut offline);
        let expected = perform(&performance, &mut offline, || 128);
        notes += starts(&expected).len();
        answers += offline.answers().len();
        assert_eq!(
            offline.count(|c| &c.dropped) + offline.count(|c| &c.late),
            0
        );
        for size in [32, 480, 1000, 4096, 20_000] {
            let mut other = ProtocolTest::new(true, 1 << 16);
            set(&mut other);
            let played = perform(&performance, &mut other, || size);
            assert_eq!(
                other.answers(),
                offline.answers(),
                "seed {seed}, {mode:?}, blocks of {size}"
            );
            same(
                &played,
                &expected,
                &format!("seed {seed}, {mode:?}, blocks of {size}"),
            );
        }
        let mut live = ProtocolTest::new(false, 1 << 16);
        set(&mut live);
        let composer = live.composer.clone();
        // The composer learns of the arrival after the first block, so its first note is late.
        let run = |composer: &Mutex<Composer>| composer.lock().unwrap().run();
        let played = perform(&performance, &mut live, || {
            run(&composer);
            64
        });
        let late = live.count(|c| &c.late) + live.count(|c| &c.dropped);
        assert!(late <= 4, "seed {seed}, {mode:?}: {late} late");
        if late == 0 {
            same(
                &played,
                &expected,
                &format!("seed {seed}, {mode:?}, in real time"),
            );
        }
    }
    assert!(
        notes > 500 && answers > 100,
        "{notes} notes, {answers} answers: nothing was tested"
    );
}

/// Plays a phrase and its answer, with an action at this beat.
fn pressed(at: f64, press: impl Fn(&mut ProtocolTest)) -> Played {
    pressing(&[(at, &press)]).1
}

/// An action, and its beat.
pub(super) type Press<'a> = (f64, &'a dyn Fn(&mut ProtocolTest));

/// A phrase of one key and its answer, in 4/4, with an action at each of these beats.
pub(super) fn pressing(presses: &[Press]) -> (ProtocolTest, Played) {
    let mut test = in_mode(Mode::Continue, Enter::Beat);
    let (mut at, mut played, mut next) = (0u64, Vec::new(), presses.iter().peekable());
    while at < 16 * BEAT {
        while let Some((_, press)) = next.next_if(|p| at as f64 >= p.0 * BEAT as f64) {
            press(&mut test);
        }
        let mut block = Block::default();
        if at == 0 {
            block.input.push_back(key(0, true, 1, 60));
            block.input.push_back(key(400, false, 1, 60));
        }
        let reading = rolling(at as f64 / BEAT as f64);
        test.block(&reading, 480, &mut block);
        played.extend(block.output.iter().map(|e| plain(e, at)));
        at += 480;
    }
    (test, played)
}

/// Output from a beat on.
fn after(played: &Played, beat: u64) -> Played {
    let late = played
        .iter()
        .filter(|e| e.0 >= beat * BEAT && e.2 == 0 && e.1);
    late.copied().collect()
}

#[test]
fn variations_change_the_answer_reversibly() {
    let a = pressed(0.0, |_| ());
    let variation = |variation| move |r: &mut ProtocolTest| r.settings.variation = variation;
    let b = pressed(0.0, variation(Variation::B));
    let c = pressed(0.0, variation(Variation::C));
    assert_ne!(a, b);
    assert_ne!(b, c);
    assert_eq!(b, pressed(0.0, variation(Variation::B)));
    assert_eq!(a, pressed(0.0, variation(Variation::A)));
    assert_eq!(starts(&a)[0], starts(&b)[0], "the same moment");
}

#[test]
fn regenerate_replaces_the_answer_from_the_next_beat() {
    let expected = pressed(0.0, |_| ());
    let again = pressed(6.3, |r| r.controls.triggers.set(Trigger::Regenerate, true));
    let from = starts(&again)
        .into_iter()
        .find(|&s| s as f64 >= 6.3 * BEAT as f64);
    assert_eq!(from, Some(7 * BEAT), "on the next beat");
    let before = |p: &Played| {
        p.iter()
            .filter(|e| e.0 < 6 * BEAT)
            .copied()
            .collect::<Played>()
    };
    assert_eq!(before(&again), before(&expected));
    assert_ne!(after(&again, 7), after(&expected, 7));
    // The editor's trigger has the same effect.
    let editor = pressed(6.3, |r| r.press(Trigger::Regenerate));
    assert_eq!(editor, again);
}

#[test]
fn panic_silences_until_the_player_plays() {
    let played = pressed(6.3, |r| r.controls.triggers.set(Trigger::Panic, true));
    assert!(after(&played, 7).is_empty() && !after(&played, 4).is_empty());
    let mut sounding = std::collections::BTreeSet::new();
    for event in &played {
        if event.1 {
            sounding.insert((event.2, event.3));
        } else {
            sounding.remove(&(event.2, event.3));
        }
    }
    assert!(sounding.is_empty());
}

#[test]
fn clear_removes_all_memory() {
    let mut test = in_mode(Mode::Continue, Enter::Beat);
    perform(&beats(&[0, 1, 2], 8), &mut test, || 480);
    test.press(Trigger::Clear);
    test.block(&standing(), 64, &mut Block::default());
    let mut composer = test.composer.lock().unwrap();
    composer.run();
    assert!(composer.session.timeline().is_empty());
}

#[test]
fn freeze_repeats_the_last_bars() {
    // In 4/4; the answer begins on beat 2. The second bar is frozen.
    let played = pressed(8.5, |r| {
        r.settings.bars = 1;
        r.settings.mode = Mode::Free;
        r.settings.freeze = true;
    });
    let shape = |from: u64, to: u64| -> Vec<(u64, u8)> {
        let inside = played
            .iter()
            .filter(|e| e.1 && e.2 == 0 && (from * BEAT..to * BEAT).contains(&e.0));
        let mut shape: Vec<_> = inside.map(|e| (e.0 - from * BEAT, e.3)).collect();
        shape.sort_unstable();
        shape.dedup();
        shape
    };
    assert!(shape(4, 8).len() > 3);
    assert_eq!(shape(12, 16), shape(4, 8));
    assert_eq!(shape(10, 12), shape(6, 8), "in phase from where it came in");
}

#[test]
fn loop_develops_in_session_memory_and_repeats_in_song_memory() {
    for (memory, developing) in [(MemoryMode::Song, false), (MemoryMode::Session, true)] {
        let mut looping = in_mode(Mode::Free, Enter::Bar);
        looping.settings.memory = memory;
        let (mut at, mut played) = (0u64, Vec::new());
        let turn = 2 * BAR;
        while at < 4 * turn {
            let into = at % turn;
            let mut block = Block::default();
            if into == 0 {
                block.input.push_back(key(0, true, 1, 60));
                block.input.push_back(key(470, false, 1, 60));
            }
            let reading = in_three(into);
            looping.block(&reading, 480, &mut block);
            played.extend(block.output.iter().map(|e| plain(e, at)));
            at += 480;
        }
        let pass = |n: u64| -> Vec<_> {
            let inside = played.iter().filter(|e| e.1 && e.2 == 0 && e.0 / turn == n);
            inside.map(|e| (e.0 % turn, e.3, e.4)).collect()
        };
        assert!(pass(0).len() > 5 && pass(0)[0].0 == 0, "{:?}", pass(0));
        assert_eq!(pass(1) != pass(0), developing, "{memory:?}");
        assert_eq!(pass(3) != pass(2), developing, "{memory:?}");
        let composer = looping.composer.lock().unwrap();
        let keys = composer
            .session
            .timeline()
            .notes()
            .filter(|n| !n.generated)
            .count();
        assert_eq!(keys, if developing { 4 } else { 1 });
    }
}

#[test]
fn note_length_velocity_and_groove_follow_the_settings() {
    use continuo_accompaniment::choices::VelocityFrom;
    let plain_notes = pressed(0.0, |_| ());
    let fixed = pressed(0.0, |r| {
        r.settings.velocity_from = VelocityFrom::Fixed;
        r.settings.velocity = 77;
        r.settings.length = 0.1;
    });
    assert_eq!(starts(&fixed), starts(&plain_notes));
    assert!(after(&fixed, 0).iter().all(|e| e.4 == 77));
    let sounding = |played: &Played| -> u64 {
        let generated = played.iter().filter(|e| e.2 == 0);
        let (on, off): (Played, Played) = generated.copied().partition(|e| e.1);
        off.iter().map(|e| e.0).sum::<u64>() - on.iter().take(off.len()).map(|e| e.0).sum::<u64>()
    };
    assert!(sounding(&fixed) < sounding(&plain_notes));
    let late = pressed(0.0, |r| r.controls.offset = 0.010);
    let shifted: Vec<u64> = starts(&plain_notes).iter().map(|s| s + 480).collect();
    let late = starts(&late);
    assert_eq!(late, shifted[..late.len()]);
    let early = pressed(0.0, |r| r.controls.offset = -0.010);
    let shifted: Vec<u64> = starts(&plain_notes).iter().map(|s| s - 480).collect();
    assert_eq!(starts(&early)[..shifted.len()], shifted);
}
