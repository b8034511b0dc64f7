//! The elements of marks: tempo, chord names, dynamics.

use std::io::{self, Write};

use continuo_score::chord::{Chord, Quality, name_or_none};

use crate::document::Document;
use crate::marks::Mark;
use crate::spelling::Name;
use crate::xml::Xml;

/// Writes a mark at `step`; the present position is `now`.
pub(crate) fn write_mark<W: Write>(
    xml: &mut Xml<W>,
    document: &Document<'_>,
    step: u32,
    now: u32,
    mark: Mark,
) -> io::Result<()> {
    let offset = step.saturating_sub(now);
    match mark {
        Mark::Tempo { bpm, is_printed } => tempo(xml, document, (step, offset), bpm, is_printed),
        Mark::Chord(Some(chord)) => harmony(xml, document, offset, chord),
        Mark::Chord(None) => {
            // Words: as a chord, some readers show it with a root.
            xml.open("direction", &[("placement", "above")])?;
            xml.open("direction-type", &[])?;
            xml.leaf("words", name_or_none(None, None))?;
            xml.close("direction-type")?;
            write_offset(xml, offset)?;
            xml.close("direction")
        }
        Mark::Dynamics(level) => {
            xml.open("direction", &[("placement", "below")])?;
            xml.open("direction-type", &[])?;
            xml.open("dynamics", &[])?;
            xml.empty(level.name(), &[])?;
            xml.close("dynamics")?;
            xml.close("direction-type")?;
            write_offset(xml, offset)?;
            let percent = format!("{:.1}", level.velocity() * 100.0 / 90.0);
            xml.empty("sound", &[("dynamics", &percent)])?;
            xml.close("direction")
        }
    }
}

fn write_offset<W: Write>(xml: &mut Xml<W>, steps: u32) -> io::Result<()> {
    match steps {
        0 => Ok(()),
        steps => xml.leaf("offset", steps),
    }
}

/// Writes a tempo at a step and its offset. The beat of compound time is three of its units.
fn tempo<W: Write>(
    xml: &mut Xml<W>,
    document: &Document<'_>,
    (step, offset): (u32, u32),
    bpm: f64,
    is_printed: bool,
) -> io::Result<()> {
    let sound = format!("{bpm:.3}");
    let sound = sound.trim_end_matches('0').trim_end_matches('.');
    if !is_printed {
        xml.open("sound", &[("tempo", sound)])?;
        write_offset(xml, offset)?;
        return xml.close("sound");
    }
    let bars = &document.bars;
    let bar = &bars[bars
        .partition_point(|bar| bar.end <= step)
        .min(bars.len() - 1)];
    let quarter = document.grid.beat;
    let beat = match bar.is_compound() {
        true => 12 * quarter / u32::from(bar.time.denominator),
        false => quarter,
    };
    let value = document.grid.plain(beat);
    let per_minute = bpm * f64::from(quarter) / f64::from(beat.max(1));
    xml.open("direction", &[("placement", "above")])?;
    xml.open("direction-type", &[])?;
    xml.open("metronome", &[])?;
    xml.leaf("beat-unit", value.map_or("quarter", |value| value.name()))?;
    if value.is_some_and(|value| value.dotted) {
        xml.empty("beat-unit-dot", &[])?;
    }
    xml.leaf("per-minute", per_minute.round())?;
    xml.close("metronome")?;
    xml.close("direction-type")?;
    write_offset(xml, offset)?;
    xml.empty("sound", &[("tempo", sound)])?;
    xml.close("direction")
}

fn harmony<W: Write>(
    xml: &mut Xml<W>,
    document: &Document<'_>,
    offset: u32,
    chord: Chord,
) -> io::Result<()> {
    let key = document.key.scale;
    xml.open("harmony", &[("placement", "above")])?;
    chord_note(xml, "root", Name::of(chord.root_fifths(key)))?;
    let text = [("text", chord.quality.suffix())];
    xml.leaf_with("kind", &text, kind(chord.quality))?;
    if chord.bass != chord.root {
        chord_note(xml, "bass", Name::of(chord.tone_fifths(chord.bass, key)))?;
    }
    write_offset(xml, offset)?;
    xml.close("harmony")
}

fn chord_note<W: Write>(xml: &mut Xml<W>, element: &str, name: Name) -> io::Result<()> {
    xml.open(element, &[])?;
    xml.leaf(&format!("{element}-step"), name.step)?;
    if name.alter != 0 {
        xml.leaf(&format!("{element}-alter"), name.alter)?;
    }
    xml.close(element)
}

/// MusicXML's name of a quality.
fn kind(quality: Quality) -> &'static str {
    match quality {
        Quality::Major => "major",
        Quality::Minor => "minor",
        Quality::Diminished => "diminished",
        Quality::Augmented => "augmented",
        Quality::Dominant7 => "dominant",
        Quality::Major7 => "major-seventh",
        Quality::Minor7 => "minor-seventh",
        Quality::HalfDiminished7 => "half-diminished",
        Quality::Diminished7 => "diminished-seventh",
        Quality::Suspended2 => "suspended-second",
        Quality::Suspended4 => "suspended-fourth",
        Quality::Sixth => "major-sixth",
        Quality::MinorSixth => "minor-sixth",
        Quality::Power => "power",
    }
}
