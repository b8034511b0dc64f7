//! Marks above and below the notes: tempo, chord names, dynamics.

use continuo_score::chord::{Chord, ChordSpan};
use continuo_score::{Note, TempoMap};

use crate::bars::Bar;

/// A mark at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mark {
    /// A tempo in quarter notes a minute.
    Tempo {
        bpm: f64,
        /// Whether it is printed; players follow it in any case.
        is_printed: bool,
    },
    /// A chord name; `None` is `N.C.`.
    Chord(Option<Chord>),
    /// The loudness from here on.
    Dynamics(Level),
}

/// Marks by step, ascending.
pub(crate) type Marks = Vec<(u32, Mark)>;

/// Smallest change of tempo that is printed. A performance has hundreds of small ones.
const PRINTED_CHANGE: f64 = 0.05;

/// The tempo marks. A tempo is printed if it differs by a twentieth from the last one printed, at most
/// once in a bar.
pub(crate) fn tempos(map: &TempoMap, bars: &[Bar]) -> Marks {
    let mut marks = Marks::new();
    let mut printed: Option<(usize, f64)> = None;
    for &(step, bpm) in map.changes() {
        let step = step.max(bars[0].start);
        let bar = bars.partition_point(|bar| bar.end <= step);
        if marks.last().is_some_and(|(last, _)| *last == step) {
            // Before the pickup, only the last tempo counts.
            marks.pop();
            printed = None;
        }
        let is_printed = printed.is_none_or(|(last_bar, last)| {
            bar > last_bar && (bpm / last - 1.0).abs() >= PRINTED_CHANGE
        });
        if is_printed {
            printed = Some((bar, bpm));
        }
        marks.push((step, Mark::Tempo { bpm, is_printed }));
    }
    marks
}

/// The chord names; none before the first chord.
pub(crate) fn chords(spans: &[ChordSpan], bars: &[Bar]) -> Marks {
    let named = spans.iter().skip_while(|span| span.chord.is_none());
    let named = named.filter(|span| span.end > bars[0].start);
    let mark = |span: &ChordSpan| (span.start.max(bars[0].start), Mark::Chord(span.chord));
    named.map(mark).collect()
}

/// A dynamic level; the index of its name in [`LEVELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(usize);

/// Names from soft to loud, with the lowest velocity of each.
const LEVELS: [(&str, f32); 8] = [
    ("ppp", 0.0),
    ("pp", 24.5),
    ("p", 41.0),
    ("mp", 56.5),
    ("mf", 72.0),
    ("f", 88.0),
    ("ff", 104.0),
    ("fff", 119.5),
];

/// Velocities beyond the limit of a level at which the level is left.
const HYSTERESIS: f32 = 4.0;

impl Level {
    fn of(velocity: f32) -> Self {
        Self(
            LEVELS
                .iter()
                .rposition(|(_, least)| velocity >= *least)
                .unwrap_or(0),
        )
    }

    /// Whether a velocity belongs to the level or lies near it.
    fn holds(self, velocity: f32) -> bool {
        let above = LEVELS
            .get(self.0 + 1)
            .map_or(f32::INFINITY, |(_, least)| *least);
        (LEVELS[self.0].1 - HYSTERESIS..above + HYSTERESIS).contains(&velocity)
    }

    /// MusicXML's name.
    pub(crate) fn name(self) -> &'static str {
        LEVELS[self.0].0
    }

    /// A velocity in the middle of the level.
    pub(crate) fn velocity(self) -> f64 {
        let above = LEVELS.get(self.0 + 1).map_or(127.0, |(_, least)| *least);
        f64::from(LEVELS[self.0].1 + above) / 2.0
    }
}

/// The dynamics of a part, by the mean velocity of the notes that begin in each bar. Notes are sorted
/// by start.
pub(crate) fn dynamics(notes: &[Note], bars: &[Bar]) -> Marks {
    let mut marks = Marks::new();
    let mut now: Option<Level> = None;
    let mut rest = notes;
    for bar in bars {
        let (own, later) = rest.split_at(rest.partition_point(|note| note.start < bar.end));
        rest = later;
        let Some(first) = own.first() else { continue };
        let sum: f32 = own.iter().map(|note| f32::from(note.velocity)).sum();
        let mean = sum / own.len() as f32;
        if now.is_none_or(|now| !now.holds(mean)) {
            let level = Level::of(mean);
            now = Some(level);
            marks.push((first.start, Mark::Dynamics(level)));
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bars::bars;
    use continuo_score::TimeSignatureMap;

    fn four_bars() -> Vec<Bar> {
        bars(
            &TimeSignatureMap::constant(continuo_score::TimeSignature::COMMON, 12),
            192,
            Some(0),
            1,
        )
    }

    #[test]
    fn small_changes_of_tempo_are_followed_and_not_printed() {
        let changes = vec![
            (0, 100.0),
            (12, 102.0),
            (24, 140.0),
            (48, 140.5),
            (96, 60.0),
        ];
        let marks = tempos(&TempoMap::new(changes), &four_bars());
        let printed: Vec<bool> = marks
            .iter()
            .map(|(_, mark)| {
                matches!(
                    mark,
                    Mark::Tempo {
                        is_printed: true,
                        ..
                    }
                )
            })
            .collect();
        assert_eq!(printed, [true, false, false, true, true]);
    }

    #[test]
    fn levels_follow_bars_with_hysteresis() {
        let velocities = [80, 90, 91, 93];
        let notes: Vec<Note> = (0..)
            .zip(velocities)
            .map(|(bar, velocity)| Note {
                start: bar * 48 + 12,
                velocity,
                ..Note::default()
            })
            .collect();
        let marks = dynamics(&notes, &four_bars());
        let names: Vec<(u32, &str)> = marks
            .iter()
            .map(|(step, mark)| match mark {
                Mark::Dynamics(level) => (*step, level.name()),
                _ => (*step, ""),
            })
            .collect();
        assert_eq!(names, [(12, "mf"), (156, "f")]);
        for (name, velocity) in [("ppp", 1.0), ("p", 49.0), ("mp", 64.0), ("fff", 127.0)] {
            let level = Level::of(velocity);
            assert!(level.name() == name && level.holds(level.velocity() as f32));
        }
    }
}
