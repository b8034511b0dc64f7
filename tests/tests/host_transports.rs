//! Transports as real hosts report them, block by block: qtractor, Ardour, Carla.

use std::path::PathBuf;

use continuo_tests::host::{Block, Format, Mode, NoteEvent, Plugin, Transport, TransportDetail};
use continuo_tests::state_file;
use continuo_tests::{artifacts, scenario};
use serde_json::Value;

const RATE: f64 = 48_000.0;
const FRAMES: u32 = 1_024;

fn transport(playing: bool, beat: f64, bpm: f64) -> Transport {
    Transport {
        playing,
        beat,
        bpm,
        metre: (4, 4),
        bar_start: (beat / 4.0).floor() * 4.0,
        bar: (beat / 4.0).floor() as i32,
        loop_range: None,
        detail: TransportDetail::Full,
    }
}

/// Returns an activated offline plugin.
fn activated(format: Format, state: Option<&[u8]>) -> Box<dyn Plugin> {
    let mut plugin = artifacts::load(format).unwrap();
    if let Some(state) = state {
        plugin.load(state).unwrap();
    }
    plugin.activate(RATE, FRAMES, Mode::Offline).unwrap();
    plugin
}

fn process(plugin: &mut dyn Plugin, frames: u32, transport: Transport, notes: &[NoteEvent]) {
    let block = Block {
        frames,
        transport,
        notes,
        parameters: &[],
        sound: None,
    };
    plugin.process(&block, &mut Vec::new()).unwrap();
}

fn note(offset: u32, on: bool, key: u8) -> NoteEvent {
    NoteEvent {
        offset,
        on,
        channel: 0,
        key,
        velocity: if on { 0.6 } else { 0.0 },
    }
}

/// Returns the player's saved notes before the playhead: first step, key.
fn heard(format: Format, plugin: &mut dyn Plugin) -> Vec<(i64, u64)> {
    saved(format, plugin, "notes")
}

/// Returns the player's notes in a list of the saved timeline.
fn saved(format: Format, plugin: &mut dyn Plugin, list: &str) -> Vec<(i64, u64)> {
    let state = plugin.save().unwrap();
    let session = state_file::session(format, &state).unwrap();
    let notes = session["session"]["timeline"][list].as_array().cloned();
    let mut heard: Vec<_> = notes
        .unwrap_or_default()
        .iter()
        .filter(|note| note[5].as_i64() != Some(-1))
        .map(|note| (note[0].as_i64().unwrap(), note[3].as_u64().unwrap()))
        .collect();
    heard.sort_unstable();
    heard
}

/// Returns the state of an instance that has read the opening and stopped.
fn project_with_memory(format: Format) -> Vec<u8> {
    let mut daw =
        scenario::start(format, scenario::default_setup(), 1, &scenario::opening()).unwrap();
    daw.play_to(scenario::END).unwrap();
    daw.run_stopped(1_000).unwrap();
    daw.plugin().save().unwrap()
}

#[test]
fn blocks_without_transport_after_loading_keep_memory() {
    for format in Format::ALL {
        let state = project_with_memory(format);
        let kept = heard(format, activated(format, Some(&state)).as_mut());
        assert!(kept.len() > 10, "{format:?}: {kept:?}");
        for silent in [1, 3, 10] {
            let mut plugin = activated(format, Some(&state));
            for block in 0..40 {
                let mut said = transport(false, 0.0, 120.0);
                if block < silent {
                    said.detail = TransportDetail::None;
                }
                process(plugin.as_mut(), FRAMES, said, &[]);
            }
            assert_eq!(heard(format, plugin.as_mut()), kept, "{format:?}, {silent}");
        }
        // In a host that never reports a transport, own time starts after the saved notes.
        let mut plugin = activated(format, Some(&state));
        for _ in 0..200 {
            let mut said = transport(false, 0.0, 120.0);
            said.detail = TransportDetail::None;
            process(plugin.as_mut(), FRAMES, said, &[]);
        }
        assert_eq!(heard(format, plugin.as_mut()), kept, "{format:?}, own time");
    }
}

#[test]
fn unreported_loop_replays_the_same_notes_in_memory() {
    // qtractor: positions are rounded down to 1/7680 beat. The loop has 28 beats. A chord on its first
    // sample arrives inside the block over the seam.
    let samples_per_beat = 24_000.0;
    let length = 28 * 24_000u32;
    let chord = [48, 52, 55, 76];
    let melody = [(4, 72), (9, 74), (27, 67)];
    for format in Format::ALL {
        let mut plugin = activated(format, None);
        let mut expected: Vec<(i64, u64)> = chord.iter().map(|&key| (0, key)).collect();
        expected.extend(
            melody
                .iter()
                .map(|&(beat, key)| (i64::from(beat) * 12, key)),
        );
        expected.sort_unstable();
        let mut at = 0u32;
        for pass in 0..3 {
            while at < length {
                let mut notes = Vec::new();
                let mut add = |sample: u32, on, key| {
                    for sample in [sample, sample + length] {
                        let offset = sample.wrapping_sub(at);
                        if offset < FRAMES {
                            notes.push(note(offset, on, key));
                        }
                    }
                };
                for &key in &chord {
                    add(0, true, key as u8);
                    add(12_000, false, key as u8);
                }
                for &(beat, key) in &melody {
                    add(beat * 24_000, true, key as u8);
                    add(beat * 24_000 + 10_000, false, key as u8);
                }
                notes.sort_by_key(|note| note.offset);
                let beat = (f64::from(at) / samples_per_beat * 7_680.0).floor() / 7_680.0;
                let said = transport(true, beat, 120.0);
                if at + FRAMES >= length {
                    let heard = heard(format, plugin.as_mut());
                    assert_eq!(heard, expected, "{format:?}, pass {pass}");
                }
                process(plugin.as_mut(), FRAMES, said, &notes);
                at += FRAMES;
            }
            at -= length;
        }
    }
}

/// Returns recorded transports of hosts. The file is shared with developers and not part of the
/// project.
fn recorded() -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("shared/hosts/synthetic-transports.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// Returns a block of a recorded sequence: its frames, transport and notes.
fn recorded_block(sequence: &Value, block: &Value) -> (u32, Transport, Vec<NoteEvent>) {
    let number = |index: usize| block[index].as_f64().unwrap();
    let metre = sequence["signature"].as_str().unwrap();
    let (upper, lower) = metre.split_once('/').unwrap();
    let mut said = transport(false, 0.0, 120.0);
    said.metre = (upper.parse().unwrap(), lower.parse().unwrap());
    let flags = block[1].as_u64().unwrap();
    if sequence["format"] == "CLAP" {
        (said.beat, said.bpm, said.bar_start) = (number(2), number(3), number(4));
        said.playing = flags & 16 != 0;
        said.detail = match (flags & 1 != 0, flags & 2 != 0) {
            (false, _) => TransportDetail::None,
            (true, false) => TransportDetail::NoPosition,
            (true, true) => TransportDetail::Full,
        };
    } else {
        (said.beat, said.bar_start, said.bpm) = (number(3), number(4), number(7));
        said.playing = flags & 2 != 0;
        said.loop_range = (flags & 4 != 0).then(|| (number(5), number(6)));
    }
    let events = block[5].as_array().cloned().unwrap_or_default();
    let notes = events.iter().filter_map(|event| {
        let offset = event[0].as_u64()? as u32;
        match event[1].as_str()? {
            "on" => Some(note(offset, true, event[2].as_u64()? as u8)),
            "off" => Some(note(offset, false, event[2].as_u64()? as u8)),
            _ => None,
        }
    });
    (number(0) as u32, said, notes.collect())
}

#[test]
fn recorded_host_sequences_keep_every_note() {
    let Some(recorded) = recorded() else {
        return;
    };
    for sequence in recorded["sequences"].as_array().unwrap() {
        let name = sequence["name"].as_str().unwrap();
        for format in Format::ALL {
            let plays = |block: &Value| recorded_block(sequence, block).1.playing;
            let blocks = sequence["blocks"].as_array().unwrap();
            let state = (!blocks.iter().any(plays)).then(|| project_with_memory(format));
            let mut plugin = activated(format, state.as_deref());
            let kept = heard(format, plugin.as_mut()).len();
            let (mut sent, mut playing) = (0, false);
            for block in blocks {
                let (frames, said, mut notes) = recorded_block(sequence, block);
                playing |= said.playing;
                if said.playing && notes.is_empty() {
                    // Each block has a short note, so that a lost note is noticed.
                    notes = vec![note(5, true, 20 + sent), note(9, false, 20 + sent)];
                }
                sent += notes.iter().filter(|note| note.on).count() as u8;
                process(plugin.as_mut(), frames, said, &notes);
            }
            let heard = heard(format, plugin.as_mut());
            if playing {
                let all = [&heard[..], &saved(format, plugin.as_mut(), "later")].concat();
                let what = format!("{name}, {format:?}: {sent} sent, {heard:?}");
                assert_eq!(all.len(), usize::from(sent), "{what}");
                assert!(heard.len() > 5, "{what}");
            } else {
                assert_eq!(heard.len(), kept, "{name}, {format:?}");
            }
            if name.contains("qtractor, seam") {
                let chord = heard.iter().filter(|&&(step, key)| step == 0 && key >= 48);
                assert_eq!(
                    chord.count(),
                    4,
                    "{name}: the loop's first notes: {heard:?}"
                );
            }
        }
    }
}
