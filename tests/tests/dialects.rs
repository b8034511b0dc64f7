//! Notes in the dialect that a CLAP host takes: every note comes out, with its velocity, whatever
//! the host declares and accepts.

use std::sync::Arc;

use continuo_tests::check;
use continuo_tests::host::{ClapHost, Dialect, Format, Manners, NoteEvent, Plugin};
use continuo_tests::player::{Player, TrackNote};
use continuo_tests::{lab, scene};

const BOTH: [Dialect; 2] = [Dialect::Clap, Dialect::Midi];

fn host(manners: Manners) -> ClapHost {
    lab::use_test_model().unwrap();
    ClapHost::load_with(&lab::bundle(Format::Clap).unwrap(), manners).unwrap()
}

/// Notes of every velocity that MIDI has, an eighth of a beat apart.
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

/// What comes out while the player's notes pass through: key and MIDI velocity of each.
fn passed(manners: &Manners) -> Vec<(u8, u8)> {
    let plugin = Box::new(host(manners.clone()));
    let mut player = Player::new(plugin, scene::any_setup(), &every_velocity()).unwrap();
    player.set(&[("thru", "On"), ("mode", "Off")]).unwrap();
    player.play_to(17.0).unwrap();
    player.stand(1_000).unwrap();
    let notes = check::pair(player.sent()).unwrap();
    player.finish().unwrap();
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
fn every_host_gets_notes_in_a_dialect_that_it_declares() {
    let midi = Some(vec![Dialect::Midi]);
    let clap = Some(vec![Dialect::Clap]);
    // Declared; the dialect expected. Hosts without the extension, or with nothing in it, accept
    // all events, as some do that misread velocities of CLAP notes.
    for (declares, expects) in [
        (None, Dialect::Midi),
        (Some(vec![]), Dialect::Midi),
        (midi, Dialect::Midi),
        (clap, Dialect::Clap),
        (Some(BOTH.to_vec()), Dialect::Clap),
    ] {
        for writes in BOTH {
            let manners = Manners {
                declares: declares.clone(),
                takes: BOTH.to_vec(),
                writes,
                ..Manners::default()
            };
            let what = format!("declares {declares:?}, writes {writes:?}");
            let preferred = host(manners.clone()).preferred_dialects().unwrap();
            assert_eq!(preferred, [Some(expects); 2], "{what}");
            assert_eq!(passed(&manners), expected(), "{what}");
            let (clap, midi, refused) = manners.tally.counts();
            let counts = match expects {
                Dialect::Clap => (254, 0, 0),
                Dialect::Midi => (0, 254, 0),
            };
            assert_eq!((clap, midi, refused), counts, "{what}");
        }
    }
}

#[test]
fn a_refused_dialect_is_left_for_the_other_one() {
    // Declared, accepted, and how many notes are refused before it knows: one.
    let cases: [(Option<&[Dialect]>, Dialect); 4] = [
        (None, Dialect::Clap),
        (Some(&[Dialect::Midi]), Dialect::Clap),
        (Some(&[Dialect::Clap]), Dialect::Midi),
        (Some(&BOTH), Dialect::Midi),
    ];
    for (declares, takes) in cases {
        let manners = Manners {
            declares: declares.map(<[Dialect]>::to_vec),
            takes: vec![takes],
            ..Manners::default()
        };
        let what = format!("declares {declares:?}, takes {takes:?}");
        assert_eq!(passed(&manners), expected(), "{what}");
        let (clap, midi, refused) = manners.tally.counts();
        assert_eq!((clap + midi, refused), (254, 1), "{what}");
    }
}

#[test]
fn a_host_that_takes_no_notes_is_not_harmed() {
    let manners = Manners {
        takes: Vec::new(),
        ..Manners::default()
    };
    assert_eq!(passed(&manners), []);
    let (clap, midi, refused) = manners.tally.counts();
    assert_eq!((clap, midi), (0, 0));
    // Each note-on in both dialects; a key that never sounded needs no note-off.
    assert!(refused >= 254, "{refused}");
}

/// The answer is the same music in every dialect, on the same samples.
#[test]
fn answers_are_the_same_in_every_dialect() {
    let play = |manners: Manners| {
        let tally = Arc::clone(&manners.tally);
        let plugin: Box<dyn Plugin> = Box::new(host(manners));
        let notes = scene::opening();
        let mut player = Player::new(plugin, scene::any_setup(), &notes).unwrap();
        player
            .set(&[("thru", "Off"), ("gap", "2"), ("seed", "1")])
            .unwrap();
        player.stand(1_000).unwrap();
        player.play_to(scene::END).unwrap();
        player.stand(1_000).unwrap();
        let sent: Vec<NoteEvent> = player.sent().iter().map(|sent| sent.event).collect();
        let rounded = |note: &NoteEvent| {
            let velocity = (note.velocity * 127.0).round() as u8;
            (note.offset, note.on, note.channel, note.key, velocity)
        };
        player.finish().unwrap();
        (sent.iter().map(rounded).collect::<Vec<_>>(), tally.counts())
    };
    let (clap, counts) = play(Manners::default());
    assert!(counts.0 > 10 && counts.1 == 0, "{counts:?}");
    let (midi, counts) = play(Manners {
        declares: None,
        takes: vec![Dialect::Midi],
        writes: Dialect::Midi,
        ..Manners::default()
    });
    assert!(
        counts.0 == 0 && counts.1 > 10 && counts.2 == 0,
        "{counts:?}"
    );
    assert_eq!(midi, clap);
}
