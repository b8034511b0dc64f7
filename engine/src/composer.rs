//! One listener: what it heard, and what it plays next.

mod learning;
mod recollecting;
mod state;
mod suffix;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use continuo_score::suffix::SOURCES;
use continuo_score::{
    Grammar, MetreMap, Note, PositionScore, Scale, Score, Sounding, State, Token, Vocabulary,
};

use crate::error::EngineError;
use crate::memory::Memory;
use crate::model::{Fed, Model};
use crate::sampling::{Sampler, Sampling};
use crate::stats::Stats;

pub use learning::Progress;
use learning::Reading;
pub use recollecting::Recollection;
pub use state::{Piece, SessionState};
use suffix::{Suffix, Weighed};

/// Tokens read in one run while listening: large enough to use the machine, small enough
/// that a run stays within a few milliseconds.
const CHUNK: usize = 64;

/// Beats after which what was heard says half as much about the scale: eight bars of four.
const SCALE_HALF_LIFE_BEATS: u32 = 32;

/// A memory, and a voice. Owned by one thread at a time (the composer thread, a command).
///
/// Its stream of tokens is what was heard and played, in the one spelling the grammar has;
/// it may be edited anywhere by [`Composer::listen`], which rewinds as far as needed.
pub struct Composer {
    model: Arc<Model>,
    grammar: Grammar,
    memory: Memory,
    /// Scales what the kNN memory adds, 0 to 1.
    recall: f32,
    /// How many bars back the kNN memory reaches; as far as it holds anything where absent.
    reach: Option<u32>,
    /// What is still to be read in the background.
    reading: Option<Reading>,
    /// What was learned, oldest first.
    learned: Vec<Score>,
    /// The tokens in memory.
    stream: Vec<Fed>,
    /// What the stream said before, for a model that has weights for it.
    suffix: Option<Suffix>,
    /// Where what followed stands that the next token was expected from most (absent for what was
    /// learned), and how much that counted.
    followed: Option<(Option<usize>, f32)>,
    /// Where in the stream the answer begins.
    answer_from: usize,
    /// Where the stream stands after them.
    state: State,
    /// What sounds there.
    sounding: Sounding,
    /// Logits after the last token; none right after a rewind.
    logits: Option<Vec<f32>>,
    /// Bars of the score last listened to.
    metres: MetreMap,
    /// Scale of the score last listened to.
    scale: Option<Scale>,
    sampler: Sampler,
    /// The note being written: pitch, then length.
    pitch: Option<u8>,
    /// Notes written and not yet handed out.
    written: Vec<Note>,
    /// What the tokens written last recalled.
    recollections: VecDeque<Recollection>,
    stats: Stats,
    /// Reading ends where this is up.
    stop: Option<Arc<AtomicBool>>,
}

impl Composer {
    /// An empty memory over a shared model.
    pub fn new(model: Arc<Model>) -> Self {
        let vocabulary = model.vocabulary();
        Self {
            grammar: Grammar::new(vocabulary),
            memory: model.memory(),
            recall: 1.0,
            reach: None,
            reading: None,
            learned: Vec::new(),
            stream: Vec::new(),
            suffix: Suffix::of(&model),
            answer_from: 0,
            followed: None,
            state: State::default(),
            sounding: Sounding::default(),
            logits: None,
            metres: Score::new(vocabulary.steps_per_beat).metres,
            scale: None,
            sampler: Sampler::new(vocabulary),
            pitch: None,
            written: Vec::new(),
            recollections: VecDeque::new(),
            stats: Stats::default(),
            stop: None,
            model,
        }
    }

    /// The model it plays with.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Decode times.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Decode times since they were last taken.
    pub fn take_stats(&mut self) -> Stats {
        std::mem::take(&mut self.stats)
    }

    /// Tokens in memory.
    pub fn tokens(&self) -> usize {
        self.stream.len()
    }

    /// The scale of what was last listened to.
    pub fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// Bytes that the network's memories hold.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// How much what is remembered counts, 0 to 1, from the next token on: what the kNN memory
    /// recalls from beyond the window, and what followed where the piece, or what was learned, has
    /// been here before (the suffix memory). With 0, all is as with a model that has neither.
    pub fn set_recall(&mut self, recall: f32) {
        self.recall = recall;
    }

    /// How many bars back what is remembered from beyond the window may lie, from the next token
    /// on: a token in bar *b* recalls from bars *b* - `bars` on, and from what was learned. `None`
    /// is as far as anything is held. The window itself always counts.
    pub fn set_reach(&mut self, bars: Option<u32>) {
        self.reach = bars;
    }

    /// Whatever reads or plays ends with [`EngineError::Stopped`] from the moment `stop` is up, after
    /// the tokens at hand: a long score is minutes of work, and who waits may have left. What was
    /// read until then stays; the next [`Composer::listen`] reads the rest. Any thread may raise it.
    pub fn set_stop(&mut self, stop: Arc<AtomicBool>) {
        self.stop = Some(stop);
    }

    /// Makes memory exactly the notes of `score`, up to its last onset. What memory and score
    /// have in common at their beginning is kept; the rest is forgotten and read anew. So
    /// late notes, corrections and jumps are all this one call.
    ///
    /// `score` must be on the model's grid and in [`Score::tidy`]'s order.
    pub fn listen(&mut self, score: &Score) -> Result<(), EngineError> {
        self.listen_with(score, &mut |_| ())
    }

    /// [`Composer::listen`]; `report` is called after every portion of tokens that is read.
    ///
    /// # Errors
    /// As those of [`Composer::listen`].
    pub fn listen_with(
        &mut self,
        score: &Score,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        self.check_grid(score)?;
        let vocabulary = self.model.vocabulary();
        self.metres = score.metres.clone();
        self.scale = scale_of(score);
        let wanted = PositionScore::encode_open(score, vocabulary);
        (self.pitch, self.written) = (None, Vec::new());
        self.become_stream(&wanted, report)?;
        self.answer_from = self.stream.len();
        Ok(())
    }

    /// Makes the stream in memory that of `wanted`, in the segmentation encoding gives. Merged
    /// tokens may be cut otherwise near the end of what was there: that is only a longer rewind.
    fn become_stream(
        &mut self,
        wanted: &PositionScore,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        let placed = wanted.placed_ids(self.model.vocabulary());
        let mut sounding = Sounding::default();
        let tokens = self.model.fed_all(&placed, &self.metres, &mut sounding);
        let common = self
            .stream
            .iter()
            .zip(&tokens)
            .take_while(|(a, b)| a == b)
            .count();
        self.rewind(common)?;
        self.read_with(&tokens[common..], report)?;
        self.sounding = sounding;
        let state = State::default();
        self.state = wanted
            .tokens
            .iter()
            .fold(state, |s, t| self.grammar.next(&s, t.token));
        Ok(())
    }

    fn check_grid(&self, score: &Score) -> Result<(), EngineError> {
        let (score, model) = (score.steps_per_beat, self.model.vocabulary().steps_per_beat);
        if score != model {
            return Err(EngineError::Grid { score, model });
        }
        Ok(())
    }

    /// Begins an answer at step `at`, no earlier than the last onset listened to: time is
    /// moved there, and what follows is sampled with `sampling` from `seed`. Bars are those
    /// of the score last listened to.
    pub fn answer(&mut self, at: u32, sampling: &Sampling, seed: u64) -> Result<(), EngineError> {
        self.answer_after(at, sampling, seed, &[])
    }

    /// [`Composer::answer`], where `own` are those of the notes listened to that this composer
    /// had played itself, by start: they count against the constraints on its own playing, and
    /// for whether it circles. Where they leave no room for a note at `at`, the answer begins
    /// as soon as they do.
    pub fn answer_after(
        &mut self,
        at: u32,
        sampling: &Sampling,
        seed: u64,
        own: &[Note],
    ) -> Result<(), EngineError> {
        (self.pitch, self.written) = (None, Vec::new());
        let vocabulary = self.model.vocabulary();
        let ids: Vec<u16> = self.stream.iter().map(|t| t.id).collect();
        let mut wanted = match ids.is_empty() {
            true => PositionScore::encode_open(&Score::new(vocabulary.steps_per_beat), vocabulary),
            // Whatever was read or sampled, the grammar allowed.
            false => PositionScore::from_ids(&ids, vocabulary)
                .map_err(|e| EngineError::Run(format!("what is in memory is no music: {e}")))?,
        };
        let at = at.max(self.state.step);
        let at = self.sampler.begin(at, sampling, seed, self.scale, own);
        // What is written from there on recalls for itself.
        self.recollections.retain(|r| r.step < at);
        wanted.move_to(at, vocabulary);
        self.become_stream(&wanted, &mut |_| ())?;
        self.answer_from = self.stream.len();
        Ok(())
    }

    /// Samples with other settings from the next token on.
    pub fn tune(&mut self, sampling: &Sampling) {
        self.sampler.tune(sampling);
    }

    /// Plays on until the stream's time has passed `until`: gives the notes that start
    /// before it and were not given yet, in order of start. How the calls are cut does not
    /// change what is played.
    pub fn play_until(&mut self, until: u32) -> Result<Vec<Note>, EngineError> {
        while self.state.step < until || !self.state.is_settled() {
            let started = Instant::now();
            let id = self.sample()?;
            self.push(id)?;
            let tokens = self.model.vocabulary().tokens(id);
            tokens.for_each(|token| self.sampler.read(token));
            self.stats.record(started.elapsed());
        }
        let later = self
            .written
            .split_off(self.written.partition_point(|n| n.start < until));
        Ok(std::mem::replace(&mut self.written, later))
    }

    /// Logits after the last token, one an id.
    pub fn logits(&mut self) -> Result<&[f32], EngineError> {
        if self.logits.is_none() {
            // After a rewind: read the last token again.
            let Some(&last) = self.stream.last() else {
                return Err(EngineError::Logits("nothing was heard"));
            };
            self.rewind(self.stream.len() - 1)?;
            self.read(&[last])?;
        }
        self.logits
            .as_deref()
            .ok_or(EngineError::Logits("nothing was heard"))
    }

    fn sample(&mut self) -> Result<u16, EngineError> {
        self.logits()?;
        let within = self.earliest()..self.latest();
        let logits = self.logits.as_deref().unwrap_or_default();
        let mut followed = <[Weighed; SOURCES]>::default();
        if let Some(suffix) = &mut self.suffix {
            suffix.follow(&self.stream);
            followed = suffix.followed(self.recall, within);
        }
        self.followed = followed_most(&followed);
        self.sampler.choose_with(&self.state, logits, &followed)
    }

    /// Reads one more id, and notes down the notes it completes.
    fn push(&mut self, id: u16) -> Result<(), EngineError> {
        let vocabulary = self.model.vocabulary();
        let allowed = *self.sampler.constraints();
        let mut state = self.state;
        for token in vocabulary.tokens(id) {
            let after = self.grammar.next(&state, token);
            let moved = after.step != state.step;
            match token {
                Token::Pitch(pitch) => self.pitch = Some(pitch),
                Token::Duration(length) if !moved => {
                    if let Some(pitch) = self.pitch.take() {
                        self.written.push(Note {
                            start: after.step,
                            length: u32::from(length).max(1),
                            pitch,
                            velocity: allowed.velocity_of(Vocabulary::PLAIN_VELOCITY),
                        });
                    }
                }
                Token::Velocity(bin) => {
                    if let Some(note) = self.written.last_mut() {
                        note.velocity = allowed.velocity_of(vocabulary.bin_velocity(bin));
                    }
                }
                _ => {}
            }
            state = after;
        }
        let place = self.metres.place(state.step);
        let fed = self.model.fed(id, place, &mut self.sounding);
        if let Err(error) = self.read(&[fed]) {
            // As it was: the token is not in the stream.
            let vocabulary = self.model.vocabulary();
            self.sounding = Sounding::default();
            for token in self.stream.iter().flat_map(|t| vocabulary.tokens(t.id)) {
                self.sounding.read(token);
            }
            return Err(error);
        }
        self.state = state;
        self.recollect();
        Ok(())
    }

    fn read(&mut self, tokens: &[Fed]) -> Result<(), EngineError> {
        self.read_with(tokens, &mut |_| ())
    }

    fn read_with(
        &mut self,
        tokens: &[Fed],
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        let mut progress = Progress {
            done: 0,
            all: tokens.len(),
        };
        for chunk in tokens.chunks(CHUNK) {
            if self
                .stop
                .as_ref()
                .is_some_and(|s| s.load(Ordering::Relaxed))
            {
                return Err(EngineError::Stopped);
            }
            self.look_back(chunk);
            let mut logits = self.model.feed(&mut self.memory, chunk, self.recall)?;
            self.stream.extend_from_slice(chunk);
            let last = logits.len() - self.model.sizes().vocabulary;
            self.logits = Some(logits.split_off(last));
            progress.done += chunk.len();
            report(progress);
        }
        Ok(())
    }

    /// The earliest position that what is played next may recall from.
    fn earliest(&self) -> usize {
        let (Some(reach), Some(last)) = (self.reach, self.stream.last()) else {
            return 0;
        };
        self.stream
            .partition_point(|t| t.bar.saturating_add(reach) < last.bar)
    }

    /// Before this position is what may be said again, word for word: what came before the answer,
    /// and of the answer itself what lies a bar back. Nearer, it would too often hold on to what
    /// it has just said.
    fn latest(&self) -> usize {
        let now = self.state.step;
        let a_bar_back = now.checked_sub(self.metres.place(now).bar_steps);
        let own = a_bar_back.map_or(0, |step| {
            self.stream.partition_point(|t| t.told.step <= step)
        });
        self.answer_from.max(own)
    }

    /// How far back the tokens read next may recall from: each by its own bar, so that it does
    /// not matter in which portions they are read.
    fn look_back(&mut self, next: &[Fed]) {
        let Some(knn) = &mut self.memory.knn else {
            return;
        };
        let earliest = |token: &Fed, reach: u32| {
            let beyond = |t: &Fed| t.bar.saturating_add(reach) < token.bar;
            match self.stream.partition_point(beyond) {
                all if all == self.stream.len() => all + next.partition_point(beyond),
                some => some,
            }
        };
        let earliest = self.reach.map_or(Vec::new(), |reach| {
            next.iter().map(|token| earliest(token, reach)).collect()
        });
        knn.look_back(self.stream.len(), earliest);
    }

    /// Forgets every token from position `to` on.
    fn rewind(&mut self, to: usize) -> Result<(), EngineError> {
        if to >= self.stream.len() {
            return Ok(());
        }
        self.logits = None;
        self.stream.truncate(to);
        if let Some(suffix) = &mut self.suffix {
            suffix.rewind(to);
        }
        self.rewind_reading(to);
        let from = self.memory.rewind(to)?;
        self.read_again(from)
    }

    /// Reads the stream's tokens from position `from` on, where memory stands, once more.
    fn read_again(&mut self, from: usize) -> Result<(), EngineError> {
        let tokens = self.stream.split_off(from);
        self.read(&tokens)
    }
}

/// Of what followed, where the part stands that counts most, and how much it counts.
fn followed_most(followed: &[Weighed]) -> Option<(Option<usize>, f32)> {
    let mut left = 1.0;
    let parts = followed.iter().flatten().map(|(followed, weight)| {
        let part = (followed.at, left * weight);
        left *= 1.0 - weight;
        part
    });
    parts.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The scale of the last minutes of a score.
fn scale_of(score: &Score) -> Option<Scale> {
    let half_life = SCALE_HALF_LIFE_BEATS * score.steps_per_beat;
    let last = score.notes.last()?.start;
    let from = last.saturating_sub(half_life * 16);
    let notes = &score.notes[score.notes.partition_point(|n| n.start < from)..];
    Scale::heard(notes, f64::from(half_life))
}
