//! Bias to parts that are silent though they are on.
//!
//! A model of bands imagines the whole band, and hears which of its parts have played. Of a part that
//! nobody has played it expects nothing, although the musician has switched it on. So its entrance gets
//! likelier with every beat of its silence.

use continuo_score::{Part, PartSet};

/// Silence in beats before the bias begins: a rest is music.
const REST: f32 = 2.0;
/// Nats for each further beat of silence.
const PER_BEAT: f32 = 1.0;
/// Greatest bias in nats.
const MOST: f32 = 6.0;

/// The step from which each part is silent, by [`Part::index`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartEntrance {
    silent_from: [u32; Part::COUNT],
}

impl PartEntrance {
    /// Starts over with parts that are silent from these steps on.
    pub(super) fn begin(&mut self, silent_from: [u32; Part::COUNT]) {
        self.silent_from = silent_from;
    }

    /// A note of `part` ends at step `end`.
    pub(super) fn note(&mut self, part: Part, end: u32) {
        let from = &mut self.silent_from[part.index()];
        *from = (*from).max(end);
    }

    /// Bias in nats of an entrance of `part` at `step`, where `on` are the parts that are switched on,
    /// and a beat has `beat` steps. 0 where all are: then nobody has chosen.
    pub(super) fn bias(&self, part: Part, step: u32, on: PartSet, beat: u32) -> f32 {
        if on == PartSet::ALL || !on.contains(part) {
            return 0.0;
        }
        let silent = step.saturating_sub(self.silent_from[part.index()]);
        let beats = silent as f32 / beat.max(1) as f32;
        ((beats - REST) * PER_BEAT).clamp(0.0, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_grows_with_the_silence_of_a_part_that_is_on() {
        let on: PartSet = [Part::Bass, Part::Drums].into_iter().collect();
        let mut entrance = PartEntrance::default();
        entrance.begin([0, 0, 0, 24, 0]);
        let bass = |entrance: &PartEntrance, step| entrance.bias(Part::Bass, step, on, 12);
        assert_eq!(
            [24, 48, 60, 72].map(|step| bass(&entrance, step)),
            [0.0, 0.0, 1.0, 2.0]
        );
        assert_eq!(bass(&entrance, 9_999), MOST);
        assert_eq!(entrance.bias(Part::Lead, 9_999, on, 12), 0.0);
        assert_eq!(entrance.bias(Part::Bass, 9_999, PartSet::ALL, 12), 0.0);
        entrance.note(Part::Bass, 70);
        assert_eq!(bass(&entrance, 72), 0.0);
        assert_eq!(bass(&entrance, 106), 1.0);
    }
}
