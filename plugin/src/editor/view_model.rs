//! From an instance's snapshot to the [`View`]. Window thread.

use std::sync::Arc;

use super::view::{ActionState, Status, View};
use crate::action::Action;
use continuo_accompaniment::bar_grid::BarGrid;
use continuo_accompaniment::choices::{Mode, Variation};
use continuo_accompaniment::midi_export::ExportPart;
use continuo_accompaniment::snapshot::{ModelState, RecalledBar, Snapshot, UndoStep};
use continuo_accompaniment::trigger::Trigger;

/// Smallest share of the retrieval, and of the strongest bar, that is shown.
const SHOWN_SHARE: f32 = 0.25;

/// Limit of recalled bars shown.
const MAX_RECALLED: usize = 6;

impl View {
    /// Takes over a snapshot.
    pub fn show(&mut self, snapshot: Arc<Snapshot>) {
        self.playing = snapshot.time.playing;
        self.playhead = snapshot.time.beat;
        // A key, a jump or a stop cancels every note that does not sound yet, in every mode.
        self.committed_to = snapshot.time.beat;
        self.rebuilding = snapshot.memory.behind;
        self.grid = BarGrid::of(&snapshot);
        self.recalled = strongest(&snapshot.recalled);
        self.snapshot = snapshot;
    }

    /// State of the instance.
    pub fn status(&self) -> Status {
        match self.snapshot.model {
            ModelState::Loading => Status::Loading,
            ModelState::Failed => Status::Failed,
            ModelState::Ready(_) if self.snapshot.mode == Some(Mode::Off) => Status::Off,
            ModelState::Ready(_) if !self.playing => Status::Stopped,
            ModelState::Ready(_) if self.snapshot.answering => Status::Playing,
            ModelState::Ready(_) => Status::Listening,
        }
    }

    /// Whether learned files are among what the long memory retrieves.
    pub fn recalls_learned(&self) -> bool {
        self.snapshot.recalled_learned > SHOWN_SHARE
    }

    /// One sentence on the next undo or redo, if there is one.
    pub fn undo_help(&self, trigger: Trigger) -> Option<&'static str> {
        let history = &self.snapshot.history;
        match trigger {
            Trigger::Undo => history.undo.map(|step| undo_text(step, true)),
            Trigger::Redo => history.redo.map(|step| undo_text(step, false)),
            Trigger::Panic | Trigger::Regenerate | Trigger::Clear => None,
        }
    }
}

/// The actions beside those that are parameters, and whether they have an effect now.
pub fn action_states(snapshot: &Snapshot) -> Vec<ActionState> {
    let ready = matches!(snapshot.model, ModelState::Ready(_));
    let played = snapshot.notes.iter().any(|note| note.generated);
    let heard = snapshot.notes.iter().any(|note| !note.generated);
    let learned = &snapshot.learning;
    let remembers = snapshot.memory.notes > 0 || !learned.pieces.is_empty();
    let is_default = snapshot
        .model
        .info()
        .is_some_and(|info| info.directory.is_none());
    let actions = [
        (Trigger::Panic.into(), true),
        (Trigger::Regenerate.into(), ready && snapshot.answering),
        (Trigger::Clear.into(), remembers),
        (Trigger::Undo.into(), snapshot.history.undo.is_some()),
        (Trigger::Redo.into(), snapshot.history.redo.is_some()),
        (Action::SaveMidi(ExportPart::Generated, None), played),
        (Action::SaveMidi(ExportPart::Input, None), heard),
        (Action::SaveMidi(ExportPart::Both, None), played || heard),
        (Action::SaveMusicXml(ExportPart::Generated), played),
        (Action::SaveMusicXml(ExportPart::Input), heard),
        (Action::SaveMusicXml(ExportPart::Both), played || heard),
        (Action::LoadModel, true),
        (Action::DefaultModel, !is_default),
        (Action::LearnFiles, learned.possible),
        (Action::LearnFolder, learned.possible),
        (Action::Unlearn, !learned.pieces.is_empty()),
    ];
    let state = |(action, enabled)| ActionState {
        action,
        enabled,
        on: false,
    };
    actions.into_iter().map(state).collect()
}

/// The bars with the largest shares, relative to the largest.
fn strongest(bars: &[RecalledBar]) -> Vec<RecalledBar> {
    let largest = bars.iter().map(|bar| bar.share).fold(0.0, f32::max);
    if largest <= 0.0 {
        return Vec::new();
    }
    let strong = bars.iter().filter(|bar| bar.share > SHOWN_SHARE * largest);
    let mut strong: Vec<_> = strong.copied().collect();
    strong.sort_by(|a, b| b.share.total_cmp(&a.share));
    strong.truncate(MAX_RECALLED);
    for bar in &mut strong {
        bar.share /= largest;
    }
    strong
}

/// The effect of a step of undo (`back`) or redo.
fn undo_text(step: UndoStep, back: bool) -> &'static str {
    match (step, back) {
        (UndoStep::Regenerate, true) => "Back to the answer before this bar was regenerated",
        (UndoStep::Regenerate, false) => "Forth to the regenerated bar",
        (UndoStep::Infill, true) => "Back to the notes before these bars were regenerated",
        (UndoStep::Infill, false) => "Forth to the regenerated bars",
        (UndoStep::Clear, true) => "Remember again what was cleared",
        (UndoStep::Clear, false) => "Clear memory again",
        (UndoStep::PlayOver, true) => "Remember again what was played over",
        (UndoStep::PlayOver, false) => "Forget again what was played over",
        (UndoStep::Unlearn, true) => "Learn again what was forgotten",
        (UndoStep::Unlearn, false) => "Forget again what was learned",
        (UndoStep::Vary(Variation::A), _) => "Variation A",
        (UndoStep::Vary(Variation::B), _) => "Variation B",
        (UndoStep::Vary(Variation::C), _) => "Variation C",
        (UndoStep::Vary(Variation::D), _) => "Variation D",
        (UndoStep::Freeze(true), true) => "Freeze the same bars again",
        (UndoStep::Freeze(true), false) => "Freeze again",
        (UndoStep::Freeze(false), _) => "Do not freeze",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_snapshot_shows_as_loading_without_tempo_and_bars() {
        let mut view = View::default();
        view.show(Arc::default());
        assert_eq!(view.status(), Status::Loading);
        assert!(view.grid.sections().is_empty() && view.tempo().is_none());
    }

    #[test]
    fn bars_recalled_most_are_shown() {
        let bar = |number: u32, share| RecalledBar {
            from: f64::from(4 * number),
            to: f64::from(4 * number + 4),
            share,
        };
        assert!(strongest(&[]).is_empty() && strongest(&[bar(1, 0.0)]).is_empty());
        let bars: Vec<_> = (0..20)
            .map(|n| bar(n, [0.1, 0.01, 0.2][n as usize % 3]))
            .collect();
        let shown = strongest(&bars);
        assert_eq!(shown.len(), MAX_RECALLED);
        assert!(shown.iter().all(|r| r.share == 1.0 && r.from % 12.0 == 8.0));
        let shown = strongest(&bars[..3]);
        let shares: Vec<_> = shown.iter().map(|r| (r.from, r.share)).collect();
        assert_eq!(shares, [(8.0, 1.0), (0.0, 0.5)]);
    }
}
