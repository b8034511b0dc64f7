//! A host that shows the editor, for tests of the window: it opens, closes and leaves nothing.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::artifacts;
use crate::daw::{Blocks, Daw};
use crate::host::{Format, Plugin};
use crate::scenario;
use crate::virtual_display::{HostWindow, VirtualDisplay};

/// How long anything may take that the editor does by itself: a model is loaded meanwhile, on
/// a machine that may be busy.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How long all of a test may take before it counts as hanging.
const HANGS: Duration = Duration::from_secs(600);

/// The editor's ground, which is all around.
pub const BACKGROUND: [u8; 3] = [0x14, 0x16, 0x1a];

/// Ends the process where a test hangs, unless what it gives is dropped before: what waits for
/// a window's thread cannot be interrupted.
pub fn abort_on_hang() -> Sender<()> {
    let (alive, watch) = channel();
    std::thread::spawn(move || {
        if watch.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
            eprintln!("a window hangs: nothing came back for {HANGS:?}");
            std::process::abort();
        }
    });
    alive
}

/// What this process holds open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenResources {
    /// Threads that have not ended.
    pub threads: usize,
    /// Open files, sockets and pipes.
    pub files: usize,
}

impl OpenResources {
    /// Once it stays so: a thread that was told to end may need a moment.
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

    /// Fails where there is more now than there was, once it has settled.
    pub fn no_more_than(self, before: Self, what: &str) -> Result<()> {
        ensure!(
            self.threads <= before.threads && self.files <= before.files,
            "{before:?} before {what}, {self:?} after"
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

/// A host with the plugin and a window for its editor.
pub struct EditorHost {
    /// The host, with the opening of [`scenario`] on its track.
    pub daw: Daw,
    /// The window the editor is put into.
    pub window: HostWindow,
}

impl EditorHost {
    /// The editor is not open yet.
    pub fn new(format: Format, screen: &VirtualDisplay) -> Result<Self> {
        Self::with(artifacts::load(format)?, screen)
    }

    /// The same in a host that is not like the usual one.
    pub fn with(plugin: Box<dyn Plugin>, screen: &VirtualDisplay) -> Result<Self> {
        let setup = scenario::setup(48_000.0, 120.0, Blocks::Fixed(512));
        let mut daw = scenario::start_with(plugin, setup, 1, &scenario::opening())?;
        let size = daw.plugin().editor().create_editor()?;
        daw.plugin().editor().destroy_editor()?;
        let window = HostWindow::open(screen, size)?;
        Ok(Self { daw, window })
    }

    /// Opens the editor and waits until it is drawn. Gives how long that took.
    pub fn open(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let plugin = self.daw.plugin().editor();
        plugin.create_editor()?;
        plugin.show_editor(self.window.id)?;
        while self.window.pixel(3, 3)? != BACKGROUND {
            ensure!(began.elapsed() < TIMEOUT, "the editor was never drawn");
            self.daw.plugin().editor().run_main_thread()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(began.elapsed())
    }

    /// Closes the editor, and waits for the display to see that.
    pub fn close(&mut self) -> Result<()> {
        self.daw.plugin().editor().destroy_editor()?;
        let began = Instant::now();
        while self.window.children()? > 0 {
            ensure!(began.elapsed() < TIMEOUT, "the editor's window stays");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Runs the host, its transport standing, until `found` finds what it looks for.
    pub fn wait<T>(
        &mut self,
        what: &str,
        mut found: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = found(self)? {
                return Ok(found);
            }
            ensure!(began.elapsed() < TIMEOUT, "it never came to this: {what}");
            self.daw.plugin().editor().run_main_thread()?;
            self.daw.run_stopped(512)?;
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a parameter shows this value.
    pub fn wait_for(&mut self, id: &str, value: &str) -> Result<()> {
        let mut shown = String::new();
        self.wait(&format!("{id} is {value}"), |host| {
            shown = host.daw.plugin().parameter_text(id)?;
            Ok((shown == value).then_some(()))
        })
        .with_context(|| format!("{id} is {shown}"))
    }
}
