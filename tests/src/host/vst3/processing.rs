//! The part of a VST3 host that the audio thread owns: one call of `process()` a block.

use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, IAudioProcessor, IAudioProcessorTrait, IEventList,
    IParameterChanges, ProcessContext, ProcessContext_::StatesAndFlags_ as Has, ProcessData,
    ProcessSetup,
};
use vst3::{ComPtr, ComWrapper};

use super::block_data::{EventList, ParameterChanges};
use super::convert::ok;
use crate::host::audio_thread::PROCESSING;
use crate::host::plugin::{Block, NoteEvent, ParameterChange, Transport, TransportDetail};

/// State of the audio thread.
pub(super) struct Processing {
    pub(super) processor: ComPtr<IAudioProcessor>,
    /// Channels of each output bus.
    outputs: Vec<usize>,
    /// Present while the plugin is active.
    pub(super) setup: Option<ProcessSetup>,
    /// Samples processed since activation.
    pub(super) samples: i64,
    /// Audio output of the last block: `[channels][frames]`.
    pub(super) audio: Vec<Vec<f32>>,
    /// Duration of the last `process()`.
    pub(super) process_time: Duration,
}

impl Processing {
    /// Not active yet. `outputs` is the number of channels of each output bus.
    pub(super) fn new(processor: ComPtr<IAudioProcessor>, outputs: Vec<usize>) -> Self {
        Self {
            processor,
            outputs,
            setup: None,
            samples: 0,
            audio: Vec::new(),
            process_time: Duration::ZERO,
        }
    }

    /// Processes one block and appends the plugin's notes to `out`. `edits` are parameter changes
    /// made in the editor; they precede those of the block.
    pub(super) fn process(
        &mut self,
        block: &Block,
        edits: Vec<ParameterChange>,
        out: &mut Vec<NoteEvent>,
    ) -> Result<()> {
        let setup = self.setup.as_ref().context("the plugin is not active")?;
        let frames = block.frames as usize;
        assert!(
            frames > 0 && block.frames as i32 <= setup.maxSamplesPerBlock,
            "{frames} frames"
        );
        let input = ComWrapper::new(EventList::new(block.notes));
        let output = ComWrapper::new(EventList::empty());
        let mut parameters = edits;
        parameters.extend_from_slice(block.parameters);
        let changes = ComWrapper::new(ParameterChanges::new(&parameters));
        let answers = ComWrapper::new(ParameterChanges::new(&[]));
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
        let mut sound = vec![block.sound.unwrap_or_default().to_vec(); 2];
        let mut channels: Vec<*mut f32> = sound.iter_mut().map(Vec::as_mut_ptr).collect();
        let mut side_chain = AudioBusBuffers {
            numChannels: 2,
            silenceFlags: 0,
            __field0: AudioBusBuffers__type0 {
                channelBuffers32: channels.as_mut_ptr(),
            },
        };
        let mut context = process_context(&block.transport, setup.sampleRate, self.samples);
        let mut data = ProcessData {
            processMode: setup.processMode,
            symbolicSampleSize: setup.symbolicSampleSize,
            numSamples: block.frames as i32,
            numInputs: i32::from(block.sound.is_some()),
            numOutputs: buses.len() as i32,
            inputs: match block.sound {
                Some(_) => &mut side_chain,
                None => null_mut(),
            },
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
        // SAFETY: the plugin is processing, and everything that `data` points to outlives the call.
        let done = unsafe { self.processor.process(&mut data) };
        PROCESSING.store(false, Ordering::SeqCst);
        self.process_time = began.elapsed();
        ok(done, "a block")?;
        self.samples += i64::from(block.frames);
        self.audio = audio;
        out.extend(output.notes());
        Ok(())
    }
}

/// The transport as VST3 structure; flags mark the fields that the host reports.
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
