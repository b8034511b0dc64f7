//! Notes without an onset: the sound that the notes with an onset leave over.
//!
//! The sound of a pitch is split into runs, which [`GAP`] silent frames separate. Runs of
//! neighbouring pitches that overlap in time are one group, because they are usually one note and its
//! blur. Within a group the strongest moment grows into a note as far as its pitch sounds, takes the
//! sound of the semitones beside it away, and the strongest of the rest follows.

use crate::history::History;
use crate::model::PITCHES;
use crate::note::{FrameNote, Thresholds};
use crate::onset_notes::{GAP, LONGEST, OnsetNotes};

/// Sound of one pitch without a long gap.
#[derive(Clone, Debug)]
struct Run {
    pitch: usize,
    start: usize,
    /// Activation of each frame from [`Self::start`]; 0 where the pitch is silent or covered. The
    /// last one is not 0.
    cells: Vec<f32>,
    /// Onset strength of each frame.
    strengths: Vec<f32>,
}

impl Run {
    fn end(&self) -> usize {
        self.start + self.cells.len()
    }

    /// Whether the runs are of pitches beside each other and no gap lies between them.
    fn touches(&self, other: &Self) -> bool {
        self.pitch.abs_diff(other.pitch) == 1
            && self.start < other.end() + GAP
            && other.start < self.end() + GAP
    }
}

/// State of the search.
#[derive(Debug)]
pub(crate) struct Residual {
    /// Next frame of each pitch.
    next: [usize; PITCHES],
    /// Run of each pitch that is not over.
    open: Vec<Option<Run>>,
    /// Runs that are over.
    closed: Vec<Run>,
}

impl Default for Residual {
    fn default() -> Self {
        Self {
            next: [0; PITCHES],
            open: vec![None; PITCHES],
            closed: Vec::new(),
        }
    }
}

impl Residual {
    /// Reads the frames that are settled, and appends the notes of finished groups to `to`.
    pub(crate) fn step(
        &mut self,
        history: &History,
        notes: &OnsetNotes,
        limits: &Thresholds,
        to: &mut Vec<FrameNote>,
    ) {
        let before = self.closed.len();
        for pitch in 0..PITCHES {
            let settled = notes.settled(pitch, history);
            for frame in self.next[pitch]..settled {
                self.read(frame, pitch, history, notes, limits);
            }
            self.next[pitch] = self.next[pitch].max(settled);
        }
        // Groups finish at the earliest when a run closes or a neighbour is read on.
        if before > 0 || self.closed.len() > before {
            self.collect(history.end(), limits, to);
        }
    }

    /// Ends all runs, because the stream has ended and all notes with an onset are finished.
    pub(crate) fn finish(
        &mut self,
        history: &History,
        notes: &OnsetNotes,
        limits: &Thresholds,
        to: &mut Vec<FrameNote>,
    ) {
        for pitch in 0..PITCHES {
            for frame in self.next[pitch]..history.end() {
                self.read(frame, pitch, history, notes, limits);
            }
            self.next[pitch] = usize::MAX;
            self.closed.extend(self.open[pitch].take());
        }
        self.collect(history.end(), limits, to);
    }

    /// Adds one frame of a pitch to its run.
    fn read(
        &mut self,
        frame: usize,
        pitch: usize,
        history: &History,
        notes: &OnsetNotes,
        limits: &Thresholds,
    ) {
        let activation = history.activation(frame, pitch);
        let slot = &mut self.open[pitch];
        if activation >= limits.sounding && !notes.covers(frame, pitch) {
            let run = slot.get_or_insert_with(|| Run {
                pitch,
                start: frame,
                cells: Vec::new(),
                strengths: Vec::new(),
            });
            for at in run.end()..=frame {
                run.cells.push(if at == frame { activation } else { 0.0 });
                run.strengths.push(history.strength(at, pitch));
            }
        }
        let over = |run: &mut Run| frame + 1 >= run.end() + GAP || run.cells.len() >= LONGEST;
        self.closed.extend(slot.take_if(over));
    }

    /// Turns the groups whose runs are all over into notes. `end` is the number of frames so far.
    fn collect(&mut self, end: usize, limits: &Thresholds, to: &mut Vec<FrameNote>) {
        let mut rest = std::mem::take(&mut self.closed);
        while let Some(seed) = rest.pop() {
            let mut group = vec![seed];
            let mut at = 0;
            while at < group.len() {
                let joins = |run: &Run| run.touches(&group[at]);
                let (joined, others) = rest.into_iter().partition(joins);
                rest = others;
                let joined: Vec<Run> = joined;
                group.extend(joined);
                at += 1;
            }
            let oldest = group.iter().map(|run| run.start).min().unwrap_or(end);
            let waits = group.iter().any(|run| self.may_grow(run));
            if waits && end < oldest + 2 * LONGEST {
                self.closed.extend(group);
            } else {
                grow_notes(&mut group, limits, to);
            }
        }
    }

    /// Whether a run beside this one may still appear or go on.
    fn may_grow(&self, run: &Run) -> bool {
        let beside = [run.pitch.wrapping_sub(1), run.pitch + 1];
        beside
            .into_iter()
            .filter(|pitch| *pitch < PITCHES)
            .any(|pitch| {
                let open = self.open[pitch].as_ref();
                self.next[pitch] < run.end() + GAP || open.is_some_and(|other| other.touches(run))
            })
    }

    /// Returns the first frame that is needed: a run may go on after a gap.
    pub(crate) fn oldest(&self) -> usize {
        let unread = self.next.into_iter().min().unwrap_or(0);
        unread.saturating_sub(GAP)
    }
}

/// Appends the notes of one group.
fn grow_notes(group: &mut [Run], limits: &Thresholds, to: &mut Vec<FrameNote>) {
    // A fixed order, whatever the order in which the runs were found.
    group.sort_by_key(|run| (run.start, run.pitch));
    let mut moments: Vec<(f32, usize, usize)> = Vec::new();
    for (index, run) in group.iter().enumerate() {
        let sounding = run
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| **cell > 0.0);
        moments.extend(sounding.map(|(at, cell)| (*cell, index, at)));
    }
    moments.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, index, at) in moments {
        let run = &group[index];
        if run.cells[at] == 0.0 {
            continue;
        }
        let last = reach(run.cells[at..].iter()) + at;
        let first = at - reach(run.cells[..=at].iter().rev());
        let sum: f32 = run.cells[first..=last].iter().sum();
        let (start, end, pitch) = (run.start + first, run.start + last + 1, run.pitch);
        let strength = run.strengths[first].clamp(0.0, 1.0);
        if end - start > limits.shortest {
            to.push(FrameNote {
                start,
                end,
                pitch,
                strength,
                activation: sum / (end - start) as f32,
            });
        }
        for other in group
            .iter_mut()
            .filter(|run| run.pitch.abs_diff(pitch) <= 1)
        {
            let from = start.saturating_sub(other.start).min(other.cells.len());
            let until = end.saturating_sub(other.start).min(other.cells.len());
            other.cells[from..until].fill(0.0);
        }
    }
}

/// Returns the distance from the first cell to the last one that sounds before a gap.
fn reach<'a>(cells: impl Iterator<Item = &'a f32>) -> usize {
    let mut last = 0;
    for (at, cell) in cells.enumerate() {
        if *cell > 0.0 {
            last = at;
        } else if at - last >= GAP {
            break;
        }
    }
    last
}
