//! The time signatures of a file's tracks, merged into one list.

use crate::time::TimeSignature;

/// Merges `(tick, time signature, track)` into `(tick, time signature)` in order of ticks. Where
/// two tracks contradict each other on a tick, the first one in the list counts, as the
/// conductor's track; a warning for people says so.
pub(super) fn merge(
    mut changes: Vec<(u64, TimeSignature, u16)>,
) -> (Vec<(u64, TimeSignature)>, Option<String>) {
    changes.sort_by_key(|change| change.0);
    let mut merged = Vec::with_capacity(changes.len());
    let mut contradictions = 0;
    let mut warning = String::new();
    for together in changes.chunk_by(|a, b| a.0 == b.0) {
        let (tick, first, track) = together[0];
        for &(_, metre, other) in together {
            if other == track {
                merged.push((tick, metre));
            } else if metre != first {
                contradictions += 1;
                if warning.is_empty() {
                    warning = format!(
                        "tracks {track} and {other} contradict each other: {}/{} and {}/{} at tick {tick}",
                        first.numerator, first.denominator, metre.numerator, metre.denominator
                    );
                }
            }
        }
    }
    match contradictions {
        0 => return (merged, None),
        1 => {}
        more => warning += &format!(", and so in {} places more", more - 1),
    }
    (merged, Some(warning + "; the first track counts"))
}
