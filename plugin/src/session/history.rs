//! What the musician did that can be taken back, and done again.
//!
//! Taking something back means: as if it had not been done, with all that was played since.
//! What is not taken back: panic, for silence is no state, and whatever else is a parameter, for
//! hosts have an undo of their own for those.

use std::collections::{BTreeMap, VecDeque};

use super::frozen::Frozen;
use super::planning::Answer;
use super::playhead::Arrival;
use super::{Player, Session};
use crate::choices::Variation;
use crate::learning::Learned;
use crate::messages::Settings;
use crate::rules::Entry;
use crate::snapshot::{UndoHistory, UndoStep};
use crate::timeline::{Known, PlayedOver, Timeline};

/// Deeds remembered at most.
const MOST: usize = 32;

/// Notes of memories that were cleared, all deeds together: an hour and a half of ten a second,
/// twice.
const MOST_NOTES: usize = 1 << 17;

/// Something that was done.
#[derive(Clone, Debug)]
enum Deed {
    /// The bar that begins on this step was thought of anew. Done or taken back, what was planned
    /// until then is kept here.
    Regenerate { bar: i64, planned: Option<Voided> },
    /// Everything was forgotten. What was, while it is not taken back.
    Clear {
        past: Box<Past>,
        planned: Option<Voided>,
    },
    /// What was learned from files was forgotten.
    Unlearn { pieces: Vec<Learned> },
    /// After a jump, notes of an earlier pass were played over. Taken back: those of them that
    /// were put back.
    PlayOver { notes: PlayedOver, stay: u64 },
    /// Another variation was chosen.
    Vary { from: Variation, to: Variation },
    /// What is repeated was frozen, or let go of. What it was.
    Freeze { on: bool, bars: Option<Frozen> },
}

/// What was forgotten.
#[derive(Clone, Debug)]
struct Past {
    timeline: Timeline,
    /// The earliest session position the playhead has been at since, in quarter notes: what lies
    /// after it would be forgotten by now in any case.
    floor: f64,
    takes: BTreeMap<i64, u64>,
    frozen: Option<Frozen>,
    learned: Vec<Learned>,
}

/// A plan that was made void.
#[derive(Clone, Debug)]
struct Voided {
    answer: Answer,
    notes: Vec<Known>,
    /// Where it was made void, in session quarter notes.
    at: f64,
    /// During which stay of the playhead.
    stay: u64,
}

/// What was done and what was taken back, the last one last.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    done: VecDeque<Deed>,
    undone: Vec<Deed>,
    /// What was planned at the last cut.
    voided: Option<Voided>,
    /// A change of settings that takes something back, on its way through the host.
    expected: Option<Expected>,
    /// Settings were heard since the past was put in the place of another: those that follow are
    /// the musician's doing.
    settled: bool,
    /// How often the playhead arrived somewhere.
    stay: u64,
    /// The playhead arrived by a jump, so that what it plays over can be taken back. A loop
    /// plays the same again.
    jumped: bool,
}

#[derive(Clone, Debug)]
enum Expected {
    Variation(Variation),
    Freeze(bool, Option<Frozen>),
}

impl Deeds {
    /// The past is another.
    pub(super) fn forget(&mut self) {
        *self = Self {
            stay: self.stay + 1,
            ..Self::default()
        };
    }

    /// The playhead is somewhere else.
    pub(super) fn arrive(&mut self, beat: f64, arrival: Arrival) {
        self.stay += 1;
        self.jumped = arrival == Arrival::Jump;
        self.voided = None;
        for deed in self.done.iter_mut().chain(&mut self.undone) {
            if let Deed::Clear { past, .. } = deed {
                past.floor = past.floor.min(beat);
            }
        }
    }

    /// Notes of an earlier pass were played over.
    pub(super) fn play_over(&mut self, over: PlayedOver) {
        if over.is_empty() || !self.jumped {
            return;
        }
        let here = self.stay;
        match self.done.back_mut() {
            Some(Deed::PlayOver { notes, stay }) if *stay == here => notes.append(over),
            _ => self.do_new(Deed::PlayOver {
                notes: over,
                stay: here,
            }),
        }
    }

    /// Whether there is a cleared memory that may come back.
    pub(super) fn holds_memory(&self) -> bool {
        self.done.iter().any(|d| matches!(d, Deed::Clear { .. }))
    }

    fn do_new(&mut self, deed: Deed) {
        self.undone.clear();
        self.done.push_back(deed);
        let notes_of = |pieces: &[Learned]| pieces.iter().map(|p| p.notes).sum::<usize>();
        let notes = |deed: &Deed| match deed {
            Deed::Clear { past, .. } => past.timeline.notes().count() + notes_of(&past.learned),
            Deed::Unlearn { pieces } => notes_of(pieces),
            Deed::PlayOver { notes, .. } => notes.len(),
            _ => 0,
        };
        while self.done.len() > MOST || self.done.iter().map(notes).sum::<usize>() > MOST_NOTES {
            self.done.pop_front();
        }
    }

    /// What is planned now, or what the cut just before made void.
    fn take_voided(&mut self, now: f64) -> Option<Voided> {
        self.voided.take().filter(|voided| voided.at == now)
    }

    fn show(&self) -> UndoHistory {
        let step = |deed: &Deed, back: bool| match *deed {
            Deed::Regenerate { .. } => UndoStep::Regenerate,
            Deed::Clear { .. } => UndoStep::Clear,
            Deed::Unlearn { .. } => UndoStep::Unlearn,
            Deed::PlayOver { .. } => UndoStep::PlayOver,
            Deed::Vary { from, to } => UndoStep::Vary(if back { from } else { to }),
            Deed::Freeze { on, .. } => UndoStep::Freeze(on != back),
        };
        UndoHistory {
            undo: self.done.back().map(|deed| step(deed, true)),
            redo: self.undone.last().map(|deed| step(deed, false)),
        }
    }
}

impl<P: Player> Session<P> {
    /// What can be taken back and done again.
    pub(super) fn history(&self) -> UndoHistory {
        self.deeds.show()
    }

    /// Before a cut: what it makes void. `limit` is a session position, as is `beat`.
    pub(super) fn keep_voided(&mut self, beat: f64, limit: f64) {
        let answer = self.answer.clone();
        self.deeds.voided = answer.map(|answer| {
            let notes = self.timeline.notes();
            let planned = notes.filter(|n| n.ours && n.start_beat >= limit);
            Voided {
                answer,
                notes: planned.collect(),
                at: beat,
                stay: self.deeds.stay,
            }
        });
    }

    /// The bar at the playhead is thought of anew.
    pub(super) fn regenerate(&mut self) {
        let bar = self.timeline.bar_line(self.timeline.step(self.now));
        let planned = self.deeds.take_voided(self.now);
        self.take_anew(bar, true);
        self.deeds.do_new(Deed::Regenerate { bar, planned });
    }

    /// Counts how often a bar was thought of anew, up or down.
    fn take_anew(&mut self, bar: i64, up: bool) {
        let takes = self.takes.entry(bar).or_default();
        *takes = if up {
            *takes + 1
        } else {
            takes.saturating_sub(1)
        };
        if *takes == 0 {
            self.takes.remove(&bar);
        }
    }

    /// Everything is forgotten.
    pub(super) fn clear(&mut self) -> Result<(), P::Error> {
        let planned = self.deeds.take_voided(self.now);
        let past = self.forget_all(f64::INFINITY, usize::MAX)?;
        if past.timeline.is_empty() && past.learned.is_empty() {
            return Ok(());
        }
        let past = Box::new(past);
        self.deeds.do_new(Deed::Clear { past, planned });
        Ok(())
    }

    /// Memory of a session is cleared, for it has no place in the song; it can be taken back.
    pub(super) fn clear_for_song(&mut self) -> Result<(), P::Error> {
        let past = self.forget_all(f64::INFINITY, 0)?;
        if !past.timeline.is_empty() {
            self.deeds.do_new(Deed::Clear {
                past: Box::new(past),
                planned: None,
            });
        }
        Ok(())
    }

    /// Forgets what was learned from files, and what of it was still to be learned.
    pub fn unlearn(&mut self) -> Result<(), P::Error> {
        let pieces = self.forget_lessons(usize::MAX)?;
        if !pieces.is_empty() {
            self.deeds.do_new(Deed::Unlearn { pieces });
        }
        Ok(())
    }

    /// Forgets what began before `beat` and the first so many of the pieces learned, and gives
    /// it.
    fn forget_all(&mut self, beat: f64, pieces: usize) -> Result<Past, P::Error> {
        let past = Past {
            timeline: self.timeline.take_before(beat),
            floor: self.now.min(beat),
            takes: std::mem::take(&mut self.takes),
            frozen: self.frozen.take(),
            learned: self.forget_lessons(pieces)?,
        };
        (self.behind, self.answer) = (None, None);
        self.rule.rest(&self.timeline, self.now);
        // What came since, where it was cleared before and not now.
        let step = self.timeline.step(self.now);
        let score = self.timeline.score(step, step);
        self.player.listen(&score)?;
        Ok(past)
    }

    /// What was forgotten is remembered again, before what came since.
    fn remember(&mut self, past: Past) -> Result<(), P::Error> {
        self.timeline.put_before(past.timeline, past.floor);
        for (bar, takes) in past.takes {
            *self.takes.entry(bar).or_default() += takes;
        }
        if self.settings.freeze {
            self.frozen = self.frozen.take().or(past.frozen);
        }
        self.read_again();
        self.learn_again(&past.learned)
    }

    /// Notes before the playhead are others: the player reads them when there is time.
    fn read_again(&mut self) {
        let line = self.timeline.step(self.now.floor());
        let open = self.timeline.first_open().unwrap_or(line);
        self.behind = Some(line.min(open));
    }

    /// Takes back the last thing that was done.
    pub(super) fn undo(&mut self) -> Result<(), P::Error> {
        let voided = self.deeds.take_voided(self.now);
        let Some(mut deed) = self.deeds.done.pop_back() else {
            return Ok(());
        };
        match &mut deed {
            Deed::Regenerate { bar, planned } => {
                let bar = *bar;
                let before = std::mem::replace(planned, voided);
                self.take_anew(bar, false);
                self.reinstate(before);
            }
            Deed::Clear { past, planned } => {
                let back = Past::clone(past);
                past.timeline = Timeline::new(self.player.steps_per_beat());
                let before = std::mem::replace(planned, voided);
                self.remember(back)?;
                self.reinstate(before);
            }
            Deed::Unlearn { pieces } => self.learn_again(pieces)?,
            Deed::PlayOver { notes, .. } => {
                *notes = self.timeline.put_back(notes, self.now);
                self.read_again();
            }
            // The editor sets the parameter; what is repeated was kept.
            Deed::Vary { from, .. } => self.expect(Expected::Variation(*from)),
            Deed::Freeze { on, bars } => {
                let expected = Expected::Freeze(!*on, bars.clone());
                self.expect(expected);
            }
        }
        self.deeds.undone.push(deed);
        Ok(())
    }

    /// Does again what was taken back last.
    pub(super) fn redo(&mut self) -> Result<(), P::Error> {
        let voided = self.deeds.take_voided(self.now);
        let Some(mut deed) = self.deeds.undone.pop() else {
            return Ok(());
        };
        match &mut deed {
            Deed::Regenerate { bar, planned } => {
                let bar = *bar;
                let before = std::mem::replace(planned, voided);
                self.take_anew(bar, true);
                self.reinstate(before);
            }
            Deed::Clear { past, planned } => {
                **past = self.forget_all(past.floor, past.learned.len())?;
                *planned = voided;
            }
            Deed::Unlearn { pieces } => *pieces = self.forget_lessons(pieces.len())?,
            Deed::PlayOver { notes, .. } => {
                self.timeline.take_out(notes);
                self.read_again();
            }
            Deed::Vary { to, .. } => self.expect(Expected::Variation(*to)),
            Deed::Freeze { on, bars } => {
                let expected = Expected::Freeze(*on, bars.clone());
                self.expect(expected);
            }
        }
        self.deeds.done.push_back(deed);
        Ok(())
    }

    fn expect(&mut self, expected: Expected) {
        self.deeds.expected = Some(expected);
    }

    /// Settings have changed: what of it can be taken back. Gives what is to be repeated, where
    /// something is.
    pub(super) fn settings_changed(&mut self, before: &Settings) {
        let now = self.settings;
        let settled = std::mem::replace(&mut self.deeds.settled, true);
        let (varied, froze) = (
            now.variation != before.variation,
            now.freeze != before.freeze,
        );
        let expected = if varied || froze {
            self.deeds.expected.take()
        } else {
            None
        };
        if varied
            && !matches!(expected, Some(Expected::Variation(v)) if v == now.variation)
            && settled
        {
            self.deeds.do_new(Deed::Vary {
                from: before.variation,
                to: now.variation,
            });
        }
        if !froze {
            return;
        }
        let was = self.frozen.take();
        let expected = match expected {
            Some(Expected::Freeze(on, bars)) if on == now.freeze => Some(bars),
            _ => None,
        };
        if now.freeze {
            let kept = expected.clone().flatten();
            self.frozen = kept.or_else(|| Frozen::of(&self.timeline, self.now, now.bars));
        }
        if expected.is_none() && settled {
            let bars = if now.freeze { self.frozen.clone() } else { was };
            self.deeds.do_new(Deed::Freeze {
                on: now.freeze,
                bars,
            });
        }
    }

    /// What was planned is planned again, as far as there is still time for it; after that, it is
    /// thought on.
    fn reinstate(&mut self, voided: Option<Voided>) {
        let Some(Voided {
            answer,
            notes,
            stay,
            ..
        }) = voided
        else {
            return;
        };
        let from = self.timeline.step(self.now + self.settings.lead);
        let to = answer.until;
        let mode = answer.mode == self.settings.mode;
        if !self.running || stay != self.deeds.stay || !mode || from >= to {
            return;
        }
        self.rule.take(Entry {
            at: from,
            decided: from,
            end: answer.end,
        });
        let notes: Vec<Known> = notes.into_iter().filter(|n| n.start >= from).collect();
        self.answer = Some(answer.given(notes, from));
    }
}
