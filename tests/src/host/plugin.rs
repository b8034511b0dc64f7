//! The interface of a loaded plugin, the same for both formats, and the types of one block.

use std::time::Duration;

use anyhow::{Result, bail};

/// Render mode that the host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In real time: the plugin must not wait.
    Realtime,
    /// Faster or slower than real time, as in an export: the plugin may wait.
    Offline,
}

/// The part of its [`Transport`] that a host reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportDetail {
    /// All of it.
    #[default]
    Full,
    /// No time signature, and therefore no bar lines.
    NoTimeSignature,
    /// Play state and tempo, but no song position.
    NoPosition,
    /// No transport at all.
    None,
}

/// The host's transport at the first sample of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transport {
    /// Whether the song position moves.
    pub playing: bool,
    /// Song position in quarter notes.
    pub beat: f64,
    /// Tempo in quarter notes per minute.
    pub bpm: f64,
    /// Time signature: numerator and denominator as written.
    pub metre: (u16, u16),
    /// Song position of the bar line at or before `beat`, in quarter notes.
    pub bar_start: f64,
    /// Number of bars before that bar line.
    pub bar: i32,
    /// Start and end of the loop in quarter notes, if a loop is on.
    pub loop_range: Option<(f64, f64)>,
    /// The part of these fields that the plugin receives.
    pub detail: TransportDetail,
}

/// A note-on or a note-off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoteEvent {
    /// Samples since the start of the block.
    pub offset: u32,
    /// True for a note-on.
    pub on: bool,
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// MIDI key, 0 to 127.
    pub key: u8,
    /// Velocity, 0 to 1.
    pub velocity: f32,
}

/// A parameter and its new value. Made by [`Plugin::parameter`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterChange {
    /// The number that the format identifies the parameter by.
    pub(super) id: u32,
    /// The value: plain in CLAP, normalised in VST3.
    pub(super) value: f64,
}

/// Input of a plugin for one block.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Length in samples.
    pub frames: u32,
    /// The transport at the first sample.
    pub transport: Transport,
    /// Notes, sorted by offset.
    pub notes: &'a [NoteEvent],
    /// Parameters that change at the first sample.
    pub parameters: &'a [ParameterChange],
    /// The block's samples at the side chain, on both channels; `None` is a host that passes no audio
    /// input.
    pub sound: Option<&'a [f32]>,
}

/// A window of the host: an X11 id or, on Windows, an `HWND`.
pub type WindowId = usize;

/// A plugin's editor. Main thread only; an audio thread may process meanwhile.
pub trait PluginEditor {
    /// Creates the editor. Returns its preferred width and height in pixels.
    fn create_editor(&mut self) -> Result<(u32, u32)> {
        bail!("this host shows no editors")
    }

    /// Embeds the editor in the host's window `parent` and shows it. The window must exist until
    /// [`Self::destroy_editor`].
    fn show_editor(&mut self, _parent: WindowId) -> Result<()> {
        bail!("this host shows no editors")
    }

    /// Hides the editor, or shows it again, without destroying it.
    fn hide_editor(&mut self, _hidden: bool) -> Result<()> {
        bail!("this format hides no editors")
    }

    /// Reports the new size of the editor's window, in pixels.
    fn resize_editor(&mut self, _width: u32, _height: u32) -> Result<()> {
        bail!("this host shows no editors")
    }

    /// The window size in pixels that the editor has requested since the last call, if any.
    fn requested_size(&mut self) -> Option<(u32, u32)> {
        None
    }

    /// Runs the work that the plugin has requested for the main thread.
    fn run_main_thread(&mut self) -> Result<()> {
        Ok(())
    }

    /// Destroys the editor.
    fn destroy_editor(&mut self) -> Result<()> {
        bail!("this host shows no editors")
    }
}

/// Work of the main thread while an audio thread processes.
pub type MainThreadWork<'a> = &'a mut dyn FnMut(&mut dyn PluginEditor) -> Result<()>;

/// A loaded plugin. Main thread only; dropping it deactivates it.
pub trait Plugin {
    /// The plugin's name in its bundle.
    fn name(&self) -> &str;

    /// Prepares for blocks of up to `max_frames` samples.
    fn activate(&mut self, sample_rate: f64, max_frames: u32, mode: Mode) -> Result<()>;

    /// Processes one block and appends the plugin's note events to `out`, in the order sent.
    fn process(&mut self, block: &Block, out: &mut Vec<NoteEvent>) -> Result<()>;

    /// Audio output of the last block: `[channels][frames]` over all output ports.
    fn audio(&self) -> &[Vec<f32>];

    /// The plugin's state, as a host stores it in a project.
    fn save(&mut self) -> Result<Vec<u8>>;

    /// Restores a state.
    ///
    /// # Errors
    ///
    /// Fails when the plugin refuses the state.
    fn load(&mut self, state: &[u8]) -> Result<()>;

    /// Duration of the plugin's own `process()` for the last block.
    fn process_time(&self) -> Duration;

    /// Ends processing. Does nothing to a plugin that is not active.
    fn deactivate(&mut self) -> Result<()>;

    /// Parses `text` as a user would type it for the parameter with the plugin's own `id`.
    ///
    /// # Errors
    ///
    /// Fails when there is no such parameter or the plugin does not understand the text.
    fn parameter(&mut self, id: &str, text: &str) -> Result<ParameterChange>;

    /// The parameter's value as the plugin displays it.
    fn parameter_text(&mut self, id: &str) -> Result<String>;

    /// The plugin's editor and main-thread callbacks.
    fn editor(&mut self) -> &mut dyn PluginEditor;

    /// Processes the blocks in rotation on an audio thread until `main_thread` returns on this
    /// one. Drops the plugin's events. Returns the number of blocks processed.
    fn process_in_background(
        &mut self,
        blocks: &[Block],
        main_thread: MainThreadWork,
    ) -> Result<u64>;
}

/// The number that both formats identify a parameter by: nice-plug's hash of its `id`. Hosts
/// store it in projects, so it must never change.
pub(super) fn parameter_number(id: &str) -> u32 {
    let hash = id.bytes().fold(0u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    hash & !(1 << 31)
}
