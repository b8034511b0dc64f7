//! Chord Pull: pitches lean to the chords that an answer is to follow.

use continuo_score::chord::Beat;
use continuo_score::{Chord, ChordPlan, Score, TimeSignatureMap};

/// Nats that a pitch foreign to the chord loses on a strong beat just below the lock.
const STRONGEST: f32 = 6.0;

/// The chords to follow, and the pull to them.
///
/// A pull of 0 leaves the model alone. Up to one half, a pitch that begins on a strong beat and is
/// foreign to the chord loses nats, the more the stronger the pull; from there on other pitches do too.
/// A pull of 1 is a lock: no foreign pitch begins anywhere, and none goes on under a chord to which it is
/// foreign.
#[derive(Clone, Debug)]
pub(super) struct ChordGuide {
    plan: ChordPlan,
    /// Bars, which tell strong beats.
    time_signatures: TimeSignatureMap,
    /// 0 to 1.
    pull: f32,
}

impl ChordGuide {
    /// A guide that follows nothing.
    pub(super) fn new(steps_per_beat: u32) -> Self {
        Self {
            plan: ChordPlan::default(),
            time_signatures: Score::new(steps_per_beat).time_signatures,
            pull: 0.0,
        }
    }

    /// Follows `plan` from now on.
    pub(super) fn follow(&mut self, plan: &ChordPlan, time_signatures: &TimeSignatureMap) {
        self.plan.clone_from(plan);
        self.time_signatures.clone_from(time_signatures);
    }

    /// Sets the pull; a number that is none is 0.
    pub(super) fn pull(&mut self, pull: f32) {
        self.pull = match pull.is_nan() {
            true => 0.0,
            false => pull.clamp(0.0, 1.0),
        };
    }

    fn chord(&self, step: u32) -> Option<Chord> {
        match self.pull > 0.0 {
            true => self.plan.at(step),
            false => None,
        }
    }

    /// The pitches of `allowed` that may begin at `step`: with a lock the chord's, where there are any.
    pub(super) fn allowed(&self, step: u32, allowed: u128) -> u128 {
        match self.chord(step).filter(|_| self.pull >= 1.0) {
            Some(chord) => match allowed & tones(chord) {
                0 => allowed,
                tones => tones,
            },
            None => allowed,
        }
    }

    /// The longest note of `pitch` that may begin at `step`: with a lock, up to the first chord to which
    /// it is foreign. At least a step.
    pub(super) fn longest(&self, step: u32, pitch: u8) -> u32 {
        let locked = self.chord(step).filter(|_| self.pull >= 1.0);
        match locked.filter(|chord| chord.contains(pitch)) {
            Some(_) => self.plan.holds(step, pitch),
            None => u32::MAX,
        }
    }

    /// Nats that `pitch` gains where it begins at `step`; 0 or less.
    pub(super) fn bias(&self, step: u32, pitch: u8) -> f32 {
        let foreign = |chord: Chord| !chord.contains(pitch);
        if !self.chord(step).is_some_and(foreign) {
            return 0.0;
        }
        let beat = Beat::at(&self.time_signatures, step);
        match beat.start == step && beat.accent.is_strong() {
            true => -STRONGEST * self.pull,
            false => -STRONGEST * (2.0 * self.pull - 1.0).max(0.0),
        }
    }
}

/// Bit *p*: pitch *p* is a tone of the chord.
fn tones(chord: Chord) -> u128 {
    let octave = u128::from(chord.pitch_classes());
    (0..11).fold(0, |tones, number| tones | octave << (12 * number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_grows_from_strong_beats_to_a_lock() {
        let mut guide = ChordGuide::new(12);
        let mut plan = ChordPlan::default();
        plan.change(48, "C".parse().ok());
        plan.change(96, "G7".parse().ok());
        let bars = Score::new(12).time_signatures;
        guide.follow(&plan, &bars);
        let biases = |guide: &ChordGuide| [48, 60, 72, 49].map(|step| guide.bias(step, 62));
        assert_eq!(biases(&guide), [0.0; 4]);
        guide.pull(0.5);
        assert_eq!(biases(&guide), [-3.0, 0.0, -3.0, 0.0]);
        guide.pull(0.75);
        assert_eq!(biases(&guide), [-4.5, -3.0, -4.5, -3.0]);
        // Tones of the chord, and steps without one, are free.
        assert_eq!((guide.bias(48, 64), guide.bias(0, 61)), (0.0, 0.0));
        assert_eq!(guide.allowed(48, u128::MAX), u128::MAX);
        assert_eq!(guide.longest(48, 64), u32::MAX);
        guide.pull(1.0);
        assert_eq!(guide.allowed(48, 0b1111 << 60), 1 << 60);
        assert_eq!(guide.allowed(0, 0b1111 << 60), 0b1111 << 60);
        // C and D alone are allowed, and neither is a tone of F sharp: the lock yields.
        plan.change(144, "F#".parse().ok());
        guide.follow(&plan, &bars);
        assert_eq!(guide.allowed(144, 0b101 << 60), 0b101 << 60);
        // E ends with its chord, G holds under the next.
        assert_eq!((guide.longest(50, 64), guide.longest(50, 67)), (46, 94));
        guide.pull(f32::NAN);
        assert_eq!(biases(&guide), [0.0; 4]);
    }

    #[test]
    fn tones_reach_over_all_keys() {
        let chord: Chord = "F#m7/C#".parse().unwrap();
        for pitch in 0..128u8 {
            let is_tone = tones(chord) >> pitch & 1 == 1;
            assert_eq!(is_tone, chord.contains(pitch), "{pitch}");
        }
    }
}
