//! A loaded VST3 plugin.

use std::ffi::{CStr, c_char, c_void};
use std::mem::zeroed;
use std::path::Path;
use std::ptr::null_mut;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use vst3::Steinberg::Vst::{
    BusDirections_, BusInfo, IAudioProcessor, IAudioProcessorTrait, IComponent, IComponentHandler,
    IComponentTrait, IEditController, IEditControllerTrait, IHostApplication, MediaTypes_,
    ProcessModes_, ProcessSetup, SymbolicSampleSizes_,
};
use vst3::Steinberg::{
    FUnknown, IBStream, IPluginBaseTrait, IPluginFactory, IPluginFactoryTrait, PClassInfo,
};
use vst3::{ComPtr, ComWrapper, Interface};

use super::application::HostApplication;
use super::convert::ok;
use super::main_thread::Main;
use super::module::Module;
use super::processing::Processing;
use super::stream::Stream;
use crate::host::audio_thread;
use crate::host::plugin::{
    Block, MainThreadWork, Mode, NoteEvent, ParameterChange, Plugin, PluginEditor, parameter_number,
};

/// A plugin loaded from a VST3 bundle whose component is its own edit controller.
pub struct Vst3Host {
    // Fields are dropped in this order; the module must be last.
    pub(super) main: Main,
    processing: Processing,
    component: ComPtr<IComponent>,
    host: ComWrapper<HostApplication>,
    activates_first: bool,
    name: String,
    _module: Module,
}

/// Creates an object of a class and returns its interface `I`.
fn create<I: Interface>(factory: &ComPtr<IPluginFactory>, class: &PClassInfo) -> Result<ComPtr<I>> {
    let mut object: *mut c_void = null_mut();
    // SAFETY: the class and interface ids are 16 bytes each; the object comes with a count of 1.
    unsafe {
        let id = I::IID.as_ptr().cast::<c_char>();
        ok(
            factory.createInstance(class.cid.as_ptr(), id, &mut object),
            "to be created",
        )?;
        ComPtr::from_raw(object.cast::<I>()).context("the plugin's factory returned no object")
    }
}

impl Vst3Host {
    /// Loads the first plugin of the bundle at `path`.
    ///
    /// # Errors
    ///
    /// Fails when the bundle is no VST3, or its plugin lacks what every host here needs.
    pub fn load(path: &Path) -> Result<Self> {
        let module = Module::load(path)?;
        let factory = module.factory()?;
        // SAFETY: a C struct of numbers, for which zeros are valid.
        let mut class: PClassInfo = unsafe { zeroed() };
        // SAFETY: the factory lives, and the class has room.
        let result = unsafe { factory.getClassInfo(0, &mut class) };
        ok(result, "its class information")?;
        // SAFETY: VST3 names end with a zero.
        let name = unsafe { CStr::from_ptr(class.name.as_ptr()) }
            .to_string_lossy()
            .into_owned();
        let host = ComWrapper::new(HostApplication::default());
        let application = host.to_com_ptr::<IHostApplication>().context("no host")?;
        let handler = host.to_com_ptr::<IComponentHandler>().context("no host")?;
        let component: ComPtr<IComponent> = create(&factory, &class)?;
        let controller = component.cast::<IEditController>().context(
            "the plugin has a separate edit controller, which this host does not support",
        )?;
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
            main: Main::new(controller),
            processing: Processing::new(processor, outputs),
            component,
            host,
            activates_first: false,
            name,
            _module: module,
        })
    }

    /// From the next activation on, calls `setActive()` before `setupProcessing()`.
    pub fn activate_first(&mut self) {
        self.activates_first = true;
    }
}

/// Activates every bus. Returns the channels of each audio output bus.
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
            // SAFETY: the component is initialised: see above.
            let count = unsafe { component.getBusCount(media, direction) };
            if !is_audio && count < 1 {
                bail!(
                    "the plugin lacks an event {}",
                    if is_output { "output" } else { "input" }
                );
            }
            for index in 0..count {
                // SAFETY: as above; a `BusInfo` of zeros is valid and has room for the answer.
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
        // SAFETY: the component is initialised; the calls come in VST3's order, or in the other order
        // that some hosts have.
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
        audio_thread::run(blocks, process, || meanwhile(main))
    }

    fn audio(&self) -> &[Vec<f32>] {
        &self.processing.audio
    }

    fn save(&mut self) -> Result<Vec<u8>> {
        let stream = ComWrapper::new(Stream::default());
        let to = stream.to_com_ptr::<IBStream>().context("no stream")?;
        // SAFETY: the component is initialised and the stream lives.
        let result = unsafe { self.component.getState(to.as_ptr()) };
        ok(result, "to be saved")?;
        Ok(stream.bytes())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        // Component and controller each read the whole state.
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
        self.processing.process_time
    }

    fn deactivate(&mut self) -> Result<()> {
        if self.processing.setup.take().is_some() {
            // SAFETY: the plugin is processing.
            unsafe {
                // VST3 does not define what this returns.
                self.processing.processor.setProcessing(0);
                ok(self.component.setActive(0), "to be inactive")?;
            }
        }
        Ok(())
    }

    fn parameter(&mut self, id: &str, text: &str) -> Result<ParameterChange> {
        let number = parameter_number(id);
        let value = self.read(number, text);
        let value =
            value.with_context(|| format!("the plugin does not understand {text:?} for {id:?}"))?;
        Ok(ParameterChange { id: number, value })
    }

    fn parameter_text(&mut self, id: &str) -> Result<String> {
        let number = parameter_number(id);
        // SAFETY: the controller is initialised.
        let value = unsafe { self.main.controller.getParamNormalized(number) };
        let text = self.show(number, value);
        text.with_context(|| format!("no parameter {id:?}"))
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
