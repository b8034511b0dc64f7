//! The composer: a model with one listener's memory, which listens and generates.

mod attribution;
mod catch_up;
mod encoding;
mod generate;
mod infill;
mod learning;
mod listen;
mod read;
mod saved_score;
mod token_memory;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use continuo_score::{
    ChordPlan, Grammar, GrammarState, Note, NoteDecoder, NoteState, Scale, Score, TimeSignatureMap,
};

use crate::error::EngineError;
use crate::memory::Memory;
use crate::model::{InputToken, Model};
use crate::sampling::{Sampler, Sampling};
use crate::stats::DecodeStats;

use encoding::EncodingProgress;
use infill::{InfillWork, LossSum};
use token_memory::TokenMemory;
use work::{CatchUp, LearningQueue, MemorySettings, PendingAnswer, RunBoundaries};

pub use attribution::Attribution;
pub use infill::{Infill, Infilled};
pub use saved_score::SavedScore;
pub use work::{PendingWork, Progress};

/// A model with one listener's memory. Owned by one thread at a time; calls allocate and take
/// milliseconds, so that no audio thread may make them.
///
/// Its token stream is the input and the generated notes, encoded. [`Composer::listen`] may change it
/// anywhere, and rewinds as far as needed.
///
/// Every long call has a counterpart that only begins it ([`Composer::begin_listening`],
/// [`Composer::begin_answer`], [`Composer::begin_learning`]); [`Composer::poll`] and
/// [`Composer::poll_notes`] then work for a few milliseconds a call. The notes are the same.
///
/// ```no_run
/// use continuo_engine::{Composer, Model, ModelOptions, Runtime, Sampling};
/// use continuo_score::tune;
/// use std::path::Path;
///
/// let runtime = Runtime::load(Path::new("target/runtime/libonnxruntime.so"))?;
/// let model = Model::load(runtime, Path::new("models/default"), &ModelOptions::default())?;
/// let minuet = tune::minuet().quantise(model.vocabulary());
/// let mut composer = Composer::new(model);
/// composer.listen(&minuet)?;
/// composer.answer(minuet.length, &Sampling::default(), 1)?;
/// let four_bars = composer.play_until(minuet.length + 4 * 36)?;
/// # Ok::<(), continuo_engine::EngineError>(())
/// ```
pub struct Composer {
    model: Arc<Model>,
    grammar: Grammar,
    memory: Memory,
    /// Settings for the next token.
    memory_settings: MemorySettings,
    run_boundaries: RunBoundaries,
    /// Pieces still to be learned.
    learning: Option<LearningQueue>,
    /// Earlier tokens that are read beside the window in use.
    catch_up: Option<CatchUp>,
    /// Whether the window began near the end of the stream, so that predictions are not exact.
    is_partial: bool,
    /// The score last listened to.
    input: Score,
    encoding: EncodingProgress,
    pending_answer: Option<PendingAnswer>,
    /// The infill that is worked on.
    infill: Option<Box<InfillWork>>,
    /// Loss of the tokens that are being read, if it is wanted.
    loss: Option<LossSum>,
    /// Tokens of the input and of generated notes; those before [`Memory::len`] are read.
    stream: Vec<InputToken>,
    /// The memories of tokens, if the model has weights for them.
    token_memory: Option<TokenMemory>,
    /// Source with the largest weight for the next token: its position, `None` for learned pieces,
    /// and its weight.
    source: Option<(Option<usize>, f32)>,
    /// Position in the stream at which the answer begins.
    answer_start: usize,
    /// State of the grammar at the end of the stream.
    state: GrammarState,
    /// Notes that sound at the end of the stream.
    note_state: NoteState,
    /// Logits after the last token, `[vocabulary]`; `None` after a rewind, or while it is unread.
    logits: Option<Vec<f32>>,
    /// Time signatures of the input.
    time_signatures: TimeSignatureMap,
    /// Scale of the input.
    scale: Option<Scale>,
    /// Chords for the answer.
    chords: ChordPlan,
    sampler: Sampler,
    /// Decodes the generated tokens.
    decoder: NoteDecoder,
    /// Generated notes that were not given out.
    generated: Vec<Note>,
    attributions: VecDeque<Attribution>,
    stats: DecodeStats,
    /// Stops reading and generating when set.
    stop: Option<Arc<AtomicBool>>,
}

impl Composer {
    /// A composer with an empty memory over a shared model.
    pub fn new(model: Arc<Model>) -> Self {
        let vocabulary = model.vocabulary();
        Self {
            grammar: Grammar::new(vocabulary),
            memory: model.memory(),
            memory_settings: MemorySettings {
                recall: 1.0,
                reach: None,
            },
            run_boundaries: RunBoundaries::default(),
            learning: None,
            catch_up: None,
            is_partial: false,
            input: Score::new(vocabulary.steps_per_beat),
            encoding: EncodingProgress::default(),
            pending_answer: None,
            infill: None,
            loss: None,
            stream: Vec::new(),
            token_memory: TokenMemory::new(&model),
            answer_start: 0,
            source: None,
            state: GrammarState::default(),
            note_state: NoteState::default(),
            logits: None,
            time_signatures: Score::new(vocabulary.steps_per_beat).time_signatures,
            scale: None,
            chords: ChordPlan::default(),
            sampler: Sampler::new(vocabulary),
            decoder: NoteDecoder::default(),
            generated: Vec::new(),
            attributions: VecDeque::new(),
            stats: DecodeStats::default(),
            stop: None,
            model,
        }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Decode times of generated tokens.
    pub fn stats(&self) -> &DecodeStats {
        &self.stats
    }

    /// Takes the decode times since the last call.
    pub fn take_stats(&mut self) -> DecodeStats {
        std::mem::take(&mut self.stats)
    }

    /// Number of tokens in memory.
    pub fn tokens(&self) -> usize {
        self.memory.len()
    }

    /// Detected scale of the input.
    pub fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// Bytes in use by KV cache and kNN memory.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Weight of the kNN memory and the memory of the piece in predictions from the next token on, 0 to 1.
    /// With 0, predictions are those of a model without them.
    pub fn set_recall(&mut self, recall: f32) {
        self.change_memory_settings(MemorySettings {
            recall,
            ..self.wanted_memory_settings()
        });
    }

    /// Reach of the long memories in bars, from the next token on: a token in bar *b* uses bars from
    /// *b* - `bars` on, and learned pieces. `None` is no limit. The window is always used.
    pub fn set_reach(&mut self, bars: Option<u32>) {
        self.change_memory_settings(MemorySettings {
            reach: bars,
            ..self.wanted_memory_settings()
        });
    }

    /// Sets a flag that any thread may raise: from then on every call that reads or generates fails with
    /// [`EngineError::Stopped`] after the present run, since a long score is minutes of work. Tokens
    /// read until then stay; the next [`Composer::listen`] reads the rest.
    pub fn set_stop(&mut self, stop: Arc<AtomicBool>) {
        self.stop = Some(stop);
    }

    /// Makes the memory equal to the notes of `score`, up to its last onset. The common beginning is
    /// kept and the rest is read again, so that late notes, corrections and jumps are this one call.
    ///
    /// `score` must be on the model's grid and in [`Score::normalise`]'s order.
    ///
    /// # Errors
    /// Fails if the score is on another grid, the network or the index fails, or the flag of
    /// [`Composer::set_stop`] is set.
    pub fn listen(&mut self, score: &Score) -> Result<(), EngineError> {
        self.listen_with(score, &mut |_| ())
    }

    /// As [`Composer::listen`]; `report` is called after every run of the network.
    ///
    /// # Errors
    /// Those of [`Composer::listen`].
    pub fn listen_with(
        &mut self,
        score: &Score,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        self.begin_listening(score)?;
        self.read_all_input(report)
    }

    /// Checks that a score is on the model's grid.
    fn check_grid(&self, score: &Score) -> Result<(), EngineError> {
        let (score, model) = (score.steps_per_beat, self.model.vocabulary().steps_per_beat);
        if score != model {
            return Err(EngineError::Grid { score, model });
        }
        Ok(())
    }

    /// Begins an answer at step `at`, at the earliest at the last onset of the input: appends the moves
    /// to that step, and samples the tokens after it with `sampling` and `seed`. Bars are those of the
    /// input.
    ///
    /// # Errors
    /// Fails if the network or the index fails, or the flag of [`Composer::set_stop`] is set.
    pub fn answer(&mut self, at: u32, sampling: &Sampling, seed: u64) -> Result<(), EngineError> {
        self.answer_after(at, sampling, seed, &[])
    }

    /// As [`Composer::answer`], where `own` are the notes of the input that this composer generated
    /// itself, by start: they count for the constraints on its own notes and for loop detection. If
    /// they leave no room for a note at `at`, the answer begins as soon as they do.
    ///
    /// # Errors
    /// Those of [`Composer::answer`].
    pub fn answer_after(
        &mut self,
        at: u32,
        sampling: &Sampling,
        seed: u64,
        own: &[Note],
    ) -> Result<(), EngineError> {
        self.begin_answer(at, sampling, seed, own)?;
        self.read_all_input(&mut |_| ())
    }

    /// Begins [`Composer::answer_after`]; [`Composer::poll_notes`] does the reading.
    ///
    /// # Errors
    /// Fails if the index of the kNN memory fails.
    pub fn begin_answer(
        &mut self,
        at: u32,
        sampling: &Sampling,
        seed: u64,
        own: &[Note],
    ) -> Result<(), EngineError> {
        self.end_infill();
        self.prepare_answer(at, sampling, seed, own)
    }

    /// [`Composer::begin_answer`] of a caller or of an infill.
    fn prepare_answer(
        &mut self,
        at: u32,
        sampling: &Sampling,
        seed: u64,
        own: &[Note],
    ) -> Result<(), EngineError> {
        (self.decoder, self.generated) = (NoteDecoder::default(), Vec::new());
        self.pending_answer = Some(PendingAnswer {
            at,
            sampling: *sampling,
            seed,
            own: own.to_vec(),
            tuned: None,
        });
        match self.encoding.is_open {
            true => Ok(()),
            false => self.start_answer(),
        }
    }

    /// Begins the pending answer.
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
        self.sampler
            .follow_chords(&self.chords, &self.time_signatures);
        self.sampler
            .hear_parts(&self.input.notes, &self.time_signatures);
        let at = self.sampler.begin(at, &sampling, seed, self.scale, &own);
        if let Some(sampling) = tuned {
            self.sampler.tune(&sampling);
        }
        // Later tokens have attributions of their own.
        self.attributions.retain(|r| r.step < at);
        self.move_to(at)?;
        self.answer_start = self.stream.len();
        self.decoder = NoteDecoder::new(self.state.part);
        Ok(())
    }

    /// The chords that answers follow from the next sampled token on, as strongly as
    /// [`Constraints::chord_pull`](crate::Constraints::chord_pull) says. Steps are those of the input.
    pub fn follow_chords(&mut self, plan: ChordPlan) {
        self.chords = plan;
        self.sampler
            .follow_chords(&self.chords, &self.time_signatures);
    }

    /// Changes the settings from the next sampled token on.
    pub fn tune(&mut self, sampling: &Sampling) {
        match &mut self.pending_answer {
            Some(pending_answer) => pending_answer.tuned = Some(*sampling),
            None => self.sampler.tune(sampling),
        }
    }
}
