//! Transports: tempo ramps, odd time signatures, count-in, punch-in, and hosts that report little.

use continuo_score::{TimeSignature, TimeSignatureMap};
use continuo_tests::artifacts;
use continuo_tests::assertions::{self, GridNote};
use continuo_tests::daw::{Blocks, Daw, Setup, TrackNote};
use continuo_tests::host::{Format, TransportDetail};
use continuo_tests::scenario::{self, STEPS_PER_BEAT};

const STEPS: i64 = STEPS_PER_BEAT as i64;
const BLOCKS: [Blocks; 2] = [
    Blocks::Fixed(480),
    Blocks::Random {
        seed: 5,
        longest: 2_000,
    },
];

/// The plugin's notes up to now. Fails if one is not on its exact sample.
fn placed(daw: &mut Daw, what: &str) -> Vec<GridNote> {
    scenario::stop(daw).unwrap_or_else(|why| panic!("{what}: {why:#}"))
}

/// Plays with both formats and different blocks, asserts equal notes, and returns them.
fn agree(what: &str, mut play: impl FnMut(Format, Blocks) -> Vec<GridNote>) -> Vec<GridNote> {
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

/// Notes of half a beat at these song positions.
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
fn tempo_ramp_keeps_notes_on_their_samples() {
    // From 60 to 200 BPM and back, in steps of a tenth of a beat.
    let notes = agree("ramp", |format, blocks| {
        let mut setup = scenario::setup(48_000.0, 60.0, blocks);
        let tempo = |n: i32| 60.0 + 140.0 * (1.0 - f64::from((n - 150).abs()) / 150.0);
        setup.tempos = (0..300).map(|n| (f64::from(n) * 0.1, tempo(n))).collect();
        let mut daw = scenario::start(format, setup, 1, &scenario::opening()).unwrap();
        daw.play_to(scenario::END).unwrap();
        placed(&mut daw, "ramp")
    });
    let steady = scenario::play_on(Format::Clap, scenario::default_setup(), 1).unwrap();
    assert_eq!(notes, steady, "the tempo changes the notes");
}

#[test]
fn answers_start_on_bar_lines_in_every_time_signature() {
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
        let mut setup = scenario::setup(48_000.0, 133.7, blocks);
        setup.time_signatures = map.clone();
        let track = beats([0.0, 1.0, 2.0, 6.0, 7.0, 11.0, 16.0, 17.0, 23.0]);
        let mut daw = scenario::start(format, setup, 1, &track).unwrap();
        daw.set(&[("mode", "Trade"), ("bars", "1"), ("lead", "0.25")])
            .unwrap();
        daw.play_to(32.0).unwrap();
        placed(&mut daw, "metres")
    });
    // Turns of one bar each, counted from the bar of the first note.
    let ours = [(3.0, 6.0), (11.0, 16.0), (19.5, 23.0), (26.0, 29.0)];
    let within = |note: &GridNote| {
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
fn count_in_before_beat_0_is_heard_and_answered() {
    // The count-in lasts two bars before beat 0; the player enters before beat 0.
    let track: Vec<_> = beats([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
    let notes = agree("count-in", |format, blocks| {
        let setup = scenario::setup(48_000.0, 120.0, blocks);
        let mut daw = scenario::start(format, setup, 1, &track).unwrap();
        daw.seek(-6.0);
        daw.play_to(15.0).unwrap();
        placed(&mut daw, "count-in")
    });
    // The last note ends at 3.5; two beats later the next bar line is at 6.
    let first = notes.first().map(|note| note.step);
    assert!(first.is_some_and(|step| step >= 6 * STEPS), "{notes:?}");
    // Without the notes before beat 0 the answer differs, so they count as input.
    let mut without = scenario::start(
        Format::Clap,
        scenario::setup(48_000.0, 120.0, BLOCKS[0]),
        1,
        &track[2..],
    )
    .unwrap();
    without.seek(-6.0);
    without.play_to(15.0).unwrap();
    assert_ne!(placed(&mut without, "no count-in"), notes);
}

#[test]
fn punch_in_inside_a_bar_is_answered_on_the_next_bar_line() {
    // The transport starts inside a bar; a note that began earlier is no input.
    let track: Vec<_> = beats([7.0, 7.5, 8.25, 9.0, 10.0]);
    let notes = agree("punch-in", |format, blocks| {
        let setup = scenario::setup(44_100.0, 97.3, blocks);
        let mut daw = scenario::start(format, setup, 1, &track).unwrap();
        daw.seek(7.37);
        daw.play_to(24.0).unwrap();
        placed(&mut daw, "punch-in")
    });
    // The last note ends at 10.5; two beats later the next bar line is at 15.
    let first = notes.first().map(|note| note.step);
    assert!(first.is_some_and(|step| step >= 15 * STEPS), "{notes:?}");
}

#[test]
fn missing_time_signature_means_four_beats_a_bar() {
    let notes = agree("no bars", |format, blocks| {
        let setup = scenario::setup(48_000.0, 120.0, blocks);
        let mut daw = scenario::start(format, setup, 1, &scenario::opening()).unwrap();
        daw.set_transport_detail(TransportDetail::NoTimeSignature);
        daw.play_to(scenario::END).unwrap();
        placed(&mut daw, "no bars")
    });
    // The opening ends at 12; two beats later the next line of 4/4 is at 16.
    let first = notes.first().map(|note| note.step);
    assert!(first.is_some_and(|step| step >= 16 * STEPS), "{notes:?}");
}

/// Plays with a host that reports no song position. Returns note-ons in samples since the start.
fn note_ons_without_position(
    format: Format,
    detail: TransportDetail,
    setup: Setup,
    tempo: &str,
) -> Vec<u64> {
    let mut daw = Daw::new(
        artifacts::load(format).unwrap(),
        setup,
        &scenario::opening(),
    )
    .unwrap();
    daw.set_transport_detail(detail);
    daw.set(&[("thru", "Off"), ("tempo", tempo), ("mode", "Free")])
        .unwrap();
    let began = daw.now();
    daw.play_to(scenario::END).unwrap();
    daw.set_transport_detail(TransportDetail::Full);
    daw.run_stopped(1_000).unwrap();
    let notes = assertions::pair_notes(daw.sent()).unwrap();
    notes.iter().map(|note| note.on - began).collect()
}

#[test]
fn missing_position_follows_host_tempo_and_missing_transport_follows_own_tempo() {
    // Half a minute of host time at 60 BPM. A reported tempo takes precedence over the plugin's own.
    for (detail, bpm, own) in [
        (TransportDetail::NoPosition, 60.0, "200"),
        (TransportDetail::None, 150.0, "150"),
    ] {
        for format in Format::ALL {
            let what = format!("{format:?}, {detail:?}");
            let first = note_ons_without_position(
                format,
                detail,
                scenario::setup(48_000.0, 60.0, BLOCKS[0]),
                own,
            );
            let again = note_ons_without_position(
                format,
                detail,
                scenario::setup(48_000.0, 60.0, BLOCKS[1]),
                own,
            );
            assert_eq!(first, again, "{what}");
            assert!(first.len() > 5, "{what}: {first:?}");
            let step = 48_000.0 * 60.0 / bpm / f64::from(STEPS_PER_BEAT);
            // Steps count from the first note: the plugin chooses its own beat 0.
            let origin = first[0] as f64;
            for &on in &first {
                let steps = (on as f64 - origin) / step;
                let off_by = (steps - steps.round()).abs() * step;
                assert!(off_by <= 1.01, "{what}: {on} is {off_by} beside a step");
            }
        }
    }
}
