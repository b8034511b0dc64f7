//! The desktop's file dialogs, which never make the window wait; and what to do where there
//! are none.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rfd::AsyncFileDialog;

use super::view::Part;

/// An answer sooner than this came from no human: there is no dialog on this system.
const TOO_FAST: Duration = Duration::from_millis(150);

/// What a dialog is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Where to save notes, from the last so many bars or all.
    Save(Part, Option<u32>),
    /// Which model directory to load.
    Model,
    /// Which MIDI files to remember.
    Feed,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The files; for a model the folder.
    Chosen(Vec<PathBuf>),
    /// The dialog was closed.
    Nothing,
    /// This desktop has no file dialogs.
    Missing,
}

/// The dialogs of one window.
pub struct Dialogs {
    sender: Sender<(Purpose, Answer)>,
    receiver: Receiver<(Purpose, Answer)>,
    open: bool,
}

impl Default for Dialogs {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            open: false,
        }
    }
}

impl Dialogs {
    /// Opens a dialog, unless one is open. `wake` is called once it is answered, on a thread
    /// of its own. Window thread.
    pub fn open(&mut self, purpose: Purpose, wake: impl FnOnce() + Send + 'static) {
        if self.open {
            return;
        }
        self.open = true;
        // Made here, for some systems want their dialogs made where their windows are.
        let asked = ask(&purpose);
        let sender = self.sender.clone();
        let thread = std::thread::Builder::new().name("continuo dialog".into());
        let started = thread.spawn(move || {
            let began = Instant::now();
            let answer = match pollster::block_on(asked) {
                Some(paths) => Answer::Chosen(paths),
                None if began.elapsed() < TOO_FAST => Answer::Missing,
                None => Answer::Nothing,
            };
            // The window may be gone.
            let _ = sender.send((purpose, answer));
            wake();
        });
        self.open = started.is_ok();
    }

    /// The answer, once it is there.
    pub fn answer(&mut self) -> Option<(Purpose, Answer)> {
        let answer = self.receiver.try_recv().ok()?;
        self.open = false;
        Some(answer)
    }
}

fn ask(purpose: &Purpose) -> impl Future<Output = Option<Vec<PathBuf>>> + Send + use<> {
    let dialog = AsyncFileDialog::new();
    let purpose = purpose.clone();
    let (save, folder, files) = match &purpose {
        Purpose::Save(part, _) => {
            let dialog = dialog
                .set_title("Save MIDI")
                .set_file_name(file_name(*part))
                .add_filter("MIDI", &["mid", "midi"]);
            (Some(dialog.save_file()), None, None)
        }
        Purpose::Model => {
            let dialog = dialog.set_title("Choose a model's folder");
            (None, Some(dialog.pick_folder()), None)
        }
        Purpose::Feed => {
            let dialog = dialog
                .set_title("MIDI files to remember")
                .add_filter("MIDI", &["mid", "midi"]);
            (None, None, Some(dialog.pick_files()))
        }
    };
    async move {
        if let Some(save) = save {
            return Some(vec![save.await?.path().to_path_buf()]);
        }
        if let Some(folder) = folder {
            return Some(vec![folder.await?.path().to_path_buf()]);
        }
        let files = files?.await?;
        Some(files.iter().map(|f| f.path().to_path_buf()).collect())
    }
}

fn file_name(part: Part) -> &'static str {
    match part {
        Part::Heard => "heard.mid",
        Part::Played => "continuo.mid",
        Part::Both => "heard and continuo.mid",
    }
}

/// Where to save without a dialog: a name not yet taken in `Continuo` in the home folder.
pub fn own_place(home: &Path, part: Part) -> std::io::Result<PathBuf> {
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
            let path = own_place(home.path(), Part::Played).unwrap();
            std::fs::write(&path, "x").unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(
            [place(), place(), place()],
            ["continuo.mid", "continuo 2.mid", "continuo 3.mid"]
        );
    }
}
