//! A host that shows the editor, for tests of the window: it opens, closes and leaves nothing.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::host::{Format, Plugin};
use crate::lab;
use crate::player::{Blocks, Player};
use crate::scene;
use crate::screen::{HostWindow, Screen};

/// How long anything may take that the editor does by itself: a model is loaded meanwhile, on
/// a machine that may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long all of a test may take before it counts as hanging.
const HANGS: Duration = Duration::from_secs(600);

/// The editor's ground, which is all around.
pub const GROUND: [u8; 3] = [0x14, 0x16, 0x1a];

/// Ends the process where a test hangs, unless what it gives is dropped before: what waits for
/// a window's thread cannot be interrupted.
pub fn watched() -> Sender<()> {
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
pub struct Held {
    /// Threads that have not ended.
    pub threads: usize,
    /// Open files, sockets and pipes.
    pub files: usize,
}

impl Held {
    /// Once it stays so: a thread that was told to end may need a moment.
    pub fn settled() -> Result<Self> {
        let began = Instant::now();
        let (mut last, mut since) = (Self::now()?, Instant::now());
        while since.elapsed() < Duration::from_millis(500) && began.elapsed() < PATIENCE {
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
pub struct Stage {
    /// The host, with the opening of [`scene`] on its track.
    pub player: Player,
    /// The window the editor is put into.
    pub window: HostWindow,
}

impl Stage {
    /// The editor is not open yet.
    pub fn new(format: Format, screen: &Screen) -> Result<Self> {
        Self::with(lab::load(format)?, screen)
    }

    /// The same in a host that is not like the usual one.
    pub fn with(plugin: Box<dyn Plugin>, screen: &Screen) -> Result<Self> {
        let setup = scene::setup(48_000.0, 120.0, Blocks::Fixed(512));
        let mut player = scene::stage_with(plugin, setup, 1, &scene::opening())?;
        let size = player.plugin().windows().make_editor()?;
        player.plugin().windows().drop_editor()?;
        let window = HostWindow::open(screen, size)?;
        Ok(Self { player, window })
    }

    /// Opens the editor and waits until it is drawn. Gives how long that took.
    pub fn open(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let plugin = self.player.plugin().windows();
        plugin.make_editor()?;
        plugin.show_editor(self.window.id)?;
        while self.window.pixel(3, 3)? != GROUND {
            ensure!(began.elapsed() < PATIENCE, "the editor was never drawn");
            self.player.plugin().windows().turn()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(began.elapsed())
    }

    /// Closes the editor, and waits for the display to see that.
    pub fn close(&mut self) -> Result<()> {
        self.player.plugin().windows().drop_editor()?;
        let began = Instant::now();
        while self.window.children()? > 0 {
            ensure!(began.elapsed() < PATIENCE, "the editor's window stays");
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
            ensure!(began.elapsed() < PATIENCE, "it never came to this: {what}");
            self.player.plugin().windows().turn()?;
            self.player.stand(512)?;
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a parameter shows this value.
    pub fn wait_for(&mut self, id: &str, value: &str) -> Result<()> {
        let mut shown = String::new();
        self.wait(&format!("{id} is {value}"), |stage| {
            shown = stage.player.plugin().shown(id)?;
            Ok((shown == value).then_some(()))
        })
        .with_context(|| format!("{id} is {shown}"))
    }
}
