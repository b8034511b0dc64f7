//! Measurements of the electric piano's sound.

use continuo_synth::{Ensemble, POLYPHONY};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RATE: f64 = 48_000.0;

/// Renders `count` samples in blocks of `block` samples.
fn render(piano: &mut Ensemble, count: usize, block: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut left, mut right) = (vec![0.0; count], vec![0.0; count]);
    for (left, right) in left.chunks_mut(block).zip(right.chunks_mut(block)) {
        piano.render(left, right);
    }
    (left, right)
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, s| peak.max(s.abs()))
}

/// Returns the root mean square in decibels.
fn decibels(samples: &[f32]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    10.0 * (sum / samples.len() as f64).log10()
}

/// Returns the power of one frequency under a Hann window.
fn power(samples: &[f32], hz: f64, rate: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let turn = std::f64::consts::TAU * n as f64;
        let window = 0.5 - 0.5 * (turn / samples.len() as f64).cos();
        let (sin, cos) = (turn * hz / rate).sin_cos();
        re += f64::from(sample) * window * cos;
        im += f64::from(sample) * window * sin;
    }
    re * re + im * im
}

/// Returns the frequency of greatest power within half a tone of `near`, in hertz. The search starts
/// with tenths of a semitone and ends with a hundredth of a cent.
fn fundamental(samples: &[f32], near: f64, rate: f64) -> f64 {
    let (mut best, mut step) = (near, 10.0);
    while step > 0.005 {
        let around = (-10..=10).map(|n| best * (f64::from(n) * step / 1200.0).exp2());
        best = around
            .max_by(|a, b| power(samples, *a, rate).total_cmp(&power(samples, *b, rate)))
            .unwrap();
        step /= 5.0;
    }
    best
}

#[test]
fn notes_are_in_tune_within_a_cent() {
    let all = [21, 36, 48, 60, 69, 81, 96, 108].as_slice();
    for (rate, keys) in [(48_000.0, all), (44_100.0, &[33]), (96_000.0, &[100])] {
        for &key in keys {
            let mut piano = Ensemble::new(rate);
            piano.note_on(0, key, 0.7);
            let (left, _) = render(&mut piano, 2 * rate as usize, 512);
            let expected = 440.0 * ((f64::from(key) - 69.0) / 12.0).exp2();
            let cents = 1200.0 * (fundamental(&left, expected, rate) / expected).log2();
            println!("{rate} Hz, key {key}: {cents:+.3} cents");
            assert!(cents.abs() < 1.0, "{rate} Hz, key {key}: {cents:+.3} cents");
        }
    }
}

#[test]
fn fundamental_sounds_and_the_tine_fades() {
    let mut piano = Ensemble::new(RATE);
    piano.note_on(0, 60, 1.0);
    let (left, _) = render(&mut piano, 96_000, 512);
    let hz = 440.0 * (-9.0f64 / 12.0).exp2();
    let tine = |from: usize| {
        let part = &left[from..from + 4_800];
        let both = power(part, 13.0 * hz, RATE) + power(part, 15.0 * hz, RATE);
        10.0 * (both / power(part, hz, RATE)).log10()
    };
    let (early, late) = (tine(0), tine(48_000));
    println!("tine against the fundamental: {early:.1} dB at once, {late:.1} dB after a second");
    assert!((-35.0..-6.0).contains(&early) && late < early - 30.0);
}

#[test]
fn note_decays_while_held_and_faster_after_its_release() {
    for key in [30, 60, 90] {
        let mut piano = Ensemble::new(RATE);
        piano.note_on(0, key, 0.8);
        let (left, _) = render(&mut piano, 96_000, 512);
        let (first, second) = (decibels(&left[4_800..48_000]), decibels(&left[52_800..]));
        assert!(
            second < first - 2.0 && second > first - 40.0,
            "key {key}: {first} {second}"
        );
        piano.note_off(0, key);
        let (left, _) = render(&mut piano, 24_000, 512);
        let (first, second) = (decibels(&left[..2_400]), decibels(&left[12_000..14_400]));
        assert!(second < first - 50.0, "key {key}: {first} {second}");
        render(&mut piano, 48_000, 512);
        assert!(piano.is_silent());
    }
}

#[test]
fn higher_velocity_is_louder_and_brighter() {
    let note_on = |velocity| {
        let mut piano = Ensemble::new(RATE);
        piano.note_on(0, 57, velocity);
        let (left, _) = render(&mut piano, 12_000, 512);
        let bright = power(&left, 440.0, RATE) / power(&left, 220.0, RATE);
        (decibels(&left), bright)
    };
    let (soft, hard) = (note_on(0.2), note_on(1.0));
    assert!(
        hard.0 > soft.0 + 12.0 && hard.1 > 2.0 * soft.1,
        "{soft:?} {hard:?}"
    );
}

#[test]
fn sixteen_notes_at_full_velocity_do_not_clip() {
    for low in [21, 48, 84] {
        let mut piano = Ensemble::new(RATE);
        for n in 0..POLYPHONY as u8 {
            piano.note_on(0, low + n, 1.0);
        }
        let (left, right) = render(&mut piano, 96_000, 512);
        let most = peak(&left).max(peak(&right));
        println!("sixteen notes from key {low}: peak {most:.3}");
        assert!(most < 1.0 && most > 0.3, "peak {most}");
        // An ordinary chord stays in the nearly linear range of the soft clipping.
        let mut piano = Ensemble::new(RATE);
        for key in [low, low + 4, low + 7, low + 11] {
            piano.note_on(0, key, 0.7);
        }
        let (left, right) = render(&mut piano, 48_000, 512);
        assert!(peak(&left).max(peak(&right)) < 0.5);
    }
}

#[test]
fn silence_is_exact_and_no_sample_is_denormal() {
    let mut piano = Ensemble::new(RATE);
    let (left, right) = render(&mut piano, 1_000, 100);
    assert!(left.iter().chain(&right).all(|s| *s == 0.0) && piano.is_silent());
    for key in [21, 60, 108] {
        piano.note_on(0, key, 1.0);
    }
    // All notes are held for a minute: the longest one has faded by then.
    let (left, right) = render(&mut piano, 60 * RATE as usize, 4_096);
    assert!(
        left.iter()
            .chain(&right)
            .all(|s| !s.is_subnormal() && s.is_finite())
    );
    assert!(piano.is_silent(), "a note held for a minute still sounds");
    assert_eq!(peak(&left[left.len() - 4_800..]), 0.0);
}

/// Returns the greatest second difference of the samples. A click is a jump or a corner with a greater
/// one than the music.
fn roughness(samples: &[f32]) -> f32 {
    let bend = |w: &[f32]| (w[2] - 2.0 * w[1] + w[0]).abs();
    samples.windows(3).map(bend).fold(0.0, f32::max)
}

#[test]
fn stolen_voices_do_not_click() {
    // Low soft notes have small second differences, so that a jump of one of them is detected.
    let mut piano = Ensemble::new(RATE);
    for n in 0..POLYPHONY as u8 {
        piano.note_on(0, 30 + n, 0.6);
    }
    render(&mut piano, 24_123, 512);
    let (calm, _) = render(&mut piano, 4_800, 512);
    for n in 0..POLYPHONY as u8 {
        piano.note_on(0, 46 + n, 0.001);
    }
    let (busy, _) = render(&mut piano, 4_800, 512);
    let (before, after) = (roughness(&calm), roughness(&busy));
    println!("making way: bend {after:.5} where the music has {before:.5}");
    assert!(after < 2.0 * before, "bend {after}, the music's {before}");
    // An abrupt end is a click, and the measure detects it.
    let mut cut = calm.clone();
    let crest = cut.iter().position(|s| s.abs() == peak(&calm)).unwrap();
    cut[crest..].fill(0.0);
    assert!(roughness(&cut) > 3.0 * before, "the measure sees no click");
}

#[test]
fn repeated_keys_and_releases_do_not_click() {
    let mut piano = Ensemble::new(RATE);
    piano.note_on(0, 40, 0.8);
    render(&mut piano, 12_345, 512);
    let (calm, _) = render(&mut piano, 4_800, 512);
    piano.note_on(0, 40, 0.001);
    let (again, _) = render(&mut piano, 4_800, 512);
    assert!(roughness(&again) < 2.0 * roughness(&calm));
    piano.note_on(0, 40, 0.8);
    render(&mut piano, 12_345, 512);
    piano.note_off(0, 40);
    let (off, _) = render(&mut piano, 4_800, 512);
    assert!(roughness(&off) < 2.0 * roughness(&calm));
}

#[test]
fn pedal_sustains_released_keys() {
    let mut piano = Ensemble::new(RATE);
    piano.pedal(3, true);
    piano.note_on(3, 60, 0.7);
    piano.note_on(4, 48, 0.7);
    piano.note_off(3, 60);
    piano.note_off(4, 48);
    let (left, _) = render(&mut piano, 48_000, 512);
    let sounding = |hz: f64| power(&left[36_000..], hz, RATE).sqrt();
    assert!(
        sounding(261.63) > 1_000.0 * sounding(130.81),
        "only the pedal's channel sounds on"
    );
    piano.pedal(3, false);
    render(&mut piano, 48_000, 512);
    assert!(piano.is_silent());
    piano.pedal(3, true);
    piano.note_on(3, 60, 0.7);
    piano.note_off(3, 60);
    piano.all_off(Some(3));
    render(&mut piano, 48_000, 512);
    assert!(piano.is_silent(), "all notes off lets the pedal's notes go");
}

/// Random keys at random times, in blocks of random length, give the same sound as long blocks, and it
/// stays within bounds.
#[test]
fn sound_is_equal_for_all_block_sizes() {
    for seed in 0..6u64 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut at = 0;
        let events: Vec<_> = (0..120)
            .map(|_| {
                at += random.random_range(0..800);
                (
                    at,
                    random.random_range(0..128u8),
                    random.random_range(0..5) > 1,
                )
            })
            .collect();
        let mut perform = |longest: usize| {
            let mut piano = Ensemble::new(RATE);
            let (mut left, mut right) = (vec![0.0; at + 9_600], vec![0.0; at + 9_600]);
            let mut now = 0;
            for &(when, key, down) in events.iter().chain([&(at + 9_600, 0, false)]) {
                while now < when {
                    let count = random.random_range(1..=longest).min(when - now);
                    let range = now..now + count;
                    piano.render(&mut left[range.clone()], &mut right[range]);
                    now += count;
                }
                match down {
                    true => piano.note_on(key & 1, key, f32::from(key) / 127.0),
                    false => piano.note_off(key & 1, key),
                }
            }
            (left, right)
        };
        let (long, short) = (perform(8_192), perform(70));
        assert!(long == short, "seed {seed}: another sound in other blocks");
        let most = peak(&long.0).max(peak(&long.1));
        assert!(most <= 1.0 && most > 0.01, "seed {seed}: peak {most}");
    }
}

#[test]
fn unusual_sample_rates_and_keys_are_accepted() {
    for rate in [0.0, -1.0, f64::NAN, 8_000.0, 11_025.0, 192_000.0] {
        let mut piano = Ensemble::new(rate);
        for key in 0..=255u8 {
            piano.note_on(key % 16, key, 2.0);
            piano.note_on(key, key, f32::NAN);
            piano.note_off(255, key);
            piano.pedal(255, true);
        }
        let (left, right) = render(&mut piano, 4_000, 33);
        assert!(left.iter().chain(&right).all(|s| s.abs() <= 1.0), "{rate}");
        piano.reset();
        assert!(piano.is_silent());
    }
}
