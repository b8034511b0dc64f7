//! The exchange of messages between the source of a drag and its targets, as XDND prescribes it: without
//! connection or clock. Thread "continuo drag".
//!
//! A target under the pointer gets `Enter`, then positions, each of which it answers with a status. The next
//! position waits for that answer. On release the last position's answer decides between `Drop` and `Leave`.
//! After a drop the target fetches the data and reports that it is done.

use std::time::{Duration, Instant};

use super::super::DragOutcome;

/// Longest wait for the answer to a position after the button is released.
pub(super) const STATUS_LIMIT: Duration = Duration::from_secs(2);

/// Longest wait for a target that fetches the data. It may ask the user something first.
pub(super) const FINISH_LIMIT: Duration = Duration::from_secs(60);

/// A position on the root window, in pixels.
pub(super) type Position = (i16, i16);

/// A window that takes drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The window; messages name it.
    pub(super) window: u32,
    /// The window that messages are sent to: another one, if the window has a proxy.
    pub(super) receiver: u32,
    /// Version of the protocol that both sides speak.
    pub(super) version: u8,
}

/// A message to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The pointer entered the window.
    Enter(Target),
    /// It is at a position.
    Position(Target, Position),
    /// It left the window, or there is no drop.
    Leave(Target),
    /// The button was released.
    Drop(Target),
}

/// Stage of a drag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The button is down.
    #[default]
    Dragging,
    /// It is up since this time, and a status is due.
    Released(Instant),
    /// The target has the drop since this time.
    Dropped(Instant),
    /// It ended.
    Ended(DragOutcome),
}

/// A drag with its current target. Each method returns the messages to send, in order.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    phase: Phase,
    target: Option<Target>,
    /// Last position seen.
    at: Option<Position>,
    /// Whether it is not sent yet.
    unsent: bool,
    /// Whether the target owes a status.
    waiting: bool,
    /// Its last status.
    accepted: bool,
}

impl Exchange {
    /// Whether the button is down.
    pub(super) fn is_dragging(&self) -> bool {
        self.phase == Phase::Dragging
    }

    /// Whether the target under the pointer takes the file.
    pub(super) fn is_accepted(&self) -> bool {
        self.is_dragging() && self.accepted
    }

    /// The outcome, once the drag has ended.
    pub(super) fn outcome(&self) -> Option<DragOutcome> {
        match &self.phase {
            Phase::Ended(outcome) => Some(outcome.clone()),
            _ => None,
        }
    }

    /// The pointer is at a position, over this target.
    pub(super) fn moved(&mut self, at: Position, under: Option<Target>) -> Vec<Message> {
        if !self.is_dragging() {
            return Vec::new();
        }
        let mut messages = Vec::new();
        if self.target != under {
            messages.extend(self.target.map(Message::Leave));
            messages.extend(under.map(Message::Enter));
            (self.target, self.at) = (under, None);
            (self.waiting, self.accepted) = (false, false);
        }
        self.unsent |= self.at != Some(at);
        self.at = Some(at);
        messages.extend(self.position());
        messages
    }

    /// The last position, if it may be sent now.
    fn position(&mut self) -> Option<Message> {
        let (Some(target), Some(at)) = (self.target, self.at) else {
            return None;
        };
        if self.waiting || !self.unsent {
            return None;
        }
        (self.waiting, self.unsent) = (true, false);
        Some(Message::Position(target, at))
    }

    /// A target answers a position.
    pub(super) fn status(&mut self, from: u32, accepts: bool, now: Instant) -> Vec<Message> {
        let open = matches!(self.phase, Phase::Dragging | Phase::Released(_));
        if !open || self.target.is_none_or(|target| target.window != from) {
            return Vec::new();
        }
        (self.waiting, self.accepted) = (false, accepts);
        if let Some(position) = self.position() {
            return vec![position];
        }
        if self.is_dragging() {
            return Vec::new();
        }
        self.decide(now)
    }

    /// The button was released.
    pub(super) fn released(&mut self, now: Instant) -> Vec<Message> {
        if !self.is_dragging() {
            return Vec::new();
        }
        self.phase = Phase::Released(now);
        if self.target.is_some() && self.waiting {
            return Vec::new();
        }
        self.decide(now)
    }

    /// Drops, or leaves: the last position is answered.
    fn decide(&mut self, now: Instant) -> Vec<Message> {
        match self.target {
            Some(target) if self.accepted => {
                self.phase = Phase::Dropped(now);
                vec![Message::Drop(target)]
            }
            _ => self.end(DragOutcome::Refused),
        }
    }

    /// A target is done with the drop, and says whether it took the file. Before version 5 it does not say.
    pub(super) fn finished(&mut self, from: u32, took: bool) -> Vec<Message> {
        let Some(target) = self.target.filter(|target| target.window == from) else {
            return Vec::new();
        };
        if matches!(self.phase, Phase::Dropped(_)) {
            self.phase = Phase::Ended(match took || target.version < 5 {
                true => DragOutcome::Dropped,
                false => DragOutcome::Refused,
            });
        }
        Vec::new()
    }

    /// A window is gone.
    pub(super) fn lost(&mut self, window: u32) -> Vec<Message> {
        let is_target = |t: &Target| t.window == window || t.receiver == window;
        if self.target.take_if(|target| is_target(target)).is_none() {
            return Vec::new();
        }
        (self.waiting, self.accepted) = (false, false);
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Released(_) => Phase::Ended(DragOutcome::Refused),
            Phase::Dropped(_) => Phase::Ended(DragOutcome::Unanswered),
            phase => phase,
        };
        Vec::new()
    }

    /// Ends a wait that is too long.
    pub(super) fn check_limits(&mut self, now: Instant) -> Vec<Message> {
        match self.phase {
            Phase::Released(since) if now - since >= STATUS_LIMIT => self.end(DragOutcome::Refused),
            Phase::Dropped(since) if now - since >= FINISH_LIMIT => {
                self.end(DragOutcome::Unanswered)
            }
            _ => Vec::new(),
        }
    }

    /// The drag is cancelled. After the drop, it no longer waits for the target.
    pub(super) fn cancel(&mut self) -> Vec<Message> {
        match self.phase {
            Phase::Dropped(_) => self.end(DragOutcome::Unanswered),
            _ => self.end(DragOutcome::Cancelled),
        }
    }

    fn end(&mut self, outcome: DragOutcome) -> Vec<Message> {
        let leaves = match self.phase {
            Phase::Dragging | Phase::Released(_) => self.target,
            Phase::Dropped(_) | Phase::Ended(_) => None,
        };
        if self.outcome().is_none() {
            self.phase = Phase::Ended(outcome);
        }
        leaves.map(Message::Leave).into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
