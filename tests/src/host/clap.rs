//! A CLAP host.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::gui::HostGui;
use clack_extensions::latency::{HostLatency, HostLatencyImpl};
use clack_extensions::note_ports::{NoteDialect, NotePortInfoBuffer, PluginNotePorts};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags,
    PluginParams,
};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::EventFlags;
use clack_host::events::event_types::{ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, SecondsTime};

use super::{
    Block, MainThreadWork, Mode, NoteEvent, OUTPUT_EVENTS, PROCESSING, ParameterChange, Plugin,
    PluginEditor, Transport, TransportDetail, audio_thread, parameter_number,
};

mod gui;
mod notes;
mod parameters;

use self::notes::{Accepted, NotePorts};
pub use self::notes::{ClapHostConfig, Dialect, DialectCounts};
pub use self::parameters::ClapParameter;

/// What the plugin may ask of the host from any thread.
struct Shared {
    callback: AtomicBool,
    config: ClapHostConfig,
    /// The size that the editor asked for last.
    wanted: Mutex<Option<(u32, u32)>>,
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}

    fn request_process(&self) {}

    fn request_callback(&self) {
        self.callback.store(true, Ordering::SeqCst);
    }
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {}
}

struct MainThread {
    /// The dialects of notes that the host declares.
    declares: Option<Vec<Dialect>>,
}

impl MainThreadHandler<'_> for MainThread {}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _flags: ParamRescanFlags) {}

    fn clear(&self, _id: ClapId, _flags: ParamClearFlags) {}
}

impl HostLatencyImpl for MainThread {
    fn changed(&self) {}
}

struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, shared: &Self::Shared<'_>) {
        builder.register::<HostParams>().register::<HostLatency>();
        if shared.config.has_gui {
            builder.register::<HostGui>();
        }
        if shared.config.declares.is_some() {
            builder.register::<NotePorts>();
        }
    }
}

/// A plugin loaded from a CLAP bundle.
pub struct ClapHost {
    // Dropped in this order.
    processing: Processing,
    main: Main,
    name: String,
}

/// What belongs to the main thread.
struct Main {
    instance: PluginInstance<Handlers>,
}

/// What belongs to the thread that processes.
#[derive(Default)]
struct Processing {
    processor: Option<PluginAudioProcessor<Handlers>>,
    /// Channels of each output port.
    outputs: Vec<usize>,
    max_frames: u32,
    steady: u64,
    audio: Vec<Vec<f32>>,
    took: Duration,
    config: ClapHostConfig,
}

impl ClapHost {
    /// Loads the first plugin of the bundle at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, ClapHostConfig::default())
    }

    /// Loads it into a host that is not like the usual one.
    pub fn load_with(path: &Path, config: ClapHostConfig) -> Result<Self> {
        // SAFETY: loading a plugin runs its code; these are the ones this project built.
        let entry = unsafe { PluginEntry::load(path) }
            .with_context(|| format!("cannot load {} as a CLAP", path.display()))?;
        let factory = entry
            .get_plugin_factory()
            .context("the CLAP has no plugin factory")?;
        let descriptor = factory
            .plugin_descriptor(0)
            .context("the CLAP has no plugin in it")?;
        let id = descriptor.id().context("the plugin has no id")?.to_owned();
        let name = text(descriptor.name());
        let info = HostInfo::new("Continuo tests", "Continuo", "", env!("CARGO_PKG_VERSION"))?;
        let mut instance = PluginInstance::<Handlers>::new(
            |()| Shared {
                callback: AtomicBool::new(false),
                config: config.clone(),
                wanted: Mutex::default(),
            },
            |_| MainThread {
                declares: config.declares.clone(),
            },
            &entry,
            &id,
            &info,
        )
        .map_err(|error| anyhow!("cannot make an instance of {name}: {error}"))?;
        let outputs = output_channels(&mut instance);
        check_note_ports(&mut instance)?;
        Ok(Self {
            processing: Processing {
                outputs,
                config,
                ..Processing::default()
            },
            main: Main { instance },
            name,
        })
    }
}

impl ClapHost {
    /// The dialect that the plugin prefers for the notes it takes, and for those it gives.
    pub fn preferred_dialects(&mut self) -> Result<[Option<Dialect>; 2]> {
        let handle = self.main.instance.plugin_handle();
        let ports = handle.get_extension::<PluginNotePorts>();
        let ports = ports.context("the plugin has no note ports")?;
        Ok([true, false].map(|is_input| {
            let mut buffer = NotePortInfoBuffer::new();
            let port = ports.get(&handle, 0, is_input, &mut buffer)?;
            notes::dialect_of(port.preferred_dialect)
        }))
    }
}

impl Main {
    /// The `clap_plugin_params` extension.
    fn params(&mut self) -> Result<PluginParams> {
        self.instance
            .plugin_handle()
            .get_extension::<PluginParams>()
            .context("the plugin has no parameters")
    }

    /// The `clap_plugin_state` extension.
    fn state(&mut self) -> Result<PluginState> {
        self.instance
            .plugin_handle()
            .get_extension::<PluginState>()
            .context("the plugin keeps no state")
    }

    /// A note plugin may ask for a turn on the main thread; blocks are where it gets one.
    fn run_callback(&mut self) {
        let asked = self
            .instance
            .access_shared_handler(|shared| shared.callback.swap(false, Ordering::SeqCst));
        if asked {
            self.instance.call_on_main_thread_callback();
        }
    }
}

fn text(bytes: Option<&CStr>) -> String {
    bytes
        .map(|bytes| bytes.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn output_channels(instance: &mut PluginInstance<Handlers>) -> Vec<usize> {
    let handle = instance.plugin_handle();
    let Some(ports) = handle.get_extension::<PluginAudioPorts>() else {
        return Vec::new();
    };
    let mut buffer = AudioPortInfoBuffer::new();
    (0..ports.count(&handle, false))
        .filter_map(|port| Some(ports.get(&handle, port, false, &mut buffer)?.channel_count))
        .map(|channels| channels as usize)
        .collect()
}

/// The plugin must take and give notes in both dialects.
fn check_note_ports(instance: &mut PluginInstance<Handlers>) -> Result<()> {
    let handle = instance.plugin_handle();
    let ports = handle
        .get_extension::<PluginNotePorts>()
        .context("the plugin has no note ports")?;
    for (is_input, direction) in [(true, "input"), (false, "output")] {
        let mut buffer = NotePortInfoBuffer::new();
        let port = ports
            .get(&handle, 0, is_input, &mut buffer)
            .with_context(|| format!("the plugin has no note {direction}"))?;
        for dialect in [NoteDialect::Clap, NoteDialect::Midi] {
            if !port.supported_dialects.supports(dialect) {
                bail!("the plugin's note {direction} does not speak {dialect:?}");
            }
        }
    }
    Ok(())
}

impl Processing {
    fn process(&mut self, block: &Block, out: &mut Vec<NoteEvent>) -> Result<()> {
        let frames = block.frames as usize;
        assert!(
            frames > 0 && block.frames <= self.max_frames,
            "{frames} frames in a block"
        );
        let processor = self
            .processor
            .as_mut()
            .context("the plugin is not active")?;
        let mut input = EventBuffer::new();
        for change in block.parameters {
            let id = ClapId::from_raw(change.id).context("a parameter without an id")?;
            input.push(&ParamValueEvent::new(
                0,
                id,
                Pckn::match_all(),
                change.value,
            ));
        }
        for note in block.notes {
            notes::write(note, self.config.writes, &mut input);
        }
        let mut output = Accepted::new(&self.config);
        let channels: usize = self.outputs.iter().sum();
        let mut audio = vec![vec![f32::NAN; frames]; channels];
        let mut slots = audio.iter_mut();
        let buffers: Vec<_> = self
            .outputs
            .iter()
            .map(|&channels| {
                let port: Vec<_> = slots
                    .by_ref()
                    .take(channels)
                    .map(Vec::as_mut_slice)
                    .collect();
                AudioPortBuffer {
                    latency: 0,
                    channels: AudioPortBufferType::f32_output_only(port),
                }
            })
            .collect();
        let mut ports = AudioPorts::with_capacity(channels, self.outputs.len());
        let processor = processor.as_started_mut()?;
        let no_input = InputAudioBuffers::empty();
        let mut buffers = ports.with_output_buffers(buffers);
        let input = InputEvents::from_buffer(&input);
        let mut events = OutputEvents::from_buffer(&mut output);
        let transport = transport_event(&block.transport);
        let began = Instant::now();
        PROCESSING.store(true, Ordering::SeqCst);
        let done = processor.process(
            &no_input,
            &mut buffers,
            &input,
            &mut events,
            Some(self.steady),
            Some(&transport).filter(|_| block.transport.detail != TransportDetail::None),
        );
        PROCESSING.store(false, Ordering::SeqCst);
        self.took = began.elapsed();
        done.map_err(|error| anyhow!("process() failed: {error}"))?;
        self.steady += u64::from(block.frames);
        self.audio = audio;
        let notes = output.events.iter().filter_map(notes::read);
        out.extend(notes.map(|(note, _)| note));
        Ok(())
    }
}

impl Plugin for ClapHost {
    fn name(&self) -> &str {
        &self.name
    }

    fn activate(&mut self, sample_rate: f64, max_frames: u32, mode: Mode) -> Result<()> {
        self.deactivate()?;
        let handle = self.main.instance.plugin_handle();
        if let Some(render) = handle.get_extension::<PluginRender>() {
            let mode = match mode {
                Mode::Realtime => RenderMode::Realtime,
                Mode::Offline => RenderMode::Offline,
            };
            render
                .set(&handle, mode)
                .map_err(|_| anyhow!("the plugin refused {mode:?}"))?;
        } else if mode == Mode::Offline {
            bail!("the plugin cannot be told to render offline");
        }
        let setup = PluginAudioConfiguration {
            sample_rate,
            min_frames_count: 1,
            max_frames_count: max_frames,
        };
        let stopped = self.main.instance.activate(|_, _| (), setup)?;
        let started = stopped
            .start_processing()
            .map_err(|error| anyhow!("{error}"))?;
        self.processing.processor = Some(started.into());
        self.processing.max_frames = max_frames;
        self.processing.steady = 0;
        Ok(())
    }

    fn process(&mut self, block: &Block, out: &mut Vec<NoteEvent>) -> Result<()> {
        self.main.run_callback();
        self.processing.process(block, out)
    }

    fn editor(&mut self) -> &mut dyn PluginEditor {
        &mut self.main
    }

    fn process_in_background(
        &mut self,
        blocks: &[Block],
        meanwhile: MainThreadWork,
    ) -> Result<u64> {
        let (processing, main) = (&mut self.processing, &mut self.main);
        let process = |block: &Block, sent: &mut _| processing.process(block, sent);
        audio_thread(blocks, process, || meanwhile(main))
    }

    fn audio(&self) -> &[Vec<f32>] {
        &self.processing.audio
    }

    fn save(&mut self) -> Result<Vec<u8>> {
        let state = self.main.state()?;
        let mut bytes = Vec::new();
        state.save(&self.main.instance.plugin_handle(), &mut bytes)?;
        Ok(bytes)
    }

    fn load(&mut self, mut bytes: &[u8]) -> Result<()> {
        let state = self.main.state()?;
        state.load(&self.main.instance.plugin_handle(), &mut bytes)?;
        Ok(())
    }

    fn process_time(&self) -> Duration {
        self.processing.took
    }

    fn deactivate(&mut self) -> Result<()> {
        if let Some(processor) = self.processing.processor.take() {
            self.main.instance.deactivate(processor.into_stopped());
        }
        Ok(())
    }

    fn parameter(&mut self, id: &str, text: &str) -> Result<ParameterChange> {
        let number = parameter_number(id);
        let params = self.main.params()?;
        let c_text = CString::new(text)?;
        let clap_id = ClapId::from_raw(number).context("a parameter without an id")?;
        let value = params
            .text_to_value(&self.main.instance.plugin_handle(), clap_id, &c_text)
            .with_context(|| format!("the plugin does not understand {text:?} for {id:?}"))?;
        Ok(ParameterChange { id: number, value })
    }

    fn parameter_text(&mut self, id: &str) -> Result<String> {
        let params = self.main.params()?;
        let clap_id =
            ClapId::from_raw(parameter_number(id)).context("a parameter without an id")?;
        let handle = self.main.instance.plugin_handle();
        let value = params
            .get_value(&handle, clap_id)
            .with_context(|| format!("no parameter {id:?}"))?;
        let mut buffer = [0u8; 256];
        let shown = params
            .value_to_text(&handle, clap_id, value, &mut buffer)
            .map_err(|_| anyhow!("the plugin cannot show {id:?}"))?;
        Ok(String::from_utf8_lossy(shown).into_owned())
    }
}

impl Drop for ClapHost {
    fn drop(&mut self) {
        // Deactivating a CLAP cannot fail.
        let _ = self.deactivate();
    }
}

fn transport_event(transport: &Transport) -> TransportEvent {
    use TransportFlags as Has;
    let mut flags = Has::HAS_TEMPO;
    flags.set(
        Has::HAS_BEATS_TIMELINE,
        matches!(
            transport.detail,
            TransportDetail::Full | TransportDetail::NoTimeSignature
        ),
    );
    flags.set(
        Has::HAS_TIME_SIGNATURE,
        transport.detail == TransportDetail::Full,
    );
    flags.set(Has::IS_PLAYING, transport.playing);
    flags.set(Has::IS_LOOP_ACTIVE, transport.loop_range.is_some());
    let (from, to) = transport.loop_range.unwrap_or_default();
    let bars = transport.detail == TransportDetail::Full;
    let (bar_start, bar) = (transport.bar_start, transport.bar);
    let (bar_start, bar) = if bars { (bar_start, bar) } else { (0.0, 0) };
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags,
        song_pos_beats: BeatTime::from_float(transport.beat),
        song_pos_seconds: SecondsTime::default(),
        tempo: transport.bpm,
        tempo_inc: 0.0,
        loop_start_beats: BeatTime::from_float(from),
        loop_end_beats: BeatTime::from_float(to),
        loop_start_seconds: SecondsTime::default(),
        loop_end_seconds: SecondsTime::default(),
        bar_start: BeatTime::from_float(bar_start),
        bar_number: bar,
        time_signature_numerator: transport.metre.0,
        time_signature_denominator: transport.metre.1,
    }
}
