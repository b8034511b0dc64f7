//! What the musician did that can be taken back, and done again.
//!
//! Taking something back means: as if it had not been done, with all that was played since.
//! What is not taken back: panic, for silence is no state, and whatever else is a parameter, for
//! hosts have an undo of their own for those.

use std::collections::{BTreeMap, VecDeque};

use super::freeze_loop::FreezeLoop;
use super::planning::Answer;
use super::playhead::Arrival;
use super::{Player, Session};
use crate::choices::Variation;
use crate::file_learning::Learned;
use crate::messages::Settings;
use crate::snapshot::{UndoHistory, UndoStep};
use crate::timeline::{PlayedOver, Timeline, TimelineNote};
use crate::turn_taking::PlayWindow;

/// Deeds remembered at most.
const MOST: usize = 32;

/// Notes of memories that were cleared, all deeds together: an hour and a half of ten a second,
/// twice.
const MOST_NOTES: usize = 1 << 17;

/// Something that was done.
#[derive(Clone, Debug)]
enum UndoEntry {
    /// The bar that begins on this step was thought of anew. Done or taken back, what was planned
    /// until then is kept here.
    Regenerate {
        bar: i64,
        planned: Option<DiscardedPlan>,
    },
    /// Everything was forgotten. What was, while it is not taken back.
    Clear {
        past: Box<Past>,
        planned: Option<DiscardedPlan>,
    },
    /// What was learned from files was forgotten.
    Unlearn { pieces: Vec<Learned> },
    /// After a jump, notes of an earlier pass were played over. Taken back: those of them that
    /// were put back.
    PlayOver { notes: PlayedOver, stay: u64 },
    /// Another variation was chosen.
    Vary { from: Variation, to: Variation },
    /// What is repeated was frozen, or let go of. What it was.
    Freeze { on: bool, bars: Option<FreezeLoop> },
}

/// What was forgotten.
#[derive(Clone, Debug)]
struct Past {
    timeline: Timeline,
    /// The earliest session position the playhead has been at since, in quarter notes: what lies
    /// after it would be forgotten by now in any case.
    floor: f64,
    regenerate_counts: BTreeMap<i64, u64>,
    freeze_loop: Option<FreezeLoop>,
    learned: Vec<Learned>,
}

/// A plan that was made void.
#[derive(Clone, Debug)]
struct DiscardedPlan {
    answer: Answer,
    notes: Vec<TimelineNote>,
    /// Where it was made void, in session quarter notes.
    at: f64,
    /// During which stay of the playhead.
    stay: u64,
}

/// What was done and what was taken back, the last one last.
#[derive(Debug, Default)]
pub(super) struct UndoStack {
    done: VecDeque<UndoEntry>,
    undone: Vec<UndoEntry>,
    /// What was planned at the last cut.
    discarded: Option<DiscardedPlan>,
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
    Freeze(bool, Option<FreezeLoop>),
}

impl UndoStack {
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
        self.discarded = None;
        for undo_entry in self.done.iter_mut().chain(&mut self.undone) {
            if let UndoEntry::Clear { past, .. } = undo_entry {
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
            Some(UndoEntry::PlayOver { notes, stay }) if *stay == here => notes.append(over),
            _ => self.do_new(UndoEntry::PlayOver {
                notes: over,
                stay: here,
            }),
        }
    }

    /// Whether there is a cleared memory that may come back.
    pub(super) fn holds_memory(&self) -> bool {
        self.done
            .iter()
            .any(|d| matches!(d, UndoEntry::Clear { .. }))
    }

    fn do_new(&mut self, undo_entry: UndoEntry) {
        self.undone.clear();
        self.done.push_back(undo_entry);
        let notes_of = |pieces: &[Learned]| pieces.iter().map(|p| p.notes).sum::<usize>();
        let notes = |undo_entry: &UndoEntry| match undo_entry {
            UndoEntry::Clear { past, .. } => {
                past.timeline.notes().count() + notes_of(&past.learned)
            }
            UndoEntry::Unlearn { pieces } => notes_of(pieces),
            UndoEntry::PlayOver { notes, .. } => notes.len(),
            _ => 0,
        };
        while self.done.len() > MOST || self.done.iter().map(notes).sum::<usize>() > MOST_NOTES {
            self.done.pop_front();
        }
    }

    /// What is planned now, or what the cut just before made void.
    fn take_voided(&mut self, now: f64) -> Option<DiscardedPlan> {
        self.discarded
            .take()
            .filter(|discarded| discarded.at == now)
    }

    fn show(&self) -> UndoHistory {
        let step = |undo_entry: &UndoEntry, back: bool| match *undo_entry {
            UndoEntry::Regenerate { .. } => UndoStep::Regenerate,
            UndoEntry::Clear { .. } => UndoStep::Clear,
            UndoEntry::Unlearn { .. } => UndoStep::Unlearn,
            UndoEntry::PlayOver { .. } => UndoStep::PlayOver,
            UndoEntry::Vary { from, to } => UndoStep::Vary(if back { from } else { to }),
            UndoEntry::Freeze { on, .. } => UndoStep::Freeze(on != back),
        };
        UndoHistory {
            undo: self.done.back().map(|undo_entry| step(undo_entry, true)),
            redo: self.undone.last().map(|undo_entry| step(undo_entry, false)),
        }
    }
}

impl<P: Player> Session<P> {
    /// What can be taken back and done again.
    pub(super) fn history(&self) -> UndoHistory {
        self.undo_stack.show()
    }

    /// Before a cut: what it makes void. `cutoff_beat` is a session position, as is `beat`.
    pub(super) fn keep_discarded(&mut self, beat: f64, cutoff_beat: f64) {
        let answer = self.answer.clone();
        self.undo_stack.discarded = answer.map(|answer| {
            let notes = self.timeline.notes();
            let planned = notes.filter(|n| n.generated && n.start_beat >= cutoff_beat);
            DiscardedPlan {
                answer,
                notes: planned.collect(),
                at: beat,
                stay: self.undo_stack.stay,
            }
        });
    }

    /// The bar at the playhead is thought of anew.
    pub(super) fn regenerate(&mut self) {
        let bar = self.timeline.bar_line(self.timeline.step(self.now));
        let planned = self.undo_stack.take_voided(self.now);
        self.take_anew(bar, true);
        self.undo_stack
            .do_new(UndoEntry::Regenerate { bar, planned });
    }

    /// Counts how often a bar was thought of anew, up or down.
    fn take_anew(&mut self, bar: i64, up: bool) {
        let regenerate_counts = self.regenerate_counts.entry(bar).or_default();
        *regenerate_counts = if up {
            *regenerate_counts + 1
        } else {
            regenerate_counts.saturating_sub(1)
        };
        if *regenerate_counts == 0 {
            self.regenerate_counts.remove(&bar);
        }
    }

    /// Everything is forgotten.
    pub(super) fn clear(&mut self) -> Result<(), P::Error> {
        let planned = self.undo_stack.take_voided(self.now);
        let past = self.forget_all(f64::INFINITY, usize::MAX)?;
        if past.timeline.is_empty() && past.learned.is_empty() {
            return Ok(());
        }
        let past = Box::new(past);
        self.undo_stack.do_new(UndoEntry::Clear { past, planned });
        Ok(())
    }

    /// Memory of a session is cleared, for it has no place in the song; it can be taken back.
    pub(super) fn clear_for_song(&mut self) -> Result<(), P::Error> {
        let past = self.forget_all(f64::INFINITY, 0)?;
        if !past.timeline.is_empty() {
            self.undo_stack.do_new(UndoEntry::Clear {
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
            self.undo_stack.do_new(UndoEntry::Unlearn { pieces });
        }
        Ok(())
    }

    /// Forgets what began before `beat` and the first so many of the pieces learned, and gives
    /// it.
    fn forget_all(&mut self, beat: f64, pieces: usize) -> Result<Past, P::Error> {
        let past = Past {
            timeline: self.timeline.take_before(beat),
            floor: self.now.min(beat),
            regenerate_counts: std::mem::take(&mut self.regenerate_counts),
            freeze_loop: self.freeze_loop.take(),
            learned: self.forget_lessons(pieces)?,
        };
        (self.unread_from, self.answer) = (None, None);
        self.entry_planner.rest(&self.timeline, self.now);
        // What came since, where it was cleared before and not now.
        let step = self.timeline.step(self.now);
        let score = self.timeline.score(step, step);
        self.player.listen(&score)?;
        Ok(past)
    }

    /// What was forgotten is remembered again, before what came since.
    fn remember(&mut self, past: Past) -> Result<(), P::Error> {
        self.timeline.put_before(past.timeline, past.floor);
        for (bar, regenerate_counts) in past.regenerate_counts {
            *self.regenerate_counts.entry(bar).or_default() += regenerate_counts;
        }
        if self.settings.freeze {
            self.freeze_loop = self.freeze_loop.take().or(past.freeze_loop);
        }
        self.read_again();
        self.learn_again(&past.learned)
    }

    /// Notes before the playhead are others: the player reads them when there is time.
    fn read_again(&mut self) {
        let line = self.timeline.step(self.now.floor());
        let open = self.timeline.first_open().unwrap_or(line);
        self.unread_from = Some(line.min(open));
    }

    /// Takes back the last thing that was done.
    pub(super) fn undo(&mut self) -> Result<(), P::Error> {
        let discarded = self.undo_stack.take_voided(self.now);
        let Some(mut undo_entry) = self.undo_stack.done.pop_back() else {
            return Ok(());
        };
        match &mut undo_entry {
            UndoEntry::Regenerate { bar, planned } => {
                let bar = *bar;
                let before = std::mem::replace(planned, discarded);
                self.take_anew(bar, false);
                self.reinstate(before);
            }
            UndoEntry::Clear { past, planned } => {
                let back = Past::clone(past);
                past.timeline = Timeline::new(self.player.steps_per_beat());
                let before = std::mem::replace(planned, discarded);
                self.remember(back)?;
                self.reinstate(before);
            }
            UndoEntry::Unlearn { pieces } => self.learn_again(pieces)?,
            UndoEntry::PlayOver { notes, .. } => {
                *notes = self.timeline.put_back(notes, self.now);
                self.read_again();
            }
            // The editor sets the parameter; what is repeated was kept.
            UndoEntry::Vary { from, .. } => self.expect(Expected::Variation(*from)),
            UndoEntry::Freeze { on, bars } => {
                let expected = Expected::Freeze(!*on, bars.clone());
                self.expect(expected);
            }
        }
        self.undo_stack.undone.push(undo_entry);
        Ok(())
    }

    /// Does again what was taken back last.
    pub(super) fn redo(&mut self) -> Result<(), P::Error> {
        let discarded = self.undo_stack.take_voided(self.now);
        let Some(mut undo_entry) = self.undo_stack.undone.pop() else {
            return Ok(());
        };
        match &mut undo_entry {
            UndoEntry::Regenerate { bar, planned } => {
                let bar = *bar;
                let before = std::mem::replace(planned, discarded);
                self.take_anew(bar, true);
                self.reinstate(before);
            }
            UndoEntry::Clear { past, planned } => {
                **past = self.forget_all(past.floor, past.learned.len())?;
                *planned = discarded;
            }
            UndoEntry::Unlearn { pieces } => *pieces = self.forget_lessons(pieces.len())?,
            UndoEntry::PlayOver { notes, .. } => {
                self.timeline.take_out(notes);
                self.read_again();
            }
            UndoEntry::Vary { to, .. } => self.expect(Expected::Variation(*to)),
            UndoEntry::Freeze { on, bars } => {
                let expected = Expected::Freeze(*on, bars.clone());
                self.expect(expected);
            }
        }
        self.undo_stack.done.push_back(undo_entry);
        Ok(())
    }

    fn expect(&mut self, expected: Expected) {
        self.undo_stack.expected = Some(expected);
    }

    /// Settings have changed: what of it can be taken back. Gives what is to be repeated, where
    /// something is.
    pub(super) fn settings_changed(&mut self, before: &Settings) {
        let now = self.settings;
        let settled = std::mem::replace(&mut self.undo_stack.settled, true);
        let (varied, froze) = (
            now.variation != before.variation,
            now.freeze != before.freeze,
        );
        let expected = if varied || froze {
            self.undo_stack.expected.take()
        } else {
            None
        };
        if varied
            && !matches!(expected, Some(Expected::Variation(v)) if v == now.variation)
            && settled
        {
            self.undo_stack.do_new(UndoEntry::Vary {
                from: before.variation,
                to: now.variation,
            });
        }
        if !froze {
            return;
        }
        let was = self.freeze_loop.take();
        let expected = match expected {
            Some(Expected::Freeze(on, bars)) if on == now.freeze => Some(bars),
            _ => None,
        };
        if now.freeze {
            let kept = expected.clone().flatten();
            self.freeze_loop = kept.or_else(|| FreezeLoop::of(&self.timeline, self.now, now.bars));
        }
        if expected.is_none() && settled {
            let bars = if now.freeze {
                self.freeze_loop.clone()
            } else {
                was
            };
            self.undo_stack.do_new(UndoEntry::Freeze {
                on: now.freeze,
                bars,
            });
        }
    }

    /// What was planned is planned again, as far as there is still time for it; after that, it is
    /// thought on.
    fn reinstate(&mut self, discarded: Option<DiscardedPlan>) {
        let Some(DiscardedPlan {
            answer,
            notes,
            stay,
            ..
        }) = discarded
        else {
            return;
        };
        let from = self.timeline.step(self.now + self.settings.lead);
        let to = answer.until;
        let mode = answer.mode == self.settings.mode;
        if !self.running || stay != self.undo_stack.stay || !mode || from >= to {
            return;
        }
        self.entry_planner.take(PlayWindow {
            at: from,
            decided: from,
            end: answer.end,
        });
        let notes: Vec<TimelineNote> = notes.into_iter().filter(|n| n.start >= from).collect();
        self.answer = Some(answer.given(notes, from));
    }
}
