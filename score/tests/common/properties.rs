//! Properties that hold for any bytes and any ids. Both the bounded random tests and the fuzz targets
//! call these functions.

use continuo_score::midi::{self, MidiFile, Pedal, ReadOptions};
use std::collections::BTreeMap;
use std::sync::LazyLock;

use continuo_score::{
    Drums, Grammar, GrammarState, NoteOrder, NoteState, Part, Score, SparseScore, Token, TokenIds,
    TokenSequence, Vocabulary, tune,
};

/// Returns the presets, with and without parts, in both note orders: without merges, with merges
/// learned from music, and with random merges.
pub(crate) fn vocabularies() -> Vec<Vocabulary> {
    static ALL: LazyLock<Vec<Vocabulary>> = LazyLock::new(|| {
        let presets = [
            Vocabulary::midigen(),
            Vocabulary::continuo(),
            Vocabulary::midigen().with_parts(),
            Vocabulary::band(),
        ];
        let low = presets.clone().map(|v| v.with_order(NoteOrder::LowToHigh));
        let plain: Vec<Vocabulary> = presets.into_iter().chain(low).collect();
        let learnt = plain.iter().map(|v| learnt(v, 120)).collect::<Vec<_>>();
        let any = plain.iter().map(|v| any_merges(v, 300)).collect::<Vec<_>>();
        [plain, learnt, any].concat()
    });
    ALL.clone()
}

/// Returns a vocabulary with merges that byte-pair encoding learns from the minuet: at most `merges`.
pub(crate) fn learnt(plain: &Vocabulary, merges: usize) -> Vocabulary {
    let mut minuet = tune::minuet();
    if plain.has_parts() {
        // The parts change from step to step and within steps.
        for (note, part) in minuet.notes.iter_mut().zip(Part::ALL.repeat(100)) {
            note.part = part;
        }
        minuet.normalise();
    }
    let base = TokenSequence::encode(&minuet.quantise(plain), plain).base_ids(plain);
    let base = &base[1..base.len() - 1];
    let mut vocabulary = plain.clone();
    let mut pairs = Vec::new();
    for _ in 0..merges {
        let mut counts: BTreeMap<[u16; 2], usize> = BTreeMap::new();
        for pair in vocabulary.merge(base.to_vec()).windows(2) {
            *counts.entry([pair[0], pair[1]]).or_default() += 1;
        }
        // Longer tokens are left out, since one of them would cover half of the piece.
        let length = |pair: &[u16; 2]| pair.iter().map(|&id| vocabulary.expand(id).len()).sum();
        counts.retain(|pair, _| (2..=16usize).contains(&length(pair)));
        let most = counts.into_iter().max_by_key(|&(_, count)| count);
        let Some((pair, _)) = most else { break };
        pairs.push(pair);
        let learnt = plain.clone().with_merges(pairs.clone());
        vocabulary = learnt.expect("short enough");
    }
    vocabulary
}

/// Returns a vocabulary with merges of random ids that may be merged. Most of them do not occur in
/// music.
pub(crate) fn any_merges(plain: &Vocabulary, merges: usize) -> Vocabulary {
    let mut vocabulary = plain.clone();
    let mut pairs: Vec<[u16; 2]> = Vec::new();
    let mut number = 7_u32;
    let mut id = |below: usize| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(number) * below as u64) >> 32) as u16
    };
    let separator = plain.id(Token::Separator).expect("every vocabulary has it");
    let drums = plain.id(Token::Part(Part::Drums)).unwrap_or(separator);
    while pairs.len() < merges {
        let (left, right) = (id(vocabulary.size()), id(vocabulary.size()));
        // Moves are more frequent than by chance; otherwise the grammar would hardly ever allow a
        // merged token.
        let left = match left % 6 {
            0 | 1 => separator,
            2 => drums,
            _ => left,
        };
        let more = [&pairs[..], &[[left, right]]].concat();
        if let Ok(larger) = plain.clone().with_merges(more.clone()) {
            (pairs, vocabulary) = (more, larger);
        }
    }
    vocabulary
}

/// Reading of any bytes ends. Its notes are in order and in proportion to the bytes, and can be
/// encoded.
pub(crate) fn reading(bytes: &[u8]) {
    let lengthen = ReadOptions {
        pedal: Pedal::Lengthen,
    };
    let file = match midi::read(bytes, &ReadOptions::default()) {
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
    assert!(file.time_signatures.is_sorted_by_key(|m| m.0));

    let pedalled = midi::read(bytes, &lengthen).expect("the pedal breaks nothing");
    assert_eq!(pedalled.notes.len(), file.notes.len());
    assert!(
        pedalled
            .notes
            .iter()
            .all(|n| n.start <= n.end && n.end <= file.end)
    );

    // Only every third vocabulary, chosen by the length of the file, to limit the time.
    for vocabulary in vocabularies().iter().skip(bytes.len() % 3).step_by(3) {
        round_trip(&file, vocabulary);
    }
}

/// `decode(encode(quantise(s))) == quantise(s)`, and the grammar allows the stream.
pub(crate) fn round_trip(file: &MidiFile, vocabulary: &Vocabulary) {
    let score = Score::from_midi(file, vocabulary.steps_per_beat, Drums::Keep);
    assert_eq!(score.steps_per_beat, vocabulary.steps_per_beat);
    score_round_trip(&score, vocabulary);
    if vocabulary.has_parts() {
        let band = Score::from_midi_parts(file, vocabulary.steps_per_beat);
        assert_eq!((band.length, &band.tempos), (score.length, &score.tempos));
        assert_eq!(band.notes.is_empty(), score.notes.is_empty());
        score_round_trip(&band, vocabulary);
    }
    // Every note is on its step; two notes of one key on one step become one.
    let parts = score.notes.len();
    assert!(parts <= file.notes.len() && (parts > 0 || !within(file)));
}

/// Whether a note starts early enough to be kept.
fn within(file: &MidiFile) -> bool {
    let beats = |tick: u64| tick / u64::from(file.ticks_per_beat);
    file.notes.iter().any(|n| beats(n.start) < 10_000)
}

/// Checks the round trip of a score.
pub(crate) fn score_round_trip(score: &Score, vocabulary: &Vocabulary) {
    let mut quantised = score.quantise(vocabulary);
    assert_eq!(quantised.quantise(vocabulary), quantised, "once is enough");
    let encoded = TokenSequence::encode(&quantised, vocabulary);
    // Encoding itself quantises durations and velocities that the vocabulary lacks, in the same way.
    if score.steps_per_beat == vocabulary.steps_per_beat {
        assert!(
            TokenSequence::encode(score, vocabulary).ids(vocabulary) == encoded.ids(vocabulary)
        );
    }
    let index = TokenIds::encode(&quantised, vocabulary);
    assert!(index.ids() == encoded.ids(vocabulary));
    let placed = index
        .sequence(vocabulary)
        .expect("the grammar allows what encode writes");
    assert!(placed == encoded);
    grid(&index, vocabulary, &quantised);
    let mut decoded = placed.decode(vocabulary);
    // Tokens do not contain time signatures and tempo.
    decoded.time_signatures = quantised.time_signatures.clone();
    decoded.tempos = quantised.tempos.clone();
    assert!(decoded == quantised, "decode(encode(s)) is not s");

    let sparse = SparseScore::new(&quantised);
    assert_eq!(
        sparse.rows().map(|(_, row)| row.len()).sum::<usize>(),
        quantised.notes.len()
    );
    quantised.notes.reverse();
    quantised.normalise();
    assert!(quantised.notes == decoded.notes, "tidy has one order");
    let parted = quantised.notes.iter().any(|n| !n.part.is_keys());
    assert!(vocabulary.has_parts() || !parted);
    note_states(&placed, vocabulary);
}

/// The time grid of a merged token is that of its last base token, and its steps equal those of
/// [`TokenSequence::positioned_ids`].
fn grid(index: &TokenIds, vocabulary: &Vocabulary, score: &Score) {
    let plain = vocabulary.base();
    let expand = |&id: &u16| vocabulary.expand(id).to_vec();
    let base = TokenIds::new(index.ids().iter().flat_map(expand).collect());
    assert!(
        base == TokenIds::encode(score, &plain),
        "merges change no spelling"
    );
    let fine = base
        .grid(&plain, &score.time_signatures)
        .expect("it was encoded");
    let coarse = index
        .grid(vocabulary, &score.time_signatures)
        .expect("it was encoded");
    let mut read = 0;
    for (point, id) in coarse.iter().zip(index.ids()) {
        read += vocabulary.expand(*id).len();
        assert_eq!(*point, fine[read - 1]);
        assert_eq!(point.position, score.time_signatures.position(point.step));
    }
    assert_eq!(read, fine.len());
    let placed = TokenSequence::encode(score, vocabulary).positioned_ids(vocabulary);
    let (ids, steps): (Vec<u16>, Vec<u32>) = placed.iter().map(|p| (p.id, p.step)).unzip();
    assert!(ids == index.ids() && steps.into_iter().eq(coarse.iter().map(|p| p.step)));
}

/// Random ids are either refused at the first wrong one, or they are the one encoding of a score,
/// however they are split into merged tokens.
pub(crate) fn ids(ids: &[u16], vocabulary: &Vocabulary) {
    let Ok(placed) = TokenSequence::from_ids(ids, vocabulary) else {
        return;
    };
    let score = placed.decode(vocabulary);
    let grammar = Grammar::new(vocabulary);
    let mut mask = vec![false; vocabulary.size()];
    let mut state = GrammarState::default();
    let mut read = 0;
    for &id in ids {
        grammar.mask(&state, &mut mask);
        assert!(mask[usize::from(id)], "the mask forbids what was allowed");
        state = grammar.next_id(&state, id).expect("it is allowed");
        read += vocabulary.expand(id).len();
        assert_eq!(state.step, placed.tokens[read - 1].step);
    }
    assert_eq!(read, placed.tokens.len());
    grammar.mask(&state, &mut mask);
    let ended = !mask.contains(&true);
    if ended && !ids.is_empty() {
        let again = TokenSequence::encode(&score, vocabulary);
        assert!(again == placed, "one score, one spelling");
        assert!(again.base_ids(vocabulary) == placed.base_ids(vocabulary));
    }
}

/// An id is allowed exactly if its base tokens are, and leads to the same state.
fn as_expanded(grammar: &Grammar, state: &GrammarState, id: u16, vocabulary: &Vocabulary) {
    let step = |state: GrammarState, token| {
        grammar
            .allows(&state, token)
            .then(|| grammar.next(&state, token))
    };
    let known = usize::from(id) < vocabulary.size();
    let expected = vocabulary
        .tokens(id)
        .try_fold(*state, step)
        .filter(|_| known);
    assert_eq!(grammar.next_id(state, id), expected, "id {id} in {state:?}");
    assert_eq!(grammar.allows_id(state, id), expected.is_some());
}

/// A walk that `choices` steer under the grammar's mask can always be decoded.
pub(crate) fn walk(choices: &[u8], vocabulary: &Vocabulary) {
    let grammar = Grammar::new(vocabulary);
    let mut mask = vec![false; vocabulary.size()];
    let mut state = GrammarState::default();
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
        for other in 0..8 {
            let id = (choice + other * 41) % (vocabulary.size() + 1);
            as_expanded(&grammar, &state, id as u16, vocabulary);
        }
        let id = allowed[(choice * (last + 1)) >> 16];
        stream.push(id);
        state = grammar.next_id(&state, id).expect("a masked id");
    }
    assert!(TokenSequence::from_ids(&stream, vocabulary).is_ok());
    ids(&stream, vocabulary);
}

/// The note state knows the part of every token, and its rows are within bounds.
fn note_states(sequence: &TokenSequence, vocabulary: &Vocabulary) {
    let mut notes = NoteState::default();
    let mut part = Part::Keys;
    let bound = NoteState::rows(vocabulary).max(usize::from(NoteState::NOTHING) + 1);
    for placed in &sequence.tokens {
        notes.read(placed.token);
        if let Token::Part(next) = placed.token {
            part = next;
        }
        assert_eq!(notes.part(), part);
        let rows = notes.context().rows;
        assert!(rows.iter().all(|&row| usize::from(row) < bound));
    }
}
