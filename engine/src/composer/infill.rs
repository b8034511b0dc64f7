//! Infilling: samples several candidates for a range of steps, and keeps the one after which the notes
//! that follow are likeliest.
//!
//! A candidate is drawn from the model's predictions after the notes before the range, so candidates
//! that are likely by themselves are drawn more often already. By Bayes' rule the weight that is left
//! is the likelihood of the notes that follow, given the candidate. So a candidate's own likelihood
//! does not count a second time; counting it would favour dull repetition.

use std::borrow::Cow;
use std::ops::Range;

use continuo_score::merge_parts;
use continuo_score::{Note, Score};

use super::Composer;
use super::attribution::Attribution;
use super::work::{PendingWork, TimeSlice};
use crate::error::EngineError;
use crate::loss::nats;
use crate::model::InputToken;
use crate::sampling::Sampling;

/// Bars after the range whose notes weigh a candidate.
const FOLLOWING_BARS: usize = 4;

/// Greatest number of notes that weigh a candidate: some two hundred tokens.
const MAX_FOLLOWING: usize = 48;

/// A range of steps to fill, between the input and the notes that follow.
#[derive(Clone, Debug)]
pub struct Infill {
    /// First step of the range. No onset of the input is at or after it.
    pub from: u32,
    /// The step after the range.
    pub until: u32,
    /// Notes after the range, in [`Score::normalise`]'s order. Those of the first four bars after it
    /// count, at most 48 and whole chords.
    pub following: Vec<Note>,
    /// Notes in the range that stay, in [`Score::normalise`]'s order: a candidate is weighed together
    /// with them.
    pub staying: Vec<Note>,
    /// Number of candidates, at least 1.
    pub candidates: u32,
    /// Settings of sampling.
    pub sampling: Sampling,
    /// Seed. The first candidate is the answer with this seed; the others have seeds made of it.
    pub seed: u64,
    /// Notes of the input that this composer generated itself, by start
    /// ([`Composer::answer_after`]).
    pub own: Vec<Note>,
}

/// The candidate that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Infilled {
    /// Its notes, in [`Score::normalise`]'s order. Each begins and ends within the range. None strikes
    /// a key that a note of the input, or one that stays, holds down, and none sounds into such a note.
    pub notes: Vec<Note>,
    /// Its number, from 0.
    pub candidate: u32,
    /// Loss of the notes that follow, in nats a note; `None` where none follow.
    pub nats: Option<f64>,
}

/// An infill in progress.
pub(super) struct InfillWork {
    infill: Infill,
    /// The input, which is the input again afterwards.
    input: Score,
    /// Number of the present candidate.
    candidate: u32,
    phase: Phase,
    /// Its notes, once they are sampled.
    notes: Vec<Note>,
    /// Ids of the stream that ends with them.
    ids: Vec<u16>,
    /// Its attributions.
    attributions: Vec<Attribution>,
    best: Option<(Infilled, Vec<Attribution>)>,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Phase {
    /// The candidate's answer is to be begun.
    Begin,
    /// Its tokens are sampled.
    Sample,
    /// Its notes are input, and are read as they will sound.
    Read,
    /// The notes that follow are encoded after them.
    Encode,
    /// Those are read, and their loss is summed.
    Weigh,
}

/// Sum of the loss of the stream's tokens from a position on.
pub(super) struct LossSum {
    /// First position that counts.
    from: usize,
    /// In nats.
    nats: f64,
}

impl LossSum {
    /// Adds the tokens that a run predicts. `logits` `[run * vocabulary]` are those after the tokens at
    /// position `at` and later.
    pub(super) fn add(
        &mut self,
        at: usize,
        logits: &[f32],
        vocabulary: usize,
        stream: &[InputToken],
    ) {
        for (position, logits) in (at + 1..).zip(logits.chunks_exact(vocabulary)) {
            if let Some(token) = stream.get(position).filter(|_| position >= self.from) {
                self.nats += nats(logits, usize::from(token.id));
            }
        }
    }
}

impl Composer {
    /// Fills a range after the input: samples the candidates, and keeps the one after which the notes
    /// that follow are likeliest. One without notes is kept only if all are. Without notes that follow
    /// the first candidate is kept, and no other is sampled.
    ///
    /// The input and all memories are afterwards as before; [`Composer::listen`] to a score with the
    /// notes makes them input. The same infill after the same input gives the same notes.
    ///
    /// # Errors
    /// Fails if the network or the index fails, or the flag of [`Composer::set_stop`] is set.
    pub fn infill(&mut self, infill: Infill) -> Result<Infilled, EngineError> {
        self.infill_with(infill, &mut |_| ())
    }

    /// As [`Composer::infill`]; `report` is called with the number of weighed candidates.
    ///
    /// # Errors
    /// Those of [`Composer::infill`].
    pub fn infill_with(
        &mut self,
        infill: Infill,
        report: &mut dyn FnMut(u32),
    ) -> Result<Infilled, EngineError> {
        self.read_all_input(&mut |_| ())?;
        if let Some(token_memory) = &mut self.token_memory {
            token_memory.read(&self.stream, usize::MAX, self.answer_start);
        }
        self.begin_infill(infill);
        loop {
            if let Some(infilled) = self.poll_infill()? {
                return Ok(infilled);
            }
            report(self.infill.as_ref().map_or(0, |work| work.candidate));
        }
    }

    /// Begins [`Composer::infill`]; [`Composer::poll_infill`] does the work in slices. Listening or
    /// another answer gives it up.
    pub fn begin_infill(&mut self, mut infill: Infill) {
        let mut input = self.input.clone();
        input.notes.retain(|note| note.start < infill.from);
        infill.until = infill.until.max(infill.from);
        infill.following = following(&infill, &input);
        if infill.following.is_empty() {
            infill.candidates = 1;
        }
        self.infill = Some(Box::new(InfillWork {
            infill,
            input,
            candidate: 0,
            phase: Phase::Begin,
            notes: Vec::new(),
            ids: Vec::new(),
            attributions: Vec::new(),
            best: None,
        }));
    }

    /// Works on the infill for a few milliseconds. `None` if that was not enough time; then call it
    /// again.
    ///
    /// # Errors
    /// Fails if no infill was begun, the network or the index fails, or the flag of [`Composer::set_stop`] is
    /// set.
    pub fn poll_infill(&mut self) -> Result<Option<Infilled>, EngineError> {
        let slice = TimeSlice::begin();
        loop {
            if let Some(infilled) = self.infill_step()? {
                return Ok(Some(infilled));
            }
            if slice.is_over() {
                return Ok(None);
            }
        }
    }

    /// Gives up the infill, if there is one.
    pub(super) fn end_infill(&mut self) {
        (self.infill, self.loss) = (None, None);
    }

    /// Whether unread tokens were read before and an infill went back over them. They are read whole,
    /// so that all candidates see the same past.
    pub(super) fn infill_rereads(&self) -> bool {
        let work = self.infill.as_ref();
        work.is_some_and(|w| w.candidate > 0 || w.phase > Phase::Sample)
    }

    /// One step of the infill.
    fn infill_step(&mut self) -> Result<Option<Infilled>, EngineError> {
        let Some(work) = &self.infill else {
            return Err(EngineError::Run("no infill was begun".into()));
        };
        let (phase, until) = (work.phase, work.infill.until);
        let is_reading = self.pending_work() == Some(PendingWork::Input);
        match phase {
            Phase::Sample if !self.play_step(until)? => return Ok(None),
            Phase::Read | Phase::Weigh if is_reading => {
                self.read_input(true)?;
                return Ok(None);
            }
            Phase::Encode if self.encoding.is_open => {
                self.read_input(true)?;
                return Ok(None);
            }
            _ => {}
        }
        let Some(mut work) = self.infill.take() else {
            return Ok(None);
        };
        match phase {
            Phase::Begin => self.begin_candidate(&mut work)?,
            Phase::Sample => self.end_sampling(&mut work)?,
            Phase::Read => {
                work.ids = self.stream.iter().map(|token| token.id).collect();
                let score = work.input_with(true);
                self.change_input(&score)?;
                work.phase = Phase::Encode;
            }
            Phase::Encode => {
                // With merges, a token may reach over the seam.
                let same = self.stream.iter().zip(&work.ids);
                let from = same.take_while(|(token, id)| token.id == **id).count();
                self.memory.rewind(from.saturating_sub(1))?;
                self.logits = None;
                self.loss = Some(LossSum { from, nats: 0.0 });
                work.phase = Phase::Weigh;
            }
            Phase::Weigh => {
                let following = work.infill.following.len() as f64;
                let nats = self.loss.take().map(|loss| loss.nats / following);
                work.compare(nats);
                (work.candidate, work.phase) = (work.candidate + 1, Phase::Begin);
            }
        }
        if work.candidate < work.infill.candidates.max(1) {
            self.infill = Some(work);
            return Ok(None);
        }
        self.change_input(&work.input)?;
        let Some((infilled, attributions)) = work.best else {
            return Ok(None);
        };
        self.attributions.extend(attributions);
        Ok(Some(infilled))
    }

    fn begin_candidate(&mut self, work: &mut InfillWork) -> Result<(), EngineError> {
        self.change_input(&work.input)?;
        let infill = &work.infill;
        let seed = candidate_seed(infill.seed, work.candidate);
        self.prepare_answer(infill.from, &infill.sampling, seed, &infill.own)?;
        work.phase = Phase::Sample;
        Ok(())
    }

    /// Takes the candidate's notes, and makes them input if they are to be weighed.
    fn end_sampling(&mut self, work: &mut InfillWork) -> Result<(), EngineError> {
        let range = work.infill.from..work.infill.until;
        let sampled = self.take_notes(range.end);
        let others = work.input.notes.iter().chain(&work.infill.staying);
        let others: Vec<Note> = others.copied().collect();
        let others = match self.model.vocabulary().has_parts() {
            true => Cow::Borrowed(&others[..]),
            false => merge_parts(&others),
        };
        work.notes = as_played(sampled, others.iter(), range.clone());
        let own = self.attributions.partition_point(|a| a.step < range.start);
        work.attributions = self.attributions.split_off(own).into();
        if work.infill.following.is_empty() {
            work.compare(None);
            work.candidate += 1;
        } else {
            self.change_input(&work.input_with(false))?;
            work.phase = Phase::Read;
        }
        Ok(())
    }
}

impl InfillWork {
    /// The input and the notes of the range, and those that follow if `following`.
    fn input_with(&self, following: bool) -> Score {
        let mut score = self.input.clone();
        score.notes.extend_from_slice(&self.notes);
        score.notes.extend_from_slice(&self.infill.staying);
        if following {
            score.notes.extend_from_slice(&self.infill.following);
        }
        score.normalise();
        score
    }

    /// Keeps the present candidate if it is better than those before.
    fn compare(&mut self, nats: Option<f64>) {
        let notes = std::mem::take(&mut self.notes);
        let attributions = std::mem::take(&mut self.attributions);
        // Notes of other parts are imagined.
        let parts = self.infill.sampling.constraints.parts;
        let rank = |notes: &[Note], nats: Option<f64>| {
            let is_empty = !notes.iter().any(|note| parts.contains(note.part));
            (is_empty, nats.unwrap_or(0.0))
        };
        let is_better = self.best.as_ref().is_none_or(|(best, _)| {
            let (best, own) = (rank(&best.notes, best.nats), rank(&notes, nats));
            own.0.cmp(&best.0).then(own.1.total_cmp(&best.1)).is_lt()
        });
        if is_better {
            let infilled = Infilled {
                notes,
                candidate: self.candidate,
                nats,
            };
            self.best = Some((infilled, attributions));
        }
    }
}

/// Seed of a candidate: the first has the infill's.
fn candidate_seed(seed: u64, candidate: u32) -> u64 {
    seed.wrapping_add(u64::from(candidate).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The notes that follow and weigh a candidate.
fn following(infill: &Infill, input: &Score) -> Vec<Note> {
    let bars = &input.time_signatures;
    let end = (0..FOLLOWING_BARS).fold(infill.until, |at, _| bars.next_bar(at.saturating_add(1)));
    let within = |note: &&Note| (infill.until..end).contains(&note.start);
    let mut notes: Vec<Note> = infill.following.iter().filter(within).copied().collect();
    if let Some(first_left) = notes.get(MAX_FOLLOWING) {
        // A chord is not divided.
        let chord = first_left.start;
        let whole = notes.partition_point(|note| note.start < chord);
        notes.truncate(if whole > 0 { whole } else { MAX_FOLLOWING });
    }
    notes
}

/// The notes as they sound in the range: cut at its end and where their key is struck again, without
/// those whose key one of the `others` holds down.
fn as_played<'a>(
    mut notes: Vec<Note>,
    others: impl Iterator<Item = &'a Note>,
    range: Range<u32>,
) -> Vec<Note> {
    let others = others.filter(|note| note.end() > range.start);
    let others: Vec<Note> = others.copied().collect();
    // Equal pitches of two parts are two keys.
    let key = |note: &Note| (note.part, note.pitch);
    let holds = |other: &Note, note: &Note| {
        key(other) == key(note) && (other.start..other.end()).contains(&note.start)
    };
    notes.retain(|note| {
        range.contains(&note.start) && !others.iter().any(|other| holds(other, note))
    });
    notes.sort_by_key(|note| (note.start, key(note), note.length));
    let strikes = notes.iter().chain(&others);
    let strikes: Vec<_> = strikes.map(|note| (key(note), note.start)).collect();
    for note in &mut notes {
        let again = strikes.iter().filter(|strike| strike.0 == key(note));
        let again = again
            .map(|&(_, start)| start)
            .filter(|&start| start > note.start);
        let end = again.min().unwrap_or(range.end).min(range.end);
        note.length = note.length.min(end - note.start);
    }
    notes.dedup_by_key(|note| (note.start, key(note)));
    notes
}

#[cfg(test)]
mod tests;
