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

use super::clock::Clock;
use super::drop::Dropped;
use super::files::{self, Answer, Dialogs, News, Purpose};
use super::knobs::Knobs;
use super::seen;
use super::view::{Act, Doing, Part, View};
use super::{Panel, SMALLEST, draw, theme};
use crate::editor_link::{Command, EditorLink, MidiWanted};
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
    knobs: Knobs,
    link: Arc<EditorLink>,
    panel: Panel,
    view: View,
    doings: Vec<Doing>,
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
        let knobs = Knobs::new(params);
        let view = View {
            presets: knobs.presets().to_vec(),
            ..View::default()
        };
        Self {
            knobs,
            view,
            dialogs: Dialogs::new(link.repaint.clone()),
            link,
            panel: Panel::default(),
            doings: Vec::new(),
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
        seen::see(&snapshot, &mut self.view);
        let tempo = if snapshot.time.playing {
            snapshot.time.tempo
        } else {
            0.0
        };
        self.view.roll.now = self.clock.show(seconds, snapshot.time.beat, tempo);
        if snapshot.time.playing && self.clock.stands() {
            seen::stop(&mut self.view);
            self.view.roll.now = snapshot.time.beat;
        }
        self.behind = match self.behind {
            since if snapshot.memory.behind => since.or_else(|| Some(Instant::now())),
            _ => None,
        };
        self.view.health.memory.rebuilding = self.behind.is_some_and(|b| b.elapsed() > BEHIND);
        self.view.controls = self.knobs.controls();
        let learned = &self.view.learning;
        if learned.refused.len() != self.refused {
            let newer = learned.refused.len() > self.refused;
            self.refused = learned.refused.len();
            if let Some(why) = learned.refused.last().filter(|_| newer) {
                self.tell(format!("Not learned: {why}"));
            }
        }
        self.view.offers = self.knobs.offers();
        self.view.offers.extend(seen::offers(&snapshot));
        self.notice.take_if(|(_, since)| since.elapsed() > NOTICE);
        self.view.notice = self.notice.as_ref().map(|(text, _)| text.clone());
    }

    fn tell(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), Instant::now()));
    }

    fn act(&mut self, act: &Act) {
        let command = match act {
            Act::Panic => Command::Panic,
            Act::Regenerate => Command::Regenerate,
            Act::Clear => Command::Clear,
            Act::Unlearn => Command::Unlearn,
            Act::Undo => Command::Undo,
            Act::Redo => Command::Redo,
            Act::Save(part, bars) => return self.dialogs.open(Purpose::Save(*part, *bars)),
            Act::LoadModel => return self.dialogs.open(Purpose::Model),
            Act::DefaultModel => return self.load(None),
            Act::LearnFiles => return self.dialogs.open(Purpose::Learn),
            Act::LearnFolder => return self.dialogs.open(Purpose::LearnFolder),
            // Parameters.
            Act::Freeze | Act::Vary(_) | Act::Preset(_) => return,
        };
        self.send(command);
        // The instance knows what it did, the host sets what is a parameter of it.
        let history = self.link.look().history;
        let step = match act {
            Act::Undo => history.undo,
            Act::Redo => history.redo,
            _ => None,
        };
        if let (Some(step), Some(host)) = (step, &self.host) {
            self.knobs.step(step, host);
        }
    }

    fn send(&mut self, command: Command) {
        if !self.link.send(command) {
            self.tell("Too much was asked for at once; try again in a moment.");
        }
    }

    fn answered(&mut self, purpose: Purpose, answer: Answer) {
        let paths = match answer {
            Answer::Chosen(paths) => paths,
            Answer::Nothing => return,
            Answer::Missing => return self.without_dialog(purpose),
        };
        match purpose {
            Purpose::Learn | Purpose::LearnFolder => self.send(Command::Learn(paths)),
            Purpose::Save(part, bars) => {
                for path in paths {
                    self.save(path, part, bars);
                }
            }
            Purpose::Model => self.load(paths.into_iter().next()),
        }
    }

    fn dropped(&mut self, paths: &[PathBuf]) {
        match Dropped::of(paths.to_vec()) {
            Dropped::Model(folder) => self.load(Some(folder)),
            Dropped::Music(paths) => self.send(Command::Learn(paths)),
        }
    }

    /// Asks the composer for the notes, and writes them on a thread that may wait.
    fn save(&mut self, path: PathBuf, part: Part, bars: Option<u32>) {
        let (reply, notes) = crossbeam_channel::bounded(1);
        self.send(Command::Midi(MidiWanted { part, bars, reply }));
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
            link.send(Command::LoadModel(path));
            words
        });
    }

    fn without_dialog(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Save(part, bars) => match own_place(part) {
                Ok(path) => self.save(path, part, bars),
                Err(why) => self.tell(format!("Not saved: {why}")),
            },
            Purpose::Learn | Purpose::LearnFolder => self.tell(
                "This desktop has no file dialogs (install xdg-desktop-portal or zenity); drop the \
                 files on this window.",
            ),
            Purpose::Model => self
                .tell("This desktop has no file dialogs (install xdg-desktop-portal or zenity)."),
        }
    }
}

fn own_place(part: Part) -> Result<PathBuf, String> {
    let home = std::env::home_dir().ok_or("no home folder is known")?;
    files::own_place(&home, part).map_err(|why| format!("{}: {why}", home.display()))
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
                News::Answered(purpose, answer) => self.answered(purpose, answer),
                News::Done(words) => self.tell(words),
            }
        }
        let mut doings = std::mem::take(&mut self.doings);
        draw(ui, &self.view, &mut self.panel, &mut doings);
        if let Some(host) = self.host.clone() {
            for doing in doings.drain(..) {
                if self.knobs.apply(&doing, &host) {
                    continue;
                }
                match &doing {
                    Doing::Act(act) => self.act(act),
                    Doing::Drop(paths) => self.dropped(paths),
                    _ => {}
                }
            }
        }
        self.doings = doings;
        frame.set_key_capture(if self.panel.types() {
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
