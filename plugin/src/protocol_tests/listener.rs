//! Checks of the output: a listener that follows every key.

use super::*;

/// Follows what comes out: events sorted and inside the block, generated keys struck only when
/// they are silent and ended only when they sound.
#[derive(Default)]
pub(super) struct Listener {
    pub(super) sounding: BTreeMap<(u8, u8), u64>,
}

impl Listener {
    pub(super) fn check(&mut self, at: u64, frames: u32, output: &[Event]) {
        let mut last = 0;
        for event in output {
            assert!(event.timing() < frames && u64::from(event.timing()) >= last);
            last = event.timing().into();
            let Some((sample, on, channel, pitch, velocity)) = keys(event, 0) else {
                continue;
            };
            assert!(
                sample >= last && sample < u64::from(frames),
                "{sample} of {frames}"
            );
            last = sample;
            if on {
                let before = self.sounding.insert((channel, pitch), at + sample);
                assert!(
                    channel != 0 || (before.is_none() && velocity > 0),
                    "struck twice"
                );
            } else {
                let began = self.sounding.remove(&(channel, pitch));
                assert!(channel != 0 || began.is_some_and(|b| b < at + sample));
            }
        }
    }

    pub(super) fn generated(&self) -> usize {
        self.sounding
            .keys()
            .filter(|(channel, _)| *channel == 0)
            .count()
    }
}
