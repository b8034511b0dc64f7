//! One small way to run a plugin of either format.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

mod clap;
mod vst3;

pub use self::clap::{ClapHost, ClapHostConfig, ClapParameter, Dialect, DialectCounts};
pub use self::vst3::{Vst3Host, Vst3Parameter};

/// Room for what a plugin sends in a block, so that the host need not make any meanwhile.
const OUTPUT_EVENTS: usize = 4096;

/// While a plugin's `process()` runs, on whatever thread: for who watches it.
pub static PROCESSING: AtomicBool = AtomicBool::new(false);

/// A plugin format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CLAP, through `clack-host`.
    Clap,
    /// VST3, through its COM interfaces.
    Vst3,
}

impl Format {
    /// Both.
    pub const ALL: [Format; 2] = [Format::Clap, Format::Vst3];

    /// What bundles of this format are called after the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Clap => "clap",
            Format::Vst3 => "vst3",
        }
    }

    /// Loads the first plugin of a bundle, whatever the bundle's name says.
    pub fn load(self, bundle: &Path) -> Result<Box<dyn Plugin>> {
        if !bundle.exists() {
            bail!(
                "there is no plugin at {}; run `cargo xtask bundle`",
                bundle.display()
            );
        }
        Ok(match self {
            Format::Clap => Box::new(ClapHost::load(bundle)?),
            Format::Vst3 => Box::new(Vst3Host::load(bundle)?),
        })
    }
}

/// How the host means to run the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the clock: the plugin must not wait for anything.
    Realtime,
    /// As fast as it goes, as in an export: the plugin may take its time.
    Offline,
}

/// How much a host tells of its transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportDetail {
    /// All of [`Transport`].
    #[default]
    Full,
    /// No time signature, and so no bars.
    NoTimeSignature,
    /// Whether it runs and how fast, but not where it is.
    NoPosition,
    /// Nothing at all, as a host without a transport.
    None,
}

/// The host's transport at the first sample of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transport {
    /// Whether the song position moves.
    pub playing: bool,
    /// Song position in quarter notes.
    pub beat: f64,
    /// Quarter notes a minute.
    pub bpm: f64,
    /// Time signature as written.
    pub metre: (u16, u16),
    /// Song position of the bar line at or before this, in quarter notes.
    pub bar_start: f64,
    /// Bars before that bar line.
    pub bar: i32,
    /// The loop, in quarter notes, where one is on.
    pub loop_range: Option<(f64, f64)>,
    /// What of this the plugin is told.
    pub detail: TransportDetail,
}

/// A note begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoteEvent {
    /// Samples since the start of the block.
    pub offset: u32,
    /// Whether it begins.
    pub on: bool,
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// MIDI key, 0 to 127.
    pub key: u8,
    /// Velocity, 0 to 1.
    pub velocity: f32,
}

/// A parameter's new value, from [`Plugin::parameter`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterChange {
    id: u32,
    value: f64,
}

/// What a plugin is given for one block.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Length in samples.
    pub frames: u32,
    /// The transport at its first sample.
    pub transport: Transport,
    /// Notes, sorted by offset.
    pub notes: &'a [NoteEvent],
    /// Parameters that change at its first sample.
    pub parameters: &'a [ParameterChange],
}

/// A plugin's editor. All of it is to be called from the main thread, while another may process.
pub trait PluginEditor {
    /// Makes it and gives the size it would like, in pixels.
    fn create_editor(&mut self) -> Result<(u32, u32)> {
        bail!("this host shows no editors")
    }

    /// Puts the editor into a window of the host's, by its X11 id, and shows it. The window
    /// must stay until [`Self::destroy_editor`].
    fn show_editor(&mut self, _parent: u32) -> Result<()> {
        bail!("this host shows no editors")
    }

    /// Takes the editor from the screen, or shows it again, without closing it.
    fn hide_editor(&mut self, _hidden: bool) -> Result<()> {
        bail!("this format hides no editors")
    }

    /// Tells the editor the new size of its window, in pixels.
    fn resize_editor(&mut self, _width: u32, _height: u32) -> Result<()> {
        bail!("this host shows no editors")
    }

    /// The size that the editor asked its window to have, in pixels, if it asked since the last call.
    fn requested_size(&mut self) -> Option<(u32, u32)> {
        None
    }

    /// Lets the plugin do what it asked to do on the main thread.
    fn run_main_thread(&mut self) -> Result<()> {
        Ok(())
    }

    /// Closes the editor.
    fn destroy_editor(&mut self) -> Result<()> {
        bail!("this host shows no editors")
    }
}

/// What is done on the main thread while another processes.
pub type MainThreadWork<'a> = &'a mut dyn FnMut(&mut dyn PluginEditor) -> Result<()>;

/// A loaded plugin. All of it is to be called from one thread; dropping it deactivates it.
pub trait Plugin {
    /// The plugin's name as the format tells it.
    fn name(&self) -> &str;

    /// Prepares for processing blocks of up to `max_frames` samples.
    fn activate(&mut self, sample_rate: f64, max_frames: u32, mode: Mode) -> Result<()>;

    /// Runs one block and adds what the plugin sent, in the order in which it was sent.
    fn process(&mut self, block: &Block, out: &mut Vec<NoteEvent>) -> Result<()>;

    /// What the plugin wrote in the last block: a slice for each channel of its outputs.
    fn audio(&self) -> &[Vec<f32>];

    /// The plugin's state, as a host keeps it in a project.
    fn save(&mut self) -> Result<Vec<u8>>;

    /// Gives the plugin a state; an error if it refuses.
    fn load(&mut self, state: &[u8]) -> Result<()>;

    /// How long the plugin itself took over the last block.
    fn process_time(&self) -> std::time::Duration;

    /// Ends processing. Does nothing to a plugin that is not active.
    fn deactivate(&mut self) -> Result<()>;

    /// The change that sets the parameter with the plugin's own `id` to what `text` says, as
    /// if a user had typed it.
    fn parameter(&mut self, id: &str, text: &str) -> Result<ParameterChange>;

    /// The parameter's value as the plugin shows it.
    fn parameter_text(&mut self, id: &str) -> Result<String>;

    /// Its editor, and what else is done on the main thread while it processes.
    fn editor(&mut self) -> &mut dyn PluginEditor;

    /// Processes the blocks over and over on a thread of their own, as a host's audio thread
    /// does, for as long as `meanwhile` takes on this one. Gives how many blocks that were; what
    /// the plugin sent is dropped.
    fn process_in_background(&mut self, blocks: &[Block], meanwhile: MainThreadWork)
    -> Result<u64>;
}

/// How long a host's audio thread rests between two blocks.
const BETWEEN_BLOCKS: Duration = Duration::from_micros(200);

/// A host's audio thread: calls `process` with one of the blocks after the other, for as long as
/// `meanwhile` takes on this thread.
fn audio_thread(
    blocks: &[Block],
    mut process: impl FnMut(&Block, &mut Vec<NoteEvent>) -> Result<()> + Send,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<u64> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let audio = scope.spawn(|| {
            let (mut done, mut sent) = (0, Vec::with_capacity(OUTPUT_EVENTS));
            for block in blocks.iter().cycle() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                sent.clear();
                process(block, &mut sent)?;
                done += 1;
                std::thread::sleep(BETWEEN_BLOCKS);
            }
            anyhow::Ok(done)
        });
        // Whatever becomes of it, the audio thread is told to end.
        let result = std::panic::catch_unwind(AssertUnwindSafe(meanwhile));
        over.store(true, Ordering::SeqCst);
        let done = audio
            .join()
            .map_err(|_| anyhow!("the audio thread panicked"))?;
        match result {
            Ok(result) => result?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        done
    })
}

/// The number both formats know a parameter by: nice-plug's hash of its own id. Hosts store
/// it in projects, so it must never change.
fn parameter_number(id: &str) -> u32 {
    let hash = id.bytes().fold(0u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    hash & !(1 << 31)
}
