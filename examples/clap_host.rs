//! A CLAP host: loads the built plugin, plays a scale to it offline and prints its answer.
//!
//! `cargo run -p continuo-tests --example clap_host -- target/bundled/Continuo.clap`. The host declares no
//! note dialect, so the plugin sends MIDI.

use std::error::Error;

use clack_extensions::render::{PluginRender, RenderMode};
use clack_host::events::EventFlags;
use clack_host::events::event_types::{MidiEvent, TransportEvent, TransportFlags};
use clack_host::events::spaces::CoreEventSpace;
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, SecondsTime};

const SAMPLE_RATE: f64 = 48_000.0;
const FRAMES: u32 = 480;
const BEATS_PER_SECOND: f64 = 2.0;
/// Input: one key a beat. The answer follows after two beats of silence, on a bar line.
const SCALE: [u8; 8] = [60, 62, 64, 65, 67, 69, 71, 72];
/// Song position at which the host stops, in beats.
const END: f64 = 24.0;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: clap_host BUNDLE")?;

    // SAFETY: loading a plugin runs its code; the caller has chosen this one.
    let entry = unsafe { PluginEntry::load(std::path::Path::new(&path)) }?;
    let factory = entry.get_plugin_factory().ok_or("no plugin factory")?;
    let descriptor = factory.plugin_descriptor(0).ok_or("no plugin")?;
    let id = descriptor.id().ok_or("no plugin id")?.to_owned();
    let host = HostInfo::new("Example host", "Continuo", "", "1.0")?;
    let mut plugin = PluginInstance::<()>::new(|()| (), |_| (), &entry, &id, &host)?;

    // Offline, the plugin waits for its model instead of playing late.
    let handle = plugin.plugin_handle();
    let render = handle.get_extension::<PluginRender>().ok_or("no render")?;
    render.set(&handle, RenderMode::Offline)?;
    let configuration = PluginAudioConfiguration {
        sample_rate: SAMPLE_RATE,
        min_frames_count: 1,
        max_frames_count: FRAMES,
    };
    let processor = plugin.activate(|_, _| (), configuration)?;
    let mut processor = processor
        .start_processing()
        .map_err(|error| error.to_string())?;

    let beats_per_block = f64::from(FRAMES) / SAMPLE_RATE * BEATS_PER_SECOND;
    let blocks = (END / beats_per_block) as u64;
    let mut ports = AudioPorts::with_capacity(2, 1);
    for block in 0..blocks {
        let beat = block as f64 * beats_per_block;
        let mut input = EventBuffer::new();
        // A key lasts one beat: its note-off comes with the next note-on.
        let reached = |n: usize| (beat..beat + beats_per_block).contains(&(n as f64));
        for (n, &key) in SCALE.iter().enumerate() {
            if reached(n + 1) {
                input.push(&MidiEvent::new(0, 0, [0x80, key, 0]));
            }
            if reached(n) {
                input.push(&MidiEvent::new(0, 0, [0x90, key, 80]));
            }
        }
        let mut output = EventBuffer::with_capacity(1024);
        let mut audio = [[0.0f32; FRAMES as usize]; 2];
        let channels = audio.iter_mut().map(|channel| &mut channel[..]);
        let mut outputs = ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(channels),
        }]);
        processor.process(
            &InputAudioBuffers::empty(),
            &mut outputs,
            &InputEvents::from_buffer(&input),
            &mut OutputEvents::from_buffer(&mut output),
            Some(block * u64::from(FRAMES)),
            Some(&transport(beat)),
        )?;
        for event in output.iter() {
            // The plugin passes the input through as well; the answer starts later.
            if let Some(CoreEventSpace::Midi(midi)) = event.as_core_event()
                && let [0x90..=0x9f, key, velocity @ 1..=127] = midi.data()
                && beat > SCALE.len() as f64
            {
                println!("beat {beat:.2}: key {key}, velocity {velocity}");
            }
        }
    }
    plugin.deactivate(processor.stop_processing());
    Ok(())
}

/// The transport at the start of a block: 120 BPM, 4/4, playing.
fn transport(beat: f64) -> TransportEvent {
    let bar = (beat / 4.0).floor();
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags: TransportFlags::HAS_TEMPO
            | TransportFlags::HAS_BEATS_TIMELINE
            | TransportFlags::HAS_TIME_SIGNATURE
            | TransportFlags::IS_PLAYING,
        song_pos_beats: BeatTime::from_float(beat),
        song_pos_seconds: SecondsTime::default(),
        tempo: BEATS_PER_SECOND * 60.0,
        tempo_inc: 0.0,
        loop_start_beats: BeatTime::default(),
        loop_end_beats: BeatTime::default(),
        loop_start_seconds: SecondsTime::default(),
        loop_end_seconds: SecondsTime::default(),
        bar_start: BeatTime::from_float(bar * 4.0),
        bar_number: bar as i32,
        time_signature_numerator: 4,
        time_signature_denominator: 4,
    }
}
