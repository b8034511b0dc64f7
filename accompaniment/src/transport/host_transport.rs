//! One block's transport information, as the host reports it. Audio thread; allocates nothing.

/// Distance from 0, in quarter notes, from which positions are not used: about a thousand years.
const FARTHEST: f64 = 1e9;

/// Transport information of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostTransport {
    /// Whether it runs.
    pub playing: bool,
    /// Position of the block's first sample in quarter notes.
    pub beat: Option<f64>,
    /// Whether the host did not report `beat`: it is counted on from the block before.
    pub counted: bool,
    /// Quarter notes a minute.
    pub tempo: Option<f64>,
    /// Position of the bar line at or before `beat`.
    pub bar_start: Option<f64>,
    /// Time signature, upper figure.
    pub numerator: Option<i32>,
    /// Time signature, lower figure.
    pub denominator: Option<i32>,
    /// The loop, where one is switched on.
    pub cycle: Option<(f64, f64)>,
}

impl HostTransport {
    /// The same without values that are not finite or that no music has. They count as missing.
    pub(super) fn usable(&self) -> Self {
        let is_place = |beat: &f64| beat.abs() < FARTHEST;
        Self {
            beat: self.beat.filter(is_place),
            tempo: self.tempo.filter(|t| (1.0..=10_000.0).contains(t)),
            bar_start: self.bar_start.filter(is_place),
            cycle: self.cycle.filter(|(a, b)| is_place(a) && is_place(b)),
            ..*self
        }
    }
}
