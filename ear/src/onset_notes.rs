//! Notes that begin with an onset.
//!
//! Each peak of the onset strength opens a candidate. It lasts until its pitch has been silent for
//! [`GAP`] frames. A later note of the same pitch or a semitone beside it takes the sound over, so a
//! candidate is decided after all later ones that could make it too short, and ends where the next
//! accepted one begins.

use crate::history::History;
use crate::model::PITCHES;
use crate::note::{FrameNote, Thresholds};

/// Frames of silence that end a note.
pub(crate) const GAP: usize = 11;
/// Greatest length of a note in frames, about 60 seconds.
pub(crate) const LONGEST: usize = 5_168;
/// Age in frames at which a candidate is decided without the later ones, about 2 seconds.
const DECIDED: usize = 172;

/// State of a [`Candidate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Accepted,
    /// Accepted, and returned as a note.
    Done,
    Rejected,
}

/// An onset that may be a note.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    start: usize,
    pitch: usize,
    strength: f32,
    /// Last frame in which the pitch sounds.
    last: usize,
    /// Whether [`Self::last`] is final.
    ended: bool,
    state: State,
}

impl Candidate {
    fn is_beside(&self, other: &Self) -> bool {
        self.pitch.abs_diff(other.pitch) <= 1
    }
}

/// Candidates that are not finished, the finished notes beside them, and what they cover.
#[derive(Debug, Default)]
pub(crate) struct OnsetNotes {
    /// In order of start, and of strength from weak to strong at the same start.
    candidates: Vec<Candidate>,
    /// Finished notes that may still cover frames of the residual: pitch, start, end.
    covers: Vec<(usize, usize, usize)>,
}

impl OnsetNotes {
    /// Takes the newest frame of `history`, and appends the notes that are finished to `to`.
    pub(crate) fn step(&mut self, history: &History, limits: &Thresholds, to: &mut Vec<FrameNote>) {
        let Some(at) = history.end().checked_sub(2) else {
            return;
        };
        for candidate in &mut self.candidates {
            candidate.follow(at, history, limits);
        }
        let first = self.candidates.len();
        for pitch in 0..PITCHES {
            let strength = history.strength(at, pitch);
            if strength >= limits.onset && history.is_peak(at, pitch) {
                self.candidates.push(Candidate {
                    start: at,
                    pitch,
                    strength,
                    last: at,
                    ended: false,
                    state: State::Pending,
                });
            }
        }
        self.candidates[first..].sort_by(|a, b| a.strength.total_cmp(&b.strength));
        self.decide(at, limits);
        self.collect(history, limits, to);
    }

    /// Ends all candidates, because the stream has ended.
    pub(crate) fn finish(
        &mut self,
        history: &History,
        limits: &Thresholds,
        to: &mut Vec<FrameNote>,
    ) {
        let end = history.end();
        if let Some(last) = end.checked_sub(1) {
            for candidate in &mut self.candidates {
                candidate.follow(last, history, limits);
                candidate.ended = true;
            }
        }
        self.decide(end + DECIDED, limits);
        self.collect(history, limits, to);
    }

    /// Accepts or rejects candidates, from the latest to the earliest. Frames up to `at` are known.
    fn decide(&mut self, at: usize, limits: &Thresholds) {
        for index in (0..self.candidates.len()).rev() {
            let one = self.candidates[index];
            if one.state != State::Pending {
                continue;
            }
            let enough = one.start + limits.shortest;
            let mut blockers = self.candidates[index + 1..]
                .iter()
                .filter(|later| later.is_beside(&one) && later.start <= enough)
                .map(|later| later.state)
                .filter(|state| *state != State::Rejected)
                .peekable();
            let blocked = blockers.peek().is_some();
            let beaten = blockers.any(|state| state != State::Pending);
            let state = &mut self.candidates[index].state;
            if beaten || (one.ended && one.last < enough) {
                *state = State::Rejected;
            } else if (!blocked || at >= one.start + DECIDED) && one.last >= enough && at >= enough
            {
                *state = State::Accepted;
            }
        }
    }

    /// Turns accepted candidates with a final end into notes, and drops those that nothing needs.
    fn collect(&mut self, history: &History, limits: &Thresholds, to: &mut Vec<FrameNote>) {
        for index in 0..self.candidates.len() {
            let one = self.candidates[index];
            if one.state != State::Accepted {
                continue;
            }
            let mut later = self.candidates[index + 1..].iter().filter(|later| {
                later.is_beside(&one) && later.start > one.start && later.state != State::Rejected
            });
            let cut = match later.next() {
                // A pending one may yet take the sound over.
                Some(next) if next.start <= one.last && next.state == State::Pending => continue,
                Some(next) if next.start <= one.last => next.start,
                _ if one.ended => one.last + 1,
                _ => continue,
            };
            let sounds = |frame: &usize| history.activation(*frame, one.pitch) >= limits.sounding;
            let end = (one.start..cut)
                .rev()
                .find(sounds)
                .map_or(0, |last| last + 1);
            if end <= one.start + limits.shortest {
                self.candidates[index].state = State::Rejected;
                continue;
            }
            let activations = (one.start..end).map(|frame| history.activation(frame, one.pitch));
            to.push(FrameNote {
                start: one.start,
                end,
                pitch: one.pitch,
                strength: one.strength.min(1.0),
                activation: activations.sum::<f32>() / (end - one.start) as f32,
            });
            self.covers.push((one.pitch, one.start, end));
            self.candidates[index].state = State::Done;
        }
        // A finished note stays while it may be the end of an earlier one.
        let is_open = |one: &Candidate| matches!(one.state, State::Pending | State::Accepted);
        let keep = |index: usize| {
            let one = &self.candidates[index];
            let mut earlier = self.candidates[..index].iter();
            is_open(one)
                || (one.state == State::Done && earlier.any(|it| it.is_beside(one) && is_open(it)))
        };
        let keep: Vec<bool> = (0..self.candidates.len()).map(keep).collect();
        let mut keep = keep.into_iter();
        self.candidates.retain(|_| keep.next() == Some(true));
    }

    /// Returns the frame up to which it is final what the notes cover of a pitch.
    pub(crate) fn settled(&self, pitch: usize, history: &History) -> usize {
        let open = self.candidates.iter();
        open.filter(|one| one.state != State::Done && one.pitch.abs_diff(pitch) <= 1)
            .map(|one| one.start)
            .min()
            .unwrap_or(history.end().saturating_sub(1))
    }

    /// Whether a finished note of the pitch, or a semitone beside it, sounds at the frame.
    pub(crate) fn covers(&self, frame: usize, pitch: usize) -> bool {
        self.covers
            .iter()
            .any(|&(of, start, end)| of.abs_diff(pitch) <= 1 && (start..end).contains(&frame))
    }

    /// Forgets what notes cover before `frame`.
    pub(crate) fn forget_before(&mut self, frame: usize) {
        self.covers.retain(|&(_, _, end)| end > frame);
    }

    /// Returns the first frame that a candidate needs.
    pub(crate) fn oldest(&self) -> Option<usize> {
        self.candidates.iter().map(|one| one.start).min()
    }
}

impl Candidate {
    /// Looks at frame `at`, which follows the last one that was looked at.
    fn follow(&mut self, at: usize, history: &History, limits: &Thresholds) {
        if self.ended || at <= self.last {
            return;
        }
        if history.activation(at, self.pitch) >= limits.sounding {
            self.last = at;
        }
        self.ended = at - self.last >= GAP || at - self.start >= LONGEST;
    }
}
