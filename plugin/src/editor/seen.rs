//! An instance's snapshot as a [`View`].

use super::view::{Act, Bars, By, Health, Memory, Offer, Part, RollNote, Status, Transport, View};
use crate::editor_link::{ModelState, Snapshot};
use crate::params::Mode;

/// Nearer than this is the same place, in quarter notes.
const SAME: f64 = 1e-3;

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
        memory: Memory {
            notes: snapshot.memory.notes,
            bars: snapshot.memory.bars as usize,
            rebuilding: snapshot.memory.behind,
        },
    };
    view.problems.clone_from(&snapshot.problems);
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

/// The acts that would have an effect now, beside those that are parameters.
pub fn offers(snapshot: &Snapshot) -> Vec<Offer> {
    let thinks = matches!(snapshot.model, ModelState::Ready(_));
    let ours = snapshot.notes.iter().any(|note| note.ours);
    let theirs = snapshot.notes.iter().any(|note| !note.ours);
    let acts = [
        (Act::Panic, true),
        (Act::Regenerate, thinks && snapshot.answering),
        (Act::Clear, snapshot.memory.notes > 0),
        (Act::Save(Part::Played, None), ours),
        (Act::Save(Part::Heard, None), theirs),
        (Act::Save(Part::Both, None), ours || theirs),
        (Act::LoadModel, true),
    ];
    let offer = |(act, enabled)| Offer {
        act,
        enabled,
        on: false,
    };
    acts.into_iter().map(offer).collect()
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
fn add(metres: &mut Vec<Bars>, bar: Bars) {
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
    metres.push(Bars { number, ..bar });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(at: f64, numerator: u16, denominator: u16) -> Bars {
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
}
