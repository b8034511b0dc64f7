//! The part of a CLAP host that the audio thread owns: one call of `process()` a block.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clack_host::events::EventFlags;
use clack_host::events::event_types::{ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, SecondsTime};

use super::handlers::Handlers;
use super::notes::{self, Accepted, ClapHostConfig};
use crate::host::audio_thread::PROCESSING;
use crate::host::plugin::{Block, NoteEvent, Transport, TransportDetail};

/// State of the audio thread.
#[derive(Default)]
pub(super) struct Processing {
    /// Present while the plugin is active.
    pub(super) processor: Option<PluginAudioProcessor<Handlers>>,
    /// Channels of each output port.
    pub(super) outputs: Vec<usize>,
    pub(super) max_frames: u32,
    /// Samples processed since activation.
    pub(super) steady: u64,
    /// Audio output of the last block: `[channels][frames]`.
    pub(super) audio: Vec<Vec<f32>>,
    /// Duration of the last `process()`.
    pub(super) process_time: Duration,
    pub(super) config: ClapHostConfig,
}

impl Processing {
    /// Processes one block and appends the plugin's notes to `out`.
    pub(super) fn process(&mut self, block: &Block, out: &mut Vec<NoteEvent>) -> Result<()> {
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
        let mut sound = vec![block.sound.unwrap_or_default().to_vec(); 2];
        let mut input_ports = AudioPorts::with_capacity(2, 1);
        let audio_input = match block.sound {
            None => InputAudioBuffers::empty(),
            Some(_) => input_ports.with_input_buffers([AudioPortBuffer {
                latency: 0,
                channels: AudioPortBufferType::f32_input_only(
                    sound.iter_mut().map(InputChannel::variable),
                ),
            }]),
        };
        let mut buffers = ports.with_output_buffers(buffers);
        let input = InputEvents::from_buffer(&input);
        let mut events = OutputEvents::from_buffer(&mut output);
        let transport = transport_event(&block.transport);
        let began = Instant::now();
        PROCESSING.store(true, Ordering::SeqCst);
        let done = processor.process(
            &audio_input,
            &mut buffers,
            &input,
            &mut events,
            Some(self.steady),
            Some(&transport).filter(|_| block.transport.detail != TransportDetail::None),
        );
        PROCESSING.store(false, Ordering::SeqCst);
        self.process_time = began.elapsed();
        done.map_err(|error| anyhow!("process() failed: {error}"))?;
        self.steady += u64::from(block.frames);
        self.audio = audio;
        let notes = output.events.iter().filter_map(notes::read);
        out.extend(notes.map(|(note, _)| note));
        Ok(())
    }
}

/// The transport as a CLAP event; fields that the host does not report are 0.
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
