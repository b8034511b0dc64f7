//! An instance's snapshot as a [`View`].

use super::view::{
    Action, BarSection, NoteOwner, Health, Memory, ActionState, ExportPart, Recalled, RollNote, Status, Transport, View,
};
use crate::snapshot::{ModelState, RecalledBar, Snapshot, UndoStep};
use crate::choices::{Mode, Variation};

/// Nearer than this is the same place, in quarter notes.
const SAME: f64 = 1e-3;

/// Less than this share of what is recalled, or of what is recalled most, is not worth a word.
const MUCH: f32 = 0.25;

/// Bars shown as recalled, at most.
const RECALLED: usize = 6;

/// Everything of a view that a snapshot knows.
pub fn see(snapshot: &Snapshot, view: &mut View) {
    let now = snapshot.time.beat;
    view.status = status(snapshot);
    view.transport = Transport {
        playing: snapshot.time.playing,
        tempo: Some(snapshot.time.tempo).filter(|&tempo| tempo > 0.0),
    };
    let model = match &snapshot.model {
        ModelState::Ready(info) => Some(info),
        ModelState::Loading | ModelState::Failed => None,
    };
    view.health = Health {
        device: model.map(|info| info.device.clone()),
        model: model.map(|info| info.name.clone()),
        ms_per_token: snapshot.health.ms_per_token,
        headroom: snapshot.health.headroom,
        late: snapshot.health.late,
        dropped: snapshot.health.dropped,
        bars_distrusted: snapshot.health.bars_distrusted,
        refused: snapshot.health.refused,
        switched: snapshot.health.switched,
        memory: Memory {
            notes: snapshot.memory.notes,
            bars: snapshot.memory.bars as usize,
            rebuilding: snapshot.memory.behind,
        },
    };
    view.problems.clone_from(&snapshot.problems);
    view.learning.clone_from(&snapshot.learning);
    let history = &snapshot.history;
    view.history = [
        history.undo.map(|step| words(step, true)),
        history.redo.map(|step| words(step, false)),
    ];
    view.roll.now = now;
    view.roll.planned_to = snapshot.planned_to.unwrap_or(now);
    // A key, a jump or a stop voids everything that does not sound yet, in every mode.
    view.roll.firm_to = now;
    view.roll.notes.clear();
    view.roll
        .notes
        .extend(snapshot.notes.iter().map(|note| RollNote {
            start: note.start,
            end: note.end,
            pitch: note.pitch,
            velocity: note.velocity,
            by: if note.ours { NoteOwner::Us } else { NoteOwner::Player },
        }));
    view.roll.recalled = recalled(&snapshot.recalled);
    view.roll.recalls_learned = snapshot.recalled_learned > MUCH;
    view.roll.metres.clear();
    let here = (snapshot.time.bar_start, snapshot.time.metre);
    let known = snapshot.metres.iter();
    let known = known.map(|&(at, metre)| (at, (metre.numerator, metre.denominator)));
    for (at, metre) in known.chain([here]) {
        if let Some(bars) = bars(at, metre) {
            add(&mut view.roll.metres, bars);
        }
    }
}

/// The host has gone silent: shown as if it had said that the transport stands.
pub fn stop(view: &mut View) {
    view.transport.playing = false;
    if matches!(view.status, Status::Playing | Status::Listening) {
        view.status = Status::Stopped;
    }
}

/// The acts that would have an effect now, beside those that are parameters.
pub fn action_states(snapshot: &Snapshot) -> Vec<ActionState> {
    let thinks = matches!(snapshot.model, ModelState::Ready(_));
    let ours = snapshot.notes.iter().any(|note| note.ours);
    let theirs = snapshot.notes.iter().any(|note| !note.ours);
    let learned = &snapshot.learning;
    let remembers = snapshot.memory.notes > 0 || !learned.pieces.is_empty();
    let other = match &snapshot.model {
        ModelState::Ready(info) => info.directory.is_some(),
        ModelState::Loading | ModelState::Failed => true,
    };
    let actions = [
        (Action::Panic, true),
        (Action::Regenerate, thinks && snapshot.answering),
        (Action::Clear, remembers),
        (Action::Undo, snapshot.history.undo.is_some()),
        (Action::Redo, snapshot.history.redo.is_some()),
        (Action::Save(ExportPart::Played, None), ours),
        (Action::Save(ExportPart::Heard, None), theirs),
        (Action::Save(ExportPart::Both, None), ours || theirs),
        (Action::LoadModel, true),
        (Action::DefaultModel, other),
        (Action::LearnFiles, learned.possible),
        (Action::LearnFolder, learned.possible),
        (Action::Unlearn, !learned.pieces.is_empty()),
    ];
    let action_state = |(action, enabled)| ActionState {
        action,
        enabled,
        on: false,
    };
    actions.into_iter().map(action_state).collect()
}

/// The bars that are recalled most, the strongest with weight 1.
fn recalled(bars: &[RecalledBar]) -> Vec<Recalled> {
    let most = bars.iter().map(|bar| bar.share).fold(0.0, f32::max);
    if most <= 0.0 {
        return Vec::new();
    }
    let mut strong: Vec<_> = bars.iter().filter(|bar| bar.share > MUCH * most).collect();
    strong.sort_by(|a, b| b.share.total_cmp(&a.share));
    strong.truncate(RECALLED);
    let weight = |bar: &RecalledBar| Recalled {
        from: bar.from,
        to: bar.to,
        weight: bar.share / most,
    };
    strong.into_iter().map(weight).collect()
}

/// What a step back, or forth, does.
fn words(step: UndoStep, back: bool) -> &'static str {
    match (step, back) {
        (UndoStep::Regenerate, true) => "Back to the answer before this bar was regenerated",
        (UndoStep::Regenerate, false) => "Forth to the regenerated bar",
        (UndoStep::Clear, true) => "Remember again what was cleared",
        (UndoStep::Clear, false) => "Clear memory again",
        (UndoStep::PlayOver, true) => "Remember again what was played over",
        (UndoStep::PlayOver, false) => "Forget again what was played over",
        (UndoStep::Unlearn, true) => "Learn again what was forgotten",
        (UndoStep::Unlearn, false) => "Forget again what was learned",
        (UndoStep::Vary(Variation::A), _) => "Variation A",
        (UndoStep::Vary(Variation::B), _) => "Variation B",
        (UndoStep::Vary(Variation::C), _) => "Variation C",
        (UndoStep::Vary(Variation::D), _) => "Variation D",
        (UndoStep::Freeze(true), true) => "Freeze the same bars again",
        (UndoStep::Freeze(true), false) => "Freeze again",
        (UndoStep::Freeze(false), _) => "Do not freeze",
    }
}

fn status(snapshot: &Snapshot) -> Status {
    match snapshot.model {
        ModelState::Loading => Status::Loading,
        ModelState::Failed => Status::Failed,
        ModelState::Ready(_) if snapshot.mode == Some(Mode::Off) => Status::Off,
        ModelState::Ready(_) if !snapshot.time.playing => Status::Stopped,
        ModelState::Ready(_) if snapshot.answering => Status::Playing,
        ModelState::Ready(_) => Status::Listening,
    }
}

/// A bar of the host's. Its number is counted as if the metre had always been this one, for
/// hosts need not say which bar it is.
fn bars(at: f64, (numerator, denominator): (u16, u16)) -> Option<BarSection> {
    let bars = BarSection {
        at,
        number: 1,
        numerator,
        denominator,
    };
    let usable = numerator > 0 && denominator > 0 && at.is_finite();
    usable.then(|| BarSection {
        number: (bars.at / bars.length()).round() as i32 + 1,
        ..bars
    })
}

/// Adds a bar to those before it, unless it is one of theirs. Bars that follow each other are
/// numbered on, whatever their metres.
fn add(metres: &mut Vec<BarSection>, bar: BarSection) {
    let Some(&before) = metres.last() else {
        metres.push(bar);
        return;
    };
    let lines = (bar.at - before.at) / before.length();
    let same = (before.numerator, before.denominator) == (bar.numerator, bar.denominator)
        && (lines - lines.round()).abs() * before.length() < SAME;
    if same || bar.at <= before.at {
        return;
    }
    let number = before.number + (lines - SAME).ceil() as i32;
    metres.push(BarSection { number, ..bar });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(at: f64, numerator: u16, denominator: u16) -> BarSection {
        bars(at, (numerator, denominator)).unwrap()
    }

    #[test]
    fn bars_are_kept_where_they_change() {
        let mut metres = Vec::new();
        for at in [0.0, 4.0, 8.0] {
            add(&mut metres, bar(at, 4, 4));
        }
        assert_eq!(metres, [bar(0.0, 4, 4)]);
        for at in [12.0, 15.0, 18.0, 18.0] {
            add(&mut metres, bar(at, 3, 4));
        }
        assert_eq!(metres.len(), 2);
        assert_eq!((metres[1].at, metres[1].number), (12.0, 4));
        // A bar line out of step opens a new count.
        add(&mut metres, bar(22.0, 3, 4));
        assert_eq!((metres[2].at, metres[2].number), (22.0, 8));
        assert!(bars(0.0, (0, 0)).is_none());
    }

    #[test]
    fn an_instance_that_was_never_played_is_drawn() {
        let mut view = View::default();
        see(&Snapshot::default(), &mut view);
        assert_eq!(view.status, Status::Loading);
        assert!(view.roll.metres.is_empty() && view.transport.tempo.is_none());
    }

    #[test]
    fn the_bars_recalled_most_are_shown() {
        let bar = |number: u32, share| RecalledBar {
            from: f64::from(4 * number),
            to: f64::from(4 * number + 4),
            share,
        };
        assert!(recalled(&[]).is_empty() && recalled(&[bar(1, 0.0)]).is_empty());
        let bars: Vec<_> = (0..20)
            .map(|n| bar(n, [0.1, 0.01, 0.2][n as usize % 3]))
            .collect();
        let shown = recalled(&bars);
        assert_eq!(shown.len(), RECALLED);
        assert!(
            shown
                .iter()
                .all(|r| r.weight == 1.0 && r.from % 12.0 == 8.0)
        );
        let shown = recalled(&bars[..3]);
        let weights: Vec<_> = shown.iter().map(|r| (r.from, r.weight)).collect();
        assert_eq!(weights, [(8.0, 1.0), (0.0, 0.5)]);
    }
}
