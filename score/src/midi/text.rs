//! Text in MIDI files: bytes in an encoding that the file does not name.

use std::fmt;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// Text as bytes of a file. [`fmt::Display`] detects the encoding from these bytes alone;
/// [`Text::shown`] takes an encoding detected from more text.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<u8>);

/// The detected encoding of a file's text; UTF-8 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl Default for TextEncoding {
    fn default() -> Self {
        Self(UTF_8)
    }
}

impl TextEncoding {
    /// Detects one encoding for all `texts`: UTF-8 if they are valid UTF-8, else the legacy
    /// encoding (Shift-JIS, Windows-1251, Windows-1252, …) whose words they resemble most.
    pub fn guess<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        let mut foreign = false;
        for text in texts {
            if std::str::from_utf8(text).is_err() {
                foreign = true;
                detector.feed(text, false);
                detector.feed(b"\n", false);
            }
        }
        if !foreign {
            return Self::default();
        }
        detector.feed(b"", true);
        Self(detector.guess(None, Utf8Detection::Deny))
    }

    /// The encoding's name, as in the WHATWG Encoding Standard: `UTF-8`, `Shift_JIS`, ….
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl Text {
    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of the file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text as characters, without control characters. UTF-8, UTF-16 with a byte order mark,
    /// and text of two bytes a character in a single-byte file are recognised whatever `encoding`
    /// is; invalid bytes become U+FFFD.
    pub fn shown(&self, encoding: TextEncoding) -> String {
        let text = match (Encoding::for_bom(&self.0), std::str::from_utf8(&self.0)) {
            (Some((marked, length)), _) => marked.decode_without_bom_handling(&self.0[length..]).0,
            (None, Ok(text)) => text.into(),
            (None, Err(_)) => {
                let own = TextEncoding::guess([&*self.0]);
                let stands_out = encoding.0.is_single_byte() && !own.0.is_single_byte();
                let encoding = if stands_out { own } else { encoding };
                encoding.0.decode_without_bom_handling(&self.0).0
            }
        };
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        plain.collect::<String>().trim().into()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(TextEncoding::guess([&*self.0])))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_name_is_read_in_its_encoding() {
        let cases: [(&[u8], &str); 6] = [
            (b"Violin", "Violin"),
            ("右手 ピアノ".as_bytes(), "右手 ピアノ"),
            (b"\x83\x73\x83\x41\x83\x6d", "ピアノ"),
            (b"\xc3\xe8\xf2\xe0\xf0\xe0", "Гитара"),
            (b"f\xfcr Anf\xe4nger", "für Anfänger"),
            (b"\xff\xfeP\0i\0", "Pi"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(Text::from(bytes).to_string(), shown, "{bytes:02x?}");
        }
        assert_eq!(Text::from("a\0b\n").to_string(), "a b");
    }

    #[test]
    fn all_texts_of_a_file_share_one_guess() {
        // By itself the short one resembles Western European letters.
        let (short, long) = (&b"\xc1\xe0\xf1"[..], &b"\xc3\xe8\xf2\xe0\xf0\xe0"[..]);
        assert_ne!(Text::from(short).to_string(), "Бас");
        let encoding = TextEncoding::guess([&b"Piano"[..], short, long]);
        assert_eq!(encoding.name(), "windows-1251");
        assert_eq!(Text::from(short).shown(encoding), "Бас");
        assert_eq!(TextEncoding::guess([]).name(), "UTF-8");
        // A Japanese name in a file whose other text is not.
        let piano = Text::from(&b"\x83\x73\x83\x41\x83\x6d"[..]);
        assert_eq!(piano.shown(encoding), "ピアノ");
    }
}
