//! A VST3 host.

// The format's constants are signed on one platform and unsigned on another.
#![allow(clippy::unnecessary_cast)]

use std::ffi::{CStr, c_char, c_void};
use std::mem::zeroed;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, BusDirections_, BusInfo, IAudioProcessor,
    IAudioProcessorTrait, IComponent, IComponentHandler, IComponentTrait, IEditController,
    IEditControllerTrait, IEventList, IHostApplication, IParameterChanges, MediaTypes_,
    ProcessContext, ProcessContext_::StatesAndFlags_ as Has, ProcessData, ProcessModes_,
    ProcessSetup, String128, SymbolicSampleSizes_,
};
use vst3::Steinberg::{
    FUnknown, IBStream, IPluginBaseTrait, IPluginFactory, IPluginFactoryTrait, PClassInfo,
    kResultOk, tresult,
};
use vst3::{ComPtr, ComWrapper, Interface};

use self::block_data::{Changes, Events, Host};
use self::module::Module;
use self::stream::Stream;
use super::{
    Block, MainThreadWork, Mode, NoteEvent, PROCESSING, ParameterChange, Plugin, PluginEditor,
    Transport, TransportDetail, audio_thread, parameter_number,
};

mod block_data;
#[cfg(target_os = "linux")]
mod gui;
mod module;
mod parameters;
mod stream;

pub use self::parameters::Vst3Parameter;

/// A plugin loaded from a VST3 bundle. Its controller is the component itself.
pub struct Vst3Host {
    // Dropped in this order, the library last.
    main: Main,
    processing: Processing,
    component: ComPtr<IComponent>,
    host: ComWrapper<Host>,
    activates_first: bool,
    _module: Module,
    name: String,
}

/// What belongs to the main thread.
struct Main {
    #[cfg(target_os = "linux")]
    editor: Option<gui::Editor>,
    controller: ComPtr<IEditController>,
}

/// What belongs to the thread that processes.
struct Processing {
    processor: ComPtr<IAudioProcessor>,
    /// Channels of each output bus.
    outputs: Vec<usize>,
    setup: Option<ProcessSetup>,
    /// Samples processed since activation.
    samples: i64,
    audio: Vec<Vec<f32>>,
    took: Duration,
}

/// An error that says what was asked, unless the answer is yes.
fn ok(result: tresult, what: &str) -> Result<()> {
    if result == kResultOk {
        Ok(())
    } else {
        bail!("the plugin refused {what} ({result})")
    }
}

fn create<I: Interface>(factory: &ComPtr<IPluginFactory>, class: &PClassInfo) -> Result<ComPtr<I>> {
    let mut object: *mut c_void = null_mut();
    // SAFETY: the class and interface ids are 16 bytes each; the object comes with a count of 1.
    unsafe {
        let id = I::IID.as_ptr().cast::<c_char>();
        ok(
            factory.createInstance(class.cid.as_ptr(), id, &mut object),
            "to be created",
        )?;
        ComPtr::from_raw(object.cast::<I>()).context("the plugin was created as nothing")
    }
}

impl Vst3Host {
    /// Loads the first plugin of the bundle at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        let module = Module::load(path)?;
        let factory = module.factory()?;
        // SAFETY: a C struct of numbers, for which zeros are valid.
        let mut class: PClassInfo = unsafe { zeroed() };
        // SAFETY: the factory lives, and the class has room.
        let told = unsafe { factory.getClassInfo(0, &mut class) };
        ok(told, "to tell its class")?;
        // SAFETY: the format ends names with a zero.
        let name = unsafe { CStr::from_ptr(class.name.as_ptr()) }
            .to_string_lossy()
            .into_owned();
        let host = ComWrapper::new(Host::default());
        let application = host.to_com_ptr::<IHostApplication>().context("no host")?;
        let handler = host.to_com_ptr::<IComponentHandler>().context("no host")?;
        let component: ComPtr<IComponent> = create(&factory, &class)?;
        let controller = component
            .cast::<IEditController>()
            .context("the plugin keeps its parameters in another class, which this host lacks")?;
        let processor = component
            .cast::<IAudioProcessor>()
            .context("the plugin cannot process")?;
        // SAFETY: all of these live; the context and the handler outlive the component.
        let outputs = unsafe {
            let context = application.as_ptr().cast::<FUnknown>();
            ok(component.initialize(context), "to be initialised")?;
            ok(
                controller.setComponentHandler(handler.as_ptr()),
                "the host's handler",
            )?;
            activate_buses(&component)?
        };
        Ok(Self {
            main: Main {
                #[cfg(target_os = "linux")]
                editor: None,
                controller,
            },
            processing: Processing {
                processor,
                outputs,
                setup: None,
                samples: 0,
                audio: Vec::new(),
                took: Duration::ZERO,
            },
            component,
            host,
            activates_first: false,
            _module: module,
            name,
        })
    }
}

impl Vst3Host {
    /// From now on the host calls `setActive()` before `setupProcessing()`.
    pub fn activate_first(&mut self) {
        self.activates_first = true;
    }
}

/// Turns on every bus, and gives the channels of each audio output.
///
/// # Safety
/// The component must be initialised.
unsafe fn activate_buses(component: &ComPtr<IComponent>) -> Result<Vec<usize>> {
    let mut outputs = Vec::new();
    for media in [MediaTypes_::kAudio, MediaTypes_::kEvent] {
        for direction in [BusDirections_::kInput, BusDirections_::kOutput] {
            let (is_audio, is_output) = (
                media == MediaTypes_::kAudio,
                direction == BusDirections_::kOutput,
            );
            let (media, direction) = (media as i32, direction as i32);
            // SAFETY: the caller's.
            let count = unsafe { component.getBusCount(media, direction) };
            if !is_audio && count < 1 {
                bail!(
                    "the plugin lacks an event {}",
                    if is_output { "output" } else { "input" }
                );
            }
            for index in 0..count {
                // SAFETY: the caller's; zeros are a valid bus, which has room for the answer.
                unsafe {
                    let mut bus: BusInfo = zeroed();
                    ok(
                        component.getBusInfo(media, direction, index, &mut bus),
                        "a bus's details",
                    )?;
                    ok(component.activateBus(media, direction, index, 1), "a bus")?;
                    if is_audio && is_output {
                        outputs.push(bus.channelCount as usize);
                    }
                }
            }
        }
    }
    Ok(outputs)
}

#[cfg(not(target_os = "linux"))]
impl PluginEditor for Main {}

#[cfg(target_os = "linux")]
impl PluginEditor for Main {
    fn create_editor(&mut self) -> Result<(u32, u32)> {
        if self.editor.is_some() {
            bail!("the editor is there already");
        }
        let editor = gui::Editor::make(&self.controller)?;
        self.editor.insert(editor).size()
    }

    fn show_editor(&mut self, parent: u32) -> Result<()> {
        self.editor.as_mut().context("no editor")?.show(parent)
    }

    fn resize_editor(&mut self, width: u32, height: u32) -> Result<()> {
        let editor = self.editor.as_mut().context("no editor")?;
        editor.resize(width, height)
    }

    fn requested_size(&mut self) -> Option<(u32, u32)> {
        self.editor.as_ref()?.requested_size()
    }

    fn run_main_thread(&mut self) -> Result<()> {
        self.editor
            .as_ref()
            .map_or(Ok(()), gui::Editor::run_main_thread)
    }

    fn destroy_editor(&mut self) -> Result<()> {
        self.editor.take().context("no editor")?.close()
    }
}

impl Processing {
    /// `parameters` was done in the editor, and comes before what the track says.
    fn process(
        &mut self,
        block: &Block,
        mut parameters: Vec<ParameterChange>,
        out: &mut Vec<NoteEvent>,
    ) -> Result<()> {
        let setup = self.setup.as_ref().context("the plugin is not active")?;
        let frames = block.frames as usize;
        assert!(
            frames > 0 && block.frames as i32 <= setup.maxSamplesPerBlock,
            "{frames} frames"
        );
        let input = ComWrapper::new(Events::new(block.notes));
        let output = ComWrapper::new(Events::empty());
        parameters.extend_from_slice(block.parameters);
        let changes = ComWrapper::new(Changes::new(&parameters));
        let answers = ComWrapper::new(Changes::new(&[]));
        let input_events = input.to_com_ptr::<IEventList>().context("no event list")?;
        let output_events = output.to_com_ptr::<IEventList>().context("no event list")?;
        let changes = changes
            .to_com_ptr::<IParameterChanges>()
            .context("no changes")?;
        let answers = answers
            .to_com_ptr::<IParameterChanges>()
            .context("no changes")?;
        let channels: usize = self.outputs.iter().sum();
        let mut audio = vec![vec![f32::NAN; frames]; channels];
        let mut pointers: Vec<*mut f32> = audio.iter_mut().map(Vec::as_mut_ptr).collect();
        let mut first = 0;
        let mut buses: Vec<AudioBusBuffers> = Vec::new();
        for &channels in &self.outputs {
            let start = pointers[first..].as_mut_ptr();
            buses.push(AudioBusBuffers {
                numChannels: channels as i32,
                silenceFlags: 0,
                __field0: AudioBusBuffers__type0 {
                    channelBuffers32: start,
                },
            });
            first += channels;
        }
        let mut context = process_context(&block.transport, setup.sampleRate, self.samples);
        let mut data = ProcessData {
            processMode: setup.processMode,
            symbolicSampleSize: setup.symbolicSampleSize,
            numSamples: block.frames as i32,
            numInputs: 0,
            numOutputs: buses.len() as i32,
            inputs: null_mut(),
            outputs: buses.as_mut_ptr(),
            inputParameterChanges: changes.as_ptr(),
            outputParameterChanges: answers.as_ptr(),
            inputEvents: input_events.as_ptr(),
            outputEvents: output_events.as_ptr(),
            processContext: match block.transport.detail {
                TransportDetail::None => null_mut(),
                _ => &mut context,
            },
        };
        let began = Instant::now();
        PROCESSING.store(true, Ordering::SeqCst);
        // SAFETY: the plugin is processing, and `data` points to what outlives the call.
        let done = unsafe { self.processor.process(&mut data) };
        PROCESSING.store(false, Ordering::SeqCst);
        self.took = began.elapsed();
        ok(done, "a block")?;
        self.samples += i64::from(block.frames);
        self.audio = audio;
        out.extend(output.notes());
        Ok(())
    }
}

impl Plugin for Vst3Host {
    fn name(&self) -> &str {
        &self.name
    }

    fn activate(&mut self, sample_rate: f64, max_frames: u32, mode: Mode) -> Result<()> {
        self.deactivate()?;
        let mut setup = ProcessSetup {
            processMode: match mode {
                Mode::Realtime => ProcessModes_::kRealtime as i32,
                Mode::Offline => ProcessModes_::kOffline as i32,
            },
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
            maxSamplesPerBlock: max_frames as i32,
            sampleRate: sample_rate,
        };
        // SAFETY: the component is initialised; the calls come in the format's order, unless this is
        // a host that has another.
        unsafe {
            if self.activates_first {
                ok(self.component.setActive(1), "to be active")?;
            }
            ok(
                self.processing.processor.setupProcessing(&mut setup),
                "the processing setup",
            )?;
            if !self.activates_first {
                ok(self.component.setActive(1), "to be active")?;
            }
            ok(self.processing.processor.setProcessing(1), "to process")?;
        }
        self.processing.setup = Some(setup);
        self.processing.samples = 0;
        Ok(())
    }

    fn process(&mut self, block: &Block, out: &mut Vec<NoteEvent>) -> Result<()> {
        self.processing.process(block, self.host.take_edits(), out)
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
        let process = |block: &Block, sent: &mut _| processing.process(block, Vec::new(), sent);
        audio_thread(blocks, process, || meanwhile(main))
    }

    fn audio(&self) -> &[Vec<f32>] {
        &self.processing.audio
    }

    fn save(&mut self) -> Result<Vec<u8>> {
        let stream = ComWrapper::new(Stream::default());
        let to = stream.to_com_ptr::<IBStream>().context("no stream")?;
        // SAFETY: the component is initialised and the stream lives.
        let told = unsafe { self.component.getState(to.as_ptr()) };
        ok(told, "to be saved")?;
        Ok(stream.bytes())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        // A host reads the same state from its beginning for each.
        let streams = [bytes, bytes].map(|bytes| ComWrapper::new(Stream::new(bytes)));
        let [component, controller] = streams
            .each_ref()
            .map(|stream| stream.to_com_ptr::<IBStream>());
        let (component, controller) = component.zip(controller).context("no stream")?;
        // SAFETY: both are initialised and the streams live.
        unsafe {
            ok(self.component.setState(component.as_ptr()), "its state")?;
            ok(
                self.main.controller.setComponentState(controller.as_ptr()),
                "its state",
            )
        }
    }

    fn process_time(&self) -> Duration {
        self.processing.took
    }

    fn deactivate(&mut self) -> Result<()> {
        if self.processing.setup.take().is_some() {
            // SAFETY: the plugin is processing.
            unsafe {
                // What this answers is not settled in the format.
                self.processing.processor.setProcessing(0);
                ok(self.component.setActive(0), "to be inactive")?;
            }
        }
        Ok(())
    }

    fn parameter(&mut self, id: &str, text: &str) -> Result<ParameterChange> {
        let number = parameter_number(id);
        let mut characters: Vec<_> = text
            .encode_utf16()
            .chain([0])
            .map(|unit| unit as vst3::Steinberg::Vst::TChar)
            .collect();
        let mut value = 0.0;
        // SAFETY: the text ends with a zero, and there is room for the value.
        let found = unsafe {
            self.main
                .controller
                .getParamValueByString(number, characters.as_mut_ptr(), &mut value)
        };
        if found != kResultOk {
            bail!("the plugin does not understand {text:?} for {id:?}");
        }
        Ok(ParameterChange { id: number, value })
    }

    fn parameter_text(&mut self, id: &str) -> Result<String> {
        let number = parameter_number(id);
        let mut shown: String128 = [0; 128];
        // SAFETY: the controller lives, and there is room for 128 characters.
        let found = unsafe {
            let value = self.main.controller.getParamNormalized(number);
            self.main
                .controller
                .getParamStringByValue(number, value, &mut shown)
        };
        if found != kResultOk {
            bail!("no parameter {id:?}");
        }
        let units: Vec<u16> = shown
            .iter()
            .take_while(|&&unit| unit != 0)
            .map(|&unit| unit as u16)
            .collect();
        Ok(String::from_utf16_lossy(&units))
    }
}

impl Drop for Vst3Host {
    fn drop(&mut self) {
        if let Err(error) = self.deactivate() {
            eprintln!("{}: {error:#}", self.name);
        }
        // SAFETY: the component is initialised and no longer active.
        unsafe {
            self.main.controller.setComponentHandler(null_mut());
            self.component.terminate();
        }
    }
}

fn process_context(transport: &Transport, sample_rate: f64, samples: i64) -> ProcessContext {
    // SAFETY: a C struct of numbers, for which zeros are valid.
    let mut context: ProcessContext = unsafe { zeroed() };
    let mut state = Has::kTempoValid | Has::kContTimeValid;
    if matches!(
        transport.detail,
        TransportDetail::Full | TransportDetail::NoTimeSignature
    ) {
        state |= Has::kProjectTimeMusicValid;
    }
    if transport.detail == TransportDetail::Full {
        state |= Has::kTimeSigValid | Has::kBarPositionValid;
    }
    if transport.playing {
        state |= Has::kPlaying;
    }
    if let Some((from, to)) = transport.loop_range {
        state |= Has::kCycleActive | Has::kCycleValid;
        (context.cycleStartMusic, context.cycleEndMusic) = (from, to);
    }
    context.state = state as u32;
    context.sampleRate = sample_rate;
    context.projectTimeSamples =
        (transport.beat * 60.0 / transport.bpm * sample_rate).round() as i64;
    context.continousTimeSamples = samples;
    context.projectTimeMusic = transport.beat;
    context.barPositionMusic = transport.bar_start;
    context.tempo = transport.bpm;
    context.timeSigNumerator = i32::from(transport.metre.0);
    context.timeSigDenominator = i32::from(transport.metre.1);
    context
}
