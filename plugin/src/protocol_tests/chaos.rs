//! Random hosts and players.

use super::*;
use continuo_accompaniment::choices::{MemoryMode, Variation};
use continuo_score::Part;

const MODES: [Mode; 5] = [
    Mode::Off,
    Mode::Continue,
    Mode::Trade,
    Mode::Along,
    Mode::Free,
];

/// Plays with a random host and player, a band with every fourth seed; every `failing`-th send fails.
/// Returns counts of events.
fn chaos(seed: u64, offline: bool, failing: u64) -> (u64, u64) {
    let mut rng = Rng::new(seed);
    let mut test = ProtocolTest::new(offline, [24, 4096][rng.below(2) as usize]);
    let is_band = seed % 4 == 1;
    if is_band {
        let mut composer = test.composer.lock().unwrap();
        composer.session.player_mut().parts = Part::ALL.to_vec();
    }
    let mut listener = Listener::default();
    let (mut at, mut beat, mut tempo, mut playing) = (0u64, 0.0, 120.0, false);
    let mut held: Vec<(u8, u8)> = Vec::new();
    let mut cycle = None;
    for _ in 0..1500 {
        match rng.below(60) {
            0 => playing = !playing,
            1 => beat = (rng.unit() * 40.0 - 4.0) * [1.0, 0.0][rng.below(2) as usize],
            2 => tempo = 20.0 + rng.unit() * 300.0,
            3 => test.processor.reset(),
            4 => test.settings.mode = MODES[rng.below(5) as usize],
            5 => test.controls.thru = rng.below(3) > 0,
            6 => test.settings.gap = 0.25 + rng.unit(),
            7 => cycle = [None, Some((1.0, 3.3)), Some((4.0, 4.001))][rng.below(3) as usize],
            8 => test.settings.enter = [Enter::Step, Enter::Bar][rng.below(2) as usize],
            9 => test.processor.set_sample_rate(RATE),
            10 => test.controls.offset = (rng.unit() - 0.5) / 10.0,
            11 => test.controls.input = [None, Some(3)][rng.below(2) as usize],
            12 => test
                .controls
                .triggers
                .set(Trigger::Panic, rng.below(2) == 0),
            13 => test
                .controls
                .triggers
                .set(Trigger::Regenerate, rng.below(2) == 0),
            14 => test
                .controls
                .triggers
                .set(Trigger::Clear, rng.below(2) == 0),
            15 => {
                test.settings.memory =
                    [MemoryMode::Song, MemoryMode::Session][rng.below(2) as usize]
            }
            16 => test.settings.freeze = rng.below(2) == 0,
            17 => test.settings.bars = 1 + rng.below(3) as u32,
            18 => test.settings.feel = rng.unit(),
            19 => test.settings.variation = [Variation::A, Variation::C][rng.below(2) as usize],
            20 => test.settings.length = 0.1 + 2.0 * rng.unit(),
            21 => test.settings.lead = rng.unit(),
            22 => test.press(Trigger::Undo),
            23 => test.press(Trigger::Redo),
            24..34 => playing = true,
            34 if is_band => {
                let some = Part::ALL.into_iter().filter(|_| rng.below(2) == 0);
                test.settings.plays = some.collect();
            }
            35 if is_band => {
                let part = rng.below(Part::COUNT as u64) as usize;
                let channel = [None, Some(rng.below(16) as u8)][rng.below(2) as usize];
                test.controls.part_outputs[part] = channel;
            }
            _ => {}
        }
        let frames = [32, 64, 480, 4096, 9000][rng.below(5) as usize];
        let mut block = Block {
            failing,
            rng: Some(Rng::new(rng.draw())),
            ..Block::default()
        };
        let mut samples: Vec<u32> = (0..rng.below(4))
            .map(|_| rng.below(frames) as u32)
            .collect();
        samples.sort_unstable();
        for sample in samples {
            if rng.below(6) == 0 {
                let (channel, value) = (1 + rng.below(15) as u8, rng.unit() as f32);
                let cc = [64, 1, 123][rng.below(3) as usize];
                block.input.push_back(NoteEvent::MidiCC {
                    timing: sample,
                    channel,
                    cc,
                    value,
                });
            } else if rng.below(4) == 0 && held.len() < 5 {
                let (channel, pitch) = (1 + rng.below(15) as u8, rng.below(128) as u8);
                held.push((channel, pitch));
                block.input.push_back(key(sample, true, channel, pitch));
            } else if let Some((channel, pitch)) = held.pop() {
                block.input.push_back(key(sample, false, channel, pitch));
            }
        }
        let reading = HostTransport {
            playing,
            beat: Some(beat),
            tempo: Some(tempo),
            cycle,
            ..HostTransport::default()
        };
        test.block(&reading, frames as u32, &mut block);
        listener.check(at, frames as u32, &block.output);
        if !playing && failing == 0 {
            assert_eq!(
                listener.generated(),
                0,
                "sounding while the transport stands still"
            );
        }
        if rng.below(3) > 0 {
            test.composer.lock().unwrap().run();
        }
        at += frames;
        if playing {
            beat += frames as f64 / (RATE * 60.0 / tempo);
            if let Some((from, to)) = cycle.filter(|&(_, to)| beat >= to && rng.below(2) == 0) {
                beat = from + (beat - to).min(0.1);
            }
        }
    }
    // After stop and release nothing may sound.
    for _ in 0..50 {
        let mut block = Block::default();
        for (channel, pitch) in held.drain(..) {
            block.input.push_back(key(0, false, channel, pitch));
        }
        test.processor.reset();
        test.block(&standing(), 64, &mut block);
        listener.check(at, 64, &block.output);
        at += 64;
    }
    assert!(
        listener.sounding.is_empty(),
        "left sounding: {:?}",
        listener.sounding
    );
    (test.count(|c| &c.played), test.count(|c| &c.overflow))
}

#[test]
fn random_hosts_leave_no_note_sounding() {
    let (mut played, mut overflow) = (0, 0);
    for seed in 0..60 {
        let run =
            std::panic::catch_unwind(|| chaos(seed, seed % 2 == 0, [0, 0, 3][(seed % 3) as usize]));
        let Ok((p, o)) = run else {
            panic!("chaos({seed}) failed, see above")
        };
        played += p;
        overflow += o;
    }
    assert!(played > 500, "{played} notes played: nothing was tested");
    assert!(overflow > 0, "the ring was never full: nothing was tested");
}
