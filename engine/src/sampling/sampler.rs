//! One voice's sampler: constraints, what it played, and the draw.

use continuo_score::ngram::Continuations;
use continuo_score::{Grammar, GrammarState, Note, Scale, Score, Token, TokenSequence, Vocabulary};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Sampling;
use super::choose::{About, Candidate, Chooser};
use super::constraints::{Constraints, Rules, YIELDS};
use super::pace::Pace;
use super::repeats::Repeats;
use super::voice::{Grid, Voice, Waits};
use crate::error::EngineError;

/// Chooses the tokens of an answer. Follows what is played by [`Sampler::read`], so that it
/// knows what sounds, how dense it is, and whether it circles.
///
/// What it chooses depends on the logits, the seed, the settings and what it was told, and on
/// nothing else. Owned by the thread of its composer.
#[derive(Clone, Debug)]
pub struct Sampler {
    vocabulary: Vocabulary,
    grammar: Grammar,
    spelling: Spelling,
    grid: Grid,
    sampling: Sampling,
    heard: Option<Scale>,
    rules: Rules,
    rng: ChaCha8Rng,
    voice: Voice,
    /// Where a token of several base tokens would lead.
    ahead: Voice,
    pace: Pace,
    repeats: Repeats,
    chooser: Chooser,
    /// Whether the grammar allows each id.
    mask: Vec<bool>,
}

/// The base tokens of every id.
#[derive(Clone, Debug)]
struct Spelling {
    tokens: Vec<Token>,
    /// Where each id's begin, and the end of the last.
    bounds: Vec<u32>,
}

impl Spelling {
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
    /// A sampler for one vocabulary, as if an answer to nothing began at step 0.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let sampling = Sampling::default();
        Self {
            grammar: Grammar::new(vocabulary),
            spelling: Spelling::new(vocabulary),
            grid: Grid::new(vocabulary),
            rules: Rules::new(&sampling.constraints, None, vocabulary),
            sampling,
            heard: None,
            rng: ChaCha8Rng::seed_from_u64(0),
            voice: Voice::default(),
            ahead: Voice::default(),
            pace: Pace::default(),
            repeats: Repeats::default(),
            chooser: Chooser::default(),
            mask: vec![false; vocabulary.size()],
            vocabulary: vocabulary.clone(),
        }
    }

    /// Begins an answer at step `at`, or where the constraints first let a note begin after
    /// that: gives that step, at which sampling must begin.
    ///
    /// `heard` is the scale of what was heard. `own` are the notes it played itself before
    /// `at`, by start: they count as sounding, for the density's upper bound and for circling,
    /// as if they belonged to this answer. Without any the answer begins at `at`.
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
        self.repeats.clear();
        self.tune(sampling);
        // What came before its first note is not its own.
        let from = own.first().map_or(at, |n| n.start.min(at));
        self.voice.start(from);
        let mut score = Score::new(self.vocabulary.steps_per_beat);
        score.notes = own.to_vec();
        score.notes.retain(|n| (from..at).contains(&n.start));
        score.notes.iter_mut().for_each(|n| n.start -= from);
        score.normalise();
        let mut spelt = TokenSequence::encode_open(&score, &self.vocabulary);
        spelt.move_to(at - from, &self.vocabulary);
        spelt.tokens.iter().for_each(|t| self.read(t.token));
        self.pace = Pace::default();
        let begins = self.voice.first_room(at, &self.rules, self.grid);
        self.voice.wait(begins);
        begins
    }

    /// Other settings from the next token on; the seed goes on where it is.
    pub fn tune(&mut self, sampling: &Sampling) {
        self.sampling = *sampling;
        self.rules = Rules::new(&sampling.constraints, self.heard, &self.vocabulary);
    }

    /// The musician's constraints now.
    pub fn constraints(&self) -> &Constraints {
        &self.sampling.constraints
    }

    /// What circling has made the temperatures to be multiplied with: 1 or more.
    pub fn warmth(&self) -> f32 {
        let warmest = self.sampling.warmest;
        match warmest > 1.0 && warmest.is_finite() {
            true => 1.0 + (warmest - 1.0) * self.repeats.heat(),
            false => 1.0,
        }
    }

    /// Chooses the token that follows `state`, one of those the grammar allows there; never
    /// the end of the piece.
    ///
    /// `logits` has one entry an id, in nats. Fails on logits that are not numbers or
    /// infinitely large among the tokens that are possible here. Allocates nothing once its
    /// buffers have grown.
    pub fn choose(&mut self, state: &GrammarState, logits: &[f32]) -> Result<u16, EngineError> {
        self.choose_with(state, logits, &[])
    }

    /// The same, where what `followed` may be taken instead, the first of them as likely as the
    /// weight beside it says, 0 to 1, the next likewise where that was not taken, and so on: less
    /// the more it circles, and the more a register or a density is against it.
    /// Temperatures and nucleus are for the network's part alone; were they for the mixture, what
    /// is likely would become certain, and no passage that came back would ever be left.
    pub fn choose_with(
        &mut self,
        state: &GrammarState,
        logits: &[f32],
        followed: &[Option<(Continuations, f32)>],
    ) -> Result<u16, EngineError> {
        if logits.len() != self.mask.len() {
            return Err(EngineError::Logits("not one for each token"));
        }
        self.grammar.mask(state, &mut self.mask);
        // Some always remain, but where constraints change while notes sound: see Constraints.
        let lean = self.lean();
        for yields in 0..=YIELDS {
            self.gather(logits, lean, yields);
            if !self.chooser.candidates.is_empty() {
                break;
            }
        }
        for (followed, weight) in followed.iter().flatten() {
            if let Some(id) = self.follow(followed, *weight, lean) {
                return Ok(id);
            }
        }
        let warmth = self.warmth();
        self.chooser
            .choose(&self.sampling, warmth, lean, &mut self.rng)
    }

    /// One of the candidates that followed, or none.
    fn follow(&mut self, followed: &Continuations, weight: f32, lean: f32) -> Option<u16> {
        let cold =
            self.sampling.pitch_temperature <= 0.0 && self.sampling.rhythm_temperature <= 0.0;
        let (which, whether) = match cold {
            true => (0.0, 0.5),
            false => (self.rng.random::<f32>(), self.rng.random::<f32>()),
        };
        let candidates = &self.chooser.candidates;
        let possible = |&&(id, _): &&(u16, f32)| candidates.iter().any(|c| c.id == id);
        let shares = || followed.shares.iter().filter(possible);
        // The likeliest comes first, which is what is taken where nothing is left to chance.
        let mut left = which * shares().map(|s| s.1).sum::<f32>();
        let drawn = shares().find(|(_, share)| {
            left -= share;
            left < 0.0
        });
        let &(id, _) = drawn.or_else(|| shares().next_back())?;
        let chosen = candidates.iter().find(|c| c.id == id)?;
        let alike = candidates.iter().filter(|c| c.about == chosen.about);
        let best = alike.map(|c| c.bias).fold(chosen.bias, f32::max);
        let against = match chosen.about {
            About::Sound => lean.max(0.0),
            About::Time => (-lean).max(0.0),
        };
        let heat = self.repeats.heat();
        let likely = weight * (1.0 - heat) * (chosen.bias - best - against).exp();
        (whether < likely).then_some(id)
    }

    /// Nats for time to move on.
    fn lean(&mut self) -> f32 {
        self.rules.density.map_or(0.0, |aim| self.pace.lean(aim))
    }

    /// Collects the candidates under the grammar's mask and the rules, the first `yields` of
    /// them taken away.
    fn gather(&mut self, logits: &[f32], lean: f32, yields: usize) {
        let relaxed;
        let rules = match yields {
            0 => &self.rules,
            _ => {
                relaxed = self.rules.yielding(yields);
                &relaxed
            }
        };
        let view = self.voice.view(rules, self.grid);
        self.chooser.candidates.clear();
        let ids = self.mask.iter().enumerate().filter(|m| *m.1);
        for (id, _) in ids {
            let (first, others) = match self.spelling.of(id) {
                [first, others @ ..] if view.allows(*first) => (*first, others),
                _ => continue,
            };
            if !others.is_empty() {
                let ahead = &mut self.ahead;
                ahead.copy(&self.voice);
                ahead.read(first, self.grid);
                let fits = others.iter().all(|&token| {
                    let allowed = ahead.view(rules, self.grid).allows(token);
                    ahead.read(token, self.grid);
                    allowed
                });
                if !fits {
                    continue;
                }
            }
            let (about, bias) = match first {
                Token::Pitch(p) => (About::Sound, rules.register[usize::from(p & 127)]),
                Token::Duration(d) if self.voice.waits == Waits::Move => {
                    // Too dense: longer moves, by as many nats for each octave of time.
                    let octaves = (f32::from(d.max(1)) / self.grid.beat as f32).log2();
                    (About::Time, lean * octaves.clamp(-3.0, 3.0))
                }
                Token::Duration(_) | Token::Separator => (About::Time, 0.0),
                _ => (About::Sound, 0.0),
            };
            self.chooser.candidates.push(Candidate {
                id: id as u16,
                about,
                logit: logits[id],
                bias,
            });
        }
    }

    /// One more base token was played.
    pub fn read(&mut self, token: Token) {
        match (token, self.voice.waits) {
            (Token::Duration(d), Waits::Move) => {
                self.pace.pass(f32::from(d) / self.grid.beat as f32);
            }
            (Token::Duration(_), _) => self.pace.note(),
            _ => {}
        }
        self.voice.read(token, self.grid);
        // Another velocity is not another tune.
        match token {
            Token::Pitch(p) => self.repeats.push(u32::from(p)),
            Token::Separator => self.repeats.push(128),
            Token::Duration(d) => self.repeats.push(129 + u32::from(d)),
            _ => {}
        }
    }
}
