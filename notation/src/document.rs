//! The document around the bars: title, parts and their instruments.

use std::io::{self, Write};

use continuo_score::Part;

use crate::bars::Bar;
use crate::drums;
use crate::marks::Marks;
use crate::measure::PartWriter;
use crate::parts::WrittenPart;
use crate::spelling::Key;
use crate::value::Grid;
use crate::xml::Xml;

/// A score, ready to be written.
pub(crate) struct Document<'a> {
    pub(crate) title: &'a str,
    pub(crate) grid: Grid,
    pub(crate) key: Key,
    pub(crate) bars: Vec<Bar>,
    pub(crate) tempos: Marks,
    pub(crate) chords: Marks,
    pub(crate) parts: Vec<WrittenPart>,
}

/// The id of an instrument: of a part, or of a drum key in it.
pub(crate) fn instrument_id(part: usize, drum: Option<u8>) -> String {
    format!("P{}-I{}", part + 1, drum.map_or(1, |key| key + 1))
}

/// The name of a part's instrument; none for drums, of which each has its own.
fn instrument_name(part: Part) -> &'static str {
    match part {
        Part::Keys => "Piano",
        Part::Lead => "Flute",
        Part::Chords => "Strings",
        Part::Bass => "Electric Bass",
        Part::Drums => "Drumset",
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Keys => "Keys",
        Part::Lead => "Lead",
        Part::Chords => "Chords",
        Part::Bass => "Bass",
        Part::Drums => "Drums",
    }
}

/// Channel, counted from 1. Drums are on channel 10, and no other part is.
fn channel(part: Part) -> usize {
    match part {
        Part::Drums => 10,
        part => part.index() + 1,
    }
}

impl Document<'_> {
    /// Writes the document.
    pub(crate) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut xml = Xml::new(out)?;
        xml.open("score-partwise", &[("version", "4.0")])?;
        xml.open("work", &[])?;
        xml.leaf("work-title", self.title)?;
        xml.close("work")?;
        xml.open("identification", &[])?;
        xml.open("encoding", &[])?;
        xml.leaf("software", concat!("Continuo ", env!("CARGO_PKG_VERSION")))?;
        for element in ["accidental", "beam"] {
            xml.empty("supports", &[("element", element), ("type", "yes")])?;
        }
        xml.close("encoding")?;
        xml.close("identification")?;
        xml.open("part-list", &[])?;
        for (index, part) in self.parts.iter().enumerate() {
            list_part(&mut xml, index, part)?;
        }
        xml.close("part-list")?;
        // Chord names stand above the first part with pitches.
        let named = self.parts.iter().position(|part| part.part.is_pitched());
        for (index, part) in self.parts.iter().enumerate() {
            let mut marks = part.dynamics.clone();
            if index == 0 {
                marks.extend(self.tempos.iter().copied());
            }
            if named == Some(index) {
                marks.extend(self.chords.iter().copied());
            }
            // A stable sort: dynamics, tempo, chord.
            marks.sort_by_key(|(step, _)| *step);
            xml.open("part", &[("id", &format!("P{}", index + 1))])?;
            PartWriter::new(&mut xml, self, index, marks).write()?;
            xml.close("part")?;
        }
        xml.close("score-partwise")?;
        xml.finish()
    }
}

fn list_part<W: Write>(xml: &mut Xml<W>, index: usize, part: &WrittenPart) -> io::Result<()> {
    xml.open("score-part", &[("id", &format!("P{}", index + 1))])?;
    xml.leaf("part-name", part_name(part.part))?;
    let drums = part.drums.iter().map(|&key| Some(key));
    let instruments: Vec<Option<u8>> = match part.drums.is_empty() {
        true => vec![None],
        false => drums.collect(),
    };
    for &drum in &instruments {
        xml.open("score-instrument", &[("id", &instrument_id(index, drum))])?;
        let name = drum.map_or(instrument_name(part.part), |key| drums::of(key).name);
        xml.leaf("instrument-name", name)?;
        xml.close("score-instrument")?;
    }
    for &drum in &instruments {
        xml.open("midi-instrument", &[("id", &instrument_id(index, drum))])?;
        xml.leaf("midi-channel", channel(part.part))?;
        xml.leaf("midi-program", part.part.program().unwrap_or(0) + 1)?;
        if let Some(key) = drum {
            xml.leaf("midi-unpitched", key + 1)?;
        }
        xml.close("midi-instrument")?;
    }
    xml.close("score-part")
}
