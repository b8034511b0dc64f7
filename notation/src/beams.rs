//! Beams: they join the short notes of a beat.

use crate::bars::Bar;
use crate::rhythm::Piece;

/// The beams of each piece of one voice, the first one for eighths: MusicXML's `begin`, `continue`,
/// `end`, and hooks.
pub(crate) fn beams(bar: &Bar, pieces: &[Piece]) -> Vec<Vec<&'static str>> {
    let beat = |piece: &Piece| bar.beats.partition_point(|beat| beat.end <= piece.start);
    let mut beams = Vec::with_capacity(pieces.len());
    let is_short = |piece: &Piece| !piece.is_rest && piece.value.beams() > 0;
    let together = |a: &Piece, b: &Piece| is_short(a) && is_short(b) && beat(a) == beat(b);
    let groups = pieces.chunk_by(together).flat_map(nested);
    for group in groups {
        for index in 0..group.len() {
            // A note alone has flags.
            let levels = if group.len() > 1 {
                group[index].value.beams()
            } else {
                0
            };
            beams.push(
                (1..=levels)
                    .map(|level| beam(group, index, level))
                    .collect(),
            );
        }
    }
    beams
}

/// Divides a group at its tuplets if one of them is only partly in it: beams and tuplets are nested.
fn nested(group: &[Piece]) -> Vec<&[Piece]> {
    let begins_inside = group[0].tuplet.is_some_and(|mark| !mark.is_first);
    let ends_inside = group[group.len() - 1]
        .tuplet
        .is_some_and(|mark| !mark.is_last);
    if !begins_inside && !ends_inside {
        return vec![group];
    }
    let together = |a: &Piece, b: &Piece| match (a.tuplet, b.tuplet) {
        (None, None) => true,
        (Some(a), Some(b)) => !a.is_last && !b.is_first,
        _ => false,
    };
    group.chunk_by(together).collect()
}

fn beam(group: &[Piece], index: usize, level: usize) -> &'static str {
    let has = |index: Option<usize>| {
        let piece = index.and_then(|index| group.get(index));
        piece.is_some_and(|piece| piece.value.beams() >= level)
    };
    match (has(index.checked_sub(1)), has(Some(index + 1))) {
        (true, true) => "continue",
        (true, false) => "end",
        (false, true) => "begin",
        (false, false) if index == 0 => "forward hook",
        (false, false) => "backward hook",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bars::bars;
    use crate::value::Grid;
    use continuo_score::Score;

    #[test]
    fn beams_join_a_beat_and_stop_at_rests() {
        let score = Score::new(12);
        let (grid, _) = Grid::for_score(&score).unwrap();
        let bar = bars(&score.time_signatures, 1, Some(0), 1).remove(0);
        let mut at = 0;
        let pieces = [9, 3, 6, 6, 3, -3, 6, 12].map(|length: i32| {
            let start = at;
            at += length.unsigned_abs();
            Piece {
                start,
                end: at,
                value: grid.plain(length.unsigned_abs()).unwrap(),
                tuplet: None,
                slice: 0,
                is_rest: length < 0,
            }
        });
        let none: Vec<&str> = Vec::new();
        assert_eq!(
            beams(&bar, &pieces),
            [
                vec!["begin"],
                vec!["end", "backward hook"],
                vec!["begin"],
                vec!["end"],
                none.clone(),
                none.clone(),
                none.clone(),
                none
            ]
        );
    }
}
