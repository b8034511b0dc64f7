//! The chord that the player holds on the chord keys. Plain data, which neither allocates nor frees: the
//! audio thread and the composer thread have one each.

use continuo_score::Chord;
use continuo_score::chord::chord_of_keys;

use crate::key_set::KeySet;

/// The keys on which chords are held. Their notes are not continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChordKeys {
    /// All keys of this MIDI channel, 0 to 15; `None` for those below `split` on every channel.
    pub channel: Option<u8>,
    /// The lowest MIDI key that is no chord key.
    pub split: u8,
}

impl Default for ChordKeys {
    /// The keys below C3 on every channel.
    fn default() -> Self {
        Self {
            channel: None,
            split: 48,
        }
    }
}

impl ChordKeys {
    /// Whether a key is one of them.
    pub fn contains(&self, channel: u8, pitch: u8) -> bool {
        match self.channel {
            Some(only) => channel == only,
            None => pitch < self.split,
        }
    }
}

/// The keys held, and the last chord they formed.
///
/// A chord stays until the keys form another one. So letting go, one key alone and a cluster change
/// nothing, and a chord may be struck note by note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldChord {
    keys: KeySet,
    chord: Option<Chord>,
}

impl HeldChord {
    /// Begins with a chord whose keys are up.
    pub fn new(chord: Option<Chord>) -> Self {
        Self {
            chord,
            ..Self::default()
        }
    }

    /// The last chord.
    pub fn chord(&self) -> Option<Chord> {
        self.chord
    }

    /// Note-on of a chord key. Returns whether the keys now form another chord.
    pub fn on(&mut self, channel: u8, pitch: u8) -> bool {
        self.keys.insert(channel, pitch);
        let (mut pitches, mut count) = ([0; 128], 0);
        let held = self.keys.pitches();
        for pitch in (0..128u8).filter(|pitch| held >> pitch & 1 == 1) {
            pitches[count] = pitch;
            count += 1;
        }
        let chord = chord_of_keys(&pitches[..count]);
        let changed = chord.is_some() && chord != self.chord;
        self.chord = chord.or(self.chord);
        changed
    }

    /// Note-off of the matching keys; `None` matches all.
    pub fn off(&mut self, channel: Option<u8>, pitch: Option<u8>) {
        self.keys.remove(channel, pitch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(held: &HeldChord) -> Option<String> {
        held.chord().map(|chord| chord.to_string())
    }

    #[test]
    fn a_chord_stays_until_another_one_is_formed() {
        let mut held = HeldChord::default();
        // One key is no chord, two thirds apart are one, and the fifth is a tone of the same.
        assert_eq!(
            [48, 52, 55].map(|pitch| held.on(2, pitch)),
            [false, true, false]
        );
        assert_eq!(name(&held).as_deref(), Some("C"));
        held.off(Some(2), None);
        assert_eq!(name(&held).as_deref(), Some("C"));
        // A cluster and a single key change nothing.
        assert!(
            [40, 41, 42]
                .map(|pitch| held.on(2, pitch))
                .iter()
                .all(|changed| !changed)
        );
        held.off(None, None);
        assert!(!held.on(2, 45));
        assert_eq!(name(&held).as_deref(), Some("C"));
        assert!(held.on(2, 48));
        assert_eq!(name(&held).as_deref(), Some("Am"));
        // The lowest key is the bass.
        held.off(None, None);
        assert_eq!(
            [43, 48, 52].map(|pitch| held.on(0, pitch)),
            [false, true, true]
        );
        assert_eq!(name(&held).as_deref(), Some("C/G"));
        // Struck again, it is the same chord.
        held.off(None, None);
        let again = [43, 48, 52].map(|pitch| held.on(0, pitch));
        assert!(!again[2] || again[1], "{again:?}");
    }

    #[test]
    fn chord_keys_are_a_channel_or_lie_below_the_split() {
        let split = ChordKeys::default();
        assert!(split.contains(5, 47) && !split.contains(5, 48));
        let channel = ChordKeys {
            channel: Some(1),
            split: 48,
        };
        assert!(channel.contains(1, 90) && !channel.contains(0, 30));
    }
}
