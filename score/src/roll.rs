//! A piano roll as a picture: systems of a few bars one below the other, bar and beat lines,
//! keys named at the side, notes named where there is room, loud notes brighter. Names are
//! drawn with the system's fonts where the built-in one lacks their script, and characters that
//! no font has are said in words.

mod fonts;
mod layout;
mod page;

use crate::score::{Note, Score};
use layout::Layout;
use page::Page;

/// A part and its colour.
pub struct RollPart<'a> {
    /// Name for the legend.
    pub name: &'a str,
    /// The notes. Bars are taken from the first part.
    pub score: &'a Score,
    /// Red, green, blue.
    pub colour: [u8; 3],
}

/// Colour of input notes.
pub const INPUT_COLOUR: [u8; 3] = [86, 170, 255];
/// Colour of generated notes.
pub const GENERATED_COLOUR: [u8; 3] = [255, 158, 66];

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum RollError {
    /// There was nothing to draw.
    #[error("there are no notes to draw")]
    Empty,
    /// The rasteriser or the font refused.
    #[error("the picture could not be drawn: {0}")]
    Draw(String),
}

/// Draws the parts over one another; PNG bytes. Bars are numbered from 1.
///
/// # Errors
/// Fails if there are no notes, or if the picture cannot be drawn.
pub fn draw(title: &str, parts: &[RollPart]) -> Result<Vec<u8>, RollError> {
    draw_from(title, parts, 1, &[])
}

/// Draws the parts over one another; PNG bytes. Bars are numbered from `first_bar`. `chords` are names
/// above the roll, each with the step over which it stands, ascending.
///
/// # Errors
/// Fails if there are no notes, or if the picture cannot be drawn.
pub fn draw_from(
    title: &str,
    parts: &[RollPart],
    first_bar: u32,
    chords: &[(u32, String)],
) -> Result<Vec<u8>, RollError> {
    let mut layout = Layout::new(parts, first_bar as usize).ok_or(RollError::Empty)?;
    layout.make_room(!chords.is_empty());
    let mut page = Page::new(layout.height())?;
    page.legend(title, parts);
    if layout.cut {
        page.text(
            &format!("(the first {} bars)", layout.bars()),
            layout::WIDTH - layout::MARGIN - 150.0,
            30.0,
            13.0,
            page::DIM_TEXT,
        );
    }
    // Long notes first: a short one on the same key lies on top and is seen.
    let notes = |part: &RollPart| part.score.notes.iter().map(|n| (*n, part.colour)).collect();
    let mut notes: Vec<(Note, [u8; 3])> = parts.iter().flat_map::<Vec<_>, _>(notes).collect();
    notes.sort_by_key(|(note, _)| std::cmp::Reverse(note.length));
    for system in 0..layout.systems.len() {
        page.system(&layout, system);
        page.chords(&layout, system, chords);
        for (note, colour) in &notes {
            page.note(&layout, system, note, *colour);
        }
    }
    page.pixmap
        .encode_png()
        .map_err(|e| RollError::Draw(e.to_string()))
}

#[cfg(test)]
mod tests;
