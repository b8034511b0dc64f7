//! Constraints hold in random walks, and always leave a token to draw.

use continuo_score::{Grammar, GrammarState, Note, Part, Scale, Score, Token, Vocabulary};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::*;
use super::PLAIN;
use super::random::{constraints, vocabulary, walk, walk_through_changes};

#[test]
fn random_constraints_hold_and_always_leave_a_token_to_draw() {
    for seed in 0..56 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let v = vocabulary(seed);
        let c = constraints(&mut rng);
        let heard = Scale {
            tonic: 2,
            mode: continuo_score::Mode::Dorian,
        };
        let sampling = Sampling {
            pitch_temperature: rng.random_range(0.0..3.0),
            rhythm_temperature: rng.random_range(0.0..3.0),
            top_k: rng.random_range(0..20),
            top_p: rng.random_range(0.0..1.0),
            min_p: rng.random_range(0.0..1.0),
            loop_temperature: rng.random_range(0.0..4.0),
            constraints: c,
        };
        let own: Vec<Note> = (0..rng.random_range(0..12))
            .map(|i| Note {
                start: i * 3,
                length: rng.random_range(1..60),
                pitch: rng.random_range(0..128),
                velocity: 80,
                ..Note::default()
            })
            .collect();
        let (from, notes) = walk(&v, &sampling, seed, Some(heard), &own, 160);
        assert_eq!(
            (from, &notes),
            (from, &walk(&v, &sampling, seed, Some(heard), &own, 160).1)
        );

        let (low, high) = (c.range.0.min(c.range.1).min(127), c.range.0.max(c.range.1));
        let scale = match c.scale {
            ScaleLock::Off => None,
            ScaleLock::Fixed(scale) => Some(scale),
            ScaleLock::Heard => Some(heard),
        };
        let beat = v.steps_per_beat;
        let longest = c.longest.filter(|l| !l.is_nan());
        let (soft, loud) = (
            c.velocity.0.min(c.velocity.1),
            c.velocity.0.max(c.velocity.1),
        );
        let what = format!("seed {seed}: {c:?}");
        assert!(!notes.is_empty(), "{what}");
        // The notes of other parts are free, and do not count.
        let limited = |n: &&Note| c.parts.contains(n.part);
        for note in notes.iter().filter(limited) {
            let limits = match v.has_parts() {
                true => c.of_part[note.part.index()],
                false => PartLimits::default(),
            };
            let (own_low, own_high) = limits.range;
            let (low, high) = match low.max(own_low) <= high.min(own_high).min(127) {
                true => (low.max(own_low), high.min(own_high)),
                false => (own_low, own_high),
            };
            let in_scale = (low..=high.min(127)).any(|p| scale.is_none_or(|s| s.contains(p)));
            // The key of a drum is no pitch, and a hit does not sound on.
            let pitched = note.part.is_pitched();
            assert!(
                !pitched || (low..=high).contains(&note.pitch),
                "{what}: {note:?}"
            );
            if let Some(scale) = scale.filter(|_| in_scale && pitched) {
                assert!(scale.contains(note.pitch), "{what}: {note:?}");
            }
            if let Some(longest) = longest {
                let most = (longest * beat as f32).round().max(1.0);
                assert!(note.length as f32 <= most, "{what}: {note:?}");
            }
            assert!(
                (soft.clamp(1, 127)..=loud.clamp(1, 127)).contains(&note.velocity),
                "{what}: {note:?}"
            );
            let own = own.iter().filter(|n| n.start < from);
            let all: Vec<&Note> = notes.iter().chain(own).filter(limited).collect();
            let sounding = all
                .iter()
                .filter(|n| n.part.is_pitched() && n.start <= note.start && n.end() > note.start);
            if let Some(polyphony) = limits.polyphony {
                let same = all.iter().filter(|n| {
                    let sounds = n.start <= note.start && n.end() > note.start;
                    n.part == note.part && (n.start == note.start || pitched && sounds)
                });
                assert!(
                    same.count() <= usize::from(polyphony.max(1)),
                    "{what}: {note:?}"
                );
            }
            if let Some(polyphony) = c.polyphony.filter(|_| pitched) {
                assert!(
                    sounding.count() <= usize::from(polyphony.max(1)),
                    "{what}: {note:?}"
                );
            }
            if let Some(density) = c.density.filter(|d| d.is_finite()) {
                let most = (2.0 * density.max(0.0)).ceil().max(1.0) as usize;
                let begun = all
                    .iter()
                    .filter(|n| n.start <= note.start && n.start + beat > note.start);
                assert!(begun.count() <= most, "{what}: {note:?}");
            }
        }
    }
}

/// Settings that change while notes sound can contradict the notes: then the constraints are ignored
/// until they can hold again.
#[test]
fn constraints_that_change_while_notes_sound_always_leave_a_token_to_draw() {
    for seed in 0..60 {
        walk_through_changes(seed, 400, |rng, _, sampler| {
            let mut sampling = PLAIN;
            sampling.constraints = constraints(rng);
            sampler.tune(&sampling);
        });
    }
}

#[test]
fn limits_of_a_part_leave_the_other_parts_free() {
    let v = Vocabulary::band();
    let mut sampling = PLAIN;
    sampling.constraints.parts = [Part::Bass, Part::Drums].into_iter().collect();
    sampling.constraints.of_part[Part::Bass.index()] = PartLimits {
        range: (28, 45),
        polyphony: Some(1),
    };
    sampling.constraints.longest = Some(0.5);
    let mut counts = [0; Part::COUNT];
    for seed in 0..12 {
        let (_, notes) = walk(&v, &sampling, seed, None, &[], 600);
        let mut end = 0;
        for note in &notes {
            let inside = (28..=45).contains(&note.pitch);
            if note.part == Part::Bass {
                assert!(inside, "{note:?}");
                assert!(note.start >= end, "a second note at once: {note:?}");
                end = note.end();
            }
            counts[note.part.index()] += usize::from(note.part == Part::Bass || !inside);
        }
    }
    // The other parts have notes beyond the range of the bass.
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

/// Logits that want nothing but drum hits, on every step.
#[test]
fn drums_play_at_most_their_number_of_hits_on_a_step() {
    let v = Vocabulary::band();
    let grammar = Grammar::new(&v);
    let wanted = |token: &Token| match token {
        Token::Part(Part::Drums) => 20.0,
        Token::Pitch(_) => 8.0,
        Token::Separator | Token::Duration(1) => 4.0,
        _ => -20.0,
    };
    let logits: Vec<f32> = grammar.tokens().iter().map(wanted).collect();
    let most_hits = |most: Option<u8>| {
        let mut sampling = PLAIN;
        sampling.constraints.of_part[Part::Drums.index()].polyphony = most;
        let mut sampler = Sampler::new(&v);
        sampler.begin(0, &sampling, 3, None, &[]);
        let mut state = grammar.next(&GrammarState::default(), Token::Start);
        let mut hits = std::collections::BTreeMap::new();
        let mut part = Part::Keys;
        for _ in 0..900 {
            let id = sampler.choose(&state, &logits).unwrap();
            let token = v.token(id).unwrap();
            match token {
                Token::Part(next) => part = next,
                Token::Pitch(_) if part == Part::Drums => {
                    *hits.entry(state.step).or_insert(0) += 1;
                }
                _ => {}
            }
            sampler.read(token);
            state = grammar.next(&state, token);
        }
        // Full steps do not keep the drums from the next one.
        let steps = hits.keys().zip(hits.keys().skip(1));
        assert!(most.is_none() || steps.filter(|(a, b)| **b == **a + 1).count() > 50);
        hits.into_values().max().unwrap()
    };
    assert!(most_hits(None) > 2);
    assert_eq!([1, 2].map(|most| most_hits(Some(most))), [1, 2]);
}

/// Logits that want keys, and seldom the bass.
#[test]
fn silent_part_enters_sooner_where_it_is_on() {
    let v = Vocabulary::band();
    let grammar = Grammar::new(&v);
    let wanted = |token: &Token| match token {
        Token::Part(Part::Bass) => -2.0,
        Token::Part(Part::Keys) => 3.0,
        Token::Part(_) => -40.0,
        Token::Separator | Token::Duration(6) => 5.0,
        _ => 0.0,
    };
    let logits: Vec<f32> = grammar.tokens().iter().map(wanted).collect();
    let walk = |on: &[Part], notes: &[Note], own: &[Note], at: u32| {
        let mut sampling = PLAIN;
        sampling.constraints.owed = on.iter().copied().collect();
        let mut sampler = Sampler::new(&v);
        sampler.hear_parts(notes, &Score::new(12).time_signatures);
        sampler.begin(at, &sampling, 3, None, own);
        let mut state = grammar.next(&GrammarState::default(), Token::Start);
        let tokens = (0..2_000).map(|_| {
            let token = v.token(sampler.choose(&state, &logits).unwrap()).unwrap();
            sampler.read(token);
            state = grammar.next(&state, token);
            token
        });
        tokens.collect::<Vec<Token>>()
    };
    let notes_of_bass = |on: &[Part], notes: &[Note]| {
        let bass = |token: &&Token| **token == Token::Part(Part::Bass);
        walk(on, notes, &[], 0).iter().filter(bass).count()
    };
    let all = notes_of_bass(&[], &[]);
    let other = notes_of_bass(&[Part::Lead], &[]);
    let bass = notes_of_bass(&[Part::Bass], &[]);
    assert!(bass > 5 && all == 0 && other == 0, "{bass}, {all}, {other}");
    let note = |start, length, part| Note {
        start,
        length,
        part,
        ..Note::default()
    };
    let sounds_for_long = note(0, u32::MAX, Part::Bass);
    assert_eq!(notes_of_bass(&[Part::Bass], &[sounds_for_long]), other);
    // The silence before the answer counts, on its first step too.
    let enters_at = |at: u32| {
        let tokens = walk(&[Part::Bass], &[note(48, 1, Part::Keys)], &[], at);
        let mut on_first_step = tokens.iter().take_while(|t| **t != Token::Separator);
        on_first_step.any(|token| *token == Token::Part(Part::Bass))
    };
    assert_eq!([96, 97].map(enters_at), [true, false]);
    // A note that the answer goes on from is one of the input, and counts once.
    let own = [note(0, 1, Part::Bass), note(6, 1, Part::Bass)];
    let input = [own[0], own[1], note(240, 1, Part::Keys)];
    let (once, twice) = (
        walk(&[Part::Bass], &input, &[], 240),
        walk(&[Part::Bass], &input, &own, 240),
    );
    assert_eq!(once, twice);
}

/// A range of its own that does not meet that of all parts applies alone, so there is always a note.
#[test]
fn disjoint_ranges_leave_the_parts_own_range() {
    let v = Vocabulary::band();
    let mut sampling = PLAIN;
    sampling.constraints.range = (72, 96);
    sampling.constraints.of_part[Part::Bass.index()].range = (28, 43);
    sampling.constraints.of_part[Part::Lead.index()].range = (60, 79);
    let (_, notes) = walk(&v, &sampling, 4, None, &[], 900);
    let mut counts = [0; Part::COUNT];
    for note in notes.iter().filter(|note| note.part.is_pitched()) {
        let (low, high) = match note.part {
            Part::Bass => (28, 43),
            Part::Lead => (72, 79),
            _ => (72, 96),
        };
        assert!((low..=high).contains(&note.pitch), "{note:?}");
        counts[note.part.index()] += 1;
    }
    assert!(counts[..4].iter().all(|&count| count > 0), "{counts:?}");
}

#[test]
fn limits_of_parts_are_without_effect_on_a_model_without_parts() {
    let v = Vocabulary::continuo();
    let mut sampling = PLAIN;
    let free = walk(&v, &sampling, 5, None, &[], 300);
    sampling.constraints.of_part = [PartLimits {
        range: (60, 60),
        polyphony: Some(1),
    }; Part::COUNT];
    assert_eq!(walk(&v, &sampling, 5, None, &[], 300), free);
}

#[test]
fn the_range_takes_precedence_over_the_scale() {
    let v = Vocabulary::continuo();
    let mut sampling = PLAIN;
    sampling.constraints.scale = ScaleLock::Fixed("C major".parse().unwrap());
    sampling.constraints.range = (61, 61);
    let (_, notes) = walk(&v, &sampling, 1, None, &[], 200);
    assert!(notes.iter().all(|n| n.pitch == 61));
}

#[test]
fn density_sets_the_notes_a_beat_and_register_their_mean_pitch() {
    let v = Vocabulary::continuo();
    let grammar = Grammar::new(&v);
    // Like a model: moves of about an eighth note, notes of about a quarter note.
    let mut logits = vec![0.0; v.size()];
    for (logit, token) in logits.iter_mut().zip(grammar.tokens()) {
        match token {
            Token::Duration(d) => *logit = -2.0 * (f32::from(*d) / 9.0).ln().abs(),
            Token::Separator => *logit = 4.5,
            _ => {}
        }
    }
    let with = |density, register: Option<u8>| {
        let mut sampling = PLAIN;
        sampling.constraints.density = density;
        sampling.constraints.register = register.map(|centre| Register {
            centre,
            strength: 2.0,
        });
        let mut sampler = Sampler::new(&v);
        sampler.begin(0, &sampling, 5, None, &[]);
        let mut state = grammar.next(&GrammarState::default(), Token::Start);
        let (mut notes, mut pitches) = (0u32, 0u32);
        for _ in 0..4000 {
            let id = sampler.choose(&state, &logits).unwrap();
            let token = v.token(id).unwrap();
            if let Token::Pitch(p) = token {
                (notes, pitches) = (notes + 1, pitches + u32::from(p));
            }
            sampler.read(token);
            state = grammar.next(&state, token);
        }
        let density = f64::from(notes) * 12.0 / f64::from(state.step);
        (density, f64::from(pitches) / f64::from(notes))
    };
    let (free, mean) = with(None, None);
    for aim in [0.5f32, 1.0, 2.0, 4.0, 8.0] {
        let (density, _) = with(Some(aim), None);
        let off = |density: f64| (density / f64::from(aim)).ln().abs();
        assert!(
            off(density) < off(free) / 2.0 || off(density) < 0.4,
            "{aim}: {density}, free {free}"
        );
    }
    for centre in [40, 60, 90] {
        let (density, pulled) = with(None, Some(centre));
        assert!(
            (pulled - f64::from(centre)).abs() < 6.0,
            "{centre}: {pulled}"
        );
        // The register changes the pitches, not their number.
        assert!(
            (density / free).ln().abs() < 0.2,
            "{density}, {free}, {mean}"
        );
    }
}
