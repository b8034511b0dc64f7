//! Time that passes, and the work it brings, in slices of a few milliseconds.

use continuo_engine::composer::PendingWork;

use super::{Player, Session};
use crate::messages::ComposerInput;
use crate::turn_taking::PlayWindow;

/// Planned notes that sound within so many milliseconds are urgent.
const SOON: f64 = 1_000.0;

/// How much the next slice of work matters, what matters most first. Milliseconds are those until
/// the first note that is not planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// An answer is due, or begins.
    PlanDue(u32),
    /// A host renders offline and waits.
    OfflineHost,
    /// What was just heard is to be read.
    ReadInput,
    /// An answer is planned further ahead.
    PlanAhead(u32),
    /// The cleared is to be read: a project that was loaded, or a jump far back.
    CatchUp,
    /// Files are to be learned.
    LearnFiles,
}

/// Whose slice is next: the one whose need matters most, of equal ones the first from `first` on.
pub fn most_urgent(urgencies: &[Option<Urgency>], first: usize) -> Option<usize> {
    let order = (0..urgencies.len()).map(|at| (at + first) % urgencies.len());
    let some = order.filter_map(|at| Some((urgencies[at]?, at)));
    some.min_by_key(|&(need, _)| need).map(|(_, at)| at)
}

/// Where time stands still until work is done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stall {
    /// Everything up to now was done but the decision on this stretch, where one is due.
    decision: Option<Option<PlayWindow>>,
    /// The stretch under way is over, and is to be planned to its end.
    unfinished: bool,
}

impl<P: Player> Session<P> {
    /// Does a few milliseconds of what there is to do, what matters most first. Whether there is
    /// more.
    pub fn work(&mut self) -> Result<bool, P::Error> {
        self.run_slice(false)?;
        Ok(self.urgency().is_some())
    }

    /// The same for a host that waits: nothing is played on a part of the cleared.
    pub fn work_exactly(&mut self) -> Result<bool, P::Error> {
        self.run_slice(true)?;
        Ok(self.urgency().is_some())
    }

    fn run_slice(&mut self, exact: bool) -> Result<(), P::Error> {
        self.do_slice(exact)?;
        // Later debts are not the project's.
        self.is_opening();
        Ok(())
    }

    fn do_slice(&mut self, exact: bool) -> Result<(), P::Error> {
        if !self.player.is_ready() {
            return Ok(());
        }
        let pending_work = matches!(
            self.player.pending_work(),
            Some(PendingWork::Input | PendingWork::CatchUp)
        );
        if exact && pending_work {
            return self.player.poll();
        }
        if self.stall.unfinished
            && let Some(end) = self.answer.as_ref().and_then(|a| a.end)
        {
            self.stall.unfinished = self.plan_to(end)?;
            return Ok(());
        }
        if self.is_to_plan() {
            return self.plan();
        }
        self.catch_up()?;
        match self.player.pending_work() {
            Some(PendingWork::Input | PendingWork::CatchUp) => self.player.poll(),
            _ => self.learn_slice(),
        }
    }

    /// How much the next slice of its work matters; `None` where there is none.
    pub fn urgency(&self) -> Option<Urgency> {
        if !self.player.is_ready() {
            return None;
        }
        if self.stall.unfinished {
            return Some(Urgency::PlanDue(0));
        }
        let planned_to = self.planned_to().filter(|_| self.is_to_plan());
        let left = planned_to.map(|beat| {
            let beats = beat - self.now;
            (beats * 60_000.0 / self.tempo.max(1.0)).max(0.0)
        });
        let pending_work = self.player.pending_work();
        match left {
            Some(left) if left < SOON => Some(Urgency::PlanDue(left as u32)),
            _ if pending_work == Some(PendingWork::Input) || self.unread_from.is_some() => {
                Some(Urgency::ReadInput)
            }
            Some(left) => Some(Urgency::PlanAhead(left as u32)),
            None if pending_work == Some(PendingWork::CatchUp) => Some(Urgency::CatchUp),
            None if pending_work.is_some() || self.has_unread_files() => Some(Urgency::LearnFiles),
            None => None,
        }
    }

    /// Whether [`Session::receive`] takes this message in at once. If not, time has passed as far as
    /// it can, and work is to be done first. Ask again for the same message then.
    pub fn is_ready_for(&mut self, message: &ComposerInput, eager: bool) -> Result<bool, P::Error> {
        match *message {
            ComposerInput::Time { beat, .. }
            | ComposerInput::NoteOn { beat, .. }
            | ComposerInput::NoteOff { beat, .. }
            | ComposerInput::Pedal { beat, .. }
            | ComposerInput::Cancel { beat, .. }
            | ComposerInput::Stop { beat } => self.pass(beat + self.session_offset, eager),
            _ => Ok(true),
        }
    }

    /// Time passes up to `beat`, with the work that brings.
    pub(super) fn advance(&mut self, beat: f64, eager: bool) -> Result<(), P::Error> {
        while !self.pass(beat, eager)? {
            self.run_slice(eager)?;
        }
        Ok(())
    }

    /// Time passes up to `beat` as far as it may without work. Whether it is there.
    fn pass(&mut self, beat: f64, eager: bool) -> Result<bool, P::Error> {
        if !self.running || beat < self.now {
            return Ok(true);
        }
        loop {
            let due = match self.stall.decision.take() {
                Some(due) => due,
                None => {
                    let entry = self.next_entry();
                    let due = entry.filter(|&e| self.entry_planner.is_due(e, &self.timeline, beat));
                    // Up to the decision first, so that beats pass in their order.
                    let until = due.map_or(beat, |e| {
                        self.timeline.beat(e.decided).clamp(self.now, beat)
                    });
                    if self.is_over(until) && self.is_unfinished() {
                        self.stall.unfinished = true;
                        return Ok(false);
                    }
                    self.follow(until, entry)?;
                    self.pass_to(until);
                    due
                }
            };
            let finishes = due.is_some() && self.is_unfinished();
            if finishes || eager && self.urgency().is_some() {
                self.stall.decision = Some(due);
                self.stall.unfinished = finishes;
                return Ok(false);
            }
            match due {
                Some(entry) => self.decide(entry)?,
                None => break,
            }
        }
        self.pass_to(beat);
        Ok(true)
    }

    /// Whether a project that was loaded, or another model, has not read what an answer waits for.
    pub(super) fn is_opening(&mut self) -> bool {
        self.opening &=
            self.unread_from.is_some() || self.player.pending_work() == Some(PendingWork::Input);
        self.opening
    }

    /// Whether time allows more of a stretch to be planned.
    fn is_to_plan(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| answer.until < self.plan_target())
    }

    /// Whether a stretch is under way that ends at or before `beat`.
    pub(super) fn is_over(&self, beat: f64) -> bool {
        let end = self.answer.as_ref().and_then(|a| a.end);
        end.is_some_and(|end| self.timeline.beat(end) <= beat)
    }

    /// Whether a stretch is under way that is not planned to its end.
    fn is_unfinished(&self) -> bool {
        let unfinished = |a: &super::Answer| a.end.is_some_and(|end| a.until < end);
        self.player.is_ready() && self.answer.as_ref().is_some_and(unfinished)
    }
}
