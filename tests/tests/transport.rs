//! Transports of every kind: ramps, odd metres, count-in, punch-in, and hosts that tell little.

use continuo_score::{TimeSignature, TimeSignatureMap};
use continuo_tests::check::{self, Placed};
use continuo_tests::host::{Format, Tells};
use continuo_tests::lab;
use continuo_tests::player::{Blocks, Player, Setup, TrackNote};
use continuo_tests::scene::{self, STEPS_PER_BEAT};

const STEPS: i64 = STEPS_PER_BEAT as i64;
const BLOCKS: [Blocks; 2] = [
    Blocks::Fixed(480),
    Blocks::Random {
        seed: 5,
        longest: 2_000,
    },
];

/// What the plugin has played up to now, each note on its exact sample.
fn placed(player: &mut Player, what: &str) -> Vec<Placed> {
    let end = player.now();
    player.stand(1_000).unwrap();
    let notes = check::pair(player.sent()).unwrap_or_else(|why| panic!("{what}: {why:#}"));
    check::place(&notes, player.clock(), STEPS_PER_BEAT, end)
        .unwrap_or_else(|why| panic!("{what}: {why:#}"))
}

/// Plays with both formats in different blocks, which must make no difference, and gives the
/// notes.
fn agree(what: &str, mut play: impl FnMut(Format, Blocks) -> Vec<Placed>) -> Vec<Placed> {
    let expected = play(Format::Clap, BLOCKS[0]);
    for (format, blocks) in [(Format::Clap, BLOCKS[1]), (Format::Vst3, BLOCKS[1])] {
        assert_eq!(
            play(format, blocks),
            expected,
            "{what}, {format:?}, {blocks:?}"
        );
    }
    expected
}

/// Notes a beat apart, each half a beat long.
fn beats(at: impl IntoIterator<Item = f64>) -> Vec<TrackNote> {
    let note = |(n, start): (usize, f64)| TrackNote {
        start,
        end: start + 0.5,
        key: 60 + (n % 7) as u8,
        velocity: 0.7,
    };
    at.into_iter().enumerate().map(note).collect()
}

#[test]
fn ramps_of_tempo_take_no_note_off_its_sample() {
    // From 60 to 200 BPM and back, another tempo every tenth of a beat.
    let notes = agree("ramp", |format, blocks| {
        let mut setup = scene::setup(48_000.0, 60.0, blocks);
        let tempo = |n: i32| 60.0 + 140.0 * (1.0 - f64::from((n - 150).abs()) / 150.0);
        setup.tempos = (0..300).map(|n| (f64::from(n) * 0.1, tempo(n))).collect();
        let mut player = scene::stage(format, setup, 1, &scene::opening()).unwrap();
        player.play_to(scene::END).unwrap();
        placed(&mut player, "ramp")
    });
    let steady = scene::play_on(Format::Clap, scene::any_setup(), 1).unwrap();
    assert_eq!(notes, steady, "the tempo made it play other notes");
}

#[test]
fn answers_begin_on_the_bar_lines_of_every_metre() {
    let metre = |numerator, denominator| TimeSignature {
        numerator,
        denominator,
    };
    // 3/4, 5/4, 7/8, 6/8: bar lines at 3, 6, 11, 16, 19.5, 23, 26, 29, ... beats.
    let changes = [
        (0.0, metre(3, 4)),
        (6.0, metre(5, 4)),
        (16.0, metre(7, 8)),
        (23.0, metre(6, 8)),
    ];
    let steps = |beat: f64| (beat * f64::from(STEPS_PER_BEAT)) as u32;
    let map = TimeSignatureMap::new(
        STEPS_PER_BEAT,
        changes.map(|(beat, metre)| (steps(beat), metre)).to_vec(),
    );
    let notes = agree("metres", |format, blocks| {
        let mut setup = scene::setup(48_000.0, 133.7, blocks);
        setup.time_signatures = map.clone();
        let track = beats([0.0, 1.0, 2.0, 6.0, 7.0, 11.0, 16.0, 17.0, 23.0]);
        let mut player = scene::stage(format, setup, 1, &track).unwrap();
        player
            .set(&[("mode", "Trade"), ("bars", "1"), ("lead", "0.25")])
            .unwrap();
        player.play_to(32.0).unwrap();
        placed(&mut player, "metres")
    });
    // Turns of one bar each, counted from the first note's.
    let ours = [(3.0, 6.0), (11.0, 16.0), (19.5, 23.0), (26.0, 29.0)];
    let within = |note: &Placed| {
        ours.iter()
            .any(|&(from, to)| (steps(from)..steps(to)).contains(&(note.step as u32)))
    };
    for note in &notes {
        assert!(within(note), "{note:?} out of turn: {notes:?}");
    }
    for (from, to) in ours {
        let turn = steps(from)..steps(to);
        let first = notes.iter().find(|n| turn.contains(&(n.step as u32)));
        assert!(first.is_some(), "nothing from {from} to {to}: {notes:?}");
    }
}

#[test]
fn a_count_in_is_time_like_any_other() {
    // Two bars before the song begins; the player comes in early, before beat 0.
    let track: Vec<_> = beats([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
    let notes = agree("count-in", |format, blocks| {
        let setup = scene::setup(48_000.0, 120.0, blocks);
        let mut player = scene::stage(format, setup, 1, &track).unwrap();
        player.jump(-6.0);
        player.play_to(15.0).unwrap();
        placed(&mut player, "count-in")
    });
    // The last note ends at 3.5; two beats later the next bar line is at 6.
    let first = notes.first().map(|note| note.step);
    assert!(first.is_some_and(|step| step >= 6 * STEPS), "{notes:?}");
    // The notes before beat 0 were heard: without them it is another answer.
    let mut without = scene::stage(
        Format::Clap,
        scene::setup(48_000.0, 120.0, BLOCKS[0]),
        1,
        &track[2..],
    )
    .unwrap();
    without.jump(-6.0);
    without.play_to(15.0).unwrap();
    assert_ne!(placed(&mut without, "no count-in"), notes);
}

#[test]
fn a_punch_in_within_a_bar_is_answered_on_the_next_bar_line() {
    // The transport starts inside a bar; the track's note that began before is not heard.
    let track: Vec<_> = beats([7.0, 7.5, 8.25, 9.0, 10.0]);
    let notes = agree("punch-in", |format, blocks| {
        let setup = scene::setup(44_100.0, 97.3, blocks);
        let mut player = scene::stage(format, setup, 1, &track).unwrap();
        player.jump(7.37);
        player.play_to(24.0).unwrap();
        placed(&mut player, "punch-in")
    });
    // The last note ends at 10.5; two beats later the next bar line is at 15.
    let first = notes.first().map(|note| note.step);
    assert!(first.is_some_and(|step| step >= 15 * STEPS), "{notes:?}");
}

#[test]
fn without_a_time_signature_bars_are_of_four_beats() {
    let notes = agree("no bars", |format, blocks| {
        let setup = scene::setup(48_000.0, 120.0, blocks);
        let mut player = scene::stage(format, setup, 1, &scene::opening()).unwrap();
        player.tell(Tells::NoBars);
        player.play_to(scene::END).unwrap();
        placed(&mut player, "no bars")
    });
    // The opening ends at 12; two beats later the next line of 4/4 is at 16.
    let first = notes.first().map(|note| note.step);
    assert!(first.is_some_and(|step| step >= 16 * STEPS), "{notes:?}");
}

/// Plays to a host that tells no positions. Gives the samples of note-ons since it rolled.
fn blind(format: Format, tells: Tells, setup: Setup, tempo: &str) -> Vec<u64> {
    let mut player = Player::new(lab::load(format).unwrap(), setup, &scene::opening()).unwrap();
    player.tell(tells);
    player
        .set(&[("thru", "Off"), ("tempo", tempo), ("mode", "Free")])
        .unwrap();
    let began = player.now();
    player.play_to(scene::END).unwrap();
    player.tell(Tells::Everything);
    player.stand(1_000).unwrap();
    let notes = check::pair(player.sent()).unwrap();
    notes.iter().map(|note| note.on - began).collect()
}

#[test]
fn a_host_that_tells_no_position_is_followed_at_its_tempo_and_one_without_a_transport_at_ours() {
    // Half a minute of host time at 60 BPM. Where it tells its tempo, that counts.
    for (tells, bpm, own) in [
        (Tells::NoBeats, 60.0, "200"),
        (Tells::Nothing, 150.0, "150"),
    ] {
        for format in Format::ALL {
            let what = format!("{format:?}, {tells:?}");
            let first = blind(format, tells, scene::setup(48_000.0, 60.0, BLOCKS[0]), own);
            let again = blind(format, tells, scene::setup(48_000.0, 60.0, BLOCKS[1]), own);
            assert_eq!(first, again, "{what}");
            assert!(first.len() > 5, "{what}: {first:?}");
            let step = 48_000.0 * 60.0 / bpm / f64::from(STEPS_PER_BEAT);
            // Steps are counted from wherever its own time began.
            let origin = first[0] as f64;
            for &on in &first {
                let steps = (on as f64 - origin) / step;
                let off_by = (steps - steps.round()).abs() * step;
                assert!(off_by <= 1.01, "{what}: {on} is {off_by} beside a step");
            }
        }
    }
}
