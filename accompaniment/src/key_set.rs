//! A set of keys on all MIDI channels. Plain data, which neither allocates nor frees.

/// A set of keys by channel, 0 to 15, and pitch, 0 to 127.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeySet([u128; 16]);

impl KeySet {
    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&keys| keys == 0)
    }

    /// Whether it contains this key.
    pub fn contains(&self, channel: u8, pitch: u8) -> bool {
        self.0[usize::from(channel & 15)] & bit(pitch) != 0
    }

    /// Adds a key.
    pub fn insert(&mut self, channel: u8, pitch: u8) {
        self.0[usize::from(channel & 15)] |= bit(pitch);
    }

    /// Removes the matching keys; `None` matches any. Returns whether a key was removed.
    pub fn remove(&mut self, channel: Option<u8>, pitch: Option<u8>) -> bool {
        let mut found = false;
        let mask = pitch.map_or(u128::MAX, bit);
        for (number, keys) in (0u8..).zip(&mut self.0) {
            if channel.is_none_or(|c| c & 15 == number) {
                found |= *keys & mask != 0;
                *keys &= !mask;
            }
        }
        found
    }

    /// Bit *p*: pitch *p* is in it, on any channel.
    pub fn pitches(&self) -> u128 {
        self.0.iter().fold(0, |pitches, keys| pitches | keys)
    }

    /// A key of the set, as (channel, pitch).
    pub fn first(&self) -> Option<(u8, u8)> {
        let channel = self.0.iter().position(|&keys| keys != 0)?;
        Some((channel as u8, self.0[channel].trailing_zeros() as u8))
    }
}

fn bit(pitch: u8) -> u128 {
    1 << (pitch & 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_set_keeps_keys_by_channel() {
        let mut keys = KeySet::default();
        keys.insert(3, 60);
        keys.insert(3, 127);
        keys.insert(15, 0);
        assert_eq!(keys.first(), Some((3, 60)));
        assert_eq!(keys.pitches(), 1 << 60 | 1 << 127 | 1);
        assert!(!keys.remove(Some(2), Some(60)));
        assert!(keys.remove(None, Some(60)) && !keys.contains(3, 60));
        assert!(keys.remove(Some(3), None) && keys.contains(15, 0));
        assert!(keys.remove(None, None) && keys.is_empty());
    }
}
