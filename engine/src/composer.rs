//! One listener: what it heard, and what it plays next.

mod attribution;
mod learning;
mod ngram;
mod reading;
mod saved_score;
mod token_stream;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use continuo_score::ngram::SOURCES;
use continuo_score::{
    Grammar, GrammarState, Note, NoteState, Scale, Score, TimeSignatureMap, Token, Vocabulary,
};

use crate::error::EngineError;
use crate::memory::Memory;
use crate::model::{InputToken, Model};
use crate::sampling::{Sampler, Sampling};
use crate::stats::DecodeStats;

pub use attribution::Attribution;
use learning::LearningQueue;
pub use learning::Progress;
use ngram::{NgramModel, WeightedContinuations};
pub use reading::PendingWork;
use reading::{CatchUp, MemorySettings, RunBoundaries, TimeSlice};
pub use saved_score::SavedScore;
use token_stream::EncodingProgress;

/// Beats after which what was heard says half as much about the scale: eight bars of four.
const SCALE_HALF_LIFE_BEATS: u32 = 32;

/// A memory, and a voice. Owned by one thread at a time (the composer thread, a command).
///
/// Its stream of tokens is what was heard and played, in the one spelling the grammar has;
/// it may be edited anywhere by [`Composer::listen`], which rewinds as far as needed.
///
/// Every long call has a counterpart that only begins it ([`Composer::begin_listening`],
/// [`Composer::begin_answer`], [`Composer::begin_learning`]); [`Composer::poll`] and
/// [`Composer::poll_notes`] then work for a few milliseconds a call. What is played in the end is
/// the same.
pub struct Composer {
    model: Arc<Model>,
    grammar: Grammar,
    memory: Memory,
    /// How the long memories count for the token read next.
    looking: MemorySettings,
    /// Where runs end that are still to come.
    runs: RunBoundaries,
    /// What is still to be learned.
    reading: Option<LearningQueue>,
    /// The past, where it is read again.
    past: Option<CatchUp>,
    /// Whether the window stands near the end of the stream and knows too little of the past.
    is_near: bool,
    /// The score last listened to, and how far it is spelt.
    heard: Score,
    spelling: EncodingProgress,
    /// An answer that begins once all of it is spelt.
    pending_answer: Option<PendingAnswer>,
    /// The tokens of what was heard and played. The window has read those before
    /// [`Memory::len`].
    stream: Vec<InputToken>,
    /// What the stream said before, for a model that has weights for it.
    ngram: Option<NgramModel>,
    /// Where what followed stands that the next token was expected from most (absent for what was
    /// learned), and how much that counted.
    followed: Option<(Option<usize>, f32)>,
    /// Where in the stream the answer begins.
    answer_from: usize,
    /// Where the stream stands after them.
    state: GrammarState,
    /// What sounds there.
    sounding: NoteState,
    /// Logits after the last token; none right after a rewind, or while it is not read.
    logits: Option<Vec<f32>>,
    /// Bars of the score last listened to.
    time_signatures: TimeSignatureMap,
    /// Scale of the score last listened to.
    scale: Option<Scale>,
    sampler: Sampler,
    /// The note being written: pitch, then length.
    pitch: Option<u8>,
    /// Notes written and not yet handed out.
    written: Vec<Note>,
    /// What the tokens written last recalled.
    attributions: VecDeque<Attribution>,
    stats: DecodeStats,
    /// Reading ends where this is up.
    stop: Option<Arc<AtomicBool>>,
}

/// An answer to begin.
struct PendingAnswer {
    at: u32,
    sampling: Sampling,
    seed: u64,
    own: Vec<Note>,
    /// Settings that were changed since.
    tuned: Option<Sampling>,
}

impl Composer {
    /// An empty memory over a shared model.
    pub fn new(model: Arc<Model>) -> Self {
        let vocabulary = model.vocabulary();
        Self {
            grammar: Grammar::new(vocabulary),
            memory: model.memory(),
            looking: MemorySettings {
                recall: 1.0,
                reach: None,
            },
            runs: RunBoundaries::default(),
            reading: None,
            past: None,
            is_near: false,
            heard: Score::new(vocabulary.steps_per_beat),
            spelling: EncodingProgress::default(),
            pending_answer: None,
            stream: Vec::new(),
            ngram: NgramModel::of(&model),
            answer_from: 0,
            followed: None,
            state: GrammarState::default(),
            sounding: NoteState::default(),
            logits: None,
            time_signatures: Score::new(vocabulary.steps_per_beat).time_signatures,
            scale: None,
            sampler: Sampler::new(vocabulary),
            pitch: None,
            written: Vec::new(),
            attributions: VecDeque::new(),
            stats: DecodeStats::default(),
            stop: None,
            model,
        }
    }

    /// The model it plays with.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Decode times.
    pub fn stats(&self) -> &DecodeStats {
        &self.stats
    }

    /// Decode times since they were last taken.
    pub fn take_stats(&mut self) -> DecodeStats {
        std::mem::take(&mut self.stats)
    }

    /// Tokens in memory.
    pub fn tokens(&self) -> usize {
        self.memory.len()
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
        self.look(MemorySettings {
            recall,
            ..self.wanted()
        });
    }

    /// How many bars back what is remembered from beyond the window may lie, from the next token
    /// on: a token in bar *b* recalls from bars *b* - `bars` on, and from what was learned. `None`
    /// is as far as anything is held. The window itself always counts.
    pub fn set_reach(&mut self, bars: Option<u32>) {
        self.look(MemorySettings {
            reach: bars,
            ..self.wanted()
        });
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
    /// `score` must be on the model's grid and in [`Score::normalise`]'s order.
    pub fn listen(&mut self, score: &Score) -> Result<(), EngineError> {
        self.listen_with(score, &mut |_| ())
    }

    /// [`Composer::listen`]; `report` is called after every run of the network.
    ///
    /// # Errors
    /// As those of [`Composer::listen`].
    pub fn listen_with(
        &mut self,
        score: &Score,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        self.begin_listening(score)?;
        self.read_all_heard(report)
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
        self.begin_answer(at, sampling, seed, own)?;
        self.read_all_heard(&mut |_| ())
    }

    /// Begins [`Composer::answer_after`]; [`Composer::poll_notes`] reads what it needs.
    pub fn begin_answer(
        &mut self,
        at: u32,
        sampling: &Sampling,
        seed: u64,
        own: &[Note],
    ) -> Result<(), EngineError> {
        (self.pitch, self.written) = (None, Vec::new());
        self.pending_answer = Some(PendingAnswer {
            at,
            sampling: *sampling,
            seed,
            own: own.to_vec(),
            tuned: None,
        });
        match self.spelling.is_open {
            true => Ok(()),
            false => self.start_answer(),
        }
    }

    fn start_answer(&mut self) -> Result<(), EngineError> {
        let Some(PendingAnswer {
            at,
            sampling,
            seed,
            own,
            tuned,
        }) = self.pending_answer.take()
        else {
            return Ok(());
        };
        let at = at.max(self.state.step);
        let at = self.sampler.begin(at, &sampling, seed, self.scale, &own);
        if let Some(sampling) = tuned {
            self.sampler.tune(&sampling);
        }
        // What is written from there on recalls for itself.
        self.attributions.retain(|r| r.step < at);
        self.move_to(at)?;
        self.answer_from = self.stream.len();
        Ok(())
    }

    /// Samples with other settings from the next token on.
    pub fn tune(&mut self, sampling: &Sampling) {
        match &mut self.pending_answer {
            Some(pending_answer) => pending_answer.tuned = Some(*sampling),
            None => self.sampler.tune(sampling),
        }
    }

    /// Plays on until the stream's time has passed `until`: gives the notes that start
    /// before it and were not given yet, in order of start. How the calls are cut does not
    /// change what is played.
    pub fn play_until(&mut self, until: u32) -> Result<Vec<Note>, EngineError> {
        self.read_all_heard(&mut |_| ())?;
        if let Some(ngram) = &mut self.ngram {
            ngram.follow(&self.stream, usize::MAX);
        }
        while !self.is_past(until) {
            self.play()?;
        }
        Ok(self.hand_out(until))
    }

    /// The same for a few milliseconds, what was heard first: `None` where that was not enough,
    /// and the same call is to follow. Where much was to be read at once, it knows only the last
    /// bars, until [`Composer::is_exact`].
    ///
    /// # Errors
    /// The network or the index failed, or [`Composer::set_stop`]'s flag is up.
    pub fn poll_notes(&mut self, until: u32) -> Result<Option<Vec<Note>>, EngineError> {
        let slice = TimeSlice::begin();
        loop {
            if self.pending_work() == Some(PendingWork::Input) {
                self.read_heard(true)?;
            } else if self.is_past(until) {
                return Ok(Some(self.hand_out(until)));
            } else if self.logits.is_none() && !self.stream.is_empty() {
                self.memory.rewind(self.stream.len() - 1)?;
            } else {
                self.play()?;
            }
            if slice.is_over() && !self.is_past(until) {
                return Ok(None);
            }
        }
    }

    /// Whether the stream's time has passed `until`, so that no note before it is to come.
    fn is_past(&self, until: u32) -> bool {
        self.pending_answer.is_none() && self.state.step >= until && self.state.is_between_notes()
    }

    /// Samples a token.
    fn play(&mut self) -> Result<(), EngineError> {
        let started = Instant::now();
        let id = self.sample()?;
        self.push(id)?;
        let tokens = self.model.vocabulary().tokens(id);
        tokens.for_each(|token| self.sampler.read(token));
        self.stats.record(started.elapsed());
        Ok(())
    }

    /// The notes written that start before `until`.
    fn hand_out(&mut self, until: u32) -> Vec<Note> {
        let later = self
            .written
            .split_off(self.written.partition_point(|n| n.start < until));
        std::mem::replace(&mut self.written, later)
    }

    /// Logits after the last token, one an id.
    pub fn logits(&mut self) -> Result<&[f32], EngineError> {
        self.read_all_heard(&mut |_| ())?;
        if self.logits.is_none() {
            // After a rewind: read the last token again.
            let Some(last) = self.stream.len().checked_sub(1) else {
                return Err(EngineError::Logits("nothing was heard"));
            };
            self.memory.rewind(last)?;
            self.read_all_heard(&mut |_| ())?;
        }
        self.logits
            .as_deref()
            .ok_or(EngineError::Logits("nothing was heard"))
    }

    fn sample(&mut self) -> Result<u16, EngineError> {
        self.logits()?;
        let within = self.earliest()..self.latest();
        let logits = self.logits.as_deref().unwrap_or_default();
        let mut followed = <[WeightedContinuations; SOURCES]>::default();
        if let Some(ngram) = &mut self.ngram {
            ngram.follow(&self.stream, reading::FOLLOWED);
            // Of a past that it is still taking in it says nothing.
            if ngram.behind(&self.stream) == 0 {
                followed = ngram.followed(self.looking.recall, within);
            }
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
                            velocity: allowed.velocity_of(Vocabulary::DEFAULT_VELOCITY),
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
        let place = self.time_signatures.position(state.step);
        let input_token = self.model.input_token(id, place, &mut self.sounding);
        self.stream.push(input_token);
        if let Err(error) = self.read_all_heard(&mut |_| ()) {
            // As it was: the token is not in the stream.
            self.stream.pop();
            self.logits = None;
            let vocabulary = self.model.vocabulary();
            self.sounding = NoteState::default();
            for token in self.stream.iter().flat_map(|t| vocabulary.tokens(t.id)) {
                self.sounding.read(token);
            }
            return Err(error);
        }
        self.state = state;
        self.recollect();
        Ok(())
    }

    /// The earliest position that what is played next may recall from.
    fn earliest(&self) -> usize {
        let (Some(reach), Some(last)) = (self.looking.reach, self.stream.last()) else {
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
        let a_bar_back = now.checked_sub(self.time_signatures.position(now).bar_steps);
        let own = a_bar_back.map_or(0, |step| {
            self.stream.partition_point(|t| t.note_context.step <= step)
        });
        self.answer_from.max(own)
    }
}

/// Of what followed, where the part stands that counts most, and how much it counts.
fn followed_most(followed: &[WeightedContinuations]) -> Option<(Option<usize>, f32)> {
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
    Scale::detect(notes, f64::from(half_life))
}
