//! Statistics of a passage, and the distance between two collections of passages.

use continuo_score::{Note, Scale, TimeSignatureMap};

/// Number of histogram bins for an onset's position in the bar, in sixteenths; the last bin also
/// counts later positions.
const PLACES: usize = 16;
/// Number of histogram bins for note lengths: a 32nd and less, a sixteenth, and so on in powers of
/// two up to four whole notes and more.
const LENGTHS: usize = 8;
/// Least number of onsets in a figure that counts as repeated.
const FIGURE: usize = 4;
/// Number of consecutive repeats of a figure that counts as a loop.
const TIMES: usize = 4;

/// Names of [`Passage::numbers`].
pub(crate) const NUMBERS: [&str; 8] = [
    "notes a bar",
    "notes in the scale heard, %",
    "onsets on a beat, %",
    "pitches from lowest to highest, semitones",
    "mean pitch",
    "silence, % of the time",
    "longest passage that comes again, beats",
    "circles (1 if it does)",
];

/// Statistics of some bars of music.
pub(crate) struct Passage {
    /// Values in the order of [`NUMBERS`]; `None` if the passage has no notes.
    pub(crate) numbers: [Option<f64>; NUMBERS.len()],
    /// Number of onsets by position in the bar.
    pub(crate) places: [f64; PLACES],
    /// Number of notes by length.
    pub(crate) lengths: [f64; LENGTHS],
}

impl Passage {
    /// Returns the statistics of `notes`, which begin in the steps `from..end`; `beat` is the
    /// number of steps in a beat.
    pub(crate) fn new(
        notes: &[Note],
        from: u32,
        end: u32,
        time_signatures: &TimeSignatureMap,
        beat: u32,
        scale: Scale,
    ) -> Self {
        let bars = time_signatures
            .bar_lines(end)
            .iter()
            .filter(|&&l| l >= from)
            .count();
        let (mut places, mut lengths) = ([0.0; PLACES], [0.0; LENGTHS]);
        for note in notes {
            let step = time_signatures.position(note.start).step_in_bar;
            places[(step * 4 / beat).min(PLACES as u32 - 1) as usize] += 1.0;
            let beats = f64::from(note.length) / f64::from(beat);
            let class = (beats * 8.0)
                .log2()
                .round()
                .clamp(0.0, LENGTHS as f64 - 1.0);
            lengths[class as usize] += 1.0;
        }
        let count = notes.len() as f64;
        let share = |of: &dyn Fn(&&Note) -> bool| {
            let found = notes.iter().filter(of).count();
            (count > 0.0).then(|| 100.0 * found as f64 / count)
        };
        let pitches = || notes.iter().map(|n| n.pitch);
        let range = pitches().max().zip(pitches().min());
        let sounding = sounding(notes, end);
        let silence = 100.0 * (1.0 - f64::from(sounding) / f64::from((end - from).max(1)));
        Self {
            numbers: [
                Some(count / bars.max(1) as f64),
                share(&|n| scale.contains(n.pitch)),
                share(&|n| n.start % beat == 0),
                range.map(|(high, low)| f64::from(high - low)),
                (count > 0.0).then(|| pitches().map(f64::from).sum::<f64>() / count),
                Some(silence),
                Some(f64::from(longest_repeat(notes)) / f64::from(beat)),
                Some(if circles(notes) { 1.0 } else { 0.0 }),
            ],
            places,
            lengths,
        }
    }
}

/// Returns the number of steps before `end` on which a note sounds.
fn sounding(notes: &[Note], end: u32) -> u32 {
    let (mut sum, mut until) = (0, 0);
    for note in notes {
        let stop = note.end().min(end);
        sum += stop.saturating_sub(note.start.max(until));
        until = until.max(stop);
    }
    sum
}

/// Returns the distance from each note to the next: steps of time, and semitones.
pub(crate) fn moves(notes: &[Note]) -> Vec<(u32, i16)> {
    let step = |pair: &[Note]| {
        let rise = i16::from(pair[1].pitch) - i16::from(pair[0].pitch);
        (pair[1].start - pair[0].start, rise)
    };
    notes.windows(2).map(step).collect()
}

/// Returns the steps of the longest passage that occurs twice, with equal pitches and without
/// overlap.
fn longest_repeat(notes: &[Note]) -> u32 {
    let moves = moves(notes);
    let mut longest = 0;
    // Number of equal moves that end at i and at j: one row of the table of common suffixes.
    let mut same = vec![0usize; moves.len() + 1];
    for i in 0..moves.len() {
        for j in (0..i).rev() {
            let equal = moves[i] == moves[j] && notes[i + 1].pitch == notes[j + 1].pitch;
            same[j + 1] = if equal { same[j] + 1 } else { 0 };
            let length = same[j + 1].min(i - j);
            let span = notes[i + 1].start - notes[i + 1 - length].start;
            longest = longest.max(span);
        }
    }
    longest
}

/// Whether a figure of at least [`FIGURE`] notes occurs [`TIMES`] times in a row.
fn circles(notes: &[Note]) -> bool {
    let moves = moves(notes);
    (FIGURE..=moves.len() / TIMES).any(|period| {
        let mut row = 0;
        (period..moves.len()).any(|i| {
            row = if moves[i] == moves[i - period] {
                row + 1
            } else {
                0
            };
            row >= period * (TIMES - 1)
        })
    })
}

/// Returns the mean of a number over the real passages, the mean over the played ones, and the
/// distance of the two distributions. The distance is the mean difference of their quantiles (the
/// first Wasserstein distance), in standard deviations of the real distribution.
pub(crate) fn compare(real: &[Passage], played: &[Passage], number: usize) -> [f64; 3] {
    let of = |all: &[Passage]| {
        let mut values: Vec<f64> = all.iter().filter_map(|p| p.numbers[number]).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (real, played) = (of(real), of(played));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (a, b) = (mean(&real), mean(&played));
    let deviation = mean(&real.iter().map(|v| (v - a).powi(2)).collect::<Vec<_>>()).sqrt();
    let quantile = |values: &[f64], share: f64| {
        let at = (share * values.len() as f64) as usize;
        values.get(at).copied().unwrap_or(0.0)
    };
    let gaps: Vec<f64> = (0..100)
        .map(|i| (f64::from(i) + 0.5) / 100.0)
        .map(|share| (quantile(&real, share) - quantile(&played, share)).abs())
        .collect();
    [a, b, mean(&gaps) / deviation.max(1e-9)]
}

/// Returns the shares of a histogram over the real and over the played passages, and the total
/// variation distance of the two, from 0 to 1.
pub(crate) fn compare_shares<const N: usize>(
    real: &[Passage],
    played: &[Passage],
    of: fn(&Passage) -> &[f64; N],
) -> ([f64; N], [f64; N], f64) {
    let sum = |all: &[Passage]| {
        let mut shares = [0.0; N];
        for passage in all {
            for (share, count) in shares.iter_mut().zip(of(passage)) {
                *share += count;
            }
        }
        let all = shares.iter().sum::<f64>().max(1.0);
        shares.map(|share| share / all)
    };
    let (a, b) = (sum(real), sum(played));
    let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0;
    (a, b, apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_and_repeats_are_measured() {
        let note = |i: u32, pitch: u8| Note {
            start: i * 3,
            length: 3,
            pitch,
            velocity: 64,
            ..Note::default()
        };
        let round: Vec<Note> = (0..24)
            .map(|i| note(i, [60, 64, 67, 72][i as usize % 4]))
            .collect();
        assert!(circles(&round));
        assert_eq!(longest_repeat(&round[..8]), 9);
        let scale: Vec<Note> = (0..24).map(|i| note(i, 40 + (i * i % 41) as u8)).collect();
        assert!(!circles(&scale));
    }
}
