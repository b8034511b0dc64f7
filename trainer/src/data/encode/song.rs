//! Encoding of one file.

use std::path::Path;

use continuo_score::manifest::Sizes;
use continuo_score::merge_parts;
use continuo_score::{Score, Token, TokenSequence, Vocabulary, midi};

use super::{DIVIDED, EncodeOptions, MERGED, Merge, SourceFile, WITH_DRUMS};
use crate::data::corpus::{TokenRecord, hash};
use crate::data::dedup::Fingerprint;
use crate::data::divide::{Division, divide};
use crate::data::grooves::Grooves;
use crate::data::skipped::{FEWEST_NOTES, MOST_NOTES, SkipReason, Skipped};

/// An encoded song.
pub(super) struct EncodedSong {
    pub(super) whole: SpelledSong,
    /// The same song in the other forms that were asked for, each with the suffix of its path: a
    /// keyboard solo divided into parts, a band merged into one keyboard part, either with drums.
    pub(super) others: Vec<(&'static str, SpelledSong)>,
    pub(super) fingerprint: Fingerprint,
}

/// The tokens of a song.
pub(super) struct SpelledSong {
    pub(super) records: Vec<TokenRecord>,
    pub(super) notes: u64,
    pub(super) hash: u64,
}

/// Encodes one file.
pub(super) fn song(
    source: &SourceFile,
    options: &EncodeOptions<'_>,
    grooves: &Grooves,
    sizes: &Sizes,
) -> Result<EncodedSong, Skipped> {
    let vocabulary = &options.vocabulary;
    let skip = |reason, detail| Skipped {
        path: source.path.clone(),
        reason,
        detail,
    };
    if std::fs::metadata(&source.path).is_ok_and(|data| data.len() == 0) {
        return Err(skip(SkipReason::Empty, "0 bytes".into()));
    }
    let file = midi::read_file_with(&source.path, &options.reading)
        .map_err(|e| skip(SkipReason::Broken, without_path(&e, &source.path)))?;
    let mut score = Score::for_vocabulary(&file, vocabulary);
    if options.merge == Some(Merge::Only) && vocabulary.has_parts() {
        score.notes = merge_parts(&score.notes).into_owned();
    }
    let reason = match score.notes.len() {
        0 => Some(SkipReason::Empty),
        n if n < FEWEST_NOTES => Some(SkipReason::TooShort),
        n if n > MOST_NOTES => Some(SkipReason::TooLong),
        _ => None,
    };
    if let Some(reason) = reason {
        let left_out = if vocabulary.has_parts() {
            ""
        } else {
            " (drums left out)"
        };
        let detail = format!("{} notes{left_out}", score.notes.len());
        return Err(skip(reason, detail));
    }
    score.end_with_music();
    let whole = spell(&score, vocabulary, sizes);
    let mut others = Vec::new();
    if vocabulary.has_parts() {
        let divided = divide(&score, Division::numbered(whole.hash)).filter(|_| options.divide);
        // Another digit than the one that chose the division.
        let with_drums = grooves.lay(divided.as_ref().unwrap_or(&score), whole.hash >> 32);
        let merged = merge(&score).filter(|_| options.merge == Some(Merge::Also));
        let forms = [
            (DIVIDED, divided),
            (MERGED, merged),
            (WITH_DRUMS, with_drums),
        ];
        others.extend(
            forms
                .into_iter()
                .filter_map(|(suffix, score)| Some((suffix, spell(&score?, vocabulary, sizes)))),
        );
    }
    Ok(EncodedSong {
        whole,
        others,
        fingerprint: Fingerprint::of(&score),
    })
}

/// The text of an error without the path before it: the list of skipped files has a column for that.
fn without_path(error: &midi::MidiError, path: &Path) -> String {
    let text = error.to_string();
    let before = format!("{}: ", path.display());
    text.strip_prefix(&before)
        .map(str::to_owned)
        .unwrap_or(text)
}

/// The score with all pitched parts as keys, without drums; `None` if it is that already, or if too
/// little stays.
fn merge(score: &Score) -> Option<Score> {
    if score.notes.iter().all(|note| note.part.is_keys()) {
        return None;
    }
    let notes = merge_parts(&score.notes).into_owned();
    (notes.len() >= FEWEST_NOTES).then(|| Score {
        notes,
        ..score.clone()
    })
}

fn spell(score: &Score, vocabulary: &Vocabulary, sizes: &Sizes) -> SpelledSong {
    let encoded = TokenSequence::encode(score, vocabulary);
    let mut last = (0, sizes.rows(score.time_signatures.position(0)));
    let records = encoded.positioned_ids(vocabulary).into_iter().map(|p| {
        // Many tokens share a step.
        if p.step != last.0 {
            last = (p.step, sizes.rows(score.time_signatures.position(p.step)));
        }
        let rows = last.1;
        TokenRecord {
            id: p.id,
            bar_step: rows.bar_step,
            bar: rows.bar,
            metre: rows.metre,
        }
    });
    let records = records.collect();
    let pitches = encoded.tokens.iter().map(|p| p.token);
    let notes = pitches.filter(|t| matches!(t, Token::Pitch(_))).count() as u64;
    // The hash of the base ids puts a song on the same side of the split, whatever the merges.
    let base = encoded.base_ids(vocabulary).into_iter();
    let hash = hash(base.flat_map(u16::to_le_bytes));
    SpelledSong {
        records,
        notes,
        hash,
    }
}
