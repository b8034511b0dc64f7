//! Tempo and first beat from the onsets of notes.
//!
//! The tempo is taken as constant. The onsets become a curve, whose autocorrelation at a period and
//! its next three multiples is compared for all tempi, with a preference for moderate ones. The best
//! tempo is then refined so that a grid of beats meets most onsets, and fitted to the onsets by least
//! squares, over longer and longer stretches, so that the grid does not drift in a long recording.

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
/// Longest stretch of sound that the curve covers, in seconds.
const LONGEST: f64 = 600.0;
/// First stretch of sound that the grid is fitted to, in seconds, and how many times longer the next is.
const STRETCH: f64 = 60.0;
const LONGER: f64 = 4.0;
/// Greatest distance in beats from the grid of an onset that the grid is fitted to.
const NEAR: f64 = 0.25;
/// Greatest distance in beats by which the first beat may lie before the sound. Beyond, the next beat is
/// the first.
const BEFORE: f64 = 0.1;

/// Tempo and first beat of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// Tempo in beats a minute: 50 to 200 if it is found, 4 to 1000 if it is named.
    pub bpm: f64,
    /// Time in seconds of the beat that is nearest to the first note; of the next beat, if that beat
    /// lies before the sound by more than a tenth of a beat.
    pub first: f64,
}

/// Finds the tempo and the first beat of notes in order of onset; `None` if there are fewer than
/// eight different onsets. With `bpm`, only the first beat is found, for any number of notes but 0.
pub fn find_beat(notes: &[Note], bpm: Option<f64>) -> Option<Beat> {
    let first = notes.first()?.onset;
    let onsets: Vec<(f64, f64)> = notes
        .iter()
        .map(|note| (note.onset - first, f64::from(note.confidence)))
        .collect();
    let heard = &onsets[..onsets.partition_point(|onset| onset.0 < LONGEST)];
    let curve = curve(heard);
    let period = match bpm {
        Some(bpm) => 60.0 / bpm,
        None => {
            let different = heard.windows(2).filter(|two| two[1].0 - two[0].0 > 0.05);
            if different.count() + 1 < FEWEST {
                return None;
            }
            refine(&curve, coarse(&curve)?)
        }
    };
    // The period is not exact yet, so the phase is that of the beginning.
    let beginning = curve.len().min((STRETCH * STEPS) as usize);
    let (_, phase) = meets(&curve[..beginning], period);
    let grid = Grid { period, phase }.fitted(&onsets, bpm.is_some());
    let Grid { period, phase } = grid;
    // The grid's line that is nearest to the first note.
    let nearest = first + phase - (phase / period).round() * period;
    let is_before = nearest < -BEFORE * period;
    Some(Beat {
        bpm: bpm.unwrap_or(60.0 / period),
        first: nearest + if is_before { period } else { 0.0 },
    })
}

/// A grid of beats: the seconds from line to line, and the time of one line in seconds.
#[derive(Clone, Copy)]
struct Grid {
    period: f64,
    phase: f64,
}

impl Grid {
    /// Fits the grid to the onsets near its lines by least squares. Each stretch is fitted well enough
    /// that the beats of the next one, which is four times as long, have the right numbers. With
    /// `is_named`, the period stays.
    fn fitted(self, onsets: &[(f64, f64)], is_named: bool) -> Self {
        let last = onsets.last().map_or(0.0, |last| last.0);
        let stretches = std::iter::successors(Some(STRETCH), |stretch| {
            (*stretch <= last).then_some(stretch * LONGER)
        });
        stretches.fold(self, |grid, stretch| {
            let end = onsets.partition_point(|onset| onset.0 <= stretch);
            grid.fitted_once(&onsets[..end], is_named)
        })
    }

    fn fitted_once(self, onsets: &[(f64, f64)], is_named: bool) -> Self {
        // Number of the nearest line, distance from it in seconds, and weight.
        let near = onsets.iter().filter_map(|&(onset, weight)| {
            let beats = (onset - self.phase) / self.period;
            let off = beats - beats.round();
            (off.abs() < NEAR).then_some((beats.round(), off * self.period, weight))
        });
        let near: Vec<(f64, f64, f64)> = near.collect();
        let weight: f64 = near.iter().map(|one| one.2).sum();
        if weight <= 0.0 {
            return self;
        }
        let mean_beat = near.iter().map(|one| one.0 * one.2).sum::<f64>() / weight;
        let mean_off = near.iter().map(|one| one.1 * one.2).sum::<f64>() / weight;
        let spread: f64 = near
            .iter()
            .map(|one| one.2 * (one.0 - mean_beat).powi(2))
            .sum();
        let common: f64 = near
            .iter()
            .map(|one| one.2 * (one.0 - mean_beat) * (one.1 - mean_off))
            .sum();
        let slope = match is_named || near.len() < FEWEST || spread <= 0.0 {
            true => 0.0,
            false => common / spread,
        };
        Self {
            period: self.period + slope,
            phase: self.phase + mean_off - slope * mean_beat,
        }
    }
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
    fn first_beat_is_never_before_the_sound() {
        // The recording is trimmed to its first note, 0.185 s after a beat at 120 beats a minute.
        let mut notes = tune(120.0, -0.185, 12);
        notes.retain(|note| note.onset > 0.1);
        notes.insert(0, note(0.0));
        for bpm in [None, Some(120.0)] {
            let beat = find_beat(&notes, bpm).unwrap();
            assert!((beat.bpm - 120.0).abs() < 0.1, "{beat:?}");
            assert!((beat.first - 0.315).abs() < 0.01, "{beat:?}");
        }
        // The recording is trimmed to its first beat, which sounds a little late.
        let beat = find_beat(&tune(120.0, 0.0, 12), None).unwrap();
        assert!(beat.first.abs() < 0.01, "{beat:?}");
    }

    #[test]
    fn grid_does_not_drift_in_an_hour() {
        for bpm in [107.3, 133.0] {
            let time = |beat: usize| 0.4 + beat as f64 * 60.0 / bpm;
            let last = (60.0 * bpm) as usize;
            // Clicks are early and late by up to 5 ms.
            let late = |beat: usize| (beat * 7_919 % 101) as f64 * 1e-4 - 5e-3;
            let notes: Vec<Note> = (0..=last).map(|at| note(time(at) + late(at))).collect();
            for named in [None, Some(bpm)] {
                let beat = find_beat(&notes, named).unwrap();
                let end = (time(last) - beat.first) * beat.bpm / 60.0;
                assert!((end - last as f64).abs() < 0.05, "{bpm}: {end}, {beat:?}");
                assert!((beat.first - 0.4).abs() < 0.01, "{bpm}: {beat:?}");
            }
        }
    }

    #[test]
    fn few_onsets_have_no_tempo() {
        assert_eq!(find_beat(&[], None), None);
        assert_eq!(find_beat(&[], Some(100.0)), None);
        assert_eq!(find_beat(&[note(1.0); 20], None), None);
        assert_eq!(find_beat(&tune(120.0, 0.0, 1), None), None);
    }
}
