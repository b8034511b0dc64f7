//! XML, element by element.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// MusicXML's document type.
const DOCUMENT_TYPE: &str = "score-partwise PUBLIC \"-//Recordare//DTD MusicXML 4.0 Partwise//EN\" \
                             \"http://www.musicxml.org/dtds/partwise.dtd\"";

/// Attributes of an element.
pub(crate) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// Writes XML with indentation.
pub(crate) struct Xml<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> Xml<W> {
    /// Begins a document.
    pub(crate) fn new(out: W) -> io::Result<Self> {
        let mut writer = Writer::new_with_indent(out, b' ', 1);
        writer.write_event(Event::Decl(BytesDecl::new(
            "1.0",
            Some("UTF-8"),
            Some("no"),
        )))?;
        writer.write_event(Event::DocType(BytesText::from_escaped(DOCUMENT_TYPE)))?;
        Ok(Self { writer })
    }

    /// Begins an element.
    pub(crate) fn open(&mut self, name: &str, attributes: Attributes<'_>) -> io::Result<()> {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.writer.write_event(Event::Start(start))
    }

    /// Ends an element.
    pub(crate) fn close(&mut self, name: &str) -> io::Result<()> {
        self.writer.write_event(Event::End(BytesEnd::new(name)))
    }

    /// An element without content.
    pub(crate) fn empty(&mut self, name: &str, attributes: Attributes<'_>) -> io::Result<()> {
        let element = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.writer.write_event(Event::Empty(element))
    }

    /// An element with a text.
    pub(crate) fn leaf(&mut self, name: &str, text: impl ToString) -> io::Result<()> {
        self.leaf_with(name, &[], text)
    }

    /// An element with attributes and a text. Characters that XML forbids are left out.
    pub(crate) fn leaf_with(
        &mut self,
        name: &str,
        attributes: Attributes<'_>,
        text: impl ToString,
    ) -> io::Result<()> {
        let mut text = text.to_string();
        text.retain(is_allowed);
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.writer.write_event(Event::Start(start))?;
        self.writer
            .write_event(Event::Text(BytesText::new(&text)))?;
        self.close(name)
    }

    /// Ends the document.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut out = self.writer.into_inner();
        out.write_all(b"\n")?;
        out.flush()
    }
}

/// Whether XML 1.0 allows a character in a text.
fn is_allowed(c: char) -> bool {
    !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_forbidden_characters_left_out() {
        let mut bytes = Vec::new();
        let mut xml = Xml::new(&mut bytes).unwrap();
        xml.open("a", &[("b", "<\"&")]).unwrap();
        xml.leaf("c", "1 < 2 & \u{1}\u{ffff}ü").unwrap();
        xml.empty("d", &[]).unwrap();
        xml.close("a").unwrap();
        xml.finish().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>"));
        assert!(text.contains("<!DOCTYPE score-partwise PUBLIC"), "{text}");
        assert!(text.contains("<c>1 &lt; 2 &amp; ü</c>"), "{text}");
        assert!(text.contains("<d/>") && text.ends_with("</a>\n"), "{text}");
        assert!(!text.contains("b=\"<"), "{text}");
    }
}
