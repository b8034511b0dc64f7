//! Tests of the composer thread.

use super::*;
use crate::ear::Sound;
use crate::editor_link::EditorLink;
use crate::process::{AudioSettings, Event, Host};
use continuo_accompaniment::messages::Settings;
use continuo_accompaniment::transport::HostTransport;

struct Silence;

impl Host for Silence {
    fn next_event(&mut self) -> Option<Event> {
        None
    }
    fn send(&mut self, _: Event) -> bool {
        true
    }
}

fn connected() -> (AudioProcessor, Link) {
    let shared = Arc::new(Shared::default());
    let state = state::State::default();
    let (_, composer_end) = EditorLink::new(shared.clone(), state.clone());
    connect(None, &state, shared, composer_end).unwrap()
}

#[test]
fn thread_without_a_model_never_hangs_and_ends_with_its_instances() {
    let began = Instant::now();
    let (mut processor, link) = connected();
    let (_, other) = connected();
    processor.set_sample_rate(48_000.0);
    link.set_offline(true);
    for block in 0..100 {
        let beat = Some(f64::from(block) * 480.0 / 24_000.0);
        let reading = HostTransport {
            playing: true,
            beat,
            tempo: Some(120.0),
            ..HostTransport::default()
        };
        let (settings, controls) = (Settings::default(), AudioSettings::default());
        processor.process(
            &reading,
            480,
            settings,
            controls,
            Sound::default(),
            &mut Silence,
        );
    }
    assert_eq!(
        link.shared
            .counters
            .offline_timeouts
            .load(Ordering::Relaxed),
        0
    );
    link.report();
    drop((processor, link));
    assert!(THREAD.lock().unwrap().is_some());
    drop(other);
    assert!(THREAD.lock().unwrap().is_none());
    assert!(
        began.elapsed() < MAIN_THREAD_TIMEOUT,
        "somebody waited in vain"
    );
}
