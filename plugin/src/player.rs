//! The engine as a [`Player`], and the one model all instances share. Owned by the composer
//! thread.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use continuo_engine::{Composer, EngineError, Model, ModelOptions, Runtime};
use continuo_score::{Note, Score};

use crate::editor_link::{ModelInfo, ModelState, Snapshot};
use crate::messages::Settings;
use crate::report::Report;
use crate::resources::{self, Resources};
use crate::session::{LookBack, Player};

/// One instance's composer.
pub struct EnginePlayer {
    model: Arc<Model>,
    composer: Composer,
}

impl EnginePlayer {
    /// An empty memory over the shared weights, which reads until `leaving` is up.
    pub fn new(model: Arc<Model>, leaving: Arc<AtomicBool>) -> Self {
        let mut composer = Composer::new(model.clone());
        composer.set_stop(leaving);
        Self { model, composer }
    }

    /// Fills in what the engine knows.
    pub fn show(&self, snapshot: &mut Snapshot) {
        snapshot.model = ModelState::Ready(ModelInfo {
            name: self.model.manifest().name.clone(),
            variant: self.model.variant().to_string(),
            device: self.model.device().to_string(),
            directory: None,
        });
        let stats = self.composer.stats();
        snapshot.memory.tokens = self.composer.tokens();
        snapshot.health.ms_per_token = stats.quantile(0.5);
        snapshot.health.ms_per_token_p95 = stats.quantile(0.95);
    }

    /// The same, for the report.
    pub fn report(&self, report: &mut Report) {
        report.model = Some(self.model.manifest().name.clone());
        report.variant = Some(self.model.variant().to_string());
        report.device = Some(self.model.device().to_string());
        let stats = self.composer.stats();
        report.tokens = stats.tokens();
        report.ms_per_token_median = stats.quantile(0.5);
        report.ms_per_token_p95 = stats.quantile(0.95);
    }
}

impl Player for EnginePlayer {
    type Error = EngineError;

    fn steps_per_beat(&self) -> u32 {
        self.model.vocabulary().steps_per_beat
    }

    fn listen(&mut self, score: &Score) -> Result<(), EngineError> {
        self.composer.listen(score)
    }

    fn answer(
        &mut self,
        at: u32,
        settings: &Settings,
        seed: u64,
        own: &[Note],
    ) -> Result<(), EngineError> {
        self.composer
            .answer_after(at, &settings.sampling, seed, own)
    }

    fn looks_back(&self, steps: Range<u32>) -> LookBack {
        let mut back = LookBack::default();
        let recent = self.composer.recollections().rev();
        let within = |step: u32| steps.contains(&step);
        let mut tokens = 0;
        for recalled in recent.filter(|r| within(r.step)) {
            for &(bar, share) in &recalled.bars {
                *back.bars.entry(bar).or_default() += share;
            }
            back.learned += recalled.learned;
            tokens += 1;
        }
        let tokens = tokens.max(1) as f32;
        back.bars.values_mut().for_each(|share| *share /= tokens);
        back.learned /= tokens;
        back
    }

    fn tune(&mut self, settings: &Settings) {
        self.composer.tune(&settings.sampling);
        self.composer.set_recall(settings.recall);
        self.composer.set_reach(settings.reach);
    }

    fn play_until(&mut self, until: u32) -> Result<Vec<Note>, EngineError> {
        self.composer.play_until(until)
    }

    fn learns(&self) -> bool {
        self.model.learns()
    }

    fn learn(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        let vocabulary = self.model.vocabulary();
        let pieces: Vec<Score> = pieces.iter().map(|p| p.quantise(vocabulary)).collect();
        self.composer.begin_learning(&pieces)
    }

    fn forget_learned(&mut self) -> Result<(), EngineError> {
        self.composer.forget_learned()
    }

    fn read_on(&mut self) -> Result<Option<(usize, usize)>, EngineError> {
        let progress = self.composer.read_on()?;
        Ok(progress.map(|progress| (progress.done, progress.all)))
    }
}

/// The models in use, each loaded once. Owned by the composer thread.
#[derive(Default)]
pub struct Models(Vec<(Option<PathBuf>, Arc<Model>)>);

impl Models {
    /// The model in the directory `choice`, or the default one, for the plugin whose library is
    /// `own`. The first time takes a second or more.
    pub fn get(&mut self, own: Option<&Path>, choice: Option<&Path>) -> Result<Arc<Model>, String> {
        if let Some((_, model)) = self.0.iter().find(|(at, _)| at.as_deref() == choice) {
            return Ok(model.clone());
        }
        let model = load(own, choice)?;
        self.0.push((choice.map(Path::to_path_buf), model.clone()));
        Ok(model)
    }

    /// Forgets those that no instance plays with any more.
    pub fn tidy(&mut self) {
        self.0.retain(|(_, model)| Arc::strong_count(model) > 1);
    }
}

fn load(own: Option<&Path>, choice: Option<&Path>) -> Result<Arc<Model>, String> {
    let Resources { library, model } = resources::find(own, choice)?;
    resources::stay_loaded(own);
    let runtime = Runtime::load(&library).map_err(|e| e.to_string())?;
    Model::load(runtime, &model, &ModelOptions::default()).map_err(|e| e.to_string())
}
