//! Files to learn on their way into an instance. Composer thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Instance, SharedResources};
use crate::workers::PendingResult;
use crate::{ear, resources};
use continuo_accompaniment::file_learning::{OpenedPath, open};
use continuo_accompaniment::session::Player;

/// A file or folder that a worker opens. Dropping it stops the worker.
pub(super) struct Opening {
    path: PathBuf,
    opened: PendingResult<OpenedPath>,
    stop: Stop,
}

/// Flag that tells a worker to stop. It is set when the flag is dropped.
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.set();
    }
}

impl Instance {
    /// Passes an opened file to the session, and starts to open the next one.
    pub(super) fn open_files(&mut self, resources: &mut SharedResources) {
        if let Some(opening) = &self.opening
            && self.session.open_path() != Some(&opening.path)
        {
            // The queue was cleared, and perhaps filled again, and a recording may take minutes.
            opening.stop.set();
        }
        // The worker drops its clone once the result is set.
        if let Some(opening) = self.opening.take_if(|opening| !opening.opened.is_shared()) {
            let Opening { path, opened, .. } = opening;
            let opened = match opened.into_inner() {
                Some(Ok(opened)) => opened,
                Some(Err(why)) => {
                    let why = format!("{}: {why}", path.display());
                    OpenedPath::refused(path, why)
                }
                None => {
                    let why = format!("{}: was not opened; try again", path.display());
                    OpenedPath::refused(path, why)
                }
            };
            self.session.file_opened(opened);
            self.shared.barrier.heartbeat();
        }
        if self.opening.is_none()
            && let Some(path) = self.session.next_file()
        {
            self.opening = Some(self.start_opening(path, resources));
        }
    }

    /// Opens a file or folder on a worker thread.
    fn start_opening(&self, path: PathBuf, resources: &mut SharedResources) -> Opening {
        let player = self.session.player();
        let (steps_per_beat, has_parts) = (player.steps_per_beat(), player.has_parts());
        let (at, own_library) = (path.clone(), self.own_library.clone());
        let shared = self.shared.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let goes_on = move || {
            // An offline block waits for the file.
            shared.barrier.heartbeat();
            !stopped.load(Ordering::Relaxed)
        };
        let work = move || {
            let transcribe = |path: &Path| {
                let own_library = own_library.as_deref();
                resources::stay_loaded(own_library);
                ear::transcribe(resources::find_ear(own_library), path, &goes_on)
            };
            open(at, steps_per_beat, has_parts, &transcribe)
        };
        Opening {
            path,
            opened: resources.workers.spawn(work),
            stop: Stop(stop),
        }
    }
}
