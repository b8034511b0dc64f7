//! Continuo, the plugin: listens to the host's track and plays on, in time.
//!
//! ```text
//! host block ─ process::AudioProcessor ──(rtrb: ComposerInput)──> composer_thread ─> session::Session
//!                  ^   audio thread                                                 │ timeline, turn-taking
//!                  └─────────────(rtrb: ScheduledNote, in beats)────────────────────┘ player: the engine
//! ```
//!
//! Every module names the thread that owns its types. The audio thread never allocates, locks, waits,
//! logs or makes a system call. The one exception: it waits for the composer, and for the ear's worker,
//! while the host renders offline.

pub mod action;
pub mod composer_thread;
pub mod ear;
pub mod editor;
pub mod editor_link;
pub mod health_report;
pub mod params;
pub mod player;
pub mod presets;
pub mod preview_sound;
pub mod process;
#[cfg(test)]
mod protocol_tests;
pub mod remote_controls;
pub mod resources;
pub mod shared;
pub mod state;
pub mod workers;

use std::path::PathBuf;
use std::sync::Arc;

use nice_plug::prelude::*;
use nice_plug_egui::EguiEditor;

use crate::composer_thread::Link;
use crate::ear::{MonoMix, Sound};
use crate::editor::window::EditorWindow;
use crate::editor_link::{ComposerEnd, EditorLink};
use crate::params::{ContinuoParams, ParamCache};
use crate::preview_sound::PreviewSound;
use crate::process::{AudioProcessor, Event, Host, INPUT_CAPACITY, SysEx, audible};
use crate::shared::Shared;
use continuo_accompaniment::counters::{Counters, increment};
use continuo_accompaniment::transport::HostTransport;

/// Number of the layout with a microphone among the layouts of the audio ports, from 1: for the
/// standalone program.
pub const MICROPHONE_LAYOUT: usize = 4;

/// A layout with a stereo output, with channels of a main input, and with those of each side chain.
const fn stereo_out(
    name: &'static str,
    main_input_channels: Option<NonZeroU32>,
    side_chains: &'static [NonZeroU32],
) -> AudioIOLayout {
    AudioIOLayout {
        main_input_channels,
        main_output_channels: NonZeroU32::new(2),
        aux_input_ports: side_chains,
        names: PortNames {
            layout: Some(name),
            aux_inputs: &["Audio to Listen To"],
            ..PortNames::const_default()
        },
        ..AudioIOLayout::const_default()
    }
}

/// The plugin, as nice-plug hands it from the host's main thread to its audio thread and back.
pub struct Continuo {
    params: Arc<ContinuoParams>,
    /// Path of the plugin's library, looked up before the host changes its working directory.
    own: Option<PathBuf>,
    /// Shared with the other threads of this instance.
    shared: Arc<Shared>,
    /// The editor's end of its link to the composer thread.
    editor_link: Arc<EditorLink>,
    /// The composer thread's end, until that thread takes it.
    composer_end: Option<ComposerEnd>,
    /// Created at the first activation, so that a host's scan starts no thread. It is kept until the
    /// plugin is dropped, so that memory outlives a change of the sample rate and an offline bounce.
    active: Option<Active>,
}

/// Parts of an activated plugin. Used by the audio thread.
struct Active {
    processor: AudioProcessor,
    link: Link,
    sound: PreviewSound,
    /// Mixes the audio input.
    mix: MonoMix,
    /// Channels of the main audio input.
    main_input: usize,
    param_cache: ParamCache,
}

impl Default for Continuo {
    fn default() -> Self {
        let params = Arc::new(ContinuoParams::default());
        let shared = Arc::new(Shared::default());
        let (editor_link, composer_end) = EditorLink::new(shared.clone(), params.state.clone());
        Self {
            params,
            shared,
            editor_link,
            composer_end: Some(composer_end),
            own: resources::own_library(),
            active: None,
        }
    }
}

impl Plugin for Continuo {
    const NAME: &'static str = "Continuo";
    const VENDOR: &'static str = "Continuo";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    // Some hosts require audio outputs. The outputs carry the preview sound, if it is on.
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[
        stereo_out("Side Chain", None, &[new_nonzero_u32(2)]),
        stereo_out("Mono Side Chain", None, &[new_nonzero_u32(1)]),
        stereo_out("No Audio Input", None, &[]),
        // For the standalone program, whose sound systems but JACK have no side chains.
        stereo_out("Microphone", NonZeroU32::new(1), &[]),
    ];
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    const INPUT_EVENT_CAPACITY: usize = INPUT_CAPACITY;

    type Editor = EguiEditor<EditorWindow>;
    type SysExMessage = SysEx;
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn editor(&mut self, _executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        editor::window::create_editor(self.params.clone(), self.editor_link.clone())
    }

    fn filter_state(state: &mut PluginState) {
        if let Some(field) = state.fields.get_mut(state::FIELD) {
            state::replace_invalid_json(field);
        }
        let defaults = ContinuoParams::default();
        state::clamp_to_ranges(&mut state.params, &defaults);
        state::add_missing(&mut state.params, &defaults);
    }

    fn activate(
        &mut self,
        layout: &AudioIOLayout,
        config: &BufferConfig,
        _context: &mut impl ActivateContext<Self>,
    ) -> bool {
        let sample_rate = f64::from(config.sample_rate);
        if let Some(composer_end) = self.composer_end.take() {
            let (own, kept) = (self.own.as_deref(), &self.params.state);
            match composer_thread::connect(own, kept, self.shared.clone(), composer_end) {
                Ok((processor, link)) => {
                    let sound = PreviewSound::new(sample_rate);
                    self.active = Some(Active {
                        processor,
                        link,
                        sound,
                        mix: MonoMix::default(),
                        main_input: 0,
                        param_cache: ParamCache::default(),
                    });
                }
                Err(error) => {
                    nice_error!("Continuo: the composer thread did not start: {error}");
                    return false;
                }
            }
        }
        // After a failure there is no composer thread to try again with.
        let Some(active) = &mut self.active else {
            return false;
        };
        active.processor.set_sample_rate(sample_rate);
        active.sound = PreviewSound::new(sample_rate);
        active.mix = MonoMix::new(config.max_buffer_size as usize);
        active.main_input = layout.main_input_channels.map_or(0, NonZeroU32::get) as usize;
        active
            .link
            .set_offline(config.process_mode == ProcessMode::Offline);
        true
    }

    fn reset(&mut self) {
        if let Some(active) = &mut self.active {
            active.processor.reset();
            active.sound.reset();
        }
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let frames = u32::try_from(buffer.samples()).unwrap_or(0);
        if let Some(active) = &mut self.active {
            let reading = reading_of(context.transport());
            let (settings, audio_settings) = active.param_cache.values(&self.params);
            // The main input lies where the output goes.
            let main = buffer.as_slice_immutable();
            let microphone = &main[..active.main_input.min(main.len())];
            let (input, is_microphone) = match (audio_settings.ear, &aux.inputs) {
                (None, _) => (&[] as &[&mut [f32]], false),
                (Some(_), [side_chain, ..]) => (side_chain.as_slice_immutable(), false),
                (Some(_), []) => (microphone, true),
            };
            let heard = Sound {
                samples: active.mix.mix(input),
                is_microphone,
            };
            for channel in buffer.as_slice() {
                channel.fill(0.0);
            }
            let level = &self.params.sound;
            let on = level.value() > 0.0 || level.smoothed.is_smoothing();
            let (left, right): (&mut [f32], &mut [f32]) = match buffer.as_slice() {
                [left, right, ..] => (left, right),
                _ => (&mut [], &mut []),
            };
            let mut context = Context {
                host: context,
                counters: &self.shared.counters,
            };
            let bass = audio_settings.part_outputs[continuo_score::Part::Bass.index()];
            active
                .sound
                .set_bass(bass.filter(|&channel| channel != audio_settings.output));
            let mut host = active.sound.block(&mut context, left, right, on);
            active
                .processor
                .process(&reading, frames, settings, audio_settings, heard, &mut host);
            host.finish(|| level.smoothed.next());
        } else {
            for channel in buffer.as_slice() {
                channel.fill(0.0);
            }
        }
        ProcessStatus::KeepAlive
    }

    fn stop_processing(&mut self) {
        // After deactivation, no block reports that the transport stopped.
        if let Some(active) = &mut self.active {
            active.processor.reset();
        }
    }

    fn deactivate(&mut self) {
        if let Some(active) = &mut self.active {
            active.processor.reset();
            active.link.report();
        }
    }
}

/// nice-plug's context of one block, as the [`Host`] of the audio processor. Audio thread.
struct Context<'a, C> {
    host: &'a mut C,
    counters: &'a Counters,
}

/// Transport of one block as the host reports it. Audio thread; allocates nothing.
fn reading_of(transport: &Transport) -> HostTransport {
    HostTransport {
        playing: transport.playing,
        beat: transport.pos_beats(),
        counted: false,
        tempo: transport.tempo,
        bar_start: transport.bar_start_pos_beats(),
        numerator: transport.time_sig_numerator,
        denominator: transport.time_sig_denominator,
        cycle: transport.loop_range_beats(),
    }
}

impl<C: ProcessContext<Continuo>> Host for Context<'_, C> {
    fn next_event(&mut self) -> Option<Event> {
        let event = self.host.next_event()?;
        // A CLAP note may have velocity 0; elsewhere that means a note-off.
        Some(audible(event, self.host.plugin_api() == PluginApi::Clap))
    }

    fn send(&mut self, event: Event) -> bool {
        let is_note = matches!(event, NoteEvent::NoteOn { .. } | NoteEvent::NoteOff { .. });
        let sent = self.host.try_send_event(event).is_ok();
        if is_note && !sent {
            increment(&self.counters.refused);
        }
        sent
    }
}

impl ClapPlugin for Continuo {
    const CLAP_ID: &'static str = "org.continuo.continuo";
    const CLAP_DESCRIPTION: Option<&'static str> =
        Some("Listens to the track and plays on, in time");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[
        ClapFeature::Instrument,
        ClapFeature::NoteEffect,
        ClapFeature::Stereo,
    ];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        remote_controls::declare(&self.params, context);
    }

    fn note_output(&self) -> Arc<NoteOutput> {
        self.shared.note_output.clone()
    }
}

impl Vst3Plugin for Continuo {
    const VST3_CLASS_ID: [u8; 16] = *b"ContinuoPlaysOn!";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Instrument, Vst3SubCategory::Generator];
}

nice_export_clap!(Continuo);
nice_export_vst3!(Continuo);
