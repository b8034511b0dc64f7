//! The page, and what is drawn on it.

use ab_glyph::{Font, Glyph, PxScale, ScaleFont, point};
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Rect, Transform};

use super::fonts::Fonts;
use super::layout::{KEYS, Layout, MARGIN, ROW, WIDTH};
use super::{RollError, RollPart};
use crate::score::Note;
use crate::tune::pitch_name;

const GROUND: [u8; 3] = [24, 26, 31];
const WHITE_ROW: [u8; 3] = [36, 39, 46];
const BLACK_ROW: [u8; 3] = [30, 32, 38];
const BEAT_LINE: [u8; 3] = [48, 52, 61];
const BAR_LINE: [u8; 3] = [104, 110, 124];
const TEXT: [u8; 3] = [205, 210, 220];
pub(super) const DIM_TEXT: [u8; 3] = [140, 146, 158];

pub(super) struct Page {
    pub(super) pixmap: Pixmap,
    fonts: Fonts,
}

impl Page {
    pub(super) fn new(height: f32) -> Result<Self, RollError> {
        let fonts = Fonts::new().map_err(|e| RollError::Draw(e.to_string()))?;
        let mut pixmap = Pixmap::new(WIDTH as u32, height.ceil() as u32)
            .ok_or_else(|| RollError::Draw(format!("{WIDTH} x {height} pixels")))?;
        pixmap.fill(colour(GROUND, 255));
        Ok(Self { pixmap, fonts })
    }

    pub(super) fn legend(&mut self, title: &str, parts: &[RollPart]) {
        let mut x = MARGIN + self.text(title, MARGIN, 30.0, 19.0, TEXT) + 28.0;
        for part in parts {
            self.rect(x, 19.0, 22.0, 11.0, part.colour, 255);
            x += 30.0 + self.text(part.name, x + 30.0, 30.0, 15.0, TEXT) + 22.0;
        }
    }

    pub(super) fn system(&mut self, layout: &Layout, system: usize) {
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
            let y = top - layout.chord_row - 6.0;
            self.text(&label, x + 2.0, y, 13.0, DIM_TEXT);
        }
        self.rect(right - 0.75, top, 1.5, rows, BAR_LINE, 255);
    }

    /// Writes the names of the chords; one for which the previous one leaves no room is left out. The
    /// chord that goes on from the system before is named again.
    pub(super) fn chords(&mut self, layout: &Layout, system: usize, chords: &[(u32, String)]) {
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

    pub(super) fn note(&mut self, layout: &Layout, system: usize, note: &Note, base: [u8; 3]) {
        let (start, end) = layout.span(system);
        // A note held over the end of a system goes on in the next.
        let (from, to) = (note.start.max(start), note.end().min(end));
        if from >= to {
            return;
        }
        let x = layout.x(system, from);
        // A drum hit has no length to be seen.
        let narrowest = if note.part.is_pitched() { 2.0 } else { 5.0 };
        let width = (layout.x(system, to) - x - 1.0).max(narrowest);
        let y = layout.y(system, note.pitch);
        let loud = 0.45 + 0.55 * f32::from(note.velocity) / 127.0;
        let shaded = base.map(|c| (f32::from(c) * loud) as u8);
        self.rect(x + 0.5, y + 0.5, width, ROW - 1.5, shaded, 255);
        // The onset stands out, so that repeated notes are seen to be two.
        if note.start >= start {
            self.rect(x + 0.5, y + 0.5, 2.0, ROW - 1.5, base, 255);
        }
        if width > 22.0 && note.start >= start && note.part.is_pitched() {
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
    pub(super) fn text(&mut self, text: &str, x: f32, y: f32, size: f32, rgb: [u8; 3]) -> f32 {
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
