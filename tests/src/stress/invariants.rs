//! The invariants of the plugin's output.

use anyhow::{Result, ensure};

use super::{PLAYER, StressHost};
use crate::host::Mode;

impl StressHost<'_> {
    /// Checks the output of a block of `frames` samples that began at `beat`. With `unknown`
    /// the plugin cannot know the position, for example because it jumped, and the samples of notes are
    /// not compared with the grid. `seam_length` is the length in quarter notes of a loop that begins or
    /// ends in the block: the plugin may be a loop ahead or behind there.
    pub(super) fn check(
        &mut self,
        frames: u32,
        beat: f64,
        samples_per_beat: f64,
        unknown: bool,
        seam_length: Option<f64>,
    ) -> Result<()> {
        let mut last = 0;
        for event in &self.out {
            ensure!(
                event.offset < frames && event.offset >= last,
                "{event:?} after offset {last} in a block of {frames}"
            );
            last = event.offset;
            let hash = [
                event.on.into(),
                event.channel.into(),
                event.key.into(),
                self.sample + u64::from(event.offset),
            ];
            for x in hash {
                self.summary.fingerprint =
                    (self.summary.fingerprint ^ x).wrapping_mul(0x0100_0000_01B3);
            }
            if event.channel == PLAYER {
                continue;
            }
            let key = (event.channel, event.key);
            let at = self.sample + u64::from(event.offset);
            if !event.on {
                let began = self.sounding.remove(&key);
                ensure!(
                    began.is_some_and(|b| b < at),
                    "{event:?} ends what does not sound"
                );
                continue;
            }
            ensure!(
                self.transport.playing,
                "{event:?} while the transport stands still"
            );
            ensure!(
                self.sounding.insert(key, at).is_none(),
                "{event:?} sounds already"
            );
            self.summary.generated += 1;
            // In real time a note may be late, and the first after a jump may be rounded. A rounded
            // position shifts all notes after a jump by up to its rounding.
            if self.mode == Mode::Offline
                && !unknown
                && !((self.moved || self.waits) && event.offset == 0)
            {
                let here = beat + f64::from(event.offset) / samples_per_beat;
                let off_by = |here: f64| {
                    let step = (here * 12.0).round() / 12.0;
                    ((step - here) * samples_per_beat).abs()
                };
                let length = seam_length.unwrap_or(0.0);
                let off_by = [here - length, here, here + length]
                    .map(off_by)
                    .into_iter()
                    .fold(f64::INFINITY, f64::min);
                let rounding = 2.0 * self.quirks.error() * samples_per_beat;
                ensure!(
                    off_by < 0.502 + rounding || event.offset == 0 && off_by < 1.502 + rounding,
                    "{event:?} is {off_by} samples beside its step, {rounding} are allowed"
                );
                self.summary.placed += 1;
            }
        }
        ensure!(
            self.transport.playing || self.sounding.is_empty(),
            "sounding after the stop: {:?}",
            self.sounding
        );
        Ok(())
    }
}
