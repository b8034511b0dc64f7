//! The window: what the instance says becomes a [`View`], and what hands do becomes the host's
//! gestures and the instance's commands. On the window's own thread, or the host's main one;
//! nothing here waits for the composer or the audio thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::editor::{ResizeHint, SizeConstraints};
use nice_plug::prelude::{Params, TrackInfo};
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{
    EguiEditor, EguiNiceSettings, Frame, Key, KeyCapture, NiceEguiApp, create_egui_editor,
};

use super::smooth_playhead::Clock;
use super::file_drop::Dropped;
use super::file_dialogs::{self, DialogAnswer, Dialogs, DialogEvent, DialogPurpose};
use super::param_binding::ParamBinding;
use super::seen;
use super::view::{Action, UiEvent, ExportPart, View};
use super::{UiState, SMALLEST, draw, theme};
use crate::editor_link::{EditorCommand, EditorLink, MidiExportRequest};
use crate::resources;

/// Between two frames while something moves.
const FRAME: Duration = Duration::from_micros(16_600);

/// How long the composer thread may take to answer: it may be loading a model.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long what came of an act stays on the screen.
const NOTICE: Duration = Duration::from_secs(8);

/// What is remembered flickers behind what is heard; longer than this it is news.
const BEHIND: Duration = Duration::from_secs(1);

/// The editor of an instance, for the host to open and close as it likes.
pub fn editor(params: Arc<dyn Params>, link: Arc<EditorLink>) -> Option<EguiEditor<Window>> {
    let mut resize = ResizeHint::RESIZABLE;
    let smallest = LogicalSize::new(SMALLEST.0, SMALLEST.1);
    resize.size_constraints = SizeConstraints::min_logical_size(smallest);
    let settings = EguiNiceSettings::new()
        .with_tile("Continuo")
        .with_resize_hint(resize);
    let (state, repaint) = (link.window.clone(), link.repaint.clone());
    create_egui_editor(state, repaint, settings, Window::new(params, link))
}

/// The window's contents; they outlive the window, so that it opens as it was closed.
pub struct Window {
    param_binding: ParamBinding,
    link: Arc<EditorLink>,
    ui_state: UiState,
    view: View,
    ui_events: Vec<UiEvent>,
    clock: Clock,
    dialogs: Dialogs,
    notice: Option<(String, Instant)>,
    /// Since when memory lags behind what was heard.
    behind: Option<Instant>,
    /// How many files were refused when it was last looked.
    refused: usize,
    host: Option<GuiContext>,
}

impl Window {
    fn new(params: Arc<dyn Params>, link: Arc<EditorLink>) -> Self {
        let param_binding = ParamBinding::new(params);
        let view = View {
            presets: param_binding.presets().to_vec(),
            ..View::default()
        };
        Self {
            param_binding,
            view,
            dialogs: Dialogs::new(link.repaint.clone()),
            link,
            ui_state: UiState::default(),
            ui_events: Vec::new(),
            clock: Clock::default(),
            notice: None,
            behind: None,
            refused: 0,
            host: None,
        }
    }

    /// The view of this moment.
    fn look(&mut self, seconds: f64) {
        let snapshot = self.link.look();
        view_model::see(&snapshot, &mut self.view);
        let tempo = if snapshot.time.playing {
            snapshot.time.tempo
        } else {
            0.0
        };
        self.view.roll.now = self.clock.show(seconds, snapshot.time.beat, tempo);
        if snapshot.time.playing && self.clock.stands() {
            view_model::stop(&mut self.view);
            self.view.roll.now = snapshot.time.beat;
        }
        self.behind = match self.behind {
            since if snapshot.memory.behind => since.or_else(|| Some(Instant::now())),
            _ => None,
        };
        self.view.health.memory.rebuilding = self.behind.is_some_and(|b| b.elapsed() > BEHIND);
        self.view.controls = self.param_binding.controls();
        let learned = &self.view.learning;
        if learned.refused.len() != self.refused {
            let newer = learned.refused.len() > self.refused;
            self.refused = learned.refused.len();
            if let Some(why) = learned.refused.last().filter(|_| newer) {
                self.tell(format!("Not learned: {why}"));
            }
        }
        self.view.action_states = self.param_binding.action_states();
        self.view.action_states.extend(view_model::action_states(&snapshot));
        self.notice.take_if(|(_, since)| since.elapsed() > NOTICE);
        self.view.notice = self.notice.as_ref().map(|(text, _)| text.clone());
    }

    fn tell(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), Instant::now()));
    }

    fn action(&mut self, action: &Action) {
        let command = match action {
            Action::Panic => EditorCommand::Panic,
            Action::Regenerate => EditorCommand::Regenerate,
            Action::Clear => EditorCommand::Clear,
            Action::Unlearn => EditorCommand::Unlearn,
            Action::Undo => EditorCommand::Undo,
            Action::Redo => EditorCommand::Redo,
            Action::Save(part, bars) => return self.dialogs.open(DialogPurpose::Save(*part, *bars)),
            Action::LoadModel => return self.dialogs.open(DialogPurpose::Model),
            Action::DefaultModel => return self.load(None),
            Action::LearnFiles => return self.dialogs.open(DialogPurpose::Learn),
            Action::LearnFolder => return self.dialogs.open(DialogPurpose::LearnFolder),
            // Parameters.
            Action::Freeze | Action::Vary(_) | Action::Preset(_) => return,
        };
        self.send(command);
        // The instance knows what it did, the host sets what is a parameter of it.
        let history = self.link.look().history;
        let step = match action {
            Action::Undo => history.undo,
            Action::Redo => history.redo,
            _ => None,
        };
        if let (Some(step), Some(host)) = (step, &self.host) {
            self.param_binding.step(step, host);
        }
    }

    fn send(&mut self, command: EditorCommand) {
        if !self.link.send(command) {
            self.tell("Too much was asked for at once; try again in a moment.");
        }
    }

    fn answered(&mut self, purpose: DialogPurpose, answer: DialogAnswer) {
        let paths = match answer {
            DialogAnswer::Chosen(paths) => paths,
            DialogAnswer::Nothing => return,
            DialogAnswer::Missing => return self.without_dialog(purpose),
        };
        match purpose {
            DialogPurpose::Learn | DialogPurpose::LearnFolder => self.send(EditorCommand::Learn(paths)),
            DialogPurpose::Save(part, bars) => {
                for path in paths {
                    self.save(path, part, bars);
                }
            }
            DialogPurpose::Model => self.load(paths.into_iter().next()),
        }
    }

    fn dropped(&mut self, paths: &[PathBuf]) {
        match Dropped::of(paths.to_vec()) {
            Dropped::Model(folder) => self.load(Some(folder)),
            Dropped::Music(paths) => self.send(EditorCommand::Learn(paths)),
        }
    }

    /// Asks the composer for the notes, and writes them on a thread that may wait.
    fn save(&mut self, path: PathBuf, part: ExportPart, bars: Option<u32>) {
        let (reply, notes) = crossbeam_channel::bounded(1);
        self.send(EditorCommand::Midi(MidiExportRequest { part, bars, reply }));
        self.dialogs
            .work(move || match notes.recv_timeout(PATIENCE) {
                Ok(Some(file)) => match file.write_file(&path) {
                    Ok(()) => format!("Saved as {}", path.display()),
                    Err(why) => format!("Not saved: {why}"),
                },
                Ok(None) => "Not saved: there is nothing to save yet.".into(),
                Err(_) => "Not saved: the instance does not answer.".into(),
            });
    }

    /// What is remembered is kept for the new model first, and that may take a moment.
    fn load(&mut self, path: Option<PathBuf>) {
        let link = self.link.clone();
        self.dialogs.work(move || {
            let words = match &path {
                Some(path) => format!("Loading {}", path.display()),
                None => "Loading the default model".into(),
            };
            link.send(EditorCommand::LoadModel(path));
            words
        });
    }

    fn without_dialog(&mut self, purpose: DialogPurpose) {
        match purpose {
            DialogPurpose::Save(part, bars) => match own_place(part) {
                Ok(path) => self.save(path, part, bars),
                Err(why) => self.tell(format!("Not saved: {why}")),
            },
            DialogPurpose::Learn | DialogPurpose::LearnFolder => self.tell(
                "This desktop has no file dialogs (install xdg-desktop-portal or zenity); drop the \
                 files on this window.",
            ),
            DialogPurpose::Model => self
                .tell("This desktop has no file dialogs (install xdg-desktop-portal or zenity)."),
        }
    }
}

fn own_place(part: ExportPart) -> Result<PathBuf, String> {
    let home = std::env::home_dir().ok_or("no home folder is known")?;
    file_dialogs::own_place(&home, part).map_err(|why| format!("{}: {why}", home.display()))
}

impl NiceEguiApp for Window {
    fn build(
        &mut self,
        ctx: egui::Context,
        host: GuiContext,
        frame: &mut Frame,
    ) -> Result<(), HandlerError> {
        theme::apply(&ctx);
        // The thread that answers screen readers stays when the window closes.
        resources::stay_loaded(resources::own_library().as_deref());
        frame.set_clear_color(theme::GROUND.into());
        self.host = Some(host);
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        self.look(ui.input(|i| i.time));
        while let Some(news) = self.dialogs.news() {
            match news {
                DialogEvent::Answered(purpose, answer) => self.answered(purpose, answer),
                DialogEvent::Done(words) => self.tell(words),
            }
        }
        let mut ui_events = std::mem::take(&mut self.ui_events);
        draw(ui, &self.view, &mut self.ui_state, &mut ui_events);
        if let Some(host) = self.host.clone() {
            for ui_event in ui_events.drain(..) {
                if self.param_binding.apply(&ui_event, &host) {
                    continue;
                }
                match &ui_event {
                    UiEvent::Action(action) => self.action(action),
                    UiEvent::Drop(paths) => self.dropped(paths),
                    _ => {}
                }
            }
        }
        self.ui_events = ui_events;
        frame.set_key_capture(if self.ui_state.types() {
            KeyCapture::CaptureAll
        } else {
            KeyCapture::IgnoreKeys(vec![Key::Character(" ".into())])
        });
        // When nothing moves, whoever changes something asks for the next frame.
        if self.view.moves() {
            ui.ctx().request_repaint_after(FRAME);
        } else if self.notice.is_some() {
            ui.ctx().request_repaint_after(NOTICE / 8);
        }
    }

    fn track_info_changed(&mut self, info: TrackInfo) {
        let name = info.name().trim();
        self.view.track = (!name.is_empty()).then(|| name.to_owned());
    }
}
