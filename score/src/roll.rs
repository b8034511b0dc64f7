//! A piano roll as a picture: systems of a few bars one below the other, bar and beat lines,
//! keys named at the side, notes named where there is room, loud notes brighter. Names are
//! drawn with the system's fonts where the built-in one lacks their script, and characters that
//! no font has are said in words.

mod fonts;

use ab_glyph::{Font, Glyph, PxScale, ScaleFont, point};
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Rect, Transform};

use crate::score::{Note, Score};
use crate::tune::pitch_name;
use fonts::Fonts;

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

// Pixels.
const MARGIN: f32 = 24.0;
const KEYS: f32 = 44.0;
const TITLE: f32 = 44.0;
const BAR_NUMBERS: f32 = 20.0;
const CHORDS: f32 = 18.0;
const SYSTEM_GAP: f32 = 16.0;
const ROW: f32 = 11.0;
const WIDTH: f32 = 1600.0;
const BEAT: f32 = 44.0;
/// Bars drawn at most, and pixels of a page that has more than one system: a page of some
/// metres; the rest is left out and said.
const MOST_BARS: usize = 400;
const MOST_HEIGHT: f32 = 30_000.0;

const GROUND: [u8; 3] = [24, 26, 31];
const WHITE_ROW: [u8; 3] = [36, 39, 46];
const BLACK_ROW: [u8; 3] = [30, 32, 38];
const BEAT_LINE: [u8; 3] = [48, 52, 61];
const BAR_LINE: [u8; 3] = [104, 110, 124];
const TEXT: [u8; 3] = [205, 210, 220];
const DIM_TEXT: [u8; 3] = [140, 146, 158];

/// Draws the parts over one another; PNG bytes. Bars are numbered from 1.
pub fn draw(title: &str, parts: &[RollPart]) -> Result<Vec<u8>, RollError> {
    draw_from(title, parts, 1, &[])
}

/// Draws the parts over one another; PNG bytes. Bars are numbered from `first_bar`. `chords` are names
/// above the roll, each with the step over which it stands, ascending.
pub fn draw_from(
    title: &str,
    parts: &[RollPart],
    first_bar: u32,
    chords: &[(u32, String)],
) -> Result<Vec<u8>, RollError> {
    let mut layout = Layout::new(parts, first_bar as usize).ok_or(RollError::Empty)?;
    layout.chord_row = if chords.is_empty() { 0.0 } else { CHORDS };
    layout.fit();
    let mut page = Page::new(layout.height())?;
    page.legend(title, parts);
    if layout.cut {
        page.text(
            &format!("(the first {} bars)", layout.bars()),
            WIDTH - MARGIN - 150.0,
            30.0,
            13.0,
            DIM_TEXT,
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

/// Where steps and keys lie on the page.
struct Layout<'a> {
    first: &'a Score,
    /// Lowest and highest key of each system.
    keys: Vec<(u8, u8)>,
    /// Bar lines of each system, the closing one included.
    systems: Vec<Vec<u32>>,
    /// Number of the first bar of each system.
    numbers: Vec<usize>,
    pixels_per_step: f32,
    /// Height of the row of chord names; 0 without chords.
    chord_row: f32,
    cut: bool,
}

impl<'a> Layout<'a> {
    fn new(parts: &[RollPart<'a>], first_bar: usize) -> Option<Self> {
        let first = parts.first()?.score;
        let notes = || parts.iter().flat_map(|p| &p.score.notes);
        // There is something to draw.
        notes().next()?;
        let end = parts.iter().map(|p| p.score.length).max()?.max(1);
        let mut lines = first.time_signatures.bar_lines(end);
        let cut = lines.len() > MOST_BARS;
        lines.truncate(MOST_BARS);
        let last = *lines.last()?;
        lines.push(first.time_signatures.next_bar(last + 1));

        let pixels_per_step = BEAT / first.steps_per_beat as f32;
        let room = ((WIDTH - 2.0 * MARGIN - KEYS) / pixels_per_step) as u32;
        let (mut systems, mut numbers) = (Vec::new(), Vec::new());
        let mut from = 0;
        while from + 1 < lines.len() {
            let fits = lines[from..]
                .iter()
                .take_while(|&&l| l - lines[from] <= room)
                .count();
            // A bar too wide stands alone; lines of four, eight, … bars read best.
            let bars = (fits - 1).max(1);
            let left = lines.len() - 1 - from;
            let round = if bars > 4 { bars / 4 * 4 } else { bars };
            // The rest of a piece stands on one system if it fits there, unless that system would be
            // longer than those before.
            let longest: usize = systems
                .iter()
                .map(|s: &Vec<u32>| s.len() - 1)
                .max()
                .unwrap_or(left);
            let whole = bars >= left && left <= longest;
            let to = from + if whole { left } else { round };
            systems.push(lines[from..=to].to_vec());
            numbers.push(from + first_bar);
            from = to;
        }
        // The longest system fills the page.
        let steps = systems.iter().map(|s: &Vec<u32>| s[s.len() - 1] - s[0]);
        let longest = steps.max().unwrap_or(1).max(1) as f32;
        let pixels_per_step = (WIDTH - 2.0 * MARGIN - KEYS) / longest;
        let pixels_per_step = pixels_per_step.min(2.0 * BEAT / first.steps_per_beat as f32);
        let keys = systems.iter().map(|lines| {
            let (start, end) = (lines[0], lines[lines.len() - 1]);
            let here = || notes().filter(|n| n.start < end && n.end() > start);
            let lowest = here().map(|n| n.pitch).min().unwrap_or(60);
            let highest = here().map(|n| n.pitch).max().unwrap_or(60);
            // An octave and a half at least, so that a system looks like one.
            let spare = 18u8.saturating_sub(highest - lowest).div_ceil(2).max(2);
            (lowest.saturating_sub(spare), (highest + spare).min(127))
        });
        let mut layout = Self {
            first,
            keys: keys.collect(),
            systems,
            numbers,
            pixels_per_step,
            chord_row: 0.0,
            cut,
        };
        layout.fit();
        Some(layout)
    }

    /// Leaves out the systems beyond the greatest height.
    fn fit(&mut self) {
        while self.systems.len() > 1 && self.height() > MOST_HEIGHT {
            self.systems.pop();
            self.cut = true;
        }
    }

    /// Height of the bar numbers and chord names above a system.
    fn head(&self) -> f32 {
        BAR_NUMBERS + self.chord_row
    }

    /// Bars on the page.
    fn bars(&self) -> usize {
        self.systems.iter().map(|lines| lines.len() - 1).sum()
    }

    fn rows(&self, system: usize) -> f32 {
        let (lowest, highest) = self.keys[system];
        f32::from(highest - lowest + 1) * ROW
    }

    fn top(&self, system: usize) -> f32 {
        let before = (0..system).map(|s| self.rows(s) + self.head() + SYSTEM_GAP);
        TITLE + self.head() + before.sum::<f32>()
    }

    fn height(&self) -> f32 {
        self.top(self.systems.len()) - self.head() + MARGIN / 2.0
    }

    fn span(&self, system: usize) -> (u32, u32) {
        let lines = &self.systems[system];
        (lines[0], lines[lines.len() - 1])
    }

    fn x(&self, system: usize, step: u32) -> f32 {
        MARGIN + KEYS + (step - self.span(system).0) as f32 * self.pixels_per_step
    }

    fn y(&self, system: usize, pitch: u8) -> f32 {
        self.top(system) + f32::from(self.keys[system].1.saturating_sub(pitch)) * ROW
    }
}

struct Page {
    pixmap: Pixmap,
    fonts: Fonts,
}

impl Page {
    fn new(height: f32) -> Result<Self, RollError> {
        let fonts = Fonts::new().map_err(|e| RollError::Draw(e.to_string()))?;
        let mut pixmap = Pixmap::new(WIDTH as u32, height.ceil() as u32)
            .ok_or_else(|| RollError::Draw(format!("{WIDTH} x {height} pixels")))?;
        pixmap.fill(colour(GROUND, 255));
        Ok(Self { pixmap, fonts })
    }

    fn legend(&mut self, title: &str, parts: &[RollPart]) {
        let mut x = MARGIN + self.text(title, MARGIN, 30.0, 19.0, TEXT) + 28.0;
        for part in parts {
            self.rect(x, 19.0, 22.0, 11.0, part.colour, 255);
            x += 30.0 + self.text(part.name, x + 30.0, 30.0, 15.0, TEXT) + 22.0;
        }
    }

    fn system(&mut self, layout: &Layout, system: usize) {
        let (start, end) = layout.span(system);
        let (left, right) = (layout.x(system, start), layout.x(system, end));
        let (top, rows) = (layout.top(system), layout.rows(system));
        let (lowest, highest) = layout.keys[system];
        for pitch in lowest..=highest {
            let y = layout.y(system, pitch);
            let black = [1, 3, 6, 8, 10].contains(&(pitch % 12));
            let row = if black { BLACK_ROW } else { WHITE_ROW };
            self.rect(left, y, right - left, ROW - 0.5, row, 255);
            let key = if black { [52, 54, 60] } else { [196, 200, 208] };
            self.rect(MARGIN + 30.0, y, KEYS - 33.0, ROW - 1.0, key, 255);
            if pitch % 12 == 0 || pitch % 12 == 7 {
                self.text(&pitch_name(pitch), MARGIN, y + ROW - 1.5, 12.0, DIM_TEXT);
            }
        }
        let bars = &layout.systems[system];
        for (index, bar) in bars.windows(2).enumerate() {
            let metre = layout.first.time_signatures.time_signature(bar[0]);
            let beat = (layout.first.steps_per_beat * 4 / u32::from(metre.denominator)).max(1);
            for step in (bar[0] + beat..bar[1]).step_by(beat as usize) {
                self.rect(layout.x(system, step), top, 1.0, rows, BEAT_LINE, 255);
            }
            let x = layout.x(system, bar[0]);
            self.rect(x - 0.75, top, 1.5, rows, BAR_LINE, 255);
            let number = layout.numbers[system] + index;
            let changed =
                bar[0] == 0 || layout.first.time_signatures.time_signature(bar[0] - 1) != metre;
            let label = match changed {
                true => format!("{number}   {}/{}", metre.numerator, metre.denominator),
                false => number.to_string(),
            };
            self.text(
                &label,
                x + 2.0,
                top - layout.chord_row - 6.0,
                13.0,
                DIM_TEXT,
            );
        }
        self.rect(right - 0.75, top, 1.5, rows, BAR_LINE, 255);
    }

    /// Writes the names of the chords; one for which the previous one leaves no room is left out. The
    /// chord that goes on from the system before is named again.
    fn chords(&mut self, layout: &Layout, system: usize, chords: &[(u32, String)]) {
        let (start, end) = layout.span(system);
        let first = chords
            .partition_point(|(step, _)| *step <= start)
            .saturating_sub(1);
        let mut free = f32::MIN;
        for (step, name) in &chords[first..] {
            let x = layout.x(system, (*step).max(start)) + 2.0;
            if *step < end && x >= free {
                let y = layout.top(system) - 6.0;
                free = x + self.text(name, x, y, 14.0, TEXT) + 6.0;
            }
        }
    }

    fn note(&mut self, layout: &Layout, system: usize, note: &Note, base: [u8; 3]) {
        let (start, end) = layout.span(system);
        // A note held over the end of a system goes on in the next.
        let (from, to) = (note.start.max(start), note.end().min(end));
        if from >= to {
            return;
        }
        let x = layout.x(system, from);
        let width = (layout.x(system, to) - x - 1.0).max(2.0);
        let y = layout.y(system, note.pitch);
        let loud = 0.45 + 0.55 * f32::from(note.velocity) / 127.0;
        let shaded = base.map(|c| (f32::from(c) * loud) as u8);
        self.rect(x + 0.5, y + 0.5, width, ROW - 1.5, shaded, 255);
        // The onset stands out, so that repeated notes are seen to be two.
        if note.start >= start {
            self.rect(x + 0.5, y + 0.5, 2.0, ROW - 1.5, base, 255);
        }
        if width > 22.0 && note.start >= start {
            self.text(
                &pitch_name(note.pitch),
                x + 5.0,
                y + ROW - 2.0,
                11.0,
                GROUND,
            );
        }
    }

    fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, rgb: [u8; 3], alpha: u8) {
        let Some(rect) = Rect::from_xywh(x, y, width, height) else {
            return;
        };
        let mut paint = Paint::default();
        paint.set_color(colour(rgb, alpha));
        let path = PathBuilder::from_rect(rect);
        self.pixmap.fill_path(
            &path,
            &paint,
            FillRule::Winding,
            Transform::identity(),
            None,
        );
    }

    /// Writes a line with its baseline at `y`; gives its width.
    fn text(&mut self, text: &str, x: f32, y: f32, size: f32, rgb: [u8; 3]) -> f32 {
        let mut pen = x;
        for c in self.fonts.drawable(text).chars() {
            let font = self.fonts.font(c);
            let scaled = font.as_scaled(PxScale::from(size));
            let mut glyph: Glyph = scaled.scaled_glyph(c);
            glyph.position = point(pen, y);
            pen += scaled.h_advance(glyph.id);
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            outline.draw(|gx, gy, cover| {
                let (px, py) = (
                    bounds.min.x as i64 + i64::from(gx),
                    bounds.min.y as i64 + i64::from(gy),
                );
                self.blend(px, py, rgb, cover);
            });
        }
        pen - x
    }

    fn blend(&mut self, x: i64, y: i64, rgb: [u8; 3], cover: f32) {
        let (width, height) = (
            i64::from(self.pixmap.width()),
            i64::from(self.pixmap.height()),
        );
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            return;
        }
        let pixel = &mut self.pixmap.data_mut()[((y * width + x) * 4) as usize..][..3];
        for (old, new) in pixel.iter_mut().zip(rgb) {
            let mixed = f32::from(*old) + (f32::from(new) - f32::from(*old)) * cover.min(1.0);
            *old = mixed.round() as u8;
        }
    }
}

fn colour(rgb: [u8; 3], alpha: u8) -> Color {
    Color::from_rgba8(rgb[0], rgb[1], rgb[2], alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune;

    fn pixels(png: &[u8]) -> Pixmap {
        Pixmap::decode_png(png).expect("a PNG")
    }

    #[test]
    fn the_minuet_fills_whole_systems() {
        let score = tune::minuet();
        let part = RollPart {
            name: "heard",
            score: &score,
            colour: INPUT_COLOUR,
        };
        let parts = [part];
        let layout = Layout::new(&parts, 1).unwrap();
        assert_eq!(layout.systems.len(), 2);
        assert_eq!(layout.numbers, [1, 9]);
        assert_eq!(Layout::new(&parts, 5).unwrap().numbers, [5, 13]);
        let picture = pixels(&draw("Minuet", &parts).unwrap());
        // The first note, D5 at velocity 84, is drawn where the layout says.
        let (x, y) = (layout.x(0, 0) as u32 + 1, layout.y(0, 74) as u32 + 5);
        let seen = picture.pixel(x, y).unwrap();
        assert_eq!([seen.red(), seen.green(), seen.blue()], INPUT_COLOUR);
    }

    #[test]
    fn what_is_left_stands_on_one_system() {
        let bars = |bars: u32| {
            let mut score = tune::minuet().until(1);
            score.length = bars * 36;
            let name = "";
            let part = RollPart {
                name,
                score: &score,
                colour: INPUT_COLOUR,
            };
            let layout = Layout::new(&[part], 1).unwrap();
            layout
                .systems
                .iter()
                .map(|s| s.len() - 1)
                .collect::<Vec<_>>()
        };
        assert_eq!(bars(15), [8, 7]);
        assert_eq!(bars(16), [8, 8]);
        assert_eq!(bars(33), [8, 8, 8, 8, 1]);
        let one = bars(9);
        assert!(one == [9] || one == [8, 1], "{one:?}");
    }

    #[test]
    fn names_in_any_script_are_drawn() {
        let score = tune::minuet().until(36);
        let legend = |name| {
            let part = RollPart {
                name,
                score: &score,
                colour: INPUT_COLOUR,
            };
            let picture = pixels(&draw("", &[part]).unwrap());
            // Where the name stands, right of its colour.
            let rows = (12..36).flat_map(|y| (80..300).map(move |x| (x, y)));
            let colours = rows.map(|(x, y)| picture.pixel(x, y).unwrap().red());
            colours.collect::<Vec<_>>()
        };
        let (latin, greek, han) = (legend("abc"), legend("αβγ"), legend("右手"));
        let inked = |picture: &[u8]| picture.iter().filter(|&&c| c > 100).count();
        assert!(inked(&latin) > 20 && inked(&greek) > 20 && inked(&han) > 20);
        if han == legend("[no font for 2 characters]") {
            eprintln!("SKIPPED: needs a font with Chinese characters");
            return;
        }
        // Two characters that a font lacks would be two boxes, the same whatever they are.
        assert_ne!(han, legend("左足"));
    }

    #[test]
    fn chords_stand_above_their_beats_in_a_row_of_their_own() {
        let score = tune::minuet();
        let part = || RollPart {
            name: "",
            score: &score,
            colour: INPUT_COLOUR,
        };
        let chords = [
            (0, "G".to_string()),
            (72, "C".to_string()),
            (360, "Am7".to_string()),
        ];
        let plain = pixels(&draw("", &[part()]).unwrap());
        let named = pixels(&draw_from("", &[part()], 1, &chords).unwrap());
        assert_eq!(named.height(), plain.height() + 2 * CHORDS as u32);
        let parts = [part()];
        let mut layout = Layout::new(&parts, 1).unwrap();
        layout.chord_row = CHORDS;
        // Bright pixels between the bar numbers and the first row of keys.
        let inked = |system: usize, step: u32| {
            let (x, top) = (layout.x(system, step) as u32, layout.top(system) as u32);
            let rows = (top - 17..top).flat_map(|y| (x..x + 20).map(move |x| (x, y)));
            rows.filter(|&(x, y)| named.pixel(x, y).unwrap().red() > 110)
                .count()
        };
        assert!(inked(0, 0) > 5 && inked(0, 72) > 5 && inked(1, 360) > 5);
        // C goes on in the second system, and is named there again.
        assert!(inked(1, 288) > 5);
        assert_eq!((inked(0, 36), inked(1, 324)), (0, 0));
    }

    #[test]
    fn nothing_to_draw_is_said() {
        let empty = Score::new(12);
        let part = RollPart {
            name: "",
            score: &empty,
            colour: INPUT_COLOUR,
        };
        assert!(matches!(draw("", &[part]), Err(RollError::Empty)));
        assert!(matches!(draw("", &[]), Err(RollError::Empty)));
    }

    #[test]
    fn a_note_of_days_draws_a_page_of_bounded_size() {
        let mut score = Score::new(12);
        score.notes = vec![Note {
            start: 0,
            length: 4_000_000,
            pitch: 60,
            velocity: 9,
            ..Note::default()
        }];
        score.normalise();
        let part = RollPart {
            name: "",
            score: &score,
            colour: INPUT_COLOUR,
        };
        assert!(pixels(&draw("", &[part]).unwrap()).height() < 20_000);

        // Bars of a page each, over all keys.
        let metre = crate::TimeSignature {
            numerator: 255,
            denominator: 4,
        };
        score.time_signatures = crate::TimeSignatureMap::constant(metre, 12);
        score.notes = [0, 127]
            .map(|pitch| Note {
                pitch,
                ..score.notes[0]
            })
            .to_vec();
        let part = RollPart {
            name: "",
            score: &score,
            colour: INPUT_COLOUR,
        };
        let height = Layout::new(&[part], 1).unwrap().height();
        assert!((20_000.0..=MOST_HEIGHT).contains(&height), "{height}");
    }
}
