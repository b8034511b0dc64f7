//! A host with random tempo, rounding, block sizes and gaps in its reports.

use super::rounding::Rounding;
use super::*;

/// A host that plays from a random position on.
pub(super) struct Song {
    pub(super) rng: Rng,
    pub(super) rate: f64,
    /// The true position of the next block, in quarter notes.
    pub(super) beat: f64,
    pub(super) tempo: f64,
    /// Tempo ramp: change of the tempo in quarter notes a minute, for each second.
    pub(super) slope: f64,
    /// Length of the blocks, or the largest one with `changing`.
    pub(super) longest: u32,
    pub(super) changing: bool,
    pub(super) rounding: Option<Rounding>,
    pub(super) gaps: bool,
    pub(super) time_signature: (i32, i32),
    pub(super) bar_start: f64,
    /// Seconds without a report.
    pub(super) silent: f64,
}

impl Song {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let rate = [44_100.0, 48_000.0, 96_000.0][rng.below(3) as usize];
        let beat = [0.0, -7.3, -4.0, 12.25, 1_000.0][rng.below(5) as usize];
        let tempo = [20.0, 400.0, 141.0, 20.0 + 380.0 * rng.unit()][rng.below(4) as usize];
        let slope = [0.0, 0.0, 6.0 * rng.unit() - 3.0][rng.below(3) as usize];
        let longest = [1, 16, 64, 441, 1_024, 4_096][rng.below(6) as usize];
        let rounding = Rounding::ALL.get(rng.below(8) as usize).copied();
        Self {
            rate,
            beat,
            tempo,
            slope,
            longest,
            changing: rng.below(2) == 0,
            rounding,
            gaps: rng.below(2) == 0,
            time_signature: (4, 4),
            bar_start: (beat / 4.0).floor() * 4.0,
            silent: 0.0,
            rng,
        }
    }

    pub(super) fn frames(&mut self) -> u32 {
        match self.changing {
            true => self.rng.below(u64::from(self.longest) + 1) as u32,
            false => self.longest,
        }
    }

    fn bar(&self) -> f64 {
        f64::from(self.time_signature.0) * 4.0 / f64::from(self.time_signature.1)
    }

    /// The report of the next block; never empty if `sure`.
    pub(super) fn report(&mut self, frames: u32, sure: bool) -> HostTransport {
        while self.beat >= self.bar_start + self.bar() {
            self.bar_start += self.bar();
        }
        if self.rng.below(500) == 0 {
            // Another time signature, which begins here, wherever in the bar that is.
            self.time_signature = [(3, 4), (7, 8), (5, 4), (4, 4)][self.rng.below(4) as usize];
            self.bar_start = self.beat;
        }
        let round = |beat: f64| self.rounding.map_or(fixed_point(beat), |r| r.round(beat));
        let said = HostTransport {
            bar_start: Some(round(self.bar_start)),
            numerator: Some(self.time_signature.0),
            denominator: Some(self.time_signature.1),
            ..playing(round(self.beat), self.tempo)
        };
        let seconds = f64::from(frames) / self.rate;
        let silent = self.gaps && !sure && self.silent + seconds < 0.4 && self.rng.below(6) == 0;
        if !silent {
            self.silent = 0.0;
            return said;
        }
        self.silent += seconds;
        match self.rng.below(4) {
            0 => HostTransport {
                tempo: Some(f64::NAN),
                ..said
            },
            1 => HostTransport {
                beat: Some(f64::INFINITY),
                ..said
            },
            2 => HostTransport { beat: None, ..said },
            _ => HostTransport::default(),
        }
    }

    pub(super) fn advance(&mut self, frames: u32) {
        let seconds = f64::from(frames) / self.rate;
        let next = (self.tempo + self.slope * seconds).clamp(20.0, 400.0);
        self.beat += seconds * (self.tempo + next) / 120.0;
        self.tempo = next;
    }

    /// Largest rounding error of a position, in quarter notes.
    pub(super) fn step(&self) -> f64 {
        match self.rounding {
            Some(Rounding::Down(ticks) | Rounding::Nearest(ticks)) => 1.0 / ticks,
            None => 1e-6,
        }
    }
}
