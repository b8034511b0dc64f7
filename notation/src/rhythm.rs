//! Rhythm: cuts the slices of a voice into note values and tuplets that show the beats.
//!
//! A beat whose notes begin and end on plain values is plain. Otherwise it is a tuplet, half of
//! it if the other half is plain. Notes on the thirds of two or four quarters are one tuplet.

use crate::bars::Bar;
use crate::value::{Grid, Value};
use crate::voices::Slice;

/// One note value: a chord or a rest of a slice, or a part of it that is tied to the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) value: Value,
    pub(crate) tuplet: Option<TupletMark>,
    /// Index of its slice.
    pub(crate) slice: usize,
    /// Whether nothing sounds.
    pub(crate) is_rest: bool,
}

impl Piece {
    fn new(start: u32, end: u32, value: Value, tuplet: Option<TupletMark>) -> Self {
        Self {
            start,
            end,
            value,
            tuplet,
            slice: 0,
            is_rest: false,
        }
    }
}

/// The place of a piece in its tuplet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TupletMark {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
    /// The value that the tuplet counts; `None` in a bar that ends inside a tuplet.
    pub(crate) counts: Option<Value>,
}

/// A stretch of a bar with one division.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Region {
    start: u32,
    end: u32,
    division: Division,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Division {
    Plain,
    Tuplet,
    /// Steps that are neither: a bar was cut short off its beats.
    Loose,
}

/// Cuts the slices of one bar.
pub(crate) fn pieces(grid: Grid, bar: &Bar, slices: &[Slice]) -> Vec<Piece> {
    let inside = slices.iter().skip(1).map(|slice| slice.start).collect();
    let cutter = Cutter { grid, bar, inside };
    let (mut pieces, mut run) = (Vec::new(), Vec::new());
    for region in cutter.regions() {
        for (index, slice) in slices.iter().enumerate() {
            let (start, end) = (slice.start.max(region.start), slice.end.min(region.end));
            if start >= end {
                continue;
            }
            if region.division == Division::Plain {
                cutter.plain(start, end, slice.notes.is_empty(), &mut run);
            } else {
                cutter.tuplet(start, end, region, &mut run);
            }
            pieces.extend(run.drain(..).map(|piece| Piece {
                slice: index,
                is_rest: slice.notes.is_empty(),
                ..piece
            }));
        }
    }
    pieces
}

struct Cutter<'a> {
    grid: Grid,
    bar: &'a Bar,
    /// The steps inside the bar where something begins or ends.
    inside: Vec<u32>,
}

impl Cutter<'_> {
    /// Length of the parts of a beat that are divided apart: a quarter, or a third of a beat of
    /// compound time.
    fn cell(&self, beat: (u32, u32)) -> u32 {
        let length = beat.1 - beat.0;
        let unit = 4 * self.grid.beat / u32::from(self.bar.time.denominator.max(1));
        match self.bar.is_compound() && unit > 0 && length.is_multiple_of(unit) {
            true => unit,
            false => length,
        }
    }

    fn regions(&self) -> Vec<Region> {
        let mut cells: Vec<(u32, u32)> = Vec::new();
        for beat in &self.bar.beats {
            let cell = self.cell((beat.start, beat.end)) as usize;
            let starts = (beat.start..beat.end).step_by(cell.max(1));
            cells.extend(starts.map(|at| (at, beat.end.min(at + cell as u32))));
        }
        let mut regions = Vec::new();
        let mut next = 0;
        while next < cells.len() {
            let wide = [4, 2]
                .into_iter()
                .find(|&count| self.is_wide(&cells, next, count));
            let count = wide.unwrap_or(1);
            let (start, end) = (cells[next].0, cells[next + count - 1].1);
            match wide {
                Some(_) => regions.push(Region {
                    start,
                    end,
                    division: Division::Tuplet,
                }),
                None => self.divide(start, end, &mut regions),
            }
            next += count;
        }
        regions.dedup_by(|later, kept| {
            let joined = kept.division == Division::Plain && later.division == Division::Plain;
            if joined {
                kept.end = later.end;
            }
            joined
        });
        regions
    }

    /// The steps between `start` and `end` where something begins or ends, from `start` on.
    fn within(&self, start: u32, end: u32) -> impl Iterator<Item = u32> + '_ {
        let from = self.inside.partition_point(|step| *step <= start);
        let inside = self.inside[from..]
            .iter()
            .take_while(move |step| **step < end);
        inside.map(move |step| step - start)
    }

    fn is_plain(&self, start: u32, end: u32) -> bool {
        self.within(start, end)
            .all(|step| step.is_multiple_of(self.grid.odd))
    }

    /// Whether `count` quarters from the cell `next` on are one tuplet.
    fn is_wide(&self, cells: &[(u32, u32)], next: usize, count: usize) -> bool {
        let Some(cells) = cells.get(next..next + count) else {
            return false;
        };
        let (start, end) = (cells[0].0, cells[count - 1].1);
        let quarters = cells.iter().all(|cell| cell.1 - cell.0 == self.grid.beat);
        if !quarters || !next.is_multiple_of(count) || self.bar.is_pickup {
            return false;
        }
        let note = (end - start) / self.grid.odd;
        let mut notes = self.within(start, end).peekable();
        (end - start).is_multiple_of(self.grid.odd)
            && notes.peek().is_some()
            && notes.all(|step| step.is_multiple_of(note))
            && !self.is_plain(start, end)
    }

    fn divide(&self, start: u32, end: u32, regions: &mut Vec<Region>) {
        let odd = self.grid.odd;
        let length = end - start;
        let division = match self.grid.plain(length) {
            _ if self.is_plain(start, end) && length.is_multiple_of(odd) => Division::Plain,
            Some(value) if !value.dotted => Division::Tuplet,
            _ => Division::Loose,
        };
        let middle = start + length / 2;
        let halves = (length / 2).is_multiple_of(odd)
            && self.inside.binary_search(&middle).is_ok()
            && (self.is_plain(start, middle) || self.is_plain(middle, end));
        if division == Division::Tuplet && length.is_multiple_of(2) && halves {
            self.divide(start, middle, regions);
            self.divide(middle, end, regions);
        } else if division == Division::Loose && length > odd && odd > 1 {
            // The longest plain value in it, and the rest.
            let longest = odd << (length / odd).ilog2();
            let longest = if longest == length {
                length / 2
            } else {
                longest
            };
            self.divide(start, start + longest, regions);
            self.divide(start + longest, end, regions);
        } else {
            regions.push(Region {
                start,
                end,
                division,
            });
        }
    }

    /// Values of a tuplet, the longest first.
    fn tuplet(&self, start: u32, end: u32, region: Region, to: &mut Vec<Piece>) {
        let counts = self
            .grid
            .plain((region.end - region.start) / self.grid.normal);
        let mut at = start;
        while at < end {
            let fits = |length: u32| Some((length, self.grid.in_tuplet(length)?));
            let Some((length, value)) = (1..=end - at).rev().find_map(fits) else {
                return;
            };
            let mark = match region.division {
                Division::Loose => TupletMark {
                    is_first: false,
                    is_last: false,
                    counts: None,
                },
                _ => TupletMark {
                    is_first: at == region.start,
                    is_last: at + length == region.end,
                    counts,
                },
            };
            to.push(Piece::new(at, at + length, value, Some(mark)));
            at += length;
        }
    }

    /// Plain values that show the beats.
    fn plain(&self, start: u32, end: u32, is_rest: bool, to: &mut Vec<Piece>) {
        let mut at = start;
        while at < end {
            let next = self.next(at, end, is_rest);
            if let Some(value) = self.grid.plain(next - at) {
                to.push(Piece::new(at, next, value, None));
            }
            at = next;
        }
    }

    fn beat(&self, step: u32) -> (u32, u32) {
        let after = self.bar.beats.partition_point(|beat| beat.end <= step);
        let beat = self.bar.beats.get(after);
        beat.map_or((self.bar.start, self.bar.end), |beat| {
            (beat.start, beat.end)
        })
    }

    fn is_beat(&self, step: u32) -> bool {
        self.beat(step).0 == step || step == self.bar.end
    }

    /// The end of the first value of `at..end`.
    fn next(&self, at: u32, end: u32, is_rest: bool) -> u32 {
        let beat = self.beat(at);
        let length = beat.1 - beat.0;
        if end <= beat.1 {
            return self.in_beat(at, end, is_rest);
        }
        if at > beat.0 {
            // A syncopation: from half a beat to half the next.
            let half = 2 * (at - beat.0) == length && end - at == length;
            let middle = 2 * (beat.1 - self.bar.start) == self.bar.length();
            let crosses_middle = middle && self.bar.beats.len().is_multiple_of(2);
            let syncopated = half && !crosses_middle && !is_rest && !self.bar.is_compound();
            return match syncopated && self.grid.plain(end - at).is_some() {
                true => end,
                false => self.in_beat(at, beat.1, is_rest),
            };
        }
        // From a beat: to the end if one value reaches it, else to the last beat that one reaches.
        let fits = |to: u32| {
            let aligned = (at - self.bar.start).is_multiple_of(to - at);
            let dotted_quarter = 2 * (to - at) == 3 * self.grid.beat && !self.bar.is_compound();
            let shown = match is_rest {
                true => self.is_beat(to) && (aligned || self.bar.is_compound()),
                false => self.is_beat(to) || dotted_quarter,
            };
            let value = self.grid.plain(to - at);
            let undotted = |value: &Value| !is_rest || !value.dotted || self.bar.is_compound();
            shown && value.as_ref().is_some_and(undotted)
        };
        if fits(end) {
            return end;
        }
        let beats = self.bar.beats.iter().rev().map(|beat| beat.end);
        let mut reached = beats.filter(|&to| to > at && to < end);
        let reached = reached.find(|&to| fits(to));
        reached.unwrap_or_else(|| self.in_beat(at, beat.1, is_rest))
    }

    /// The end of the first value of `at..end`, which lie in one beat.
    fn in_beat(&self, at: u32, end: u32, is_rest: bool) -> u32 {
        let beat = self.beat(at);
        let whole_beat = (at, end) == beat;
        let fits = |to: u32| {
            let value = self.grid.plain(to - at);
            value.is_some_and(|value| !is_rest || !value.dotted || whole_beat)
        };
        if fits(end) {
            return end;
        }
        let cell = self.cell(beat);
        let mut part = match cell == beat.1 - beat.0 {
            true => cell / 2,
            false => cell,
        };
        while part >= self.grid.odd {
            let to = beat.0 + (at - beat.0) / part * part + part;
            if to < end && fits(to) {
                return to;
            }
            part /= 2;
        }
        end.min(at + self.grid.odd)
    }
}

#[cfg(test)]
mod tests;
