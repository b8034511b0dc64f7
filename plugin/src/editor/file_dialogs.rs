//! The desktop's file dialogs, which never make the window wait; and what to do where there
//! are none.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nice_plug_egui::RepaintNotifier;
use rfd::AsyncFileDialog;

use super::view::ExportPart;

/// An answer sooner than this came from no human: there is no dialog on this system.
const TOO_FAST: Duration = Duration::from_millis(150);

/// What a dialog is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogPurpose {
    /// Where to save notes, from the last so many bars or all.
    Save(ExportPart, Option<u32>),
    /// Which model directory to load.
    Model,
    /// Which MIDI files to learn.
    Learn,
    /// Which folder of them to learn.
    LearnFolder,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogAnswer {
    /// The files, or the folder.
    Chosen(Vec<PathBuf>),
    /// The dialog was closed.
    Nothing,
    /// This desktop has no file dialogs.
    Missing,
}

/// What there is to tell the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogEvent {
    /// A dialog was answered.
    Answered(DialogPurpose, DialogAnswer),
    /// Something was done, in words.
    Done(String),
}

/// The dialogs of one window, and what is done with files afterwards.
pub struct Dialogs {
    sender: Sender<DialogEvent>,
    receiver: Receiver<DialogEvent>,
    repaint: RepaintNotifier,
    open: bool,
}

impl Dialogs {
    /// None open. `repaint` is asked whenever there is news.
    pub fn new(repaint: RepaintNotifier) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            repaint,
            open: false,
        }
    }

    /// Opens a dialog, unless one is open. Window thread.
    pub fn open(&mut self, purpose: DialogPurpose) {
        if self.open {
            return;
        }
        // Made here, for some systems want their dialogs made where their windows are.
        let asked = ask(&purpose);
        self.open = self.start(move || {
            let began = Instant::now();
            let answer = match pollster::block_on(asked) {
                Some(paths) => DialogAnswer::Chosen(paths),
                None if began.elapsed() < TOO_FAST => DialogAnswer::Missing,
                None => DialogAnswer::Nothing,
            };
            DialogEvent::Answered(purpose, answer)
        });
    }

    /// Does something that may wait, and tells in words what came of it.
    pub fn work(&mut self, work: impl FnOnce() -> String + Send + 'static) {
        self.start(move || DialogEvent::Done(work()));
    }

    fn start(&self, work: impl FnOnce() -> DialogEvent + Send + 'static) -> bool {
        let (sender, repaint) = (self.sender.clone(), self.repaint.clone());
        let thread = std::thread::Builder::new().name("continuo files".into());
        let started = thread.spawn(move || {
            // The window may be gone.
            let _ = sender.send(work());
            repaint.request_repaint();
        });
        started.is_ok()
    }

    /// The next thing to tell, once there is one.
    pub fn news(&mut self) -> Option<DialogEvent> {
        let news = self.receiver.try_recv().ok()?;
        if let DialogEvent::Answered(..) = news {
            self.open = false;
        }
        Some(news)
    }
}

fn ask(purpose: &DialogPurpose) -> impl Future<Output = Option<Vec<PathBuf>>> + Send + use<> {
    let dialog = AsyncFileDialog::new();
    let purpose = purpose.clone();
    let (mut one, mut folder, mut several) = (None, None, None);
    let midi = |dialog: AsyncFileDialog| dialog.add_filter("MIDI", &["mid", "midi", "kar", "rmi"]);
    match &purpose {
        DialogPurpose::Save(part, _) => {
            let dialog = dialog
                .set_title("Save MIDI")
                .set_file_name(file_name(*part));
            one = Some(dialog.add_filter("MIDI", &["mid", "midi"]).save_file());
        }
        DialogPurpose::Model => {
            folder = Some(dialog.set_title("Choose a model's folder").pick_folder());
        }
        DialogPurpose::Learn => {
            several = Some(midi(dialog.set_title("Learn MIDI files")).pick_files());
        }
        DialogPurpose::LearnFolder => {
            folder = Some(
                dialog
                    .set_title("Learn a folder of MIDI files")
                    .pick_folder(),
            );
        }
    }
    async move {
        if let Some(several) = several {
            let files = several.await?.into_iter();
            return Some(files.map(|file| file.path().to_path_buf()).collect());
        }
        let chosen = match (one, folder) {
            (Some(one), _) => one.await?,
            (None, folder) => folder?.await?,
        };
        Some(vec![chosen.path().to_path_buf()])
    }
}

fn file_name(part: ExportPart) -> &'static str {
    match part {
        ExportPart::Heard => "heard.mid",
        ExportPart::Played => "continuo.mid",
        ExportPart::Both => "heard and continuo.mid",
    }
}

/// Where to save without a dialog: a name not yet taken in `Continuo` in the home folder.
pub fn own_place(home: &Path, part: ExportPart) -> std::io::Result<PathBuf> {
    let folder = home.join("Continuo");
    std::fs::create_dir_all(&folder)?;
    let name = file_name(part);
    let stem = name.trim_end_matches(".mid");
    let free = (2..10_000u32)
        .map(|number| folder.join(format!("{stem} {number}.mid")))
        .find(|path| !path.exists());
    let first = folder.join(name);
    if !first.exists() {
        return Ok(first);
    }
    free.ok_or_else(|| std::io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_taken_twice() {
        let home = tempfile::tempdir().unwrap();
        let place = || {
            let path = own_place(home.path(), ExportPart::Played).unwrap();
            std::fs::write(&path, "x").unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(
            [place(), place(), place()],
            ["continuo.mid", "continuo 2.mid", "continuo 3.mid"]
        );
    }
}
