//! Views to draw: a tune, and an instance in each of its states.

use std::sync::Arc;

use continuo::editor::knobs::Knobs;
use continuo::editor::view::{
    Act, Bars, By, Control, Health, Learning, Memory, Offer, Part, Recalled, Roll, RollNote,
    Status, Transport, View,
};
use continuo::editor_link::LearnedPiece;
use continuo::params::ContinuoParams;

fn note(start: f64, length: f64, pitch: u8, velocity: u8, by: By) -> RollNote {
    RollNote {
        start,
        end: Some(start + length),
        pitch,
        velocity,
        by,
    }
}

/// Petzold's Minuet in G, the first eight bars: heard.
fn minuet() -> Vec<RollNote> {
    let melody = [
        (0.0, 1.0, 74),
        (1.0, 0.5, 67),
        (1.5, 0.5, 69),
        (2.0, 0.5, 71),
        (2.5, 0.5, 72),
        (3.0, 1.0, 74),
        (4.0, 1.0, 67),
        (5.0, 1.0, 67),
        (6.0, 1.0, 76),
        (7.0, 0.5, 72),
        (7.5, 0.5, 74),
        (8.0, 0.5, 76),
        (8.5, 0.5, 78),
        (9.0, 1.0, 79),
        (10.0, 1.0, 67),
        (11.0, 1.0, 67),
        (12.0, 1.0, 72),
        (13.0, 0.5, 74),
        (13.5, 0.5, 72),
        (14.0, 0.5, 71),
        (14.5, 0.5, 69),
        (15.0, 1.0, 71),
        (16.0, 0.5, 72),
        (16.5, 0.5, 71),
        (17.0, 0.5, 69),
        (17.5, 0.5, 67),
        (18.0, 1.0, 66),
        (19.0, 0.5, 67),
        (19.5, 0.5, 69),
        (20.0, 0.5, 71),
        (20.5, 0.5, 67),
        (21.0, 3.0, 69),
    ];
    let bass = [
        (0.0, 2.0, 55),
        (2.0, 1.0, 57),
        (3.0, 3.0, 59),
        (6.0, 3.0, 60),
        (9.0, 3.0, 59),
        (12.0, 3.0, 57),
        (15.0, 3.0, 55),
        (18.0, 1.0, 62),
        (19.0, 1.0, 59),
        (20.0, 1.0, 55),
        (21.0, 1.0, 62),
        (22.0, 0.5, 50),
        (22.5, 0.5, 60),
        (23.0, 0.5, 59),
        (23.5, 0.5, 57),
    ];
    let heard = melody.into_iter().chain(bass).enumerate();
    heard
        .map(|(index, (start, length, pitch))| {
            let velocity = 60 + (index * 37 % 60) as u8;
            note(start, length, pitch, velocity, By::Player)
        })
        .collect()
}

/// What it plays on, from bar 9: some of it sounding at beat 28.25, the rest still ahead.
fn answer() -> Vec<RollNote> {
    let notes = [
        (24.0, 1.0, 74),
        (25.0, 0.5, 67),
        (25.5, 0.5, 69),
        (26.0, 0.5, 71),
        (26.5, 0.5, 72),
        (24.0, 3.0, 59),
        (27.0, 1.0, 74),
        (28.0, 1.0, 67),
        (27.0, 2.0, 55),
        (29.0, 1.0, 67),
        (29.0, 1.0, 59),
        (30.0, 1.0, 76),
        (31.0, 0.5, 72),
        (31.5, 0.5, 74),
        (30.0, 2.0, 60),
    ];
    let played = notes.into_iter().enumerate();
    played
        .map(|(index, (start, length, pitch))| {
            note(start, length, pitch, 70 + (index * 23 % 50) as u8, By::Us)
        })
        .collect()
}

/// The plugin's own controls, as they stand at first.
pub(crate) fn controls() -> Vec<Control> {
    knobs().controls()
}

fn knobs() -> Knobs {
    Knobs::new(Arc::new(ContinuoParams::default()))
}

/// Every act there is.
pub(crate) fn offers() -> Vec<Offer> {
    let acts = [
        Act::Panic,
        Act::Regenerate,
        Act::Vary(0),
        Act::Vary(1),
        Act::Vary(2),
        Act::Vary(3),
        Act::Freeze,
        Act::Clear,
        Act::Save(Part::Heard, None),
        Act::Save(Part::Played, None),
        Act::Save(Part::Both, None),
        Act::LoadModel,
        Act::DefaultModel,
        Act::Undo,
        Act::Redo,
        Act::LearnFiles,
        Act::LearnFolder,
        Act::Unlearn,
    ];
    let presets = (0..knobs().presets().len()).map(Act::Preset);
    acts.into_iter()
        .chain(presets)
        .map(|act| Offer {
            enabled: act != Act::Regenerate,
            on: matches!(act, Act::Vary(0) | Act::Preset(0)),
            act,
        })
        .collect()
}

fn minuet_roll(notes: Vec<RollNote>, now: f64) -> Roll {
    Roll {
        now,
        planned_to: now,
        firm_to: now,
        notes,
        time_signatures: vec![Bars {
            at: 0.0,
            number: 1,
            numerator: 3,
            denominator: 4,
        }],
        recalled: Vec::new(),
        recalls_learned: false,
    }
}

/// Just loaded on an empty track.
pub(crate) fn empty() -> View {
    View {
        status: Status::Stopped,
        transport: Transport {
            playing: false,
            tempo: Some(120.0),
        },
        health: Health {
            device: Some("CPU".into()),
            model: Some("default".into()),
            ..Health::default()
        },
        controls: controls(),
        offers: offers(),
        history: [Some("Remember again what was cleared"), None],
        presets: knobs().presets().to_vec(),
        learning: Learning {
            possible: true,
            ..Learning::default()
        },
        ..View::default()
    }
}

/// The player plays, a chord held.
pub(crate) fn listening() -> View {
    let mut notes = minuet();
    notes.retain(|note| note.start < 16.0);
    for pitch in [59, 62, 71] {
        notes.push(RollNote {
            end: None,
            ..note(15.0, 1.0, pitch, 96, By::Player)
        });
    }
    View {
        status: Status::Listening,
        transport: Transport {
            playing: true,
            tempo: Some(112.0),
        },
        health: Health {
            memory: Memory {
                notes: notes.len(),
                bars: 6,
                rebuilding: false,
            },
            ms_per_token: Some(3.1),
            ..empty().health
        },
        roll: minuet_roll(notes, 16.75),
        ..empty()
    }
}

/// It plays on, with notes ahead of the playhead.
pub(crate) fn playing() -> View {
    let mut roll = minuet_roll(minuet(), 28.25);
    roll.notes.extend(answer());
    roll.planned_to = 32.25;
    roll.firm_to = 29.5;
    View {
        status: Status::Playing,
        health: Health {
            headroom: Some(4.0),
            memory: Memory {
                notes: 1234,
                bars: 10,
                rebuilding: false,
            },
            ..listening().health
        },
        roll,
        ..listening()
    }
}

/// The same, and it recalls the beginning.
pub(crate) fn recalling() -> View {
    let mut view = playing();
    view.roll.recalled = vec![
        Recalled {
            from: 3.0,
            to: 6.0,
            weight: 0.2,
        },
        Recalled {
            from: 9.0,
            to: 12.0,
            weight: 0.9,
        },
        Recalled {
            from: 15.0,
            to: 18.0,
            weight: 0.4,
        },
    ];
    view.roll.recalls_learned = true;
    view
}

/// Three files were learned, and more are on their way.
pub(crate) fn learning() -> View {
    let piece = |name: &str, notes| LearnedPiece {
        name: name.into(),
        notes,
    };
    View {
        learning: Learning {
            possible: true,
            pieces: vec![
                piece("minuet.mid", 431),
                piece(
                    "a song with a name that is much too long for any menu.mid",
                    2210,
                ),
                piece("sonata.mid", 5102),
            ],
            waiting: 0,
            progress: Some(0.45),
            refused: Vec::new(),
        },
        ..playing()
    }
}

/// No model.
pub(crate) fn error() -> View {
    View {
        status: Status::Failed,
        health: Health {
            late: 3,
            dropped: 12,
            ..Health::default()
        },
        problems: vec![
            "ONNX Runtime (libonnxruntime-continuo.so) not found in /home/me/.clap/\
             Continuo.resources: `cargo xtask bundle continuo --release` puts it beside the plugin, \
             or set CONTINUO_RESOURCES to the folder that has it"
                .into(),
        ],
        notice: Some("Defaults are in force: the song's state could not be read.".into()),
        ..empty()
    }
}
