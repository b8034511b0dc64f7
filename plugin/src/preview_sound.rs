//! The preview sound: an electric piano, a bass and drums that play all notes the plugin sends, generated and
//! passed through, each on its sample. Owned by the audio thread, which allocates nothing here.

use continuo_synth::Ensemble;
use nice_plug::midi::control_change;
use nice_plug::prelude::NoteEvent;

use crate::process::{Event, Host};

/// Controller value from which a pedal is down: 64 of 127.
const PEDAL_DOWN: f32 = 0.5;

/// The preview sound of an instance.
pub struct PreviewSound {
    ensemble: Ensemble,
}

impl PreviewSound {
    /// A silent instrument; `sample_rate` is in hertz. It allocates: main thread.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            ensemble: Ensemble::new(sample_rate),
        }
    }

    /// Silences it at once.
    pub fn reset(&mut self) {
        self.ensemble.reset();
    }

    /// Sets the channel of the bass, from 0, which has a voice of its own.
    pub fn set_bass(&mut self, channel: Option<u8>) {
        let bit = channel.map_or(0, |channel| 1 << (channel & 15));
        self.ensemble.set_bass(bit);
    }

    /// Wraps `host` for one block: notes sent through the wrapper are rendered into `left` and `right`,
    /// which must have the same length. With `on` false nothing is rendered.
    pub fn block<'a, H: Host>(
        &'a mut self,
        host: &'a mut H,
        left: &'a mut [f32],
        right: &'a mut [f32],
        on: bool,
    ) -> PreviewBlock<'a, H> {
        if !on && !self.ensemble.is_silent() {
            self.ensemble.reset();
        }
        PreviewBlock {
            ensemble: &mut self.ensemble,
            host,
            left,
            right,
            at: 0,
            on,
        }
    }
}

/// A [`Host`] that renders the notes sent through it, for one block.
pub struct PreviewBlock<'a, H> {
    ensemble: &'a mut Ensemble,
    host: &'a mut H,
    left: &'a mut [f32],
    right: &'a mut [f32],
    /// Number of samples rendered.
    at: usize,
    on: bool,
}

impl<H: Host> PreviewBlock<'_, H> {
    /// Renders up to sample `end` of the block.
    fn render_to(&mut self, end: usize) {
        let range = self.at..end.clamp(self.at, self.left.len());
        self.ensemble.render(
            &mut self.left[range.clone()],
            &mut self.right[range.clone()],
        );
        self.at = range.end;
    }

    /// Renders the rest of the block, then multiplies each sample by the next value of `gain`.
    pub fn finish(mut self, mut gain: impl FnMut() -> f32) {
        if !self.on {
            return;
        }
        self.render_to(self.left.len());
        for (left, right) in self.left.iter_mut().zip(self.right.iter_mut()) {
            let gain = gain();
            *left *= gain;
            *right *= gain;
        }
    }
}

impl<H: Host> Host for PreviewBlock<'_, H> {
    fn next_event(&mut self) -> Option<Event> {
        self.host.next_event()
    }

    fn send(&mut self, event: Event) -> bool {
        let sent = self.host.send(event);
        // A refused note-on does not sound; a refused note-off ends the note.
        if self.on {
            self.render_to(event.timing() as usize);
            play(self.ensemble, &event, sent);
        }
        sent
    }
}

/// Plays an event on the instrument of its channel.
fn play(ensemble: &mut Ensemble, event: &Event, sent: bool) {
    match *event {
        NoteEvent::NoteOn {
            channel,
            key,
            velocity,
            ..
        } => {
            if let (true, Some(key)) = (sent, key.number()) {
                ensemble.note_on(channel.number().unwrap_or(0) & 15, key, velocity);
            }
        }
        NoteEvent::NoteOff { channel, key, .. } | NoteEvent::Choke { channel, key, .. } => {
            match (channel.number(), key.number()) {
                (Some(channel), Some(key)) => ensemble.note_off(channel & 15, key),
                (channel, None) => ensemble.all_off(channel),
                (None, Some(key)) => (0..16).for_each(|channel| ensemble.note_off(channel, key)),
            }
        }
        NoteEvent::MidiCC {
            channel, cc, value, ..
        } => {
            let channel = channel & 15;
            match cc {
                control_change::DAMPER_PEDAL => ensemble.pedal(channel, value >= PEDAL_DOWN),
                control_change::ALL_SOUND_OFF | control_change::ALL_NOTES_OFF => {
                    ensemble.all_off(Some(channel));
                }
                _ => {}
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nice_plug::midi::{Channel, Key, VoiceID};
    use std::collections::VecDeque;

    /// A host with room for a number of events.
    #[derive(Default)]
    struct Sink(VecDeque<Event>, usize);

    impl Host for Sink {
        fn next_event(&mut self) -> Option<Event> {
            self.0.pop_front()
        }

        fn send(&mut self, event: Event) -> bool {
            self.1 = self.1.saturating_sub(1);
            self.0.push_back(event);
            self.1 > 0
        }
    }

    fn on(timing: u32) -> Event {
        NoteEvent::NoteOn {
            timing,
            voice_id: VoiceID::Wildcard,
            channel: Channel::Number(0),
            key: Key::Number(60),
            velocity: 0.8,
        }
    }

    fn perform(events: &[Event], room: usize, on: bool) -> (Vec<f32>, usize) {
        let mut sound = PreviewSound::new(48_000.0);
        let mut sink = Sink(VecDeque::new(), room);
        let (mut left, mut right) = ([0.0; 1_000], [0.0; 1_000]);
        let mut block = sound.block(&mut sink, &mut left, &mut right, on);
        for event in events {
            block.send(*event);
        }
        block.finish(|| 0.5);
        (left.to_vec(), sink.0.len())
    }

    #[test]
    fn a_note_sounds_from_its_sample_on_and_reaches_the_host() {
        let (left, sent) = perform(&[on(400)], 9, true);
        assert_eq!((left.iter().position(|s| *s != 0.0), sent), (Some(401), 1));
        let (early, _) = perform(&[on(0)], 9, true);
        let same = early
            .iter()
            .zip(&left[400..])
            .all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(same, "the same sound 400 samples later");
    }

    #[test]
    fn disabled_sound_is_silent_and_passes_all_events() {
        let (left, sent) = perform(&[on(0), on(5)], 9, false);
        assert!(left.iter().all(|s| *s == 0.0) && sent == 2);
    }

    #[test]
    fn events_refused_by_the_host_are_silent() {
        let (left, _) = perform(&[on(0)], 1, true);
        assert!(left.iter().all(|s| *s == 0.0));
    }

    #[test]
    fn events_beyond_the_block_keep_samples_finite() {
        let (left, _) = perform(&[on(999_999), on(3)], 9, true);
        assert!(left.iter().all(|s| s.is_finite()));
    }
}
