//! Scores of chords: the fit of each one to the notes of a beat.
//!
//! A chord gains by the share of the sound that its tones have, and loses by the share that is foreign
//! to it and by tones that are missing. The weights were fitted on every tenth song of POP909 and on the
//! pieces of `score/tests/pieces`; `docs/benchmarks.md` has the agreement with the other songs.

use super::{Chord, Quality};

/// Number of chords in root position.
const CHORDS: usize = 12 * Quality::ALL.len();

/// Number of states: every chord, and no chord.
pub(super) const STATES: usize = CHORDS + 1;

/// The state of no chord.
pub(super) const NO_CHORD: usize = CHORDS;

/// The sound of one beat.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Profile {
    /// Weight of each pitch class.
    pub(super) pitch_classes: [f32; 12],
    /// Share of each pitch class among the lowest notes; all 0 in silence.
    pub(super) bass: [f32; 12],
}

/// Weights of the evidence. A share is 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    /// For the share of root, third, fifth, and sixth or seventh.
    pub(super) tones: [f32; 4],
    /// Against the share of foreign notes.
    pub(super) foreign: f32,
    /// Against a missing root, third, fifth, and sixth or seventh.
    pub(super) missing: [f32; 4],
    /// For the share of the bass on the root, and on another tone.
    pub(super) bass: [f32; 2],
    /// Against each quality, in the order of [`Quality::ALL`].
    pub(super) rarity: [f32; 14],
    /// For no chord where notes sound.
    pub(super) no_chord: f32,
    /// For no chord in silence.
    pub(super) silence: f32,
    /// Sound of a beat, in beats of one note, from which its evidence counts whole.
    pub(super) full: f32,
    /// Share below which a tone counts as missing in part.
    pub(super) present: f32,
    /// Cost of another chord on a bar line, in the middle of a bar, and on another beat.
    pub(super) change: [f32; 3],
    /// Cost of another bass under the same chord.
    pub(super) bass_change: f32,
    /// Share of the bass that another bass than the root needs, on average.
    pub(super) bass_share: f32,
}

/// The fitted weights.
pub(super) const FITTED: Weights = Weights {
    tones: [1.6, 2.2, 2.9, 1.3],
    foreign: 0.3,
    missing: [1.0, 0.26, 0.08, 0.28],
    bass: [0.78, 0.2],
    rarity: [
        0.0, 0.06, 0.25, 0.9, 0.0, 0.06, 0.18, 0.3, 0.18, 0.7, 0.5, 0.17, 0.26, 0.2,
    ],
    no_chord: 1.2,
    silence: 0.37,
    full: 4.4,
    present: 0.2,
    change: [0.4, 0.5, 0.8],
    bass_change: 0.3,
    bass_share: 0.48,
};

/// The chord of a state; `None` for no chord.
pub(super) fn chord(state: usize) -> Option<Chord> {
    let quality = *Quality::ALL.get(state / 12)?;
    Some(Chord::new((state % 12) as u8, quality))
}

impl Profile {
    /// Evidence of the beat for every state.
    pub(super) fn scores(&self, weights: &Weights) -> [f32; STATES] {
        let mut scores = [0.0; STATES];
        let loudness: f32 = self.pitch_classes.iter().sum();
        if loudness <= 0.0 {
            scores[NO_CHORD] = weights.silence;
            return scores;
        }
        // Doublings say little: the square root evens them out.
        let roots = self.pitch_classes.map(f32::sqrt);
        let total: f32 = roots.iter().sum();
        let shares = roots.map(|root| root / total);
        let evidence = (loudness / weights.full).min(1.0);
        for (index, quality) in Quality::ALL.into_iter().enumerate() {
            for root in 0..12 {
                scores[index * 12 + root] = evidence * self.fit(&shares, root, quality, weights)
                    - weights.rarity[index] * evidence;
            }
        }
        scores[NO_CHORD] = weights.no_chord * evidence;
        scores
    }

    fn fit(&self, shares: &[f32; 12], root: usize, quality: Quality, weights: &Weights) -> f32 {
        let (mut fit, mut own) = (0.0, 0.0);
        for (index, &interval) in quality.intervals().iter().enumerate() {
            let class = (root + usize::from(interval)) % 12;
            let (share, bass) = (shares[class], self.bass[class]);
            // The fifth of a power chord is its second tone.
            let tone = if quality == Quality::Power {
                2 * index
            } else {
                index
            };
            let missing = (1.0 - share / weights.present).max(0.0);
            fit += weights.tones[tone] * share - weights.missing[tone] * missing;
            fit += weights.bass[usize::from(index > 0)] * bass;
            own += share;
        }
        fit - weights.foreign * (1.0 - own)
    }
}
