//! A band as one keyboard part.

use std::borrow::Cow;

use crate::part::Part;
use crate::score::{Note, normalise_notes};

/// The notes in [`Score::normalise`](crate::Score::normalise)'s order as a vocabulary without parts
/// has them: without drum hits, and all others of the keys. Of several notes of one pitch on one
/// step, one remains, with the largest length and velocity.
pub fn merge_parts(notes: &[Note]) -> Cow<'_, [Note]> {
    if notes.iter().all(|note| note.part.is_keys()) {
        return Cow::Borrowed(notes);
    }
    let pitched = notes.iter().filter(|note| note.part.is_pitched());
    let mut merged: Vec<Note> = pitched
        .map(|note| Note {
            part: Part::Keys,
            ..*note
        })
        .collect();
    normalise_notes(&mut merged);
    Cow::Owned(merged)
}
