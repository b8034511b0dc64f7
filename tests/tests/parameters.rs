//! Parameters in both formats: list, text conversion, and pages for hardware controllers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use continuo_tests::artifacts;
use continuo_tests::host::{ClapHost, Format, Mode, Plugin, Vst3Host};

/// MIDI controllers of VST3 on each channel: 128, channel pressure and pitch bend.
const CONTROLLERS: i16 = 130;
const CHANNELS: i16 = 16;

/// Prefix of the names of parameters that stand for MIDI controllers. JUCE uses it, and hosts leave
/// parameters with this prefix out of their lists.
const CONTROLLER_NAME: &str = "MIDI CC ";

fn vst3() -> Vst3Host {
    artifacts::use_test_model().unwrap();
    Vst3Host::load(&artifacts::bundle(Format::Vst3).unwrap()).unwrap()
}

fn clap() -> ClapHost {
    artifacts::use_test_model().unwrap();
    ClapHost::load(&artifacts::bundle(Format::Clap).unwrap()).unwrap()
}

#[test]
fn vst3_midi_controllers_are_hidden_parameters_named_as_in_juce() {
    let host = vst3();
    let parameters = host.parameters().unwrap();
    let is_controller = |title: &str| title.starts_with(CONTROLLER_NAME);
    let controllers: Vec<_> = parameters
        .iter()
        .filter(|p| is_controller(&p.title))
        .collect();
    assert!(controllers.iter().all(|p| p.is_hidden && !p.is_automatable));
    assert!(
        parameters
            .iter()
            .all(|p| p.is_hidden == is_controller(&p.title))
    );
    // The mapping names exactly these parameters.
    let mut mapped = BTreeSet::new();
    for channel in 0..CHANNELS {
        for controller in 0..CONTROLLERS {
            mapped.extend(host.controller_parameter(channel, controller));
        }
    }
    assert_eq!(mapped.len(), CHANNELS as usize * CONTROLLERS as usize);
    let listed: BTreeSet<_> = controllers.iter().map(|p| p.id).collect();
    assert_eq!(listed, mapped);
    for (channel, controller) in [(-1, 0), (16, 0), (0, -1), (0, 131)] {
        assert_eq!(host.controller_parameter(channel, controller), None);
    }
    let titles: BTreeSet<_> = parameters.iter().map(|p| &p.title).collect();
    assert_eq!(
        titles.len(),
        parameters.len(),
        "two parameters have one name"
    );
}

/// pedalboard and other Python hosts read a thousand texts of each parameter that is no controller.
#[test]
fn listing_every_parameter_text_takes_under_two_seconds() {
    let began = Instant::now();
    let host = vst3();
    let mut texts = 0;
    for parameter in host.parameters().unwrap() {
        if parameter.title.starts_with(CONTROLLER_NAME) {
            continue;
        }
        for step in 0..=1_000 {
            let value = f64::from(step) / 1_000.0;
            let shown = host.show(parameter.id, value).unwrap();
            assert!(!shown.is_empty(), "{}", parameter.title);
            texts += 1;
        }
    }
    let took = began.elapsed();
    println!("loaded, and {texts} texts read, in {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn vst3_steps_survive_text_and_value_conversion() {
    let host = vst3();
    for parameter in host.parameters().unwrap() {
        let (id, title, steps) = (parameter.id, &parameter.title, parameter.steps);
        if steps == 0 {
            continue;
        }
        // VST3's rule for the step of a normalised value.
        let step_of = |value: f64| ((value * f64::from(steps + 1)).floor() as i32).min(steps);
        let mut shown = BTreeSet::new();
        for step in 0..=steps {
            let value = f64::from(step) / f64::from(steps);
            assert_eq!(step_of(value), step, "{title}");
            let text = host.show(id, value).unwrap();
            let read = host.read(id, &text);
            let read = read.unwrap_or_else(|| panic!("{title}: {text:?} is not understood"));
            assert_eq!(step_of(read), step, "{title}: {text:?}");
            if let Ok(number) = text.parse::<f64>() {
                assert_eq!(host.plain(id, value), number, "{title}");
                let decimal = host.read(id, &format!("{number:.1}"));
                assert_eq!(decimal.map(step_of), Some(step), "{title}: {number:.1}");
            }
            let now = host.set(id, read).unwrap();
            assert_eq!(
                host.show(id, now),
                Some(text.clone()),
                "{title}: set to {read}"
            );
            assert!(shown.insert(text), "{title}: two steps have one text");
        }
        assert_eq!(
            step_of(parameter.default),
            (parameter.default * f64::from(steps)).round() as i32
        );
    }
}

#[test]
fn clap_steps_survive_text_and_value_conversion() {
    let mut host = clap();
    for parameter in host.parameters().unwrap() {
        let (id, name) = (parameter.id, &parameter.name);
        if !parameter.is_stepped {
            continue;
        }
        let [min, default, max] = parameter.range;
        // Hosts may truncate decimals.
        assert_eq!([min, default, max].map(f64::fract), [0.0; 3], "{name}");
        assert_eq!(host.value(id).unwrap(), default, "{name}");
        for step in 0..=(max - min) as u32 {
            let value = min + f64::from(step);
            let text = host.show(id, value).unwrap();
            let read = host.read(id, &text).unwrap();
            assert_eq!(read, Some(value), "{name}: {text:?}");
            // Hosts may display the number itself.
            let number = text
                .split(' ')
                .next()
                .and_then(|word| word.parse::<f64>().ok());
            assert!(
                number.is_none_or(|number| number == value),
                "{name}: {value} is {text:?}"
            );
        }
    }
}

#[test]
fn clap_remote_control_pages_list_every_parameter() {
    let mut host = clap();
    let pages = host.pages().unwrap();
    let parameters = host.parameters().unwrap();
    let laid: Vec<_> = pages.iter().flat_map(|(_, ids)| ids.clone()).collect();
    assert_eq!(laid.len(), parameters.len());
    assert!(
        parameters
            .iter()
            .all(|parameter| laid.contains(&parameter.id))
    );
    assert!(
        pages
            .iter()
            .all(|(name, ids)| !name.is_empty() && (1..=8).contains(&ids.len()))
    );
}

/// Some hosts call `setActive()` before `setupProcessing()`; here twice, with two setups.
#[test]
fn vst3_set_active_before_setup_processing_plays_the_same() {
    use continuo_tests::daw::Daw;
    use continuo_tests::scenario;

    let play = |mut host: Vst3Host, first: bool| {
        if first {
            host.activate_first();
            host.activate(44_100.0, 64, Mode::Realtime).unwrap();
        }
        let notes = scenario::opening();
        let mut daw = Daw::new(Box::new(host), scenario::default_setup(), &notes).unwrap();
        daw.set(&[("thru", "Off"), ("gap", "2"), ("seed", "1")])
            .unwrap();
        daw.run_stopped(1_000).unwrap();
        daw.play_to(scenario::END).unwrap();
        daw.run_stopped(1_000).unwrap();
        let sent = daw.sent().to_vec();
        daw.finish().unwrap();
        sent
    };
    let usual = play(vst3(), false);
    assert!(usual.len() > 10);
    assert_eq!(play(vst3(), true), usual);
}
