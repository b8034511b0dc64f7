//! Determinism: equal input gives equal notes.

use super::*;

#[test]
fn notes_and_samples_are_equal_for_all_blocks() {
    let (mut answers, mut notes) = (0, 0);
    for seed in 0..20 {
        let performance = performance(seed);
        let mut offline = ProtocolTest::new(true, 1 << 16);
        offline.settings.enter = [Enter::Step, Enter::Beat, Enter::Bar][(seed % 3) as usize];
        let settings = offline.settings;
        let expected = perform(&performance, &mut offline, || 128);
        let decided = offline.answers();
        answers += decided.len();
        notes += expected.iter().filter(|e| e.1 && e.2 == 0).count();
        assert_eq!(
            offline.count(|c| &c.dropped) + offline.count(|c| &c.late),
            0
        );
        for size in [0, 32, 480, 1000, 4096, 20_000] {
            let mut other = ProtocolTest::new(true, 1 << 16);
            other.settings = settings;
            let mut rng = Rng::new(seed);
            let frames = || {
                if size == 0 {
                    1 + rng.below(3000) as u32
                } else {
                    size
                }
            };
            let played = perform(&performance, &mut other, frames);
            assert_eq!(other.answers(), decided, "seed {seed}, blocks of {size}");
            same(
                &played,
                &expected,
                &format!("seed {seed}, blocks of {size}"),
            );
        }
    }
    assert!(
        answers > 20 && notes > 300,
        "{answers} answers, {notes} notes: nothing was tested"
    );
}

#[test]
fn real_time_plays_the_same_notes_as_offline() {
    for seed in 0..20 {
        let performance = performance(seed);
        let mut offline = ProtocolTest::new(true, 1 << 16);
        let expected = perform(&performance, &mut offline, || 480);
        let mut live = ProtocolTest::new(false, 1 << 16);
        let composer = live.composer.clone();
        // The composer runs between the blocks.
        let played = perform(&performance, &mut live, || {
            composer.lock().unwrap().run();
            480
        });
        same(&played, &expected, &format!("seed {seed}"));
    }
}

#[test]
fn second_pass_plays_the_same_notes() {
    for seed in 0..10 {
        let performance = performance(seed);
        let mut test = ProtocolTest::new(true, 1 << 16);
        let first = perform(&performance, &mut test, || 512);
        let second = perform(&performance, &mut test, || 512);
        assert_eq!(first, second, "seed {seed}");
    }
}
