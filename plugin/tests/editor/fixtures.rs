//! Views to draw: a piece of music, and an instance in each of its states.

use std::sync::Arc;

use continuo::action::Action;
use continuo::editor::param_binding::ParamBinding;
use continuo::editor::view::{ActionState, View};
use continuo::params::ContinuoParams;
use continuo_accompaniment::choices::{Choice, Mode, Variation};
use continuo_accompaniment::midi_export::ExportPart;
use continuo_accompaniment::snapshot::{
    LearnedPiece, LearningState, ModelInfo, ModelState, NamedChord, RecalledBar, RollNote,
    Snapshot, TransportState, UndoStep,
};
use continuo_accompaniment::trigger::Trigger;
use continuo_score::{Part, TimeSignature};

fn note(start: f64, length: f64, pitch: u8, velocity: u8, generated: bool) -> RollNote {
    RollNote {
        start,
        end: Some(start + length),
        pitch,
        velocity,
        generated,
        ..RollNote::default()
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
            note(start, length, pitch, velocity, false)
        })
        .collect()
}

/// The answer from bar 9 on: at beat 28.25 some of it sounds, the rest is planned.
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
            note(start, length, pitch, 70 + (index * 23 % 50) as u8, true)
        })
        .collect()
}

/// A band along with the minuet: a bass, drums and a lead that sound, and chords that are imagined.
fn band() -> Vec<RollNote> {
    let of = |part, start, length, pitch| RollNote {
        part,
        ..note(start, length, pitch, 84, true)
    };
    let roots = [43, 43, 36, 43, 45, 43, 38, 38];
    let mut notes = Vec::new();
    for (bar, root) in (0..).zip(roots) {
        let line = 3.0 * f64::from(bar);
        notes.push(of(Part::Bass, line, 2.0, root));
        notes.push(of(Part::Bass, line + 2.0, 1.0, root + 7));
        for beat in 0..3 {
            let drum = if beat == 0 { 36 } else { 42 };
            notes.push(of(Part::Drums, line + f64::from(beat), 0.1, drum));
        }
        notes.push(of(Part::Lead, line + 1.0, 1.5, 79 + (bar % 3) as u8));
        for third in [52, 55, 59] {
            notes.push(RollNote {
                imagined: true,
                ..of(Part::Chords, line + 1.0, 1.5, third)
            });
        }
    }
    notes
}

/// The plugin's parameters at their defaults.
fn param_binding() -> ParamBinding {
    ParamBinding::new(Arc::new(ContinuoParams::default()))
}

/// Every action.
pub(crate) fn action_states() -> Vec<ActionState> {
    let triggers = Trigger::ALL.map(Action::Trigger);
    let variations = Variation::VALUES.iter().copied().map(Action::Vary);
    let others = [
        Action::Freeze,
        Action::SaveMidi(ExportPart::Input, None),
        Action::SaveMidi(ExportPart::Generated, None),
        Action::SaveMidi(ExportPart::Both, None),
        Action::SaveMusicXml(ExportPart::Input),
        Action::SaveMusicXml(ExportPart::Generated),
        Action::SaveMusicXml(ExportPart::Both),
        Action::LoadModel,
        Action::DefaultModel,
        Action::LearnFiles,
        Action::LearnFolder,
        Action::Unlearn,
    ];
    let presets = (0..param_binding().presets().len()).map(Action::Preset);
    let actions = triggers.into_iter().chain(variations);
    let state = |action| ActionState {
        enabled: action != Trigger::Regenerate.into(),
        on: matches!(action, Action::Vary(Variation::A) | Action::Preset(0)),
        action,
    };
    actions.chain(others).chain(presets).map(state).collect()
}

/// A window that shows a snapshot.
fn view(snapshot: Snapshot) -> View {
    let param_binding = param_binding();
    let mut view = View {
        controls: param_binding.controls(),
        action_states: action_states(),
        presets: param_binding.presets().to_vec(),
        ..View::default()
    };
    view.show(Arc::new(snapshot));
    view
}

/// A snapshot of an instance that was just loaded on an empty track.
fn empty_snapshot() -> Snapshot {
    let mut snapshot = Snapshot {
        time: TransportState {
            tempo: 120.0,
            ..TransportState::default()
        },
        mode: Some(Mode::Continue),
        model: ModelState::Ready(ModelInfo {
            name: "default".into(),
            device: "CPU".into(),
            ..ModelInfo::default()
        }),
        learning: LearningState {
            possible: true,
            ..LearningState::default()
        },
        ..Snapshot::default()
    };
    snapshot.history.undo = Some(UndoStep::Clear);
    snapshot
}

/// The chords of the minuet and of the answer, a bar each.
fn chords() -> Vec<NamedChord> {
    let names = [
        "G", "G/B", "C", "G/B", "Am", "G", "D", "D7", "G/B", "C", "D7",
    ];
    let bars = names.into_iter().enumerate();
    let chord = |(bar, name): (usize, &str)| NamedChord {
        start: 3.0 * bar as f64,
        end: 3.0 * (bar + 1) as f64,
        name: name.into(),
    };
    bars.map(chord).collect()
}

/// A snapshot in 3/4 with the transport running.
fn snapshot_in_three(notes: Vec<RollNote>, beat: f64) -> Snapshot {
    let time_signature = TimeSignature {
        numerator: 3,
        denominator: 4,
    };
    let mut snapshot = Snapshot {
        time: TransportState {
            playing: true,
            beat,
            tempo: 112.0,
            ..TransportState::default()
        },
        notes,
        chords: chords(),
        time_signatures: vec![(0.0, time_signature)],
        ..empty_snapshot()
    };
    snapshot.health.ms_per_token = Some(3.1);
    snapshot
}

/// Just loaded on an empty track.
pub(crate) fn empty() -> View {
    view(empty_snapshot())
}

/// The player plays and holds a chord.
pub(crate) fn listening() -> View {
    let mut notes = minuet();
    notes.retain(|note| note.start < 16.0);
    for pitch in [59, 62, 71] {
        notes.push(RollNote {
            end: None,
            ..note(15.0, 1.0, pitch, 96, false)
        });
    }
    let mut snapshot = snapshot_in_three(notes, 16.75);
    snapshot.memory.notes = snapshot.notes.len();
    snapshot.memory.bars = 6;
    view(snapshot)
}

fn playing_snapshot() -> Snapshot {
    let notes = minuet().into_iter().chain(answer()).collect();
    let mut snapshot = snapshot_in_three(notes, 28.25);
    snapshot.answering = true;
    snapshot.planned_to = Some(32.25);
    snapshot.health.headroom = Some(4.0);
    snapshot.memory.notes = 1234;
    snapshot.memory.bars = 10;
    snapshot
}

fn playing_view(snapshot: Snapshot) -> View {
    View {
        committed_to: 29.5,
        ..view(snapshot)
    }
}

/// It plays an answer, with notes planned ahead of the playhead.
pub(crate) fn playing() -> View {
    playing_view(playing_snapshot())
}

/// It plays bass, drums and lead along with the minuet, and imagines the chords.
pub(crate) fn accompanying() -> View {
    let mut snapshot = playing_snapshot();
    snapshot.mode = Some(Mode::Along);
    snapshot.time.beat = 20.25;
    snapshot.planned_to = Some(24.0);
    snapshot.notes = minuet();
    snapshot.notes.retain(|note| note.start < 20.25);
    snapshot.notes.extend(band());
    if let ModelState::Ready(model) = &mut snapshot.model {
        model.has_parts = true;
    }
    View {
        committed_to: 21.0,
        ..view(snapshot)
    }
}

/// It plays, and the long memory retrieves the beginning and a learned file.
pub(crate) fn recalling() -> View {
    let bar = |from, to, share| RecalledBar { from, to, share };
    let snapshot = Snapshot {
        recalled_learned: 1.0,
        ..playing_snapshot()
    };
    View {
        recalled: vec![
            bar(3.0, 6.0, 0.2),
            bar(9.0, 12.0, 0.9),
            bar(15.0, 18.0, 0.4),
        ],
        ..playing_view(snapshot)
    }
}

/// Three files are learned, and more are being read.
pub(crate) fn learning() -> View {
    let piece = |name: &str, notes| LearnedPiece {
        name: name.into(),
        notes,
    };
    let mut snapshot = playing_snapshot();
    snapshot.learning.progress = Some(0.45);
    snapshot.learning.pieces = vec![
        piece("minuet.mid", 431),
        piece(
            "a song with a name that is much too long for any menu.mid",
            2210,
        ),
        piece("sonata.mid", 5102),
    ];
    playing_view(snapshot)
}

/// There is no model.
pub(crate) fn error() -> View {
    let mut snapshot = Snapshot {
        model: ModelState::Failed,
        problems: vec![
            "ONNX Runtime (libonnxruntime-continuo.so) not found in /home/me/.clap/\
             Continuo.resources: `cargo xtask bundle` puts it beside the plugin, \
             or set CONTINUO_RESOURCES to the folder that has it"
                .into(),
        ],
        ..empty_snapshot()
    };
    snapshot.health.counters.late = 3;
    snapshot.health.counters.dropped = 12;
    View {
        notice: Some("Defaults are in force: the song's state could not be read.".into()),
        ..view(snapshot)
    }
}
