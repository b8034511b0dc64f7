//! Models and saved states on their way into an instance. Composer thread.

use continuo_engine::EngineError;
use nice_plug::prelude::nice_error;

use super::{Instance, SharedResources};
use crate::player::EnginePlayer;
use crate::workers::PendingResult;
use continuo_accompaniment::session::Player;

impl Instance {
    pub(super) fn ask_for_model(&mut self, resources: &mut SharedResources) {
        let (own_library, choice) = (self.own_library.as_deref(), self.model.as_deref());
        self.pending_model = Some(resources.models.get(
            own_library,
            choice,
            &mut resources.workers,
        ));
        self.uses_default = false;
    }

    /// Applies a loaded state, and loads another model if the state names one.
    pub(super) fn apply_loaded_state(
        &mut self,
        resources: &mut SharedResources,
    ) -> Result<(), EngineError> {
        let choice = self.state.model();
        let Some((saved, past)) = self.state.take() else {
            return Ok(());
        };
        self.epochs.session = past;
        // A model that failed is tried again: its folder may have been mended.
        if choice != self.model || self.problem.is_some() || self.uses_default {
            let without_model = EnginePlayer::without_model(self.session.player().steps_per_beat());
            self.session.replace_player(without_model)?;
            resources.models.tidy();
            self.model = choice;
            // Another model may work.
            if self.problem.take().is_some() {
                self.shared.barrier.reopen(self.block);
            }
            self.ask_for_model(resources);
        }
        let lost = self.session.restore(&saved)?;
        if lost > 0 {
            let problem = format!("{lost} notes of the project's memory made no sense");
            self.state.add_problem(problem);
        }
        Ok(())
    }

    /// Applies a loaded model; where it failed, loads the default one.
    pub(super) fn apply_loaded_model(
        &mut self,
        resources: &mut SharedResources,
    ) -> Result<(), EngineError> {
        let Some(result) = self.pending_model.as_ref().and_then(PendingResult::get) else {
            return Ok(());
        };
        let result = match result {
            Ok(Ok(model)) => Ok(model.clone()),
            Ok(Err(problem)) => Err(problem.clone()),
            Err(problem) => Err(problem.to_string()),
        };
        self.pending_model = None;
        match result {
            Ok(model) => {
                let player = EnginePlayer::new(model, self.shared.leaving.clone());
                self.session.replace_player(player)
            }
            Err(problem) if self.model.is_some() && !self.uses_default => {
                let problem = format!("{problem}; the default model plays instead");
                nice_error!("Continuo: {problem}");
                self.state.add_problem(problem);
                self.uses_default = true;
                let own_library = self.own_library.as_deref();
                self.pending_model = Some(resources.models.get(
                    own_library,
                    None,
                    &mut resources.workers,
                ));
                Ok(())
            }
            Err(problem) => {
                self.fail(problem);
                Ok(())
            }
        }
    }
}
