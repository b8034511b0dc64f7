//! A host that shows the plugin's editor in a window, and checks for leaks and hangs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::artifacts;
use crate::daw::{Blocks, Daw};
use crate::host::{Format, Plugin};
use crate::scenario;
use crate::virtual_display::{HostWindow, VirtualDisplay};

/// Longest wait for anything the editor does. A model loads meanwhile, perhaps on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Run time after which a test counts as hanging: ten minutes.
const HANG_LIMIT: Duration = Duration::from_secs(600);

/// Background colour of the editor: red, green, blue.
pub const BACKGROUND: [u8; 3] = [0x14, 0x16, 0x1a];

/// Aborts the process after ten minutes unless the returned guard is dropped before. A wait for a
/// window's thread cannot be interrupted otherwise.
pub fn abort_on_hang() -> Sender<()> {
    let (alive, watch) = channel();
    std::thread::spawn(move || {
        if watch.recv_timeout(HANG_LIMIT) == Err(RecvTimeoutError::Timeout) {
            eprintln!("a window hangs: the test did not end within {HANG_LIMIT:?}");
            std::process::abort();
        }
    });
    alive
}

/// Threads and files that this process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenResources {
    /// Number of threads.
    pub threads: usize,
    /// Number of open files, sockets and pipes.
    pub files: usize,
}

impl OpenResources {
    /// The numbers once they have not changed for half a second: threads need time to end.
    pub fn settled() -> Result<Self> {
        let began = Instant::now();
        let (mut last, mut since) = (Self::now()?, Instant::now());
        while since.elapsed() < Duration::from_millis(500) && began.elapsed() < TIMEOUT {
            std::thread::sleep(Duration::from_millis(20));
            let now = Self::now()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    /// Fails if a number is greater than `before`.
    ///
    /// # Errors
    ///
    /// Names both states and `action`, which lies between them.
    pub fn no_more_than(self, before: Self, action: &str) -> Result<()> {
        ensure!(
            self.threads <= before.threads && self.files <= before.files,
            "{before:?} before {action}, {self:?} after"
        );
        Ok(())
    }

    fn now() -> Result<Self> {
        let count = |folder| std::fs::read_dir(folder).map(Iterator::count);
        Ok(Self {
            threads: count("/proc/self/task")?,
            files: count("/proc/self/fd")?,
        })
    }
}

/// A host with a plugin and a window for its editor.
pub struct EditorHost {
    /// The transport and track, with the opening of [`scenario`].
    pub daw: Daw,
    /// The window that the editor is embedded in.
    pub window: HostWindow,
}

impl EditorHost {
    /// Loads the test bundle. The editor is closed.
    pub fn new(format: Format, screen: &VirtualDisplay) -> Result<Self> {
        Self::with(artifacts::load(format)?, screen)
    }

    /// As [`new`](Self::new), with a plugin that is loaded already.
    pub fn with(plugin: Box<dyn Plugin>, screen: &VirtualDisplay) -> Result<Self> {
        let setup = scenario::setup(48_000.0, 120.0, Blocks::Fixed(512));
        let mut daw = scenario::start_with(plugin, setup, 1, &scenario::opening())?;
        let size = daw.plugin().editor().create_editor()?;
        daw.plugin().editor().destroy_editor()?;
        let window = HostWindow::open(screen, size)?;
        Ok(Self { daw, window })
    }

    /// Opens the editor, waits until it is drawn, and returns how long that took.
    pub fn open(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let plugin = self.daw.plugin().editor();
        plugin.create_editor()?;
        plugin.show_editor(self.window.id as usize)?;
        while self.window.pixel(3, 3)? != BACKGROUND {
            ensure!(
                began.elapsed() < TIMEOUT,
                "the editor was not drawn within {TIMEOUT:?}"
            );
            self.daw.plugin().editor().run_main_thread()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(began.elapsed())
    }

    /// Closes the editor and waits until its window is gone from the display.
    pub fn close(&mut self) -> Result<()> {
        self.daw.plugin().editor().destroy_editor()?;
        let began = Instant::now();
        while self.window.children()? > 0 {
            ensure!(
                began.elapsed() < TIMEOUT,
                "the editor's window still exists"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Processes blocks with a stopped transport until `condition` returns a value. `expected` names
    /// the condition in the error.
    pub fn wait<T>(
        &mut self,
        expected: &str,
        mut condition: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = condition(self)? {
                return Ok(found);
            }
            ensure!(
                began.elapsed() < TIMEOUT,
                "not within {TIMEOUT:?}: {expected}"
            );
            self.daw.plugin().editor().run_main_thread()?;
            self.daw.run_stopped(512)?;
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a parameter displays a value.
    pub fn wait_for(&mut self, id: &str, value: &str) -> Result<()> {
        let mut shown = String::new();
        self.wait(&format!("{id} is {value}"), |host| {
            shown = host.daw.plugin().parameter_text(id)?;
            Ok((shown == value).then_some(()))
        })
        .with_context(|| format!("{id} is {shown}"))
    }
}
