//! The bars of a part as MusicXML's measures.

use std::io::{self, Write};

use crate::accidentals::{self, VoiceBar};
use crate::bars::Bar;
use crate::beams::beams;
use crate::document::Document;
use crate::mark_elements::write_mark;
use crate::marks::{Mark, Marks};
use crate::note::{NotePlace, write_note, write_rest};
use crate::parts::{Clef, WrittenPart};
use crate::rhythm::pieces;
use crate::voices::Slicer;
use crate::xml::Xml;

/// Writes the measures of one part.
pub(crate) struct PartWriter<'a, W: Write> {
    xml: &'a mut Xml<W>,
    document: &'a Document<'a>,
    part: &'a WrittenPart,
    index: usize,
    /// Marks that are not written yet.
    marks: std::iter::Peekable<std::vec::IntoIter<(u32, Mark)>>,
}

impl<'a, W: Write> PartWriter<'a, W> {
    pub(crate) fn new(
        xml: &'a mut Xml<W>,
        document: &'a Document<'a>,
        index: usize,
        marks: Marks,
    ) -> Self {
        Self {
            xml,
            document,
            part: &document.parts[index],
            index,
            marks: marks.into_iter().peekable(),
        }
    }

    pub(crate) fn write(mut self) -> io::Result<()> {
        let voices =
            |staff: &'a crate::parts::Staff| staff.voices.iter().map(Slicer::new).collect();
        let mut slicers: Vec<Vec<Slicer<'a>>> = self.part.staves.iter().map(voices).collect();
        let document = self.document;
        for (number, bar) in document.bars.iter().enumerate() {
            let name = bar.number.to_string();
            match bar.is_pickup {
                true => self
                    .xml
                    .open("measure", &[("number", &name), ("implicit", "yes")])?,
                false => self.xml.open("measure", &[("number", &name)])?,
            }
            if number == 0 || bar.shows_time {
                self.attributes(bar, number == 0)?;
            }
            for (staff, slicers) in slicers.iter_mut().enumerate() {
                self.staff(bar, staff, slicers)?;
            }
            if number + 1 == document.bars.len() {
                self.xml.open("barline", &[("location", "right")])?;
                self.xml.leaf("bar-style", "light-heavy")?;
                self.xml.close("barline")?;
            }
            self.xml.close("measure")?;
        }
        Ok(())
    }

    fn attributes(&mut self, bar: &Bar, is_first: bool) -> io::Result<()> {
        let (document, part) = (self.document, self.part);
        self.xml.open("attributes", &[])?;
        if is_first {
            self.xml.leaf("divisions", document.grid.beat)?;
            self.xml.open("key", &[])?;
            let is_pitched = part.part.is_pitched();
            self.xml
                .leaf("fifths", if is_pitched { document.key.fifths } else { 0 })?;
            if let Some(mode) = document.key.mode().filter(|_| is_pitched) {
                self.xml.leaf("mode", mode)?;
            }
            self.xml.close("key")?;
        }
        self.xml.open("time", &[])?;
        self.xml.leaf("beats", bar.time.numerator)?;
        self.xml.leaf("beat-type", bar.time.denominator)?;
        self.xml.close("time")?;
        if is_first {
            let staves = part.staves.len();
            if staves > 1 {
                self.xml.leaf("staves", staves)?;
            }
            for (index, staff) in part.staves.iter().enumerate() {
                self.clef(staff.clef, (staves > 1).then_some(index))?;
            }
            if part.raised > 0 {
                self.xml.open("transpose", &[])?;
                self.xml.leaf("chromatic", 0)?;
                self.xml
                    .leaf("octave-change", -i32::from(part.raised) / 12)?;
                self.xml.close("transpose")?;
            }
        }
        self.xml.close("attributes")
    }

    fn clef(&mut self, clef: Clef, staff: Option<usize>) -> io::Result<()> {
        match staff {
            Some(staff) => self
                .xml
                .open("clef", &[("number", &(staff + 1).to_string())])?,
            None => self.xml.open("clef", &[])?,
        }
        self.xml.leaf("sign", clef.sign)?;
        if let Some(line) = clef.line {
            self.xml.leaf("line", line)?;
        }
        if clef.octaves != 0 {
            self.xml.leaf("clef-octave-change", clef.octaves)?;
        }
        self.xml.close("clef")
    }

    /// One staff of one bar: its voices one after the other. The first is complete; in others, rests
    /// outside of tuplets are left out.
    fn staff(&mut self, bar: &Bar, staff: usize, slicers: &mut [Slicer<'_>]) -> io::Result<()> {
        let is_percussion = !self.part.part.is_pitched();
        let voice = |slicer: &mut Slicer<'_>| {
            let slices = slicer.bar(bar.start, bar.end);
            let mut pieces = pieces(self.document.grid, bar, &slices);
            // A drum hit is not tied: the rest of its time is silent.
            for piece in pieces.iter_mut().filter(|_| is_percussion) {
                piece.is_rest |= piece.start > slices[piece.slice].start;
            }
            VoiceBar { slices, pieces }
        };
        let voices: Vec<VoiceBar> = slicers.iter_mut().map(voice).collect();
        let accidentals = match is_percussion {
            true => Default::default(),
            false => accidentals::shown(self.document.key, &voices),
        };
        for (number, voice) in voices.iter().enumerate() {
            let is_main = number == 0;
            let has_marks = staff == 0 && is_main;
            if !is_main && voice.is_silent() {
                continue;
            }
            if staff > 0 || !is_main {
                self.xml.open("backup", &[])?;
                self.xml.leaf("duration", bar.length())?;
                self.xml.close("backup")?;
            }
            let mut place = NotePlace {
                part: self.part,
                part_index: self.index,
                staff,
                voice: number,
                piece: 0,
                accidentals: &accidentals,
                grid: self.document.grid,
            };
            if voice.is_silent() && self.is_whole(bar) {
                if has_marks {
                    self.marks_until(bar.start, bar.end)?;
                }
                write_rest(self.xml, &place, None, bar.length())?;
                continue;
            }
            let beams = beams(bar, &voice.pieces);
            let mut skipped = 0;
            for ((index, piece), beams) in voice.pieces.iter().enumerate().zip(&beams) {
                if has_marks {
                    self.marks_until(piece.start, piece.end)?;
                }
                place.piece = index;
                let length = piece.end - piece.start;
                if piece.is_rest && !is_main && piece.tuplet.is_none() {
                    skipped += length;
                    continue;
                }
                self.forward(std::mem::take(&mut skipped))?;
                if piece.is_rest {
                    write_rest(self.xml, &place, Some(piece), length)?;
                }
                for (order, written) in voice.notes(piece).iter().enumerate() {
                    write_note(self.xml, &place, piece, order, written, beams)?;
                }
            }
            self.forward(skipped)?;
        }
        Ok(())
    }

    /// Whether a bar is as long as its time signature says. Readers take a whole bar's rest for that
    /// long.
    fn is_whole(&self, bar: &Bar) -> bool {
        let beats = 4 * self.document.grid.beat * u32::from(bar.time.numerator);
        bar.length() * u32::from(bar.time.denominator) == beats
    }

    fn forward(&mut self, steps: u32) -> io::Result<()> {
        if steps == 0 {
            return Ok(());
        }
        self.xml.open("forward", &[])?;
        self.xml.leaf("duration", steps)?;
        self.xml.close("forward")
    }

    /// Writes the marks before `end`; the present position is `now`.
    fn marks_until(&mut self, now: u32, end: u32) -> io::Result<()> {
        while let Some((step, mark)) = self.marks.next_if(|(step, _)| *step < end) {
            write_mark(self.xml, self.document, step, now, mark)?;
        }
        Ok(())
    }
}
