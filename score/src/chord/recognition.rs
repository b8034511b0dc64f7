//! Recognition of chords: the likeliest path through the chords of all beats.
//!
//! Another chord than on the beat before costs something, less on bar lines, so that a passing note
//! changes nothing (hysteresis). The path is the best one (Viterbi) up to the last beat given. So
//! recognition beat by beat is recognition of the notes so far: the last chord never depends on later
//! notes, and the same notes give the same chords.

use super::beats::{Beat, beats, profiles};
use super::templates::{FITTED, Profile, Weights, chord};
use super::{Chord, Quality};
use crate::score::Score;

/// A chord and the steps over which it sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChordSpan {
    /// First step; the beginning of a beat.
    pub start: u32,
    /// First step after it.
    pub end: u32,
    /// The chord; `None` in silence, and where the notes form none.
    pub chord: Option<Chord>,
}

/// The chords of a score, without gaps, from its first bar to the end of its last note's beat. Two
/// neighbours are never equal.
///
/// ```
/// let minuet = continuo_score::tune::minuet();
/// let chords = continuo_score::chord::recognise(&minuet);
/// assert_eq!(chords[0].chord.unwrap().to_string(), "G");
/// ```
pub fn recognise(score: &Score) -> Vec<ChordSpan> {
    let end = score.notes.iter().map(|note| note.end()).max();
    recognise_range(score, 0, end.unwrap_or(0))
}

/// The chords of the beats that begin in `from..to`, from those notes alone that sound there. `from`
/// should lie on a bar line.
pub fn recognise_range(score: &Score, from: u32, to: u32) -> Vec<ChordSpan> {
    let beats = beats(&score.time_signatures, from, to);
    let profiles = profiles(score, &beats);
    spans(&beats, &chords(&beats, &profiles, &FITTED))
}

/// The chord of keys that are held together. They form one if its root is held, with its third or its
/// fifth or what stands for them, and fewer pitch classes foreign to it than tones of it. So one key
/// forms none, and a cluster neither.
pub fn chord_of_keys(keys: &[u8]) -> Option<Chord> {
    let lowest = *keys.iter().min()?;
    let mut profile = Profile::default();
    for key in keys {
        profile.pitch_classes[usize::from(key % 12)] = FITTED.full;
    }
    profile.bass[usize::from(lowest % 12)] = 1.0;
    let held = |class: u8| profile.pitch_classes[usize::from(class % 12)] > 0.0;
    let chord = chord(best(&profile.scores(&FITTED)))?;
    let intervals = chord.quality.intervals();
    let tones = intervals
        .iter()
        .filter(|&&interval| held(chord.root + interval));
    let tones = tones.count();
    let all = (0..12).filter(|&class| held(class)).count();
    let triad = &intervals[1..intervals.len().min(3)];
    let stands = held(chord.root) && triad.iter().any(|&interval| held(chord.root + interval));
    // The second of a suspended chord alone is no triad.
    let second = chord.quality == Quality::Suspended2 && !held(chord.root + 7);
    (stands && !second && 2 * tones > all).then_some(chord.over(lowest))
}

/// The chord of each beat.
pub(super) fn chords(
    beats: &[Beat],
    profiles: &[Profile],
    weights: &Weights,
) -> Vec<Option<Chord>> {
    let mut path = BestPath::new(beats.len());
    for (beat, profile) in beats.iter().zip(profiles) {
        path.step(
            weights.change[beat.accent as usize],
            &profile.scores(weights),
        );
    }
    let states = path.states();
    let mut path = BestPath::<12>::new(beats.len());
    for (index, (&state, profile)) in states.iter().zip(profiles).enumerate() {
        let same = index > 0 && states[index - 1] == state;
        let mut bass = profile.bass;
        // Unless another has its share of the lowest notes, the bass is the root.
        if let Some(Chord { root, .. }) = chord(state) {
            let share = &mut bass[usize::from(root)];
            *share = share.max(weights.bass_share);
        }
        path.step(if same { weights.bass_change } else { 0.0 }, &bass);
    }
    let over = states.iter().zip(path.states());
    over.map(|(&state, bass)| Some(chord(state)?.over(bass as u8)))
        .collect()
}

/// The best path through `N` states where every change of state has the same cost.
struct BestPath<const N: usize> {
    /// Score of the best path to each state, less the highest.
    scores: [f32; N],
    /// For each beat, each state's best state on the beat before.
    before: Vec<[u8; N]>,
}

impl<const N: usize> BestPath<N> {
    fn new(beats: usize) -> Self {
        Self {
            scores: [0.0; N],
            before: Vec::with_capacity(beats),
        }
    }

    /// One more beat, with the evidence for each state.
    fn step(&mut self, cost: f32, evidence: &[f32; N]) {
        let leader = best(&self.scores);
        let changed = self.scores[leader] - cost;
        let mut before = [leader as u8; N];
        for state in 0..N {
            let score = &mut self.scores[state];
            if *score >= changed {
                before[state] = state as u8;
            }
            *score = score.max(changed) + evidence[state];
        }
        self.before.push(before);
        // Only differences count. So sums stay small.
        let most = self.scores[best(&self.scores)];
        self.scores.iter_mut().for_each(|score| *score -= most);
    }

    /// The state of each beat.
    fn states(&self) -> Vec<usize> {
        let mut state = best(&self.scores);
        let mut states = Vec::with_capacity(self.before.len());
        for before in self.before.iter().rev() {
            states.push(state);
            state = usize::from(before[state]);
        }
        states.reverse();
        states
    }
}

/// The first of the states with the highest score.
fn best(scores: &[f32]) -> usize {
    let higher = |best, state: usize| {
        if scores[state] > scores[best] {
            state
        } else {
            best
        }
    };
    (0..scores.len()).fold(0, higher)
}

/// Joins equal neighbours.
fn spans(beats: &[Beat], chords: &[Option<Chord>]) -> Vec<ChordSpan> {
    let mut spans: Vec<ChordSpan> = Vec::new();
    for (beat, &chord) in beats.iter().zip(chords) {
        match spans.last_mut() {
            Some(last) if last.chord == chord => last.end = beat.end,
            _ => spans.push(ChordSpan {
                start: beat.start,
                end: beat.end,
                chord,
            }),
        }
    }
    spans
}
