//! Glyphs for text in any script: those of the built-in font, then those of the system's.

use std::collections::HashMap;

use ab_glyph::{Font, FontArc, FontRef, FontVec};
use fontdb::{Database, FaceInfo, Style};

/// Families that have a box or a blank for every character.
const NO_LETTERS: [&str; 4] = ["LastResort", "Last Resort", "Adobe Blank", "Noto Tofu"];

/// Finds a font for each character. The system's fonts are looked for only once a character
/// is missing in the built-in one.
pub(super) struct Fonts {
    /// The built-in font first, then those of the system that were needed.
    fonts: Vec<FontArc>,
    /// The system's faces, best first, once they were looked for.
    system: Option<Database>,
    /// For each character asked for, an index into `fonts`.
    found: HashMap<char, Option<usize>>,
}

impl Fonts {
    /// The built-in font (Latin, Greek, Cyrillic) and the system's.
    pub(super) fn new() -> Result<Self, ab_glyph::InvalidFont> {
        let own = FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)?;
        Ok(Self {
            fonts: vec![own.into()],
            system: None,
            found: HashMap::new(),
        })
    }

    /// The built-in font and those of `system`.
    #[cfg(test)]
    pub(super) fn with(system: Database) -> Self {
        let mut fonts = Self::new().expect("the built-in font");
        fonts.system = Some(system);
        fonts
    }

    /// The text as it can be drawn: characters that no font has are said in words.
    pub(super) fn drawable(&mut self, text: &str) -> String {
        let mut drawn = String::new();
        let mut missing = 0;
        let end = |missing: &mut usize, drawn: &mut String| match std::mem::take(missing) {
            0 => {}
            1 => drawn.push_str("[no font for 1 character]"),
            many => drawn.push_str(&format!("[no font for {many} characters]")),
        };
        for c in text.chars() {
            let c = if c == char::REPLACEMENT_CHARACTER {
                '?'
            } else {
                c
            };
            if self.index(c).is_some() {
                end(&mut missing, &mut drawn);
                drawn.push(c);
            } else {
                missing += 1;
            }
        }
        end(&mut missing, &mut drawn);
        drawn
    }

    /// The font that has a character; the built-in one where none has it.
    pub(super) fn font(&mut self, c: char) -> FontArc {
        let index = self.index(c).unwrap_or(0);
        self.fonts[index].clone()
    }

    fn index(&mut self, c: char) -> Option<usize> {
        if c.is_whitespace() || has(&self.fonts[0], c) {
            return Some(0);
        }
        if let Some(&found) = self.found.get(&c) {
            return found;
        }
        let loaded = self.fonts.iter().position(|font| has(font, c));
        let found = loaded.or_else(|| {
            let font = self.search(c)?;
            self.fonts.push(font);
            Some(self.fonts.len() - 1)
        });
        self.found.insert(c, found);
        found
    }

    /// A font of the system that has a character: an upright one of normal weight, if any.
    fn search(&mut self, c: char) -> Option<FontArc> {
        let system = self.system.get_or_insert_with(|| {
            let mut system = Database::new();
            system.load_system_fonts();
            system
        });
        let letters = |face: &&FaceInfo| {
            let mut names = face.families.iter().map(|family| &family.0);
            names.all(|name| NO_LETTERS.iter().all(|other| !name.contains(other)))
        };
        let mut faces: Vec<&FaceInfo> = system.faces().filter(letters).collect();
        faces.sort_by_key(|&face| {
            let slanted = face.style != Style::Normal;
            (
                slanted,
                face.weight.0.abs_diff(400),
                face.monospaced,
                &face.post_script_name,
            )
        });
        faces.into_iter().find_map(|face| {
            let font = system.with_face_data(face.id, |data, index| {
                // Most faces lack the character: they are read where they stand, not copied.
                let there = FontRef::try_from_slice_and_index(data, index).ok()?;
                if !has(&there, c) {
                    return None;
                }
                FontVec::try_from_vec_and_index(data.to_vec(), index).ok()
            });
            font.flatten().map(FontArc::new)
        })
    }
}

/// Whether a font can draw a character as an outline.
fn has(font: &impl Font, c: char) -> bool {
    let glyph = font.glyph_id(c);
    glyph.0 != 0 && font.outline(glyph).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_font_has_latin_greek_and_cyrillic() {
        let mut fonts = Fonts::with(Database::new());
        for text in ["Viola d’amore", "Flöte é ñ", "Левая рука", "Βιολί", ""] {
            assert_eq!(fonts.drawable(text), text);
        }
        assert_eq!(fonts.fonts.len(), 1);
    }

    #[test]
    fn what_no_font_has_is_said_in_words() {
        let mut fonts = Fonts::with(Database::new());
        let said = fonts.drawable("右手 Piano 手\u{fffd}");
        assert_eq!(
            said,
            "[no font for 2 characters] Piano [no font for 1 character]?"
        );
    }

    #[test]
    fn a_font_of_the_system_is_used_for_what_the_built_in_one_lacks() {
        let keyboard = '🎹';
        assert_eq!(Fonts::with(Database::new()).index(keyboard), None);
        let mut system = Database::new();
        system.load_font_data(epaint_default_fonts::NOTO_EMOJI_REGULAR.to_vec());
        let mut fonts = Fonts::with(system);
        assert_eq!(fonts.drawable("a🎹"), "a🎹");
        assert_eq!(
            (fonts.index('a'), fonts.index(keyboard)),
            (Some(0), Some(1))
        );
        assert!(has(&fonts.font(keyboard), keyboard));
    }
}
