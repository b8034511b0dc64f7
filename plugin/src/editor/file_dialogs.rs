//! The desktop's file dialogs, and work on files. Each runs on a thread of its own, so that the window never
//! waits.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nice_plug_egui::RepaintNotifier;
use nice_plug_egui::baseview::WindowContext;
use rfd::AsyncFileDialog;

use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_files::kind;

/// An answer in less time does not come from a person: the desktop has no dialogs.
const HUMAN_TIME: Duration = Duration::from_millis(150);

/// Extension of MIDI files.
pub const MIDI: &str = kind::MIDI.endings[0];
/// Extension of MusicXML files.
pub const MUSICXML: &str = kind::MUSICXML.endings[0];

/// Purpose of a dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum DialogPurpose {
    /// Path of a MIDI file to save: its notes and their time.
    SaveMidi(ExportPart, ExportRange),
    /// Path of a MusicXML file to save: its notes.
    SaveMusicXml(ExportPart),
    /// Folder of a model to load.
    LoadModel,
    /// MIDI, WAV and FLAC files to learn.
    LearnFiles,
    /// Folder of files to learn.
    LearnFolder,
}

/// Result of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogAnswer {
    /// The files or the folder chosen.
    Chosen(Vec<PathBuf>),
    /// The dialog was closed without a choice.
    Cancelled,
    /// The desktop has no file dialogs.
    Unavailable,
}

/// An event for the window.
#[derive(Clone, Debug, PartialEq)]
pub enum DialogEvent {
    /// A dialog was answered.
    Answered(DialogPurpose, DialogAnswer),
    /// Work on a file ended; the text is for the user.
    Done(String),
}

/// The dialogs and file work of one window. Owned by the window's thread.
pub struct Dialogs {
    sender: Sender<DialogEvent>,
    receiver: Receiver<DialogEvent>,
    repaint: RepaintNotifier,
    open: bool,
}

impl Dialogs {
    /// No dialog open. It requests a repaint whenever there is an event.
    pub fn new(repaint: RepaintNotifier) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            repaint,
            open: false,
        }
    }

    /// Opens a dialog above a window, unless one is open.
    pub fn open(&mut self, purpose: DialogPurpose, window: &WindowContext) {
        if self.open {
            return;
        }
        // Some systems want dialogs made on the window's thread.
        let asked = dialog(&purpose, window);
        self.open = self.start(move || {
            let began = Instant::now();
            let answer = match pollster::block_on(asked) {
                Some(paths) => DialogAnswer::Chosen(paths),
                None if cfg!(target_os = "linux") && began.elapsed() < HUMAN_TIME => {
                    DialogAnswer::Unavailable
                }
                None => DialogAnswer::Cancelled,
            };
            DialogEvent::Answered(purpose, answer)
        });
    }

    /// Runs work that may wait, and shows its result as a text for the user.
    pub fn run(&mut self, work: impl FnOnce() -> String + Send + 'static) {
        self.start(move || DialogEvent::Done(work()));
    }

    fn start(&self, work: impl FnOnce() -> DialogEvent + Send + 'static) -> bool {
        let (sender, repaint) = (self.sender.clone(), self.repaint.clone());
        let thread = std::thread::Builder::new().name("continuo files".into());
        let started = thread.spawn(move || {
            // The window may be closed.
            let _ = sender.send(work());
            repaint.request_repaint();
        });
        started.is_ok()
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<DialogEvent> {
        let event = self.receiver.try_recv().ok()?;
        if let DialogEvent::Answered(..) = event {
            self.open = false;
        }
        Some(event)
    }
}

/// Opens the dialog of a purpose; returns the chosen paths.
fn dialog(
    purpose: &DialogPurpose,
    window: &WindowContext,
) -> impl Future<Output = Option<Vec<PathBuf>>> + Send + use<> {
    let mut dialog = AsyncFileDialog::new();
    // Without an owner, Windows may show it behind the DAW. Other systems show dialogs in front.
    if cfg!(windows) {
        dialog = dialog.set_parent(window);
    }
    let purpose = purpose.clone();
    let (mut one, mut folder, mut several) = (None, None, None);
    let music =
        |dialog: AsyncFileDialog| dialog.add_filter("MIDI, WAV, FLAC", &kind::MUSIC_ENDINGS);
    match &purpose {
        DialogPurpose::SaveMidi(part, _) => {
            let dialog = dialog
                .set_title("Save MIDI")
                .set_file_name(file_name(*part, MIDI));
            one = Some(dialog.add_filter("MIDI", &["mid", "midi"]).save_file());
        }
        DialogPurpose::SaveMusicXml(part) => {
            let dialog = dialog
                .set_title("Save MusicXML")
                .set_file_name(file_name(*part, MUSICXML));
            let filtered = dialog.add_filter("MusicXML", &["musicxml", "xml"]);
            one = Some(filtered.save_file());
        }
        DialogPurpose::LoadModel => {
            folder = Some(dialog.set_title("Choose a model's folder").pick_folder());
        }
        DialogPurpose::LearnFiles => {
            several = Some(music(dialog.set_title("Learn MIDI or audio files")).pick_files());
        }
        DialogPurpose::LearnFolder => {
            folder = Some(
                dialog
                    .set_title("Learn a folder of MIDI or audio files")
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

fn file_name(part: ExportPart, ending: &str) -> String {
    let stem = match part {
        ExportPart::Input => "heard",
        ExportPart::Generated => "continuo",
        ExportPart::Both => "heard and continuo",
    };
    format!("{stem}.{ending}")
}

/// A path for saving without a dialog: a new name with this extension in the folder `Continuo` in the home
/// folder.
///
/// # Errors
/// Where the folder cannot be made, or all names are taken.
pub fn default_path(home: &Path, part: ExportPart, ending: &str) -> std::io::Result<PathBuf> {
    let folder = home.join("Continuo");
    std::fs::create_dir_all(&folder)?;
    let first = folder.join(file_name(part, ending));
    if !first.exists() {
        return Ok(first);
    }
    let stem = first.file_stem().unwrap_or_default().to_string_lossy();
    let free = (2..10_000u32)
        .map(|number| folder.join(format!("{stem} {number}.{ending}")))
        .find(|path| !path.exists());
    free.ok_or_else(|| std::io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_path_is_always_a_new_name() {
        let home = tempfile::tempdir().unwrap();
        let next = || {
            let path = default_path(home.path(), ExportPart::Generated, MIDI).unwrap();
            std::fs::write(&path, "x").unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(
            [next(), next(), next()],
            ["continuo.mid", "continuo 2.mid", "continuo 3.mid"]
        );
    }
}
