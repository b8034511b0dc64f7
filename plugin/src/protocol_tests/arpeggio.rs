//! The player of the protocol tests.

use std::convert::Infallible;

use continuo_engine::Infill;
use continuo_engine::composer::PendingWork;
use continuo_score::{ChordPlan, Note, Part, Score};

use continuo_accompaniment::messages::Settings;
use continuo_accompaniment::session::{Player, mix};
use continuo_accompaniment::testing::Rng;

/// Steps of the network in a slice.
pub(super) const STEPS: usize = 8;
/// Tokens of a note: each is a step of the network.
pub(super) const TOKENS: usize = 3;
/// Number of tokens that an answer waits for, if more than [`SOON`] are unread.
pub(super) const NEAR: usize = 128;
const SOON: usize = 512;

/// Plays an arpeggio that depends on all input, seed and position.
#[derive(Default)]
pub(super) struct Arpeggio {
    heard: u64,
    rng: Option<Rng>,
    step: u32,
    highest: u8,
    /// Parts of its notes, in turn; without any it knows no parts.
    pub(super) parts: Vec<Part>,
    /// Parts of the notes of the last score.
    pub(super) heard_parts: Vec<Part>,
    /// Chords whose tones alone it plays.
    plan: ChordPlan,
    /// Every answer: its step, and a hash of its input.
    pub(super) answers: Vec<(u32, u64)>,
    /// The notes of an infill that are returned after this many slices.
    infill: Option<(Vec<Note>, usize)>,
    /// Simulated work, if it has any.
    pub(super) work: Option<Work>,
}

/// Simulated work, in steps of the network.
#[derive(Default)]
pub(super) struct Work {
    ready: bool,
    /// Notes of the last score.
    notes: usize,
    pub(super) heard: usize,
    pub(super) catch_up: usize,
    pub(super) file_learning: usize,
    /// Notes that are returned after this many steps.
    sampled: Option<(Vec<Note>, usize)>,
    /// Number of slices worked.
    pub(super) slices: usize,
}

impl Work {
    /// Adds the work of reading a score of `notes` notes.
    fn listen(&mut self, notes: usize) {
        let new = TOKENS * notes.saturating_sub(self.notes);
        self.notes = notes;
        self.sampled = None;
        if new > SOON {
            (self.heard, self.catch_up) = (NEAR, self.catch_up + new - NEAR);
        } else {
            self.heard += new;
        }
    }
}

impl Arpeggio {
    /// A player with simulated work, which can play if `ready`.
    pub(super) fn working(ready: bool) -> Self {
        let work = Work {
            ready,
            ..Work::default()
        };
        Self {
            work: Some(work),
            ..Self::default()
        }
    }

    fn notes_until(&mut self, until: u32) -> Vec<Note> {
        let mut notes = Vec::new();
        let Some(rng) = &mut self.rng else {
            return notes;
        };
        while self.step < until {
            for voice in 0..1 + rng.below(3) as u8 {
                let turn = self.step as usize + usize::from(voice);
                let part = self.parts.get(turn % self.parts.len().max(1));
                let length = 1 + rng.below(20) as u32;
                let mut pitch = (40 + 3 * rng.below(20) as u8 + voice).min(self.highest);
                let chord = self.plan.at(self.step);
                while chord.is_some_and(|chord| pitch > 0 && !chord.contains(pitch)) {
                    pitch -= 1;
                }
                // As with a model, a key begins once on a step in each part.
                let part = part.copied().unwrap_or_default();
                let same = |n: &Note| (n.start, n.pitch, n.part) == (self.step, pitch, part);
                if notes.iter().any(same) {
                    continue;
                }
                notes.push(Note {
                    start: self.step,
                    length,
                    pitch,
                    velocity: 1 + rng.below(127) as u8,
                    part,
                });
            }
            self.step += 1 + rng.below(7) as u32;
        }
        notes
    }
}

impl Player for Arpeggio {
    type Error = Infallible;

    fn steps_per_beat(&self) -> u32 {
        12
    }

    fn is_ready(&self) -> bool {
        self.work.as_ref().is_none_or(|work| work.ready)
    }

    fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    fn listen(&mut self, score: &Score) -> Result<(), Infallible> {
        self.heard_parts = score.notes.iter().map(|n| n.part).collect();
        if let Some(work) = &mut self.work {
            work.listen(score.notes.len());
        }
        self.heard = 0;
        for note in &score.notes {
            for x in [
                note.start,
                note.length,
                note.pitch.into(),
                note.velocity.into(),
            ] {
                self.heard = mix(self.heard.wrapping_mul(31).wrapping_add(u64::from(x)));
            }
        }
        for (step, time_signature) in score.time_signatures.changes() {
            self.heard =
                mix(self.heard ^ u64::from(step) << 20 ^ u64::from(time_signature.numerator));
        }
        Ok(())
    }

    fn answer(
        &mut self,
        at: u32,
        settings: &Settings,
        seed: u64,
        own: &[Note],
    ) -> Result<(), Infallible> {
        let own = own.iter().map(|n| u64::from(n.start)).sum::<u64>();
        self.heard = mix(self.heard ^ own);
        self.highest = settings.sampling.constraints.range.1;
        self.answers.push((at, self.heard));
        self.rng = Some(Rng::new(seed ^ self.heard));
        self.step = at;
        Ok(())
    }

    fn follow_chords(&mut self, plan: ChordPlan) {
        self.plan = plan;
    }

    fn tune(&mut self, settings: &Settings) {
        self.highest = settings.sampling.constraints.range.1;
    }

    fn poll_notes(&mut self, until: u32) -> Result<Option<Vec<Note>>, Infallible> {
        let Some(mut work) = self.work.take() else {
            return Ok(Some(self.notes_until(until)));
        };
        work.slices += 1;
        let mut played = None;
        if work.heard > 0 {
            work.heard = work.heard.saturating_sub(STEPS);
        } else {
            let (notes, steps) = work.sampled.take().unwrap_or_else(|| {
                let notes = self.notes_until(until);
                // A move in time is a token, too.
                let steps = 1 + TOKENS * notes.len();
                (notes, steps)
            });
            match steps.checked_sub(STEPS).filter(|&left| left > 0) {
                Some(left) => work.sampled = Some((notes, left)),
                None => played = Some(notes),
            }
        }
        self.work = Some(work);
        Ok(played)
    }

    /// Fills the range with quarter notes of one random pitch, in every part that it knows.
    fn begin_infill(
        &mut self,
        before: &Score,
        _settings: &Settings,
        infill: Infill,
    ) -> Result<(), Infallible> {
        let heard = before.notes.iter().chain(&infill.following);
        let heard = heard.fold(infill.seed, |seed, n| mix(seed ^ u64::from(n.start)));
        let pitch = 30 + Rng::new(heard).below(60) as u8;
        let starts = (infill.from..infill.until).step_by(12);
        let parts = match self.parts.as_slice() {
            [] => vec![Part::Keys],
            known => known.to_vec(),
        };
        let notes = starts.flat_map(|start| {
            parts.iter().map(move |&part| Note {
                start,
                length: 12,
                pitch,
                velocity: 70,
                part,
            })
        });
        self.infill = Some((notes.collect(), 5));
        Ok(())
    }

    fn poll_infill(&mut self) -> Result<Option<Vec<Note>>, Infallible> {
        let Some((_, left)) = &mut self.infill else {
            return Ok(Some(Vec::new()));
        };
        if *left > 0 {
            *left -= 1;
            return Ok(None);
        }
        Ok(self.infill.take().map(|(notes, _)| notes))
    }

    fn pending_work(&self) -> Option<PendingWork> {
        let work = self.work.as_ref()?;
        let pending_work = [
            (work.heard, PendingWork::Input),
            (work.catch_up, PendingWork::CatchUp),
            (work.file_learning, PendingWork::Learning),
        ];
        let some = pending_work.into_iter().find(|&(steps, _)| steps > 0);
        some.map(|(_, pending_work)| pending_work)
    }

    fn poll(&mut self) -> Result<(), Infallible> {
        let Some(work) = &mut self.work else {
            return Ok(());
        };
        work.slices += 1;
        let pending_work = [&mut work.heard, &mut work.catch_up, &mut work.file_learning];
        if let Some(steps) = pending_work.into_iter().find(|steps| **steps > 0) {
            *steps = steps.saturating_sub(STEPS);
        }
        Ok(())
    }

    fn can_learn(&self) -> bool {
        self.work.is_some()
    }
}
