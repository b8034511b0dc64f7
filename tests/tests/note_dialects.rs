//! Note dialects of CLAP hosts: every note arrives with its velocity, whatever the host declares and
//! accepts.

use std::sync::Arc;

use continuo_tests::assertions;
use continuo_tests::daw::{Daw, TrackNote};
use continuo_tests::host::{ClapHost, ClapHostConfig, Dialect, Format, NoteEvent, Plugin};
use continuo_tests::{artifacts, scenario};

const BOTH: [Dialect; 2] = [Dialect::Clap, Dialect::Midi];

fn host(config: ClapHostConfig) -> ClapHost {
    artifacts::use_test_model().unwrap();
    ClapHost::load_with(&artifacts::bundle(Format::Clap).unwrap(), config).unwrap()
}

/// Notes of every MIDI velocity, an eighth of a beat apart.
fn every_velocity() -> Vec<TrackNote> {
    let note = |velocity: u8| {
        let start = f64::from(velocity) / 8.0;
        TrackNote {
            start,
            end: start + 0.1,
            key: 30 + velocity % 70,
            velocity: f32::from(velocity) / 127.0,
        }
    };
    (1..=127).map(note).collect()
}

/// Key and MIDI velocity of each note that passes through.
fn passed(config: &ClapHostConfig) -> Vec<(u8, u8)> {
    let plugin = Box::new(host(config.clone()));
    let mut daw = Daw::new(plugin, scenario::default_setup(), &every_velocity()).unwrap();
    daw.set(&[("thru", "On"), ("mode", "Off")]).unwrap();
    daw.play_to(17.0).unwrap();
    daw.run_stopped(1_000).unwrap();
    let notes = assertions::pair_notes(daw.sent()).unwrap();
    daw.finish().unwrap();
    let midi = |velocity: f32| {
        let velocity = velocity * 127.0;
        assert!((velocity - velocity.round()).abs() < 1e-3, "{velocity}");
        velocity.round() as u8
    };
    notes.iter().map(|n| (n.key, midi(n.velocity))).collect()
}

fn expected() -> Vec<(u8, u8)> {
    (1..=127)
        .map(|velocity| (30 + velocity % 70, velocity))
        .collect()
}

#[test]
fn notes_come_in_a_dialect_the_host_declares() {
    let midi = Some(vec![Dialect::Midi]);
    let clap = Some(vec![Dialect::Clap]);
    // Declared dialects, and the expected one. Hosts that declare none get MIDI: some of them misread
    // velocities of CLAP notes.
    for (declares, expects) in [
        (None, Dialect::Midi),
        (Some(vec![]), Dialect::Midi),
        (midi, Dialect::Midi),
        (clap, Dialect::Clap),
        (Some(BOTH.to_vec()), Dialect::Clap),
    ] {
        for writes in BOTH {
            let config = ClapHostConfig {
                declares: declares.clone(),
                takes: BOTH.to_vec(),
                writes,
                ..ClapHostConfig::default()
            };
            let what = format!("declares {declares:?}, writes {writes:?}");
            let preferred = host(config.clone()).preferred_dialects().unwrap();
            assert_eq!(preferred, [Some(expects); 2], "{what}");
            assert_eq!(passed(&config), expected(), "{what}");
            let (clap, midi, refused) = config.counts.totals();
            let counts = match expects {
                Dialect::Clap => (254, 0, 0),
                Dialect::Midi => (0, 254, 0),
            };
            assert_eq!((clap, midi, refused), counts, "{what}");
        }
    }
}

#[test]
fn refused_dialect_is_replaced_by_the_other() {
    // Declared dialects, and the accepted one. One note is refused before the plugin changes.
    let cases: [(Option<&[Dialect]>, Dialect); 4] = [
        (None, Dialect::Clap),
        (Some(&[Dialect::Midi]), Dialect::Clap),
        (Some(&[Dialect::Clap]), Dialect::Midi),
        (Some(&BOTH), Dialect::Midi),
    ];
    for (declares, takes) in cases {
        let config = ClapHostConfig {
            declares: declares.map(<[Dialect]>::to_vec),
            takes: vec![takes],
            ..ClapHostConfig::default()
        };
        let what = format!("declares {declares:?}, takes {takes:?}");
        assert_eq!(passed(&config), expected(), "{what}");
        let (clap, midi, refused) = config.counts.totals();
        assert_eq!((clap + midi, refused), (254, 1), "{what}");
    }
}

#[test]
fn host_that_accepts_no_notes_is_served_without_error() {
    let config = ClapHostConfig {
        takes: Vec::new(),
        ..ClapHostConfig::default()
    };
    assert_eq!(passed(&config), []);
    let (clap, midi, refused) = config.counts.totals();
    assert_eq!((clap, midi), (0, 0));
    // Each note-on is offered in both dialects; a key that never sounded gets no note-off.
    assert!(refused >= 254, "{refused}");
}

#[test]
fn answers_are_equal_in_every_dialect() {
    let play = |config: ClapHostConfig| {
        let counts = Arc::clone(&config.counts);
        let plugin: Box<dyn Plugin> = Box::new(host(config));
        let notes = scenario::opening();
        let mut daw = Daw::new(plugin, scenario::default_setup(), &notes).unwrap();
        daw.set(&[("thru", "Off"), ("gap", "2"), ("seed", "1")])
            .unwrap();
        daw.run_stopped(1_000).unwrap();
        daw.play_to(scenario::END).unwrap();
        daw.run_stopped(1_000).unwrap();
        let sent: Vec<NoteEvent> = daw.sent().iter().map(|sent| sent.event).collect();
        let rounded = |note: &NoteEvent| {
            let velocity = (note.velocity * 127.0).round() as u8;
            (note.offset, note.on, note.channel, note.key, velocity)
        };
        daw.finish().unwrap();
        (
            sent.iter().map(rounded).collect::<Vec<_>>(),
            counts.totals(),
        )
    };
    let (clap, counts) = play(ClapHostConfig::default());
    assert!(counts.0 > 10 && counts.1 == 0, "{counts:?}");
    let (midi, counts) = play(ClapHostConfig {
        declares: None,
        takes: vec![Dialect::Midi],
        writes: Dialect::Midi,
        ..ClapHostConfig::default()
    });
    assert!(
        counts.0 == 0 && counts.1 > 10 && counts.2 == 0,
        "{counts:?}"
    );
    assert_eq!(midi, clap);
}
