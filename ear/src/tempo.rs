//! Tempo and first beat from the onsets of notes.
//!
//! The tempo is taken as constant. The onsets become a curve, whose autocorrelation at a period and
//! its next three multiples is compared for all tempi, with a preference for moderate ones. The best
//! tempo is then refined so that a grid of beats meets most onsets.

use crate::note::Note;

/// Steps of the curve in a second.
const STEPS: f64 = 200.0;
/// Width of an onset in seconds.
const WIDTH: f64 = 0.015;
/// Slowest and fastest tempo in beats a minute.
const SLOWEST: f64 = 50.0;
const FASTEST: f64 = 200.0;
/// Preferred tempo in beats a minute, and the distance in octaves at which preference falls to 0.6.
const PREFERRED: f64 = 110.0;
const SPREAD: f64 = 0.8;
/// Fewest different onsets that can have a tempo.
const FEWEST: usize = 8;
/// Longest stretch of sound that is looked at, in seconds.
const LONGEST: f64 = 600.0;

/// Tempo and first beat of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// Tempo in beats a minute, 50 to 200.
    pub bpm: f64,
    /// Time in seconds of the beat that is nearest to the first note.
    pub first: f64,
}

/// Finds the tempo and the first beat of notes in order of onset; `None` if there are fewer than
/// eight different onsets. With `bpm`, only the first beat is found, for any number of notes but 0.
pub fn find_beat(notes: &[Note], bpm: Option<f64>) -> Option<Beat> {
    let first = notes.first()?.onset;
    let notes = notes.iter().take_while(|note| note.onset < first + LONGEST);
    let onsets: Vec<(f64, f64)> = notes
        .map(|note| (note.onset - first, f64::from(note.confidence)))
        .collect();
    let curve = curve(&onsets);
    let period = match bpm {
        Some(bpm) => 60.0 / bpm,
        None => {
            let different = onsets.windows(2).filter(|two| two[1].0 - two[0].0 > 0.05);
            if different.count() + 1 < FEWEST {
                return None;
            }
            refine(&curve, coarse(&curve)?)
        }
    };
    let (_, phase) = meets(&curve, period);
    // The grid's line that is nearest to the first note.
    let off = if phase > period / 2.0 {
        phase - period
    } else {
        phase
    };
    Some(Beat {
        bpm: bpm.unwrap_or(60.0 / period),
        first: (first + off).max(0.0),
    })
}

/// Returns the strength of onsets in each step.
fn curve(onsets: &[(f64, f64)]) -> Vec<f64> {
    let last = onsets.last().map_or(0.0, |last| last.0);
    let reach = (4.0 * WIDTH * STEPS) as usize;
    let mut curve = vec![0.0; (last * STEPS) as usize + reach + 1];
    for &(onset, strength) in onsets {
        let middle = onset * STEPS;
        let from = (middle as usize).saturating_sub(reach);
        for at in from..(middle as usize + reach).min(curve.len()) {
            let off = (at as f64 - middle) / (WIDTH * STEPS);
            curve[at] += strength * (-0.5 * off * off).exp();
        }
    }
    curve
}

/// Returns the period in seconds with the greatest autocorrelation.
fn coarse(curve: &[f64]) -> Option<f64> {
    let most = (4.0 * 60.0 / SLOWEST * STEPS) as usize + 2;
    let correlation: Vec<f64> = (0..most)
        .map(|lag| {
            let later = curve.get(lag..).unwrap_or_default();
            // A short recording has fewer pairs at long lags.
            let share = later.len().max(1) as f64 / curve.len() as f64;
            let sum: f64 = curve.iter().zip(later).map(|(a, b)| a * b).sum();
            if share > 0.2 { sum / share } else { 0.0 }
        })
        .collect();
    let at = |lag: f64| {
        let (below, part) = (lag as usize, lag.fract());
        correlation[below] * (1.0 - part) + correlation[below + 1] * part
    };
    let tempi = std::iter::successors(Some(SLOWEST), |bpm| Some(bpm * 1.004));
    let score = |bpm: f64| {
        let lag = 60.0 / bpm * STEPS;
        let octaves = (bpm / PREFERRED).log2() / SPREAD;
        (1..=4).map(|times| at(lag * f64::from(times))).sum::<f64>()
            * (-0.5 * octaves * octaves).exp()
    };
    tempi
        .take_while(|bpm| *bpm <= FASTEST)
        .map(|bpm| (score(bpm), 60.0 / bpm))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|best| best.0 > 0.0)
        .map(|best| best.1)
}

/// Returns the period within 2 % of `period` whose grid meets most onsets.
fn refine(curve: &[f64], period: f64) -> f64 {
    let near = (-100..=100).map(|step| period * (1.0 + f64::from(step) * 2e-4));
    near.map(|period| (meets(curve, period).0, period))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(period, |best| best.1)
}

/// Returns how well the best grid of beats with `period` meets the onsets, and its first line in
/// seconds from the beginning of the curve.
fn meets(curve: &[f64], period: f64) -> (f64, f64) {
    let bins = (period * STEPS).round().max(1.0);
    let mut folded = vec![0.0; bins as usize];
    for (at, strength) in curve.iter().enumerate() {
        let phase = (at as f64 / (period * STEPS)).fract();
        folded[((phase * bins) as usize).min(bins as usize - 1)] += strength;
    }
    let best = folded.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or((0.0, 0.0), |(bin, sum)| {
        (*sum, (bin as f64 + 0.5) / bins * period - 0.5 / STEPS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(onset: f64) -> Note {
        Note {
            onset,
            end: onset + 0.2,
            pitch: 60,
            velocity: 80,
            confidence: 0.8,
            decided: 0.0,
        }
    }

    /// A bar of 4/4 again and again: eighths and quarters, an accent as a chord on each bar.
    fn tune(bpm: f64, start: f64, bars: usize) -> Vec<Note> {
        let beats = [0.0, 0.0, 1.0, 1.5, 2.0, 3.0, 3.0, 3.5];
        let bar = |bar: usize| beats.map(|beat| 4.0 * bar as f64 + beat);
        let beats = (0..bars).flat_map(bar);
        // Players are early and late by a few milliseconds.
        beats
            .enumerate()
            .map(|(at, beat)| note(start + beat * 60.0 / bpm + (at * 7 % 11) as f64 * 1e-3 - 5e-3))
            .collect()
    }

    #[test]
    fn tempo_and_first_beat_are_found() {
        for (bpm, start) in [(72.0, 0.3), (92.5, 1.0), (120.0, 0.05), (133.0, 2.2)] {
            let beat = find_beat(&tune(bpm, start, 12), None).unwrap();
            assert!((beat.bpm / bpm - 1.0).abs() < 2e-3, "{bpm}: {beat:?}");
            assert!(
                (beat.first - start).abs() < 0.02,
                "{bpm}, {start}: {beat:?}"
            );
        }
    }

    #[test]
    fn first_beat_is_found_for_a_given_tempo() {
        let beat = find_beat(&tune(120.0, 0.4, 1)[..4], Some(120.0)).unwrap();
        assert_eq!(beat.bpm, 120.0);
        assert!((beat.first - 0.4).abs() < 0.02, "{beat:?}");
    }

    #[test]
    fn few_onsets_have_no_tempo() {
        assert_eq!(find_beat(&[], None), None);
        assert_eq!(find_beat(&[], Some(100.0)), None);
        assert_eq!(find_beat(&[note(1.0); 20], None), None);
        assert_eq!(find_beat(&tune(120.0, 0.0, 1), None), None);
    }
}
