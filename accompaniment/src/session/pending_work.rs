//! Passing of time, and work in slices of a few milliseconds.

use continuo_engine::composer::PendingWork;

use super::{Player, Session};
use crate::messages::ComposerInput;
use crate::turn_taking::PlayWindow;

/// Time before a note sounds within which its planning is urgent, in milliseconds.
const SOON: f64 = 1_000.0;

/// Urgency of an instance's next slice, most urgent first. Numbers are milliseconds until the first
/// note that is not planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// An answer begins, or its plan is short.
    PlanDue(u32),
    /// An offline host waits.
    OfflineHost,
    /// New input is unread.
    ReadInput,
    /// An answer is planned further ahead.
    PlanAhead(u32),
    /// Older input is unread, after a load or a jump far back.
    CatchUp,
    /// Selected bars are regenerated.
    Infill,
    /// Files are unread.
    LearnFiles,
}

/// Most slices in a row for one of several instances that read their input.
const SLICES_IN_A_ROW: u32 = 32;

/// The order in which one thread serves several instances: the most urgent first, and equally urgent
/// ones in turn. Of several instances that read their input, one reads for up to 32 slices before the
/// next. So the first of many loaded projects answers before the last is read. Indices are
/// those of the last call; after an instance was removed, one turn may be cut short.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceOrder {
    /// Index of the instance that comes first among equally urgent ones.
    first: usize,
    /// Index of the instance that comes first among those that read their input.
    reader: usize,
    /// Slices that the reader had in a row.
    in_a_row: u32,
}

impl ServiceOrder {
    /// Index of the instance that has the next slice; `None` if none has work.
    pub fn next(&mut self, urgencies: &[Option<Urgency>]) -> Option<usize> {
        let urgency = urgencies.iter().copied().flatten().min()?;
        let reads = urgency == Urgency::ReadInput;
        let first = if reads { self.reader } else { self.first };
        let mut order = (0..urgencies.len()).map(|at| (at + first) % urgencies.len());
        let next = order.find(|&at| urgencies[at] == Some(urgency))?;
        if !reads {
            self.first = next + 1;
            return Some(next);
        }
        let in_a_row = if next == self.reader {
            self.in_a_row + 1
        } else {
            1
        };
        (self.reader, self.in_a_row) = match in_a_row < SLICES_IN_A_ROW {
            true => (next, in_a_row),
            false => (next + 1, 0),
        };
        Some(next)
    }
}

/// Work that must end before time passes further.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stall {
    /// The decision on a play window is next; all before it is done. `Some(None)`: no decision is
    /// due.
    decision: Option<Option<PlayWindow>>,
    /// The play window has ended, and its plan is not complete.
    unfinished: bool,
}

impl<P: Player> Session<P> {
    /// Does one slice of the most important work. Returns whether there is more.
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn work(&mut self) -> Result<bool, P::Error> {
        self.run_slice(false)?;
        Ok(self.urgency().is_some())
    }

    /// Does one slice for an offline host: all input is read before an answer begins. Returns
    /// whether there is more.
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn work_exactly(&mut self) -> Result<bool, P::Error> {
        self.run_slice(true)?;
        Ok(self.urgency().is_some())
    }

    fn run_slice(&mut self, exact: bool) -> Result<(), P::Error> {
        self.do_slice(exact)?;
        // Work that arises later is not part of opening.
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
            _ if self.infill.is_some() => self.infill_slice(),
            _ => self.learn_slice(),
        }
    }

    /// Urgency of the next slice; `None` without work.
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
            None if self.infill.is_some() => Some(Urgency::Infill),
            None if pending_work.is_some() || self.has_unread_files() => Some(Urgency::LearnFiles),
            None => None,
        }
    }

    /// Whether [`Session::receive`] applies this message at once. If not, time has passed as far as
    /// possible: call [`Session::work`], then ask again.
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn is_ready_for(&mut self, message: &ComposerInput, eager: bool) -> Result<bool, P::Error> {
        match *message {
            ComposerInput::Time { beat, .. }
            | ComposerInput::NoteOn { beat, .. }
            | ComposerInput::ChordOn { beat, .. }
            | ComposerInput::NoteOff { beat, .. }
            | ComposerInput::Pedal { beat, .. }
            | ComposerInput::EarNote { beat, .. }
            | ComposerInput::EarRead { beat, .. }
            | ComposerInput::Cancel { beat, .. }
            | ComposerInput::Stop { beat } => self.pass(beat + self.session_offset, eager),
            _ => Ok(true),
        }
    }

    /// Advances to `beat`, with all the work that requires.
    pub(super) fn advance(&mut self, beat: f64, eager: bool) -> Result<(), P::Error> {
        while !self.pass(beat, eager)? {
            self.run_slice(eager)?;
        }
        Ok(())
    }

    /// Advances towards `beat` as far as possible without work. Returns whether it is reached.
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
                    // Stops at the decision first, so that beats pass in order.
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

    /// Ends the current answer where it is planned to. A message that [`Session::is_ready_for`] holds back
    /// is then applied without work, once this was called for every answer that it ends.
    pub fn give_up_plan(&mut self) {
        self.answer = None;
        self.stall.unfinished = false;
    }

    /// Whether the player still has to read what an answer needs, after a load or a change of the
    /// player.
    pub(super) fn is_opening(&mut self) -> bool {
        self.opening &=
            self.unread_from.is_some() || self.player.pending_work() == Some(PendingWork::Input);
        self.opening
    }

    /// Whether the lookahead reaches beyond the plan.
    fn is_to_plan(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| answer.until < self.plan_target())
    }

    /// Whether the current play window ends at or before `beat`.
    pub(super) fn is_over(&self, beat: f64) -> bool {
        let end = self.answer.as_ref().and_then(|a| a.end);
        end.is_some_and(|end| self.timeline.beat(end) <= beat)
    }

    /// Whether the current play window has an end and is not planned up to it.
    fn is_unfinished(&self) -> bool {
        let unfinished = |a: &super::Answer| a.end.is_some_and(|end| a.until < end);
        self.player.is_ready() && self.answer.as_ref().is_some_and(unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_keeps_its_turn_for_a_while_and_then_yields() {
        let mut order = ServiceOrder::default();
        let read = Some(Urgency::ReadInput);
        let served: Vec<_> = (0..3 * SLICES_IN_A_ROW)
            .map(|_| order.next(&[read, None, read]).unwrap())
            .collect();
        let turns: Vec<_> = served.chunks(SLICES_IN_A_ROW as usize).collect();
        for (turn, instance) in turns.iter().zip([0, 2, 0]) {
            assert!(turn.iter().all(|&served| served == instance), "{served:?}");
        }
    }

    #[test]
    fn more_urgent_instance_is_served_in_between() {
        let mut order = ServiceOrder::default();
        let (read, due) = (Some(Urgency::ReadInput), Some(Urgency::PlanDue(900)));
        assert_eq!(order.next(&[read, read]), Some(0));
        assert_eq!(order.next(&[read, due]), Some(1));
        assert_eq!(order.next(&[due, read]), Some(0));
        // The reader has the rest of its turn.
        assert_eq!(order.next(&[read, read]), Some(0));
        assert_eq!(order.next(&[due, due]), Some(1));
        // Answers are planned in turn.
        assert_eq!(order.next(&[due, due]), Some(0));
        assert_eq!(order.next(&[due, due]), Some(1));
        assert_eq!(order.next(&[None, None]), None);
    }
}
