use super::*;

#[test]
fn midigen_has_the_reference_ids() {
    let v = Vocabulary::midigen();
    assert_eq!(v.size(), 389);
    for (token, id) in [
        (Token::Start, 0),
        (Token::End, 1),
        (Token::Pad, 2),
        (Token::Separator, 3),
        (Token::Pitch(0), 4),
        (Token::Pitch(127), 131),
        (Token::Duration(0), 132),
        (Token::Duration(256), 388),
    ] {
        assert_eq!(v.id(token), Some(id), "{token}");
    }
    assert_eq!(v.id(Token::Velocity(0)), None);
}

#[test]
fn ids_and_tokens_are_one_to_one() {
    let plain = [Vocabulary::midigen(), Vocabulary::continuo()];
    let band = plain.clone().map(Vocabulary::with_parts);
    for v in plain.into_iter().chain(band) {
        for id in 0..v.size() as u16 {
            assert_eq!(v.token(id).and_then(|t| v.id(t)), Some(id));
        }
        assert_eq!(v.token(v.size() as u16), None);
        assert_eq!(v.token(u16::MAX), None);
    }
    assert_eq!(Vocabulary::continuo().size(), 340);
}

#[test]
fn velocity_survives_its_bin() {
    let v = Vocabulary::continuo();
    for velocity in 1..=127u8 {
        let back = v.bin_velocity(v.velocity_bin(velocity));
        assert!(velocity.abs_diff(back) <= 4, "{velocity} -> {back}");
        assert_eq!(v.velocity_bin(back), v.velocity_bin(velocity));
    }
}

#[test]
fn json_round_trip_and_refusal() {
    let v = Vocabulary::continuo();
    assert_eq!(Vocabulary::from_json(&v.to_json()).unwrap(), v);
    for (from, to) in [
        ("\"version\": 1", "\"version\": 4"),
        ("\"version\": 1,", "\"version\": 2, \"parts\": [\"bass\"],"),
        ("\"version\": 1,", "\"version\": 3, \"parts\": [\"bass\"],"),
        ("\"version\": 1,", "\"version\": 3, \"parts\": [\"tuba\"],"),
        ("\"version\": 1,", "\"version\": 1, \"merges\": [[4, 5]],"),
        ("\"version\": 1,", "\"version\": 2, \"merges\": [[1, 4]],"),
        ("\"version\": 1,", "\"version\": 2, \"merges\": [[4, 340]],"),
        ("\"steps_per_beat\": 12", "\"steps_per_beat\": 0"),
        ("\"longest\": 192", "\"longest\": 60000"),
        ("\"sep\"", "\"sos\""),
        ("{", "["),
    ] {
        assert!(
            Vocabulary::from_json(&v.to_json().replacen(from, to, 1)).is_err(),
            "{to}"
        );
    }
}

#[test]
fn merged_ids_follow_and_expand() {
    let plain = Vocabulary::continuo();
    let base = plain.size() as u16;
    let id = |token| plain.id(token).unwrap();
    let (separator, d6, c) = (
        id(Token::Separator),
        id(Token::Duration(6)),
        id(Token::Pitch(60)),
    );
    let v = plain
        .clone()
        .with_merges(vec![[separator, d6], [base, c]])
        .unwrap();
    assert_eq!((v.size(), v.base_size()), (342, 340));
    assert_eq!(
        (v.token(base), v.token(d6)),
        (None, Some(Token::Duration(6)))
    );
    let tokens: Vec<Token> = v.tokens(base + 1).collect();
    assert_eq!(
        tokens,
        [Token::Separator, Token::Duration(6), Token::Pitch(60)]
    );
    assert_eq!((v.expand(c), v.expand(base + 2)), (&[c][..], &[][..]));
    assert_eq!(v.merge(vec![separator, d6, c, d6]), [base + 1, d6]);

    assert_eq!(Vocabulary::from_json(&v.to_json()).unwrap(), v);
    assert!(v.to_json().contains("\"version\": 2") && v != plain && v.base() == plain);
    // Without merges the JSON stays as version 1.
    let json = plain.to_json();
    assert!(json.contains("\"version\": 1") && !json.contains("merges"));
    assert!(plain.with_merges(vec![[0, c]]).is_err());
}

#[test]
fn parts_follow_the_velocity_bins_and_leave_other_ids_alone() {
    let (plain, band) = (Vocabulary::continuo(), Vocabulary::band());
    assert_eq!((band.name(), band.size()), ("continuo-band", 345));
    assert!(band.has_parts() && !plain.has_parts());
    for id in 0..340 {
        assert_eq!(band.token(id), plain.token(id));
    }
    for (id, part) in (340..).zip(Part::ALL) {
        assert_eq!(band.id(Token::Part(part)), Some(id));
        assert_eq!(plain.id(Token::Part(part)), None);
    }
    assert_eq!(Token::Part(Part::Bass).to_string(), "<bass>");
    assert_eq!(Vocabulary::preset("band"), Some(band.clone()));
    assert_eq!(Vocabulary::preset(band.name()), Some(band));
}

#[test]
fn the_json_of_parts_is_version_3() {
    let band = Vocabulary::band();
    let json = band.to_json();
    assert!(json.contains("\"version\": 3"), "{json}");
    let parts = serde_json::from_str::<serde_json::Value>(&json).unwrap()["parts"].clone();
    assert_eq!(
        parts,
        serde_json::json!(["keys", "lead", "chords", "bass", "drums"])
    );
    assert_eq!(Vocabulary::from_json(&json).unwrap(), band);
    // A part token may be merged.
    let id = |token| band.id(token).unwrap();
    let pair = [id(Token::Part(Part::Drums)), id(Token::Pitch(36))];
    let merged = band.clone().with_merges(vec![pair]).unwrap();
    assert_eq!((merged.size(), merged.expand(345)), (346, &pair[..]));
    assert_eq!(Vocabulary::from_json(&merged.to_json()).unwrap(), merged);
    assert!(merged.base() == band && merged.to_json().contains("\"version\": 3"));
    assert!(!Vocabulary::continuo().to_json().contains("parts"));
}
