//! The bars of a score as they are written, with a pickup.

use continuo_score::chord::{Beat, beats};
use continuo_score::{TimeSignature, TimeSignatureMap};

/// A bar, in steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Its number; a pickup has one less than the first whole bar.
    pub(crate) number: u32,
    /// Whether it is a pickup.
    pub(crate) is_pickup: bool,
    /// The time signature in force.
    pub(crate) time: TimeSignature,
    /// Whether that is written at its beginning.
    pub(crate) shows_time: bool,
    /// Its beats.
    pub(crate) beats: Vec<Beat>,
}

impl Bar {
    pub(crate) fn length(&self) -> u32 {
        self.end - self.start
    }

    /// Whether its beats are three of the units of the time signature, as in 6/8.
    pub(crate) fn is_compound(&self) -> bool {
        self.time.numerator.is_multiple_of(3) && self.time.denominator >= 8
    }
}

/// The bars of `0..end`, at least one, numbered from `first_number`. The first is a pickup
/// if the piece begins (`begins`) and
///
/// - it is silent up to `first_onset` for half of its length or more: then it starts on the beat of
///   that note;
/// - or if it is shorter than the next one, and alone has its time signature.
///
/// A pickup that is numbered 1 becomes 0.
pub(crate) fn bars(
    map: &TimeSignatureMap,
    end: u32,
    first_onset: Option<u32>,
    first_number: u32,
) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for start in map.bar_lines(end.max(1)) {
        let end = map.next_bar(start + 1);
        let time = map.time_signature(start);
        bars.push(Bar {
            start,
            end,
            number: first_number + bars.len() as u32,
            is_pickup: false,
            time,
            shows_time: bars.last().is_none_or(|last| last.time != time),
            beats: beats(map, start, end),
        });
    }
    if first_number == 1 {
        pickup(&mut bars, map, first_onset);
    }
    bars
}

fn pickup(bars: &mut [Bar], map: &TimeSignatureMap, first_onset: Option<u32>) {
    let [first, rest @ ..] = bars else { return };
    let Some(second) = rest.first_mut() else {
        return;
    };
    let silent = first_onset.filter(|&onset| onset < first.end && 2 * onset >= first.length());
    if second.shows_time && first.length() < second.length() {
        first.time = second.time;
        second.shows_time = false;
    } else if let Some(onset) = silent {
        first.start = Beat::at(map, onset).start;
        first.beats.retain(|beat| beat.start >= first.start);
    } else {
        return;
    }
    first.is_pickup = true;
    bars.iter_mut().for_each(|bar| bar.number -= 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_FOUR: TimeSignature = TimeSignature {
        numerator: 3,
        denominator: 4,
    };

    fn spans(bars: &[Bar]) -> Vec<(u32, u32, u32)> {
        bars.iter().map(|b| (b.start, b.end, b.number)).collect()
    }

    #[test]
    fn time_signatures_are_written_where_they_change() {
        let map = TimeSignatureMap::new(12, vec![(96, THREE_FOUR), (150, TimeSignature::COMMON)]);
        let bars = bars(&map, 151, Some(0), 1);
        let expected = [
            (0, 48, 1),
            (48, 96, 2),
            (96, 132, 3),
            (132, 150, 4),
            (150, 198, 5),
        ];
        assert_eq!(spans(&bars), expected);
        let shown: Vec<bool> = bars.iter().map(|bar| bar.shows_time).collect();
        assert_eq!(shown, [true, false, true, false, true]);
        assert_eq!(bars[3].beats.len(), 2, "a beat may be short");
        assert_eq!(spans(&super::bars(&map, 0, None, 1)), [(0, 48, 1)]);
    }

    #[test]
    fn a_silent_beginning_of_the_first_bar_makes_a_pickup() {
        let map = TimeSignatureMap::constant(TimeSignature::COMMON, 12);
        let first = |onset, number| spans(&bars(&map, 96, Some(onset), number))[0];
        assert_eq!(first(40, 1), (36, 48, 0));
        assert_eq!(first(24, 1), (24, 48, 0));
        assert_eq!(first(12, 1), (0, 48, 1));
        assert_eq!(first(60, 1), (0, 48, 1), "a bar of silence");
        assert_eq!(first(40, 5), (0, 48, 5), "not the beginning of the piece");
        assert_eq!(
            spans(&bars(&map, 48, Some(40), 1)),
            [(0, 48, 1)],
            "a lone bar"
        );
    }

    #[test]
    fn a_short_first_bar_is_a_pickup_of_the_next_time_signature() {
        let one = TimeSignature {
            numerator: 1,
            ..THREE_FOUR
        };
        let map = TimeSignatureMap::new(12, vec![(0, one), (12, THREE_FOUR)]);
        let bars = bars(&map, 48, Some(0), 1);
        assert_eq!(spans(&bars), [(0, 12, 0), (12, 48, 1)]);
        assert!(bars[0].is_pickup && bars[0].time == THREE_FOUR);
        assert!(bars[0].shows_time && !bars[1].shows_time);
        // Two bars of it are no pickup.
        let map = TimeSignatureMap::new(12, vec![(0, one), (24, THREE_FOUR)]);
        assert_eq!(spans(&super::bars(&map, 48, Some(0), 1))[0], (0, 12, 1));
    }
}
