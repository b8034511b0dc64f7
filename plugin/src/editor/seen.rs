//! An instance's snapshot as a [`View`].

use super::view::{
    Act, Bars, By, Health, Memory, Offer, Part, Recalled, RollNote, Status, Transport, View,
};
use crate::editor_link::{ModelState, RecalledBar, Snapshot, Step};
use crate::params::{Mode, Variation};

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
            by: if note.ours { By::Us } else { By::Player },
        }));
    view.roll.recalled = recalled(&snapshot.recalled);
    view.roll.recalls_learned = snapshot.recalled_learned > MUCH;
    view.roll.time_signatures.clear();
    let here = (snapshot.time.bar_start, snapshot.time.metre);
    let known = snapshot.time_signatures.iter();
    let known = known.map(|&(at, metre)| (at, (metre.numerator, metre.denominator)));
    for (at, metre) in known.chain([here]) {
        if let Some(bars) = bars(at, metre) {
            add(&mut view.roll.time_signatures, bars);
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
pub fn offers(snapshot: &Snapshot) -> Vec<Offer> {
    let thinks = matches!(snapshot.model, ModelState::Ready(_));
    let ours = snapshot.notes.iter().any(|note| note.ours);
    let theirs = snapshot.notes.iter().any(|note| !note.ours);
    let learned = &snapshot.learning;
    let remembers = snapshot.memory.notes > 0 || !learned.pieces.is_empty();
    let other = match &snapshot.model {
        ModelState::Ready(info) => info.directory.is_some(),
        ModelState::Loading | ModelState::Failed => true,
    };
    let acts = [
        (Act::Panic, true),
        (Act::Regenerate, thinks && snapshot.answering),
        (Act::Clear, remembers),
        (Act::Undo, snapshot.history.undo.is_some()),
        (Act::Redo, snapshot.history.redo.is_some()),
        (Act::Save(Part::Played, None), ours),
        (Act::Save(Part::Heard, None), theirs),
        (Act::Save(Part::Both, None), ours || theirs),
        (Act::LoadModel, true),
        (Act::DefaultModel, other),
        (Act::LearnFiles, learned.possible),
        (Act::LearnFolder, learned.possible),
        (Act::Unlearn, !learned.pieces.is_empty()),
    ];
    let offer = |(act, enabled)| Offer {
        act,
        enabled,
        on: false,
    };
    acts.into_iter().map(offer).collect()
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
fn words(step: Step, back: bool) -> &'static str {
    match (step, back) {
        (Step::Regenerate, true) => "Back to the answer before this bar was regenerated",
        (Step::Regenerate, false) => "Forth to the regenerated bar",
        (Step::Clear, true) => "Remember again what was cleared",
        (Step::Clear, false) => "Clear memory again",
        (Step::PlayOver, true) => "Remember again what was played over",
        (Step::PlayOver, false) => "Forget again what was played over",
        (Step::Unlearn, true) => "Learn again what was forgotten",
        (Step::Unlearn, false) => "Forget again what was learned",
        (Step::Vary(Variation::A), _) => "Variation A",
        (Step::Vary(Variation::B), _) => "Variation B",
        (Step::Vary(Variation::C), _) => "Variation C",
        (Step::Vary(Variation::D), _) => "Variation D",
        (Step::Freeze(true), true) => "Freeze the same bars again",
        (Step::Freeze(true), false) => "Freeze again",
        (Step::Freeze(false), _) => "Do not freeze",
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
fn bars(at: f64, (numerator, denominator): (u16, u16)) -> Option<Bars> {
    let bars = Bars {
        at,
        number: 1,
        numerator,
        denominator,
    };
    let usable = numerator > 0 && denominator > 0 && at.is_finite();
    usable.then(|| Bars {
        number: (bars.at / bars.length()).round() as i32 + 1,
        ..bars
    })
}

/// Adds a bar to those before it, unless it is one of theirs. Bars that follow each other are
/// numbered on, whatever their metres.
fn add(time_signatures: &mut Vec<Bars>, bar: Bars) {
    let Some(&before) = time_signatures.last() else {
        time_signatures.push(bar);
        return;
    };
    let lines = (bar.at - before.at) / before.length();
    let same = (before.numerator, before.denominator) == (bar.numerator, bar.denominator)
        && (lines - lines.round()).abs() * before.length() < SAME;
    if same || bar.at <= before.at {
        return;
    }
    let number = before.number + (lines - SAME).ceil() as i32;
    time_signatures.push(Bars { number, ..bar });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(at: f64, numerator: u16, denominator: u16) -> Bars {
        bars(at, (numerator, denominator)).unwrap()
    }

    #[test]
    fn bars_are_kept_where_they_change() {
        let mut time_signatures = Vec::new();
        for at in [0.0, 4.0, 8.0] {
            add(&mut time_signatures, bar(at, 4, 4));
        }
        assert_eq!(time_signatures, [bar(0.0, 4, 4)]);
        for at in [12.0, 15.0, 18.0, 18.0] {
            add(&mut time_signatures, bar(at, 3, 4));
        }
        assert_eq!(time_signatures.len(), 2);
        assert_eq!(
            (time_signatures[1].at, time_signatures[1].number),
            (12.0, 4)
        );
        // A bar line out of step opens a new count.
        add(&mut time_signatures, bar(22.0, 3, 4));
        assert_eq!(
            (time_signatures[2].at, time_signatures[2].number),
            (22.0, 8)
        );
        assert!(bars(0.0, (0, 0)).is_none());
    }

    #[test]
    fn an_instance_that_was_never_played_is_drawn() {
        let mut view = View::default();
        see(&Snapshot::default(), &mut view);
        assert_eq!(view.status, Status::Loading);
        assert!(view.roll.time_signatures.is_empty() && view.transport.tempo.is_none());
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
