//! The engine as a [`Player`], and the models that all instances share. Owned by the composer
//! thread.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use continuo_engine::composer::PendingWork;
use continuo_engine::{Composer, EngineError, Infill, Model, ModelOptions, Runtime};
use continuo_score::{ChordPlan, Note, Score};

use crate::health_report::HealthReport;
use crate::resources::{self, Resources};
use crate::workers::{PendingResult, Workers};
use continuo_accompaniment::messages::Settings;
use continuo_accompaniment::session::{Attribution, Player};
use continuo_accompaniment::snapshot::{ModelInfo, ModelState, Snapshot};

/// One instance's composer; without one while the model loads, or if there is none.
pub struct EnginePlayer {
    engine: Option<(Arc<Model>, Composer)>,
    steps_per_beat: u32,
    /// A composer that fills bars, and the infill that it begins once it has read what is before.
    filling: Option<(Box<Composer>, Option<Infill>)>,
    leaving: Option<Arc<AtomicBool>>,
}

impl EnginePlayer {
    /// A composer with empty memory; it stops reading once `leaving` is set.
    pub fn new(model: Arc<Model>, leaving: Arc<AtomicBool>) -> Self {
        let mut composer = Composer::new(model.clone());
        composer.set_stop(leaving.clone());
        Self {
            steps_per_beat: model.vocabulary().steps_per_beat,
            engine: Some((model, composer)),
            filling: None,
            leaving: Some(leaving),
        }
    }

    /// A player without a model, on a grid of `steps_per_beat` steps per quarter note.
    pub fn without_model(steps_per_beat: u32) -> Self {
        Self {
            engine: None,
            steps_per_beat,
            filling: None,
            leaving: None,
        }
    }

    /// Fills in model, memory size and timing.
    pub fn fill_snapshot(&self, snapshot: &mut Snapshot) {
        let Some((model, composer)) = &self.engine else {
            return;
        };
        snapshot.model = ModelState::Ready(ModelInfo {
            name: model.manifest().name.clone(),
            variant: model.variant().to_string(),
            device: model.device().to_string(),
            directory: None,
            has_parts: model.vocabulary().has_parts(),
        });
        let stats = composer.stats();
        snapshot.memory.tokens = composer.tokens();
        snapshot.health.ms_per_token = stats.quantile(0.5);
        snapshot.health.ms_per_token_p95 = stats.quantile(0.95);
    }

    /// Fills in model and timing.
    pub fn fill_report(&self, report: &mut HealthReport) {
        let Some((model, composer)) = &self.engine else {
            return;
        };
        report.model = Some(model.manifest().name.clone());
        report.variant = Some(model.variant().to_string());
        report.device = Some(model.device().to_string());
        let stats = composer.stats();
        report.tokens = stats.tokens();
        report.ms_per_token_median = stats.quantile(0.5);
        report.ms_per_token_p95 = stats.quantile(0.95);
    }

    fn composer(&mut self) -> Option<&mut Composer> {
        self.engine.as_mut().map(|(_, composer)| composer)
    }
}

impl Player for EnginePlayer {
    type Error = EngineError;

    fn steps_per_beat(&self) -> u32 {
        self.steps_per_beat
    }

    fn is_ready(&self) -> bool {
        self.engine.is_some()
    }

    fn has_parts(&self) -> bool {
        let engine = self.engine.as_ref();
        engine.is_some_and(|(model, _)| model.vocabulary().has_parts())
    }

    fn listen(&mut self, score: &Score) -> Result<(), EngineError> {
        let composer = self.composer();
        composer.map_or(Ok(()), |composer| composer.begin_listening(score))
    }

    fn answer(
        &mut self,
        at: u32,
        settings: &Settings,
        seed: u64,
        own: &[Note],
    ) -> Result<(), EngineError> {
        self.composer().map_or(Ok(()), |composer| {
            composer.begin_answer(at, &settings.sampling, seed, own)
        })
    }

    fn follow_chords(&mut self, plan: ChordPlan) {
        if let Some(composer) = self.composer() {
            composer.follow_chords(plan);
        }
    }

    fn attribution(&self, steps: Range<u32>) -> Attribution {
        let mut back = Attribution::default();
        let Some((_, composer)) = &self.engine else {
            return back;
        };
        let recent = composer.attributions().rev();
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
        if let Some(composer) = self.composer() {
            composer.tune(&settings.sampling);
            composer.set_recall(settings.recall);
            composer.set_reach(settings.reach);
        }
    }

    fn poll_notes(&mut self, until: u32) -> Result<Option<Vec<Note>>, EngineError> {
        let composer = self.composer();
        composer.map_or(Ok(None), |composer| composer.poll_notes(until))
    }

    fn begin_infill(
        &mut self,
        before: &Score,
        settings: &Settings,
        infill: Infill,
    ) -> Result<(), EngineError> {
        let Some((model, _)) = &self.engine else {
            return Ok(());
        };
        let mut composer = Box::new(Composer::new(model.clone()));
        if let Some(leaving) = &self.leaving {
            composer.set_stop(leaving.clone());
        }
        composer.set_recall(settings.recall);
        composer.set_reach(settings.reach);
        composer.begin_listening(before)?;
        self.filling = Some((composer, Some(infill)));
        Ok(())
    }

    fn poll_infill(&mut self) -> Result<Option<Vec<Note>>, EngineError> {
        let Some((composer, waiting)) = &mut self.filling else {
            return Ok(Some(Vec::new()));
        };
        if waiting.is_some() && composer.pending_work().is_some() {
            composer.poll()?;
            return Ok(None);
        }
        if let Some(infill) = waiting.take() {
            composer.begin_infill(infill);
        }
        let infilled = composer.poll_infill()?;
        if infilled.is_some() {
            self.filling = None;
        }
        Ok(infilled.map(|infilled| infilled.notes))
    }

    fn pending_work(&self) -> Option<PendingWork> {
        self.engine
            .as_ref()
            .and_then(|(_, composer)| composer.pending_work())
    }

    fn poll(&mut self) -> Result<(), EngineError> {
        let composer = self.composer();
        composer.map_or(Ok(()), |composer| composer.poll().map(drop))
    }

    fn can_learn(&self) -> bool {
        self.engine
            .as_ref()
            .is_some_and(|(model, _)| model.can_learn())
    }

    fn learn(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        let Some((model, composer)) = &mut self.engine else {
            return Ok(());
        };
        let vocabulary = model.vocabulary();
        let pieces: Vec<Score> = pieces.iter().map(|p| p.quantise(vocabulary)).collect();
        composer.begin_learning(&pieces)
    }

    fn forget_learned(&mut self) -> Result<(), EngineError> {
        if let Some(composer) = self.composer() {
            composer.begin_forgetting();
        }
        Ok(())
    }

    fn learning(&self) -> Option<(usize, usize)> {
        let progress = self.engine.as_ref()?.1.learning()?;
        Some((progress.done, progress.all))
    }
}

/// A model that may still load, or the reason of its failure.
pub type PendingModel = PendingResult<Result<Arc<Model>, String>>;

/// The models in use, each loaded once. Owned by the composer thread.
#[derive(Default)]
pub struct Models(Vec<(Option<PathBuf>, PendingModel)>);

impl Models {
    /// The model in the directory `choice`, or the default one; `own` is the plugin's library. A
    /// worker thread loads it the first time, which takes a second or more.
    pub fn get(
        &mut self,
        own: Option<&Path>,
        choice: Option<&Path>,
        workers: &mut Workers,
    ) -> PendingModel {
        self.tidy();
        let choice = choice.map(Path::to_path_buf);
        if let Some((_, model)) = self.0.iter().find(|(at, _)| *at == choice) {
            return model.clone();
        }
        let (own, at) = (own.map(Path::to_path_buf), choice.clone());
        let model = workers.spawn(move || load(own.as_deref(), at.as_deref()));
        self.0.push((choice, model.clone()));
        model
    }

    /// Drops models that no instance uses, and failed ones, so that the next request tries again.
    pub fn tidy(&mut self) {
        self.0.retain(|(_, model)| match model.get() {
            Some(Ok(Ok(weights))) => model.is_shared() || Arc::strong_count(weights) > 1,
            Some(_) => false,
            None => true,
        });
    }
}

fn load(own: Option<&Path>, choice: Option<&Path>) -> Result<Arc<Model>, String> {
    let Resources { library, model } = resources::find(own, choice)?;
    resources::stay_loaded(own);
    let runtime = Runtime::load(&library).map_err(|e| e.to_string())?;
    Model::load(runtime, &model, &ModelOptions::default()).map_err(|e| e.to_string())
}
