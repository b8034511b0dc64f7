//! What must hold for any bytes and any ids. The bounded random tests and the fuzz targets
//! run these very functions.

use continuo_score::midi::{self, MidiFile, Pedal, Reading};
use continuo_score::{
    Drums, Grammar, IndexScore, Order, PositionScore, Score, SparseScore, State, Vocabulary,
};

/// The presets, in both orders.
pub(crate) fn vocabularies() -> Vec<Vocabulary> {
    let presets = [Vocabulary::midigen(), Vocabulary::continuo()];
    let low = presets.clone().map(|v| v.with_order(Order::LowToHigh));
    presets.into_iter().chain(low).collect()
}

/// Reading any bytes ends, in order, and in proportion to them; what is read encodes.
pub(crate) fn reading(bytes: &[u8]) {
    let lengthen = Reading {
        pedal: Pedal::Lengthen,
    };
    let file = match midi::read(bytes, &Reading::default()) {
        Ok(file) => file,
        Err(broken) => {
            assert!(broken.offset <= bytes.len(), "{broken}");
            let line = broken.to_string();
            assert!(
                !broken.reason.is_empty() && line.lines().count() == 1,
                "{line}"
            );
            assert_eq!(midi::read(bytes, &lengthen), Err(broken));
            return;
        }
    };
    assert!(file.ticks_per_beat > 0);
    assert!(
        file.notes.len() * 3 <= bytes.len(),
        "a note takes three bytes"
    );
    assert!(file.warnings.len() <= 60);
    assert!(file.notes.is_sorted_by_key(|n| (n.start, n.track)));
    for note in &file.notes {
        assert!(note.start <= note.end && note.end <= file.end, "{note:?}");
        assert!(
            note.pitch < 128 && (1..128).contains(&note.velocity),
            "{note:?}"
        );
        assert!(note.channel < 16 && usize::from(note.track) < file.tracks.len());
    }
    assert!(file.tempos.is_sorted_by_key(|t| t.0) && file.tempos.iter().all(|t| t.1 > 0));
    assert!(file.metres.is_sorted_by_key(|m| m.0));

    let pedalled = midi::read(bytes, &lengthen).expect("the pedal breaks nothing");
    assert_eq!(pedalled.notes.len(), file.notes.len());
    assert!(
        pedalled
            .notes
            .iter()
            .all(|n| n.start <= n.end && n.end <= file.end)
    );

    for vocabulary in vocabularies() {
        round_trip(&file, &vocabulary);
    }
}

/// `decode(encode(quantise(s))) == quantise(s)`, and the grammar allows the stream.
pub(crate) fn round_trip(file: &MidiFile, vocabulary: &Vocabulary) {
    let score = Score::from_midi(file, vocabulary.steps_per_beat, Drums::Keep);
    assert_eq!(score.steps_per_beat, vocabulary.steps_per_beat);
    score_round_trip(&score, vocabulary);
    // Every note is there, on its step (two of one key on one step are one).
    let parts = score.notes.len();
    assert!(parts <= file.notes.len() && (parts > 0 || !within(file)));
}

/// Whether some note starts early enough to be kept.
fn within(file: &MidiFile) -> bool {
    let beats = |tick: u64| tick / u64::from(file.ticks_per_beat);
    file.notes.iter().any(|n| beats(n.start) < 10_000)
}

/// The same for a score.
pub(crate) fn score_round_trip(score: &Score, vocabulary: &Vocabulary) {
    let mut quantised = score.quantise(vocabulary);
    assert_eq!(quantised.quantise(vocabulary), quantised, "once is enough");
    let encoded = PositionScore::encode(&quantised, vocabulary);
    // What the vocabulary cannot say is cut by encoding itself in the same way.
    if score.steps_per_beat == vocabulary.steps_per_beat {
        assert!(
            PositionScore::encode(score, vocabulary).ids(vocabulary) == encoded.ids(vocabulary)
        );
    }
    let index = IndexScore::encode(&quantised, vocabulary);
    assert!(index.ids() == encoded.ids(vocabulary));
    let placed = index
        .place(vocabulary)
        .expect("the grammar allows what encode writes");
    assert!(placed == encoded);
    let mut decoded = placed.decode(vocabulary);
    // Metre and tempo are not in the tokens.
    decoded.metres = quantised.metres.clone();
    decoded.tempos = quantised.tempos.clone();
    assert!(decoded == quantised, "decode(encode(s)) is not s");

    let sparse = SparseScore::new(&quantised);
    assert_eq!(
        sparse.rows().map(|(_, row)| row.len()).sum::<usize>(),
        quantised.notes.len()
    );
    quantised.notes.reverse();
    quantised.tidy();
    assert!(quantised.notes == decoded.notes, "tidy has one order");
}

/// Any ids are refused where they stop making sense, or are a score in its one spelling.
pub(crate) fn ids(ids: &[u16], vocabulary: &Vocabulary) {
    let Ok(placed) = PositionScore::from_ids(ids, vocabulary) else {
        return;
    };
    let score = placed.decode(vocabulary);
    let grammar = Grammar::new(vocabulary);
    let mut mask = vec![false; vocabulary.size()];
    let mut state = State::default();
    for (placed, &id) in placed.tokens.iter().zip(ids) {
        grammar.mask(&state, &mut mask);
        assert!(mask[usize::from(id)], "the mask forbids what was allowed");
        state = grammar.next(&state, placed.token);
        assert_eq!(state.step, placed.step);
    }
    grammar.mask(&state, &mut mask);
    let ended = !mask.contains(&true);
    if ended && !ids.is_empty() {
        let again = PositionScore::encode(&score, vocabulary).ids(vocabulary);
        assert!(again == ids, "one score, one spelling");
    }
}

/// A walk that `choices` steer under the grammar's mask always decodes.
pub(crate) fn walk(choices: &[u8], vocabulary: &Vocabulary) {
    let grammar = Grammar::new(vocabulary);
    let mut mask = vec![false; vocabulary.size()];
    let mut state = State::default();
    let mut stream = Vec::new();
    for pair in choices.chunks_exact(2) {
        grammar.mask(&state, &mut mask);
        let allowed: Vec<u16> = (0..)
            .zip(&mask)
            .filter(|(_, m)| **m)
            .map(|(id, _)| id)
            .collect();
        let Some(last) = allowed.len().checked_sub(1) else {
            break;
        };
        let choice = usize::from(u16::from_le_bytes([pair[0], pair[1]]));
        let id = allowed[(choice * (last + 1)) >> 16];
        stream.push(id);
        state = grammar.next(&state, vocabulary.token(id).expect("a masked id"));
    }
    assert!(PositionScore::from_ids(&stream, vocabulary).is_ok());
    ids(&stream, vocabulary);
}
