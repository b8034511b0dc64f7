//! Divides a keyboard's notes between two hands.
//!
//! A note goes to the left hand if it lies below a split key, which moves. Of all paths of the split
//! through the piece, the chosen one has the least total cost: a hand should not span more than an
//! octave, the split should lie in a wide gap between notes that sound or sounded a beat ago, near
//! middle C, and should move little.

use continuo_score::Note;

/// The keys at which the split may lie.
const LOWEST: usize = 36;
const SPLITS: usize = 49;
/// Middle C.
const HOME: usize = 60;

/// Cost of each semitone beyond an octave in one hand.
const STRETCH: f32 = 0.5;
/// Semitones between notes of one hand; a chord is divided only at a wider gap.
const CLOSE: f32 = 3.0;
/// Gain for each semitone beyond that, up to an octave, between the hands' notes that sound.
const GAP: f32 = 0.1;
/// Gain for each semitone, up to an octave, between notes of the last and the next beat.
const RECENT_GAP: f32 = 0.03;
/// Semitones that count where one hand has all of them.
const ONE_HAND: f32 = 6.0;
/// Cost of each semitone from middle C, and of each semitone of a move.
const AWAY: f32 = 0.015;
const MOVE: f32 = 0.05;

/// Whether each note is the left hand's. Notes are sorted by start; `beat` is in steps.
pub(crate) fn left_hand(notes: &[Note], beat: u32) -> Vec<bool> {
    let mut costs = [0.0f32; SPLITS];
    // For each onset, each split's best split at the onset before.
    let mut before: Vec<[u8; SPLITS]> = Vec::new();
    let mut near: Vec<&Note> = Vec::new();
    let mut coming = notes.iter().peekable();
    for chord in notes.chunk_by(|a, b| a.start == b.start) {
        let now = chord[0].start;
        while let Some(note) = coming.next_if(|note| note.start <= now + beat) {
            near.push(note);
        }
        near.retain(|note| note.end() + beat > now);
        before.push(moved(&mut costs));
        for (index, cost) in costs.iter_mut().enumerate() {
            *cost += split_cost(LOWEST + index, now, &near);
        }
        let least = costs.iter().copied().fold(f32::INFINITY, f32::min);
        costs.iter_mut().for_each(|cost| *cost -= least);
    }
    let mut split = (0..SPLITS).fold(0, |best, index| {
        if costs[index] < costs[best] {
            index
        } else {
            best
        }
    });
    let mut splits = vec![0; before.len()];
    for (at, before) in splits.iter_mut().zip(&before).rev() {
        *at = LOWEST + split;
        split = usize::from(before[split]);
    }
    let chords = notes.chunk_by(|a, b| a.start == b.start).zip(splits);
    let hands = chords.flat_map(|(chord, split)| {
        let is_left = move |note: &Note| usize::from(note.pitch) < split;
        chord.iter().map(is_left)
    });
    hands.collect()
}

/// Adds the cost of moves: each split's least cost over all splits before it, and which that is.
fn moved(costs: &mut [f32; SPLITS]) -> [u8; SPLITS] {
    let mut from = std::array::from_fn(|index| index as u8);
    for index in 1..SPLITS {
        if costs[index - 1] + MOVE < costs[index] {
            costs[index] = costs[index - 1] + MOVE;
            from[index] = from[index - 1];
        }
    }
    for index in (0..SPLITS - 1).rev() {
        if costs[index + 1] + MOVE < costs[index] {
            costs[index] = costs[index + 1] + MOVE;
            from[index] = from[index + 1];
        }
    }
    from
}

/// The lowest and highest key of each hand.
#[derive(Default)]
struct Spans {
    left: Option<(u8, u8)>,
    right: Option<(u8, u8)>,
}

impl Spans {
    fn of<'a>(notes: impl Iterator<Item = &'a &'a Note>, split: usize) -> Self {
        let mut spans = Self::default();
        for note in notes {
            let hand = match usize::from(note.pitch) < split {
                true => &mut spans.left,
                false => &mut spans.right,
            };
            let (low, high) = hand.unwrap_or((note.pitch, note.pitch));
            *hand = Some((low.min(note.pitch), high.max(note.pitch)));
        }
        spans
    }

    /// Semitones between the hands, at most an octave.
    fn gap(&self) -> Option<f32> {
        let ((_, left), (right, _)) = (self.left?, self.right?);
        Some(f32::from((right - left).min(12)))
    }

    fn stretch(&self) -> f32 {
        let beyond = |(low, high): (u8, u8)| f32::from((high - low).saturating_sub(12));
        let hands = [self.left, self.right].into_iter().flatten();
        hands.map(beyond).sum()
    }
}

fn split_cost(split: usize, now: u32, near: &[&Note]) -> f32 {
    let sounds = |note: &&&Note| note.start <= now && now < note.end();
    let sounding = Spans::of(near.iter().filter(sounds), split);
    let recent = Spans::of(near.iter(), split);
    let gap = sounding.gap().map_or(0.0, |gap| GAP * (CLOSE - gap));
    let recent_gap = recent.gap().unwrap_or(ONE_HAND);
    STRETCH * sounding.stretch() + gap - RECENT_GAP * recent_gap
        + AWAY * split.abs_diff(HOME) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::tune;

    /// The pitches of the left hand and of the right hand, in order.
    fn hands(text: &str) -> (Vec<u8>, Vec<u8>) {
        let notes = tune::parse(text, 12).unwrap().notes;
        let left = left_hand(&notes, 12);
        let (left, right): (Vec<_>, Vec<_>) = notes.iter().zip(left).partition(|(_, left)| *left);
        let pitches = |notes: Vec<(&Note, bool)>| notes.iter().map(|(n, _)| n.pitch).collect();
        (pitches(left), pitches(right))
    }

    #[test]
    fn a_melody_over_a_bass_is_the_right_hand() {
        let bass = "voice\nC3:2 G2:2 C3:2 G2:2";
        let (left, right) = hands(&format!("C5:1 G4:1 E4:1 C4:1 B3:1 C4:1 E4:1 G4:1\n{bass}"));
        assert_eq!(left, [48, 43, 48, 43]);
        assert_eq!(right.len(), 8);
    }

    #[test]
    fn a_high_accompaniment_is_the_left_hand() {
        let (left, right) = hands(
            "C5:2 E5:1 G5:1 B4:2 C5:2\nvoice\nC4:.5 G4:.5 E4:.5 G4:.5 C4:.5 G4:.5 E4:.5 G4:.5\
                   D4:.5 G4:.5 F4:.5 G4:.5 C4:.5 G4:.5 E4:.5 G4:.5"
                .replace("G4:.5D4", "G4:.5 D4")
                .as_str(),
        );
        assert_eq!(right, [72, 76, 79, 71, 72]);
        assert!(left.iter().all(|pitch| *pitch <= 67));
    }

    #[test]
    fn a_close_chord_after_a_bass_note_stays_in_one_hand() {
        let (left, right) = hands("G2:1 B3+D4+F#4:2 D2:1 A3+C#4+F#4:2 G2:1 B3+D4+F#4:2");
        assert_eq!((left, right.len()), (vec![43, 38, 43], 9));
    }

    #[test]
    fn wide_chords_are_divided_and_nothing_divides_nothing() {
        let (left, right) = hands("C3+G3+C4+E4+C5:4");
        assert!(
            left.contains(&48) && right.contains(&72),
            "{left:?} {right:?}"
        );
        assert!(left_hand(&[], 12).is_empty());
    }
}
