//! Chord Pull, from a bias to a lock.

use continuo_score::chord::{Beat, Quality};
use continuo_score::ngram::Continuations;
use continuo_score::{
    Chord, ChordPlan, Grammar, GrammarState, Note, Score, TimeSignature, TimeSignatureMap, Token,
    TokenSequence, Vocabulary,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::*;
use super::PLAIN;
use super::random::{constraints, vocabulary, walk_through_changes};

/// Bars of 3/4 after two of 4/4, at the vocabulary's steps.
fn bars(vocabulary: &Vocabulary) -> TimeSignatureMap {
    let steps = vocabulary.steps_per_beat;
    let waltz = TimeSignature {
        numerator: 3,
        denominator: 4,
    };
    let changes = vec![(0, TimeSignature::COMMON), (8 * steps, waltz)];
    TimeSignatureMap::new(steps, changes)
}

/// Changes of chord at odd places, some to none.
fn plan(rng: &mut ChaCha8Rng) -> ChordPlan {
    let mut plan = ChordPlan::default();
    let mut step = 0;
    for _ in 0..400 {
        let quality = Quality::ALL[rng.random_range(0..Quality::ALL.len())];
        let chord = Chord::new(rng.random_range(0..12), quality);
        plan.change(step, rng.random_bool(0.8).then_some(chord));
        step += rng.random_range(3..40);
    }
    plan
}

/// Plays `tokens` tokens; gives the notes.
fn walk_over(
    vocabulary: &Vocabulary,
    sampling: &Sampling,
    seed: u64,
    plan: &ChordPlan,
    tokens: usize,
    mut logits: impl FnMut(&mut [f32]),
) -> Vec<Note> {
    let grammar = Grammar::new(vocabulary);
    let mut sampler = Sampler::new(vocabulary);
    sampler.follow_chords(plan, &bars(vocabulary));
    sampler.begin(0, sampling, seed, None, &[]);
    let mut ids = vec![vocabulary.id(Token::Start).unwrap()];
    let mut state = grammar.next(&GrammarState::default(), Token::Start);
    let mut drawn = vec![0.0; vocabulary.size()];
    while ids.len() < tokens || !state.is_between_notes() {
        logits(&mut drawn);
        let id = sampler.choose(&state, &drawn);
        let id = id.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        vocabulary.tokens(id).for_each(|t| sampler.read(t));
        state = grammar.next_id(&state, id).unwrap();
        ids.push(id);
    }
    let read = TokenSequence::from_ids(&ids, vocabulary).unwrap();
    read.decode(vocabulary).notes
}

/// Random constraints, chords and logits, with every vocabulary: a lock holds wherever a tone of the
/// chord is within range and scale, no note goes on under a chord to which it is foreign, and there is
/// always a token to draw.
#[test]
fn a_lock_holds_and_leaves_a_way_on() {
    let mut locked = 0;
    for seed in 0..48 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let vocabulary = vocabulary(seed);
        let mut sampling = PLAIN;
        sampling.constraints = constraints(&mut rng);
        sampling.constraints.chord_pull = 1.0;
        let plan = plan(&mut rng);
        let notes = walk_over(&vocabulary, &sampling, seed, &plan, 160, |logits| {
            logits.fill_with(|| rng.random_range(-8.0..8.0));
        });
        let c = sampling.constraints;
        let (low, high) = (c.range.0.min(c.range.1), c.range.0.max(c.range.1).min(127));
        let scale = match c.scale {
            ScaleLock::Fixed(scale) => Some(scale),
            _ => None,
        };
        // The keys of drums are no pitches.
        for note in notes.iter().filter(|note| note.part.is_pitched()) {
            // Notes of parts that are not limited follow the chords alone.
            let limited = c.parts.contains(note.part);
            let own = c.of_part[note.part.index()].range;
            let own = (own.0, own.1.min(127));
            let (low, high) = match (low.max(own.0), high.min(own.1)) {
                _ if !limited => (0, 127),
                (low, high) if low <= high => (low, high),
                _ => own,
            };
            let in_scale = |p: &u8| !limited || scale.is_none_or(|scale| scale.contains(*p));
            let any = (low..=high).any(|p| in_scale(&p));
            let Some(chord) = plan.at(note.start) else {
                continue;
            };
            let possible = |p: u8| chord.contains(p) && (in_scale(&p) || !any);
            if (low..=high).any(possible) {
                locked += 1;
                assert!(
                    chord.contains(note.pitch),
                    "seed {seed}: {note:?} under {chord}"
                );
                let holds = plan.holds(note.start, note.pitch);
                assert!(note.length <= holds, "seed {seed}: {note:?}, {holds} steps");
            }
        }
        assert!(!notes.is_empty(), "seed {seed}");
    }
    assert!(locked > 500, "{locked} notes under a chord");
}

/// Settings that change while notes sound, with a lock: there is always a token to draw.
#[test]
fn a_lock_yields_rather_than_stops() {
    for seed in 0..40 {
        walk_through_changes(seed, 300, |rng, vocabulary, sampler| {
            let mut sampling = PLAIN;
            sampling.constraints = constraints(rng);
            sampling.constraints.chord_pull = rng.random_range(0.5f32..1.5);
            sampler.tune(&sampling);
            sampler.follow_chords(&plan(rng), &bars(vocabulary));
        });
    }
}

/// The stronger the pull, the more chord tones: first on strong beats, then elsewhere. How many notes
/// there are stays open.
#[test]
fn the_pull_works_on_strong_beats_first() {
    let vocabulary = Vocabulary::continuo();
    let grammar = Grammar::new(&vocabulary);
    // Every pitch alike, eighths on eighths: so a triad has a quarter of the notes.
    let logit = |token: &Token| match token {
        Token::Duration(d) if *d == 6 => 8.0,
        Token::Separator => 5.0,
        _ => 0.0,
    };
    let fixed: Vec<f32> = grammar.tokens().iter().map(logit).collect();
    let chord: Chord = "Dm".parse().unwrap();
    let mut plan = ChordPlan::default();
    plan.change(0, Some(chord));
    let bars = bars(&vocabulary);
    // Share of chord tones on strong beats and elsewhere, and notes a beat.
    let with = |chord_pull: f32| {
        let mut sampling = PLAIN;
        sampling.constraints.chord_pull = chord_pull;
        let fill = |logits: &mut [f32]| logits.copy_from_slice(&fixed);
        let notes = walk_over(&vocabulary, &sampling, 7, &plan, 12_000, fill);
        let strong = |note: &&Note| {
            let beat = Beat::at(&bars, note.start);
            beat.start == note.start && beat.accent.is_strong()
        };
        let share = |notes: Vec<&Note>| {
            let tones = notes.iter().filter(|note| chord.contains(note.pitch));
            tones.count() as f64 / notes.len() as f64
        };
        let (on, off) = notes.iter().partition(strong);
        let beats = f64::from(notes.last().unwrap().start) / 12.0;
        (share(on), share(off), notes.len() as f64 / beats)
    };
    let (free, elsewhere, density) = with(0.0);
    assert!(
        (free - 0.25).abs() < 0.08 && (elsewhere - 0.25).abs() < 0.04,
        "{free}, {elsewhere}"
    );
    let (half, elsewhere, pulled) = with(0.5);
    assert!(
        half > 0.8 && (elsewhere - 0.25).abs() < 0.04,
        "{half}, {elsewhere}"
    );
    assert!((pulled / density).ln().abs() < 0.1, "{pulled}, {density}");
    let (most, elsewhere, _) = with(0.75);
    assert!(most > half && elsewhere > 0.7, "{most}, {elsewhere}");
    assert_eq!(with(1.0).0, 1.0);
    assert_eq!(with(1.0).1, 1.0);
}

/// A recalled passage that is foreign to the chord is not followed under a lock.
#[test]
fn recall_gives_way_to_the_chord() {
    let v = Vocabulary::continuo();
    let grammar = Grammar::new(&v);
    let state = grammar.next(&GrammarState::default(), Token::Start);
    let pitch = |p| v.id(Token::Pitch(p)).unwrap();
    let mut logits = vec![-20.0; v.size()];
    logits[usize::from(pitch(60))] = 20.0;
    let followed = [Some((
        Continuations {
            length: 64,
            shares: vec![(pitch(61), 1.0)],
            position: Some(9),
        },
        1.0,
    ))];
    let mut plan = ChordPlan::default();
    plan.change(0, "C".parse().ok());
    for (chord_pull, least, most) in [(0.0, 1.0, 1.0), (0.3, 0.05, 0.35), (1.0, 0.0, 0.0)] {
        let mut sampling = PLAIN;
        sampling.constraints.chord_pull = chord_pull;
        let mut sampler = Sampler::new(&v);
        sampler.follow_chords(&plan, &Score::new(12).time_signatures);
        sampler.begin(0, &sampling, 3, None, &[]);
        let draws = 500;
        let chosen = (0..draws).filter(|_| {
            let id = sampler.choose_with(&state, &logits, &followed).unwrap();
            id == pitch(61)
        });
        let share = chosen.count() as f64 / f64::from(draws);
        assert!((least..=most).contains(&share), "{chord_pull}: {share}");
    }
}
