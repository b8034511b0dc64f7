//! The window: makes the [`View`] of each frame, and turns [`UiEvent`]s into gestures of the host and requests
//! to the instance. On the window's own thread, or the host's main thread; it waits for no other thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use egui::InputState;
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::editor::{ResizeHint, SizeConstraints};
use nice_plug::prelude::{Params, TrackInfo};
use nice_plug_egui::baseview::{HandlerError, WindowContext};
use nice_plug_egui::{
    EguiEditor, EguiNiceSettings, Frame, Key, KeyCapture, NiceEguiApp, create_egui_editor,
};

use super::drag_out::{self, DragEvent, DragOut, DragOutcome};
use super::file_dialogs::{
    self, DialogAnswer, DialogEvent, DialogPurpose, Dialogs, MIDI, MUSICXML,
};
use super::file_drop::Dropped;
use super::musicxml;
use super::param_binding::ParamBinding;
use super::smooth_playhead::SmoothPlayhead;
use super::view::{UiEvent, View};
use super::view_model::action_states;
use super::{UiState, draw, theme};
use crate::action::Action;
use crate::editor_link::{EditorLink, EditorRequest, MidiExportRequest};
use crate::resources;
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_accompaniment::trigger::Trigger;
use continuo_score::MidiFile;

/// Interval of frames while the view is animated.
const FRAME: Duration = Duration::from_micros(16_600);

/// Time in which the composer thread has to answer: it may be loading a model.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time for which a notice is shown.
const NOTICE: Duration = Duration::from_secs(8);

/// Time after which reading the memory is shown: each note makes the model read for a moment.
const REBUILDING_AFTER: Duration = Duration::from_secs(1);

/// Makes the editor of an instance, which the host opens and closes. Main thread.
pub fn create_editor(
    params: Arc<dyn Params>,
    link: Arc<EditorLink>,
) -> Option<EguiEditor<EditorWindow>> {
    let mut resize = ResizeHint::RESIZABLE;
    let smallest = LogicalSize::new(theme::SMALLEST.0, theme::SMALLEST.1);
    resize.size_constraints = SizeConstraints::min_logical_size(smallest);
    let settings = EguiNiceSettings::new()
        .with_tile("Continuo")
        .with_resize_hint(resize);
    let (state, repaint) = (link.window.clone(), link.repaint.clone());
    create_egui_editor(state, repaint, settings, EditorWindow::new(params, link))
}

/// The window's contents. They outlive the window, so that it reopens as it was. Owned by the window's thread.
pub struct EditorWindow {
    param_binding: ParamBinding,
    link: Arc<EditorLink>,
    ui_state: UiState,
    view: View,
    ui_events: Vec<UiEvent>,
    smooth_playhead: SmoothPlayhead,
    dialogs: Dialogs,
    drag_out: DragOut,
    notice: Option<(String, Instant)>,
    /// Time since which the model reads the memory.
    behind_since: Option<Instant>,
    /// Number of refusals of files in the last frame.
    refusals: u64,
    host: Option<GuiContext>,
}

impl EditorWindow {
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
            drag_out: DragOut::new(link.window.clone(), link.repaint.clone()),
            link,
            ui_state: UiState::default(),
            ui_events: Vec::new(),
            smooth_playhead: SmoothPlayhead::default(),
            notice: None,
            behind_since: None,
            refusals: 0,
            host: None,
        }
    }

    /// Updates the view; `seconds` is egui's time.
    fn update_view(&mut self, seconds: f64) {
        let snapshot = self.link.look();
        let time = snapshot.time;
        let behind = snapshot.memory.behind;
        self.view.show(snapshot.clone());
        let tempo = if time.playing { time.tempo } else { 0.0 };
        self.view.playhead = self.smooth_playhead.advance(seconds, time.beat, tempo);
        if time.playing && self.smooth_playhead.is_stalled() {
            self.view.playing = false;
            self.view.playhead = time.beat;
        }
        self.behind_since = match self.behind_since {
            since if behind => since.or_else(|| Some(Instant::now())),
            _ => None,
        };
        let behind_since = self.behind_since;
        self.view.rebuilding = behind_since.is_some_and(|b| b.elapsed() > REBUILDING_AFTER);
        self.view.controls = self.param_binding.controls();
        let learning = &snapshot.learning;
        let before = std::mem::replace(&mut self.refusals, learning.refusals);
        if learning.refusals > before
            && let Some(why) = learning.refused.last()
        {
            self.notify(format!("Not learned: {why}"));
        }
        self.view.action_states = self.param_binding.action_states();
        self.view.action_states.extend(action_states(&snapshot));
        self.notice.take_if(|(_, since)| since.elapsed() > NOTICE);
        self.view.notice = self.notice.as_ref().map(|(text, _)| text.clone());
    }

    /// Shows a notice.
    fn notify(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), Instant::now()));
    }

    fn execute(&mut self, action: Action, window: &WindowContext) {
        match action {
            Action::Trigger(trigger) => self.press(trigger),
            Action::Unlearn => self.send(EditorRequest::Unlearn),
            Action::SaveMidi(part, bars) => {
                let purpose = DialogPurpose::SaveMidi(part, bars.into());
                self.dialogs.open(purpose, window);
            }
            Action::SaveMusicXml(part) => {
                self.dialogs.open(DialogPurpose::SaveMusicXml(part), window)
            }
            Action::LoadModel => self.dialogs.open(DialogPurpose::LoadModel, window),
            Action::DefaultModel => self.load_model(None),
            Action::LearnFiles => self.dialogs.open(DialogPurpose::LearnFiles, window),
            Action::LearnFolder => self.dialogs.open(DialogPurpose::LearnFolder, window),
            // The parameter binding executes these.
            Action::Freeze | Action::Vary(_) | Action::Preset(_) => {}
        }
    }

    fn press(&mut self, trigger: Trigger) {
        self.link.press(trigger);
        // The instance knows the step of undo or redo; a parameter of it is set through the host.
        let history = self.link.look().history;
        let step = match trigger {
            Trigger::Undo => history.undo,
            Trigger::Redo => history.redo,
            Trigger::Panic | Trigger::Regenerate | Trigger::Clear => None,
        };
        if let (Some(step), Some(host)) = (step, &self.host) {
            self.param_binding.undo_step(step, host);
        }
    }

    fn send(&mut self, request: EditorRequest) {
        if !self.link.send(request) {
            self.notify("Too much was asked for at once; try again in a moment.");
        }
    }

    fn dialog_answered(&mut self, purpose: DialogPurpose, answer: DialogAnswer) {
        let paths = match answer {
            DialogAnswer::Chosen(paths) => paths,
            DialogAnswer::Cancelled => return,
            DialogAnswer::Unavailable => return self.without_dialog(purpose),
        };
        match purpose {
            DialogPurpose::LearnFiles | DialogPurpose::LearnFolder => {
                self.send(EditorRequest::Learn(paths));
            }
            DialogPurpose::SaveMidi(part, range) => {
                for path in paths {
                    self.save(path, part, range, write_midi);
                }
            }
            DialogPurpose::SaveMusicXml(part) => {
                for path in paths {
                    self.save(path, part, ExportRange::All, musicxml::write_file);
                }
            }
            DialogPurpose::LoadModel => self.load_model(paths.into_iter().next()),
        }
    }

    fn dropped(&mut self, paths: &[PathBuf]) {
        match Dropped::of(paths.to_vec()) {
            Dropped::Model(folder) => self.load_model(Some(folder)),
            Dropped::Music(paths) => self.send(EditorRequest::Learn(paths)),
        }
    }

    /// Requests notes from the composer thread, which answers through the channel.
    fn request_notes(
        &mut self,
        part: ExportPart,
        range: ExportRange,
    ) -> Receiver<Option<MidiFile>> {
        let (reply, notes) = crossbeam_channel::bounded(1);
        let request = MidiExportRequest { part, range, reply };
        self.send(EditorRequest::Midi(request));
        notes
    }

    /// A drag of these notes begins. Their file comes as [`DragEvent::Ready`].
    fn drag_notes(&mut self, part: ExportPart, range: ExportRange) {
        let name = drag_out::file_name(part, range, &self.view.grid);
        let notes = self.request_notes(part, range);
        self.drag_out.prepare(notes, PATIENCE, name);
    }

    /// Gives up notes that are not ready at the release of the button or at Escape, so that they start no drag
    /// of a later press.
    fn give_up_late_notes(&mut self, input: &InputState) {
        let pointer = &input.pointer;
        if input.key_pressed(egui::Key::Escape) {
            self.drag_out.give_up();
        } else if (pointer.primary_released() || !pointer.primary_down()) && self.drag_out.give_up()
        {
            self.notify("The notes were not ready in time; drag them again.");
        }
    }

    /// Goes on with a drag.
    fn drag_event(&mut self, event: DragEvent, window: &WindowContext) {
        match event {
            DragEvent::Ready(Ok(file)) => self.drag_out.start(file, window),
            DragEvent::Ready(Err(why)) => self.notify(format!("Nothing to drag: {why}.")),
            DragEvent::Ended(DragOutcome::Refused) => self.notify(
                "That does not take a MIDI file: drop it on a track of the host or on a folder.",
            ),
            DragEvent::Ended(DragOutcome::Failed(why)) => {
                self.notify(format!("Not dragged: {why}."));
            }
            DragEvent::Ended(
                DragOutcome::Dropped | DragOutcome::Cancelled | DragOutcome::Unanswered,
            ) => {}
        }
    }

    /// Requests the notes from the composer, and writes them on a thread that may wait.
    fn save(
        &mut self,
        path: PathBuf,
        part: ExportPart,
        range: ExportRange,
        write: fn(&MidiFile, &Path) -> Result<(), String>,
    ) {
        let notes = self.request_notes(part, range);
        self.dialogs
            .run(move || match notes.recv_timeout(PATIENCE) {
                Ok(Some(file)) => match write(&file, &path) {
                    Ok(()) => format!("Saved as {}", path.display()),
                    Err(why) => format!("Not saved: {why}"),
                },
                Ok(None) => "Not saved: there is nothing to save yet.".into(),
                Err(_) => "Not saved: the instance does not answer.".into(),
            });
    }

    /// Loads a model on a thread that may wait: the instance first saves its session for the new model.
    fn load_model(&mut self, path: Option<PathBuf>) {
        let link = self.link.clone();
        self.dialogs.run(move || {
            let text = match &path {
                Some(path) => format!("Loading {}", path.display()),
                None => "Loading the default model".into(),
            };
            match link.load_model(path) {
                true => text,
                false => "Not loaded: the instance does not answer.".into(),
            }
        });
    }

    fn without_dialog(&mut self, purpose: DialogPurpose) {
        match purpose {
            DialogPurpose::SaveMidi(part, range) => match default_path(part, MIDI) {
                Ok(path) => self.save(path, part, range, write_midi),
                Err(why) => self.notify(format!("Not saved: {why}")),
            },
            DialogPurpose::SaveMusicXml(part) => match default_path(part, MUSICXML) {
                Ok(path) => self.save(path, part, ExportRange::All, musicxml::write_file),
                Err(why) => self.notify(format!("Not saved: {why}")),
            },
            DialogPurpose::LearnFiles | DialogPurpose::LearnFolder => self.notify(
                "This desktop has no file dialogs (install xdg-desktop-portal or zenity); drop the \
                 files on this window.",
            ),
            DialogPurpose::LoadModel => self
                .notify("This desktop has no file dialogs (install xdg-desktop-portal or zenity)."),
        }
    }
}

fn write_midi(file: &MidiFile, path: &Path) -> Result<(), String> {
    file.write_file(path).map_err(|why| why.to_string())
}

fn default_path(part: ExportPart, ending: &str) -> Result<PathBuf, String> {
    let home = std::env::home_dir().ok_or("no home folder is known")?;
    file_dialogs::default_path(&home, part, ending)
        .map_err(|why| format!("{}: {why}", home.display()))
}

impl NiceEguiApp for EditorWindow {
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
        self.drag_out.void_events();
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        self.update_view(ui.input(|i| i.time));
        while let Some(event) = self.dialogs.next_event() {
            match event {
                DialogEvent::Answered(purpose, answer) => self.dialog_answered(purpose, answer),
                DialogEvent::Done(text) => self.notify(text),
            }
        }
        ui.input(|input| self.give_up_late_notes(input));
        while let Some(event) = self.drag_out.next_event() {
            self.drag_event(event, frame.baseview_window());
        }
        self.view.dragged = self.drag_out.file().map(Path::to_path_buf);
        self.view.drop_accepted = self.drag_out.is_accepted();
        let mut ui_events = std::mem::take(&mut self.ui_events);
        draw(ui, &self.view, &mut self.ui_state, &mut ui_events);
        if let Some(host) = self.host.clone() {
            for ui_event in ui_events.drain(..) {
                if self.param_binding.apply(&ui_event, &host) {
                    continue;
                }
                match &ui_event {
                    UiEvent::Action(action) => self.execute(*action, frame.baseview_window()),
                    UiEvent::Drop(paths) => self.dropped(paths),
                    &UiEvent::RegenerateBars(from, to) => {
                        self.send(EditorRequest::RegenerateBars(from, to));
                    }
                    &UiEvent::DragNotes(part, range) => self.drag_notes(part, range),
                    &UiEvent::SaveNotes(part, range) => {
                        let purpose = DialogPurpose::SaveMidi(part, range);
                        self.dialogs.open(purpose, frame.baseview_window());
                    }
                    _ => {}
                }
            }
        }
        self.ui_events = ui_events;
        frame.set_key_capture(if self.ui_state.is_typing() {
            KeyCapture::CaptureAll
        } else {
            KeyCapture::IgnoreKeys(vec![Key::Character(" ".into())])
        });
        // Without animation, the next frame comes when something requests a repaint.
        if self.view.is_animated() {
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
