//! The elements of notes and rests.

use std::io::{self, Write};

use crate::accidentals::{self, Shown};
use crate::document::instrument_id;
use crate::drums;
use crate::parts::WrittenPart;
use crate::rhythm::Piece;
use crate::value::Grid;
use crate::voices::WrittenNote;
use crate::xml::Xml;

/// Voices of a staff that have numbers in a row.
const VOICES: usize = 4;

/// Where a note stands.
pub(crate) struct NotePlace<'a> {
    pub(crate) part: &'a WrittenPart,
    pub(crate) part_index: usize,
    /// Staff from the top, from 0.
    pub(crate) staff: usize,
    /// Voice of the staff, from 0.
    pub(crate) voice: usize,
    /// Index of the piece in the voice.
    pub(crate) piece: usize,
    pub(crate) accidentals: &'a Shown,
    pub(crate) grid: Grid,
}

impl NotePlace<'_> {
    /// The number of the voice in the part: 1 to 4 on the upper staff, 5 to 8 on the lower one.
    fn voice_number(&self) -> usize {
        let staves = self.part.staves.len();
        match self.voice.checked_sub(VOICES) {
            None => VOICES * self.staff + self.voice + 1,
            Some(more) => (VOICES + more) * staves + self.staff + 1,
        }
    }
}

/// Writes a rest; without a piece it is the whole bar.
pub(crate) fn write_rest<W: Write>(
    xml: &mut Xml<W>,
    place: &NotePlace<'_>,
    piece: Option<&Piece>,
    length: u32,
) -> io::Result<()> {
    xml.open("note", &[])?;
    match piece {
        Some(_) => xml.empty("rest", &[])?,
        None => xml.empty("rest", &[("measure", "yes")])?,
    }
    xml.leaf("duration", length)?;
    xml.leaf("voice", place.voice_number())?;
    if let Some(piece) = piece {
        value(xml, piece, None, place.grid)?;
    }
    staff(xml, place)?;
    if let Some(piece) = piece.filter(|piece| has_bracket(piece)) {
        xml.open("notations", &[])?;
        tuplet(xml, piece)?;
        xml.close("notations")?;
    }
    xml.close("note")
}

/// Writes a note of a piece; `order` is its place in the chord.
pub(crate) fn write_note<W: Write>(
    xml: &mut Xml<W>,
    place: &NotePlace<'_>,
    piece: &Piece,
    order: usize,
    written: &WrittenNote,
    beams: &[&str],
) -> io::Result<()> {
    let note = written.note;
    let is_pitched = place.part.part.is_pitched();
    let comes = is_pitched && written.start() < piece.start;
    let goes = is_pitched && written.end() > piece.end;
    let percent = format!("{:.2}", f64::from(note.velocity) * 100.0 / 90.0);
    match comes {
        true => xml.open("note", &[])?,
        false => xml.open("note", &[("dynamics", &percent)])?,
    }
    if order > 0 {
        xml.empty("chord", &[])?;
    }
    let drum = drums::of(note.pitch);
    if is_pitched {
        xml.open("pitch", &[])?;
        xml.leaf("step", written.name.step)?;
        if written.name.alter != 0 {
            xml.leaf("alter", written.name.alter)?;
        }
        let octaves = i32::from(place.part.raised) / 12;
        xml.leaf("octave", written.name.octave(note.pitch) + octaves)?;
        xml.close("pitch")?;
    } else {
        xml.open("unpitched", &[])?;
        xml.leaf("display-step", drum.place.0)?;
        xml.leaf("display-octave", drum.place.1)?;
        xml.close("unpitched")?;
    }
    xml.leaf("duration", piece.end - piece.start)?;
    if comes {
        xml.empty("tie", &[("type", "stop")])?;
    }
    if goes {
        xml.empty("tie", &[("type", "start")])?;
    }
    let instrument = instrument_id(place.part_index, (!is_pitched).then_some(note.pitch));
    if !is_pitched {
        xml.empty("instrument", &[("id", &instrument)])?;
    }
    xml.leaf("voice", place.voice_number())?;
    let shown = place.accidentals.get(&(place.voice, place.piece, order));
    value(xml, piece, shown.copied(), place.grid)?;
    if !is_pitched && drum.head != "normal" {
        xml.leaf("notehead", drum.head)?;
    }
    staff(xml, place)?;
    if order == 0 {
        for (level, beam) in (1..).zip(beams) {
            xml.leaf_with("beam", &[("number", &format!("{level}"))], beam)?;
        }
    }
    let has_bracket = order == 0 && has_bracket(piece);
    if comes || goes || has_bracket {
        xml.open("notations", &[])?;
        if comes {
            xml.empty("tied", &[("type", "stop")])?;
        }
        if goes {
            xml.empty("tied", &[("type", "start")])?;
        }
        if has_bracket {
            tuplet(xml, piece)?;
        }
        xml.close("notations")?;
    }
    xml.close("note")
}

/// Note value, dot, accidental and tuplet ratio, in MusicXML's order.
fn value<W: Write>(
    xml: &mut Xml<W>,
    piece: &Piece,
    accidental: Option<i32>,
    grid: Grid,
) -> io::Result<()> {
    xml.leaf("type", piece.value.name())?;
    if piece.value.dotted {
        xml.empty("dot", &[])?;
    }
    if let Some(alter) = accidental {
        xml.leaf("accidental", accidentals::name(alter))?;
    }
    let Some(mark) = piece.tuplet else {
        return Ok(());
    };
    xml.open("time-modification", &[])?;
    xml.leaf("actual-notes", grid.odd)?;
    xml.leaf("normal-notes", grid.normal)?;
    if let Some(counts) = mark.counts.filter(|counts| *counts != piece.value) {
        xml.leaf("normal-type", counts.name())?;
    }
    xml.close("time-modification")
}

fn staff<W: Write>(xml: &mut Xml<W>, place: &NotePlace<'_>) -> io::Result<()> {
    match place.part.staves.len() {
        1 => Ok(()),
        _ => xml.leaf("staff", place.staff + 1),
    }
}

fn has_bracket(piece: &Piece) -> bool {
    piece
        .tuplet
        .is_some_and(|mark| mark.is_first || mark.is_last)
}

fn tuplet<W: Write>(xml: &mut Xml<W>, piece: &Piece) -> io::Result<()> {
    let Some(mark) = piece.tuplet else {
        return Ok(());
    };
    if mark.is_first {
        xml.empty(
            "tuplet",
            &[("type", "start"), ("number", "1"), ("bracket", "yes")],
        )?;
    }
    if mark.is_last {
        xml.empty("tuplet", &[("type", "stop"), ("number", "1")])?;
    }
    Ok(())
}
