//! The sampler of an answer: constraints, state of the answer, and the draw.

use continuo_score::ngram::Continuations;
use continuo_score::{
    ChordPlan, Grammar, GrammarState, Note, Part, Scale, Score, TimeSignatureMap, Token,
    TokenSequence, Vocabulary,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::answer_state::{AnswerState, Expected, Grid};
use super::categorical::{Candidate, CategoricalSampler, TokenGroup};
use super::chord_guide::ChordGuide;
use super::constraints::{CompiledConstraints, Constraints, MAX_RELAXATION};
use super::density_controller::DensityController;
use super::loop_detector::LoopDetector;
use super::part_entrance::PartEntrance;
use super::settings::Sampling;
use crate::error::EngineError;

/// Numbers of the parts in the loop detector, beyond those of all durations.
const PARTS: u32 = 1 << 17;

/// Draws the tokens of an answer. [`Sampler::read`] reports every generated token, from which the
/// sampler follows sounding notes, density and loops.
///
/// The result depends only on the logits, the seed, the settings and the tokens read so far. Owned by
/// the thread of its composer.
#[derive(Clone, Debug)]
pub struct Sampler {
    vocabulary: Vocabulary,
    grammar: Grammar,
    base_tokens: BaseTokens,
    grid: Grid,
    sampling: Sampling,
    heard: Option<Scale>,
    compiled: CompiledConstraints,
    chords: ChordGuide,
    rng: ChaCha8Rng,
    answer: AnswerState,
    /// Scratch state for the base tokens of a merged token.
    ahead: AnswerState,
    density_controller: DensityController,
    part_entrance: PartEntrance,
    /// Bias in nats of a note of each part that is owed one, by [`Part::index`]; else 0.
    owed: [f32; Part::COUNT],
    loop_detector: LoopDetector,
    chooser: CategoricalSampler,
    /// Whether the grammar allows each id.
    mask: Vec<bool>,
}

/// The base tokens of every id.
#[derive(Clone, Debug)]
struct BaseTokens {
    tokens: Vec<Token>,
    /// For each id the index of its first base token in `tokens`; then the number of all.
    bounds: Vec<u32>,
}

impl BaseTokens {
    fn new(vocabulary: &Vocabulary) -> Self {
        let (mut tokens, mut bounds) = (Vec::new(), vec![0]);
        for id in 0..vocabulary.size() as u16 {
            tokens.extend(vocabulary.tokens(id));
            bounds.push(tokens.len() as u32);
        }
        Self { tokens, bounds }
    }

    fn of(&self, id: usize) -> &[Token] {
        &self.tokens[self.bounds[id] as usize..self.bounds[id + 1] as usize]
    }
}

impl Sampler {
    /// A sampler for one vocabulary, at step 0, with default settings and no input.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let sampling = Sampling::default();
        Self {
            grammar: Grammar::new(vocabulary),
            base_tokens: BaseTokens::new(vocabulary),
            grid: Grid::new(vocabulary),
            compiled: CompiledConstraints::new(&sampling.constraints, None, vocabulary),
            sampling,
            heard: None,
            chords: ChordGuide::new(vocabulary.steps_per_beat),
            rng: ChaCha8Rng::seed_from_u64(0),
            answer: AnswerState::default(),
            ahead: AnswerState::default(),
            density_controller: DensityController::default(),
            part_entrance: PartEntrance::new(vocabulary.steps_per_beat),
            owed: [0.0; Part::COUNT],
            loop_detector: LoopDetector::default(),
            chooser: CategoricalSampler::default(),
            mask: vec![false; vocabulary.size()],
            vocabulary: vocabulary.clone(),
        }
    }

    /// Begins an answer at step `at`, or at the first step after it on which the constraints allow a
    /// note. Returns that step; sampling begins there.
    ///
    /// `heard` is the scale of the input. `own` are generated notes that start before `at`, sorted by
    /// start. They count for polyphony, for the upper bound of the density and for loop detection as if
    /// they belonged to this answer. If `own` is empty, the answer begins at `at`.
    pub fn begin(
        &mut self,
        at: u32,
        sampling: &Sampling,
        seed: u64,
        heard: Option<Scale>,
        own: &[Note],
    ) -> u32 {
        self.rng = ChaCha8Rng::seed_from_u64(seed);
        self.heard = heard;
        self.loop_detector.clear();
        self.tune(sampling);
        // Tokens before the answer's first note do not belong to it.
        let from = own.first().map_or(at, |n| n.start.min(at));
        self.answer.start(from);
        let mut score = Score::new(self.vocabulary.steps_per_beat);
        score.notes = own.to_vec();
        score.notes.retain(|n| (from..at).contains(&n.start));
        score.notes.iter_mut().for_each(|n| n.start -= from);
        score.normalise();
        let mut spelt = TokenSequence::encode_open(&score, &self.vocabulary);
        spelt.move_to(at - from, &self.vocabulary);
        let heard = self.part_entrance.clone();
        spelt.tokens.iter().for_each(|t| self.read(t.token));
        self.density_controller = DensityController::default();
        // The input has these notes, too.
        self.part_entrance = heard;
        let begins = self.answer.first_room(at, &self.compiled, self.grid);
        self.answer.wait(begins);
        self.part_entrance.pass(begins);
        begins
    }

    /// Counts how little the parts have played in `notes`, the input sorted by start, with its bars: a part that
    /// [`Constraints::owed`] has gets likelier the less it has played. Call it before [`Sampler::begin`].
    /// Unless it is called, nothing was played from step 0.
    pub fn hear_parts(&mut self, notes: &[Note], time_signatures: &TimeSignatureMap) {
        self.part_entrance = PartEntrance::hear(notes, time_signatures);
    }

    /// Changes the settings from the next token on; the random numbers continue.
    pub fn tune(&mut self, sampling: &Sampling) {
        self.sampling = *sampling;
        self.compiled =
            CompiledConstraints::new(&sampling.constraints, self.heard, &self.vocabulary);
        self.chords.pull(sampling.constraints.chord_pull);
    }

    /// The chords to follow from the next token on, as strongly as [`Constraints::chord_pull`] says, and
    /// the bars, whose strong beats count. Steps are those of [`Sampler::begin`].
    pub fn follow_chords(&mut self, plan: &ChordPlan, time_signatures: &TimeSignatureMap) {
        self.chords.follow(plan, time_signatures);
    }

    /// The current constraints.
    pub fn constraints(&self) -> &Constraints {
        &self.sampling.constraints
    }

    /// Temperature multiplier from loop detection (at least 1).
    pub fn temperature_multiplier(&self) -> f32 {
        let loop_temperature = self.sampling.loop_temperature;
        match loop_temperature > 1.0 && loop_temperature.is_finite() {
            true => 1.0 + (loop_temperature - 1.0) * self.loop_detector.intensity(),
            false => 1.0,
        }
    }

    /// Draws the id that follows `state`: one that the grammar allows there, and never the end of the
    /// piece. `logits` has one entry an id, in nats: `[vocabulary]`. Allocates nothing once its buffers
    /// have grown.
    ///
    /// # Errors
    /// Fails if the length of `logits` is wrong, if the logit of a possible token is NaN or infinity, or if
    /// the grammar allows no token.
    pub fn choose(&mut self, state: &GrammarState, logits: &[f32]) -> Result<u16, EngineError> {
        self.choose_with(state, logits, &[])
    }

    /// Draws as [`Sampler::choose`] does, or takes an id from `followed`, the continuations of the memories
    /// of tokens. The first entry is taken with the probability of its weight, 0 to 1; the next one with
    /// its weight if the first was not taken, and so on. At temperature 0, the source with the largest
    /// share is taken if that is larger than the network's. Loop detection lowers the weights, and so do
    /// register, density and parts that are owed a note where they disagree.
    ///
    /// Temperatures and top-p apply to the network's part alone. Applied to the mixture, they would make
    /// likely continuations certain, and a repeated passage would never end.
    ///
    /// # Errors
    /// As [`Sampler::choose`].
    pub fn choose_with(
        &mut self,
        state: &GrammarState,
        logits: &[f32],
        followed: &[Option<(Continuations, f32)>],
    ) -> Result<u16, EngineError> {
        if logits.len() != self.mask.len() {
            return Err(EngineError::Logits("not one for each token"));
        }
        // The input may have ended in another part than the answer so far.
        self.answer.part = state.part;
        self.grammar.mask(state, &mut self.mask);
        // No candidate is left only after constraints changed while notes sound: see `Constraints`.
        let time_bias = self.time_bias();
        for relaxation in 0..=MAX_RELAXATION {
            self.gather(logits, time_bias, relaxation);
            if !self.chooser.candidates.is_empty() {
                break;
            }
        }
        if self.is_cold() {
            if let Some((followed, weight)) = likeliest_source(followed)
                && let Some(id) = self.follow(followed, weight, time_bias)
            {
                return Ok(id);
            }
        } else {
            for (followed, weight) in followed.iter().flatten() {
                if let Some(id) = self.follow(followed, *weight, time_bias) {
                    return Ok(id);
                }
            }
        }
        let temperature_multiplier = self.temperature_multiplier();
        self.chooser.choose(
            &self.sampling,
            temperature_multiplier,
            time_bias,
            &mut self.rng,
        )
    }

    /// Whether the likeliest token is always taken.
    fn is_cold(&self) -> bool {
        self.sampling.pitch_temperature <= 0.0 && self.sampling.rhythm_temperature <= 0.0
    }

    /// A candidate among the continuations, drawn by its share and taken with probability `weight`.
    fn follow(&mut self, followed: &Continuations, weight: f32, time_bias: f32) -> Option<u16> {
        let (which, whether) = match self.is_cold() {
            true => (0.0, 0.5),
            false => (self.rng.random::<f32>(), self.rng.random::<f32>()),
        };
        let candidates = &self.chooser.candidates;
        let possible = |&&(id, _): &&(u16, f32)| candidates.iter().any(|c| c.id == id);
        let shares = || followed.shares.iter().filter(possible);
        // Shares are sorted, so that temperature 0 takes the likeliest.
        let mut left = which * shares().map(|s| s.1).sum::<f32>();
        let drawn = shares().find(|(_, share)| {
            left -= share;
            left < 0.0
        });
        let &(id, _) = drawn.or_else(|| shares().next_back())?;
        let chosen = candidates.iter().find(|c| c.id == id)?;
        let alike = candidates.iter().filter(|c| c.group == chosen.group);
        let best = alike.map(|c| c.bias).fold(chosen.bias, f32::max);
        let against = match chosen.group {
            TokenGroup::Sound => time_bias.max(0.0),
            TokenGroup::Time => (-time_bias).max(0.0),
        };
        let against = against + self.owed_before(chosen.part);
        let intensity = self.loop_detector.intensity();
        let likely = weight * (1.0 - intensity) * (chosen.bias - best - against).exp();
        (whether < likely).then_some(id)
    }

    /// Greatest bias in nats of a part that is owed a note on this step and can have none after a token of
    /// `part`; `None` is a move in time. Parts follow each other in order.
    fn owed_before(&self, part: Option<Part>) -> f32 {
        let can_play = |own: Part| self.chooser.candidates.iter().any(|c| c.part == Some(own));
        Part::ALL
            .into_iter()
            .filter(|&own| part.is_none_or(|part| own < part) && can_play(own))
            .map(|own| self.owed[own.index()])
            .fold(0.0, f32::max)
    }

    /// Bias of moves in time from the density, in nats.
    fn time_bias(&mut self) -> f32 {
        self.compiled
            .density
            .map_or(0.0, |aim| self.density_controller.time_bias(aim))
    }

    /// Collects the candidates that the grammar's mask and the constraints allow, without the first
    /// `relaxation` constraints.
    fn gather(&mut self, logits: &[f32], time_bias: f32, relaxation: usize) {
        let relaxed;
        let compiled = match relaxation {
            0 => &self.compiled,
            _ => {
                relaxed = self.compiled.relaxed(relaxation);
                &relaxed
            }
        };
        let chords = &self.chords;
        let allowed_tokens = self.answer.allowed_tokens(compiled, chords, self.grid);
        self.chooser.candidates.clear();
        let ids = self.mask.iter().enumerate().filter(|m| *m.1);
        for (id, _) in ids {
            let (first, others) = match self.base_tokens.of(id) {
                [first, others @ ..] if allowed_tokens.allows(*first) => (*first, others),
                _ => continue,
            };
            let pull = |at: &AnswerState, token| match token {
                Token::Pitch(p) if at.part.is_pitched() => chords.bias(at.step, p),
                _ => 0.0,
            };
            let mut chord_bias = pull(&self.answer, first);
            if !others.is_empty() {
                let ahead = &mut self.ahead;
                ahead.copy(&self.answer);
                ahead.read(first, self.grid);
                let fits = others.iter().all(|&token| {
                    let allowed = ahead.allowed_tokens(compiled, chords, self.grid);
                    let allowed = allowed.allows(token);
                    chord_bias += pull(ahead, token);
                    ahead.read(token, self.grid);
                    allowed
                });
                if !fits {
                    continue;
                }
            }
            let (group, bias) = match first {
                Token::Pitch(_)
                    if !self.answer.part.is_pitched() || !compiled.limits(self.answer.part) =>
                {
                    (TokenGroup::Sound, 0.0)
                }
                Token::Pitch(p) => (TokenGroup::Sound, compiled.register[usize::from(p & 127)]),
                Token::Duration(d) if self.answer.expected == Expected::Move => {
                    // Above the target density, longer moves are likelier: `time_bias` for each doubling.
                    let octaves = (f32::from(d.max(1)) / self.grid.beat as f32).log2();
                    (TokenGroup::Time, time_bias * octaves.clamp(-3.0, 3.0))
                }
                Token::Duration(_) | Token::Separator => (TokenGroup::Time, 0.0),
                _ => (TokenGroup::Sound, 0.0),
            };
            let part = match first {
                Token::Part(part) => Some(part),
                Token::Pitch(_) | Token::Velocity(_) => Some(self.answer.part),
                _ => None,
            };
            self.chooser.candidates.push(Candidate {
                id: id as u16,
                group,
                logit: logits[id],
                bias: bias + chord_bias,
                part,
            });
        }
        // The last first: on a step, parts follow each other in order.
        for part in Part::ALL.into_iter().rev() {
            let owed = self.part_entrance.bias(part, compiled.owed);
            self.owed[part.index()] = owed;
            if owed > 0.0 {
                self.chooser.favour(part, owed);
            }
        }
    }

    /// Reports a generated base token.
    pub fn read(&mut self, token: Token) {
        let part = self.answer.part;
        // Imagined notes do not count for the density.
        let counts = self.compiled.limits(part);
        match (token, self.answer.expected) {
            (Token::Duration(d), Expected::Move) => {
                self.density_controller
                    .pass(f32::from(d) / self.grid.beat as f32);
            }
            (Token::Duration(_), _) if counts => self.density_controller.note(),
            (Token::Pitch(_), _) if counts && !part.is_pitched() => {
                self.density_controller.note();
            }
            _ => {}
        }
        let step = self.answer.step;
        match (token, self.answer.expected) {
            (Token::Duration(length), Expected::Length) => {
                self.part_entrance.note(part, step + u32::from(length));
            }
            (Token::Pitch(_), _) if !part.is_pitched() => self.part_entrance.note(part, step),
            _ => {}
        }
        self.answer.read(token, self.grid);
        self.part_entrance.pass(self.answer.step);
        // Velocities do not count for loop detection.
        match token {
            Token::Pitch(p) => self.loop_detector.push(u32::from(p)),
            Token::Separator => self.loop_detector.push(128),
            Token::Duration(d) => self.loop_detector.push(129 + u32::from(d)),
            Token::Part(part) => self.loop_detector.push(PARTS + part.index() as u32),
            _ => {}
        }
    }
}

/// The source that is taken most often, and how often it is taken where either it or the network is.
fn likeliest_source(followed: &[Option<(Continuations, f32)>]) -> Option<(&Continuations, f32)> {
    let mut left = 1.0;
    let mut likeliest: Option<(&Continuations, f32)> = None;
    for (continuations, weight) in followed.iter().flatten() {
        let share = left * weight;
        left -= share;
        if likeliest.is_none_or(|(_, largest)| share > largest) {
            likeliest = Some((continuations, share));
        }
    }
    let (continuations, share) = likeliest?;
    (share > 0.0).then(|| (continuations, share / (share + left.max(0.0))))
}
