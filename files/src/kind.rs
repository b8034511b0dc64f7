//! Kinds of files: their extensions, and the first bytes that identify them.

use std::path::Path;

use crate::output::head;

/// Number of first bytes that identify a file's kind.
pub(crate) const HEAD: usize = 4096;

/// A kind of file that commands write.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Name in a sentence, with an article: "a MIDI file".
    pub name: &'static str,
    /// Extensions in lower case and without the dot; the usual one is first.
    pub endings: &'static [&'static str],
    /// Whether no other kind has these extensions. A damaged file is then recognised by its name.
    pub by_name: bool,
    /// Whether other extensions are allowed, unless they belong to another known kind.
    pub any_ending: bool,
    /// Whether the content is binary. Binary content is not written to a terminal.
    pub binary: bool,
    /// Recognises a file of this kind by its first bytes (up to 4,096).
    pub recognises: fn(&[u8]) -> bool,
}

/// A standard MIDI file.
pub const MIDI: Kind = Kind {
    name: "a MIDI file",
    endings: &["mid", "midi", "kar", "rmi"],
    by_name: true,
    any_ending: false,
    binary: true,
    recognises: |head| head.starts_with(b"MThd") || is_riff(head, b"RMID"),
};

/// A sound file.
pub const WAV: Kind = Kind {
    name: "a WAV file",
    endings: &["wav", "wave"],
    by_name: true,
    any_ending: false,
    binary: true,
    recognises: |head| is_riff(head, b"WAVE"),
};

/// A sound file without loss. Commands read it and write none.
pub const FLAC: Kind = Kind {
    name: "a FLAC file",
    endings: &["flac"],
    by_name: true,
    any_ending: false,
    binary: true,
    recognises: |head| {
        let behind = tag_length(head).and_then(|length| head.get(length..));
        behind.unwrap_or(head).starts_with(b"fLaC")
    },
};

/// A picture.
pub const PNG: Kind = Kind {
    name: "a PNG picture",
    endings: &["png"],
    by_name: true,
    any_ending: false,
    binary: true,
    recognises: |head| head.starts_with(b"\x89PNG\r\n\x1a\n"),
};

/// A report in JSON, which is an object.
pub const JSON: Kind = Kind {
    name: "a JSON file",
    endings: &["json"],
    by_name: false,
    any_ending: true,
    binary: false,
    recognises: |head| head.trim_ascii_start().starts_with(b"{"),
};

/// Notation as MusicXML, uncompressed. Its declaration and document type stand in the first bytes.
pub const MUSICXML: Kind = Kind {
    name: "a MusicXML file",
    endings: &["musicxml", "xml"],
    by_name: false,
    any_ending: false,
    binary: false,
    recognises: |head| {
        let begins = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
        begins(b"<score-partwise") || begins(b"<score-timewise")
    },
};

/// Returns the number of bytes of an ID3v2 tag, which may stand before sound of any kind.
pub(crate) fn tag_length(head: &[u8]) -> Option<usize> {
    let header = head.get(..10).filter(|header| header.starts_with(b"ID3"))?;
    let size = header[6..]
        .iter()
        .fold(0, |size, &byte| size << 7 | usize::from(byte & 0x7f));
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

fn is_riff(head: &[u8], form: &[u8; 4]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(form)
}

/// Extensions of other kinds of files, which outputs must not have.
const OTHER_ENDINGS: &str = "mp3 ogg opus m4a aac aif aiff wma jpg jpeg gif bmp webp svg tif \
     tiff pdf txt md csv tsv toml yaml yml html zip gz xz zst tar py rs sh onnx safetensors \
     mxl mscz mp4";

/// Kinds of this crate.
const OURS: [&Kind; 6] = [&MIDI, &WAV, &FLAC, &PNG, &MUSICXML, &JSON];

/// First bytes and names of other kinds of files.
const OTHERS: [(&[u8], &str); 16] = [
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"ID3", "an MP3 file"),
    (b"\xff\xfb", "an MP3 file"),
    (b"OggS", "an Ogg file"),
    (b"FORM", "an AIFF file"),
    (b"RF64", "an RF64 file"),
    (b"BW64", "a BW64 file"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a script"),
    (b"SQLite format 3", "a database"),
];

/// Extensions of [`MIDI`], [`WAV`] and [`FLAC`] files: music that is read.
pub const MUSIC_ENDINGS: [&str; 7] = ["mid", "midi", "kar", "rmi", "wav", "wave", "flac"];

/// Whether these first bytes are those of a WAV or FLAC file.
pub fn is_audio(head: &[u8]) -> bool {
    (WAV.recognises)(head) || (FLAC.recognises)(head)
}

/// Says in a clause why a file with these first bytes, which could not be read as MIDI, is no music.
pub fn refuse_music(head: &[u8]) -> String {
    if head.is_empty() {
        return "no music".into();
    }
    if (MIDI.recognises)(head) {
        return "not a readable MIDI file".into();
    }
    let head = &head[..head.len().min(HEAD)];
    let remedy = match head.starts_with(b"RF64") || head.starts_with(b"BW64") {
        true => ", which may be larger than a WAV file; convert it to FLAC first",
        false => "",
    };
    format!(
        "not a MIDI, WAV or FLAC file, but {}{remedy}",
        describe(head)
    )
}

/// Says as [`refuse_music`] does why a file is no music, by its first bytes; `None` if they are those of
/// a MIDI file, or cannot be read.
pub fn refuse_music_file(path: &Path) -> Option<String> {
    let head = head(path).ok()?;
    (!(MIDI.recognises)(&head)).then(|| refuse_music(&head))
}

/// Whether a file is a WAV or FLAC file by its first bytes. Pipes and devices, which can be read only
/// once, and files that cannot be read are none.
pub fn is_audio_file(path: &Path) -> bool {
    path.is_file() && head(path).is_ok_and(|head| is_audio(&head))
}

/// Whether a file is a MIDI file by its first bytes. Pipes and files that cannot be read are none.
pub fn is_midi_file(path: &Path) -> bool {
    path.is_file() && head(path).is_ok_and(|head| (MIDI.recognises)(&head))
}

/// Returns a path's extension in lower case.
pub(crate) fn ending(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_string_lossy().to_lowercase();
    (!ending.is_empty()).then_some(ending)
}

impl Kind {
    /// Whether a file of this kind may have this extension, in lower case.
    pub(crate) fn allows(&self, ending: &str) -> bool {
        let own = self.endings.contains(&ending);
        let others = || {
            let known = OTHER_ENDINGS.split_whitespace().any(|e| e == ending);
            known || OURS.iter().any(|kind| kind.endings.contains(&ending))
        };
        own || (self.any_ending && !others())
    }

    /// Whether a file with these first bytes and this name is of this kind. The name decides only
    /// if the bytes are inconclusive, as in a damaged file.
    pub(crate) fn is(&self, head: &[u8], path: &Path) -> bool {
        let named = || ending(path).is_some_and(|ending| self.endings.contains(&&*ending));
        let unknown = || by_content(head).is_none() && !is_text(head);
        (self.recognises)(head) || (self.by_name && named() && unknown())
    }

    /// Returns the extensions as a list: ".mid, .midi".
    pub(crate) fn endings(&self) -> String {
        let dotted: Vec<_> = self.endings.iter().map(|e| format!(".{e}")).collect();
        dotted.join(", ")
    }
}

/// Returns the name of a file's kind by its first bytes, with an article.
pub(crate) fn describe(head: &[u8]) -> &'static str {
    match by_content(head) {
        Some(name) => name,
        None if is_text(head) => "a text file",
        None => "a file of another kind",
    }
}

/// Whether bytes are UTF-8 text. The last character may be incomplete.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(cut) if cut.error_len().is_none() => {
            std::str::from_utf8(&head[..cut.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c');
    !text.contains(control)
}

fn by_content(head: &[u8]) -> Option<&'static str> {
    let ours = OURS.iter().find(|kind| (kind.recognises)(head));
    let others = || OTHERS.iter().find(|(magic, _)| head.starts_with(magic));
    ours.map(|kind| kind.name).or_else(|| Some(others()?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: Kind = Kind {
        name: "a corpus",
        endings: &["corpus"],
        by_name: false,
        any_ending: true,
        binary: true,
        recognises: |head| head.starts_with(b"CNTCORP\n"),
    };

    #[test]
    fn endings_belong_to_kinds() {
        assert!(MIDI.allows("mid") && MIDI.allows("kar"));
        let music = [MIDI, WAV, FLAC].map(|kind| kind.endings).concat();
        assert_eq!(music, MUSIC_ENDINGS);
        assert!(!MIDI.allows("mp3") && !MIDI.allows("x") && !MIDI.allows("wav"));
        assert!(MUSICXML.allows("musicxml") && MUSICXML.allows("xml") && !MUSICXML.allows("mxl"));
        assert!(CORPUS.allows("corpus") && CORPUS.allows("v2"));
        assert!(!CORPUS.allows("mid") && !CORPUS.allows("json") && !CORPUS.allows("txt"));
        assert_eq!(ending(Path::new("a/b.MiD")).as_deref(), Some("mid"));
        assert_eq!(ending(Path::new("a.b/c")), None);
        assert_eq!(ending(Path::new("c.")), None);
    }

    #[test]
    fn audio_is_recognised_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("song.mid");
        for (bytes, audio) in [
            (&b"RIFF\0\0\0\0WAVEfmt "[..], true),
            (b"fLaC\x80", true),
            (b"RIFF\0\0\0\0RMID", false),
            (b"MThd\0\0\0\x06", false),
            (b"", false),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(is_audio_file(&path), audio, "{bytes:?}");
        }
        assert!(!is_audio_file(folder.path()));
        assert!(!is_audio_file(&folder.path().join("gone.wav")));
    }

    #[test]
    fn flac_is_recognised_behind_a_tag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("song.flac");
        // Sizes with seven bits in a byte: 20 and 300 * 128 bytes.
        for (size, length) in [([0, 0, 0, 20], 20), ([0, 2, 44, 0], 300 * 128)] {
            let mut bytes = b"ID3\x04\0\0".to_vec();
            bytes.extend(size);
            bytes.resize(10 + length, 0);
            std::fs::write(&path, [&bytes[..], b"fLaC\x80"].concat()).unwrap();
            assert!(is_audio_file(&path), "{length}");
            std::fs::write(&path, [&bytes[..], b"\xff\xfb\x90"].concat()).unwrap();
            assert!(!is_audio_file(&path), "{length}");
            let why = refuse_music_file(&path).unwrap();
            assert!(why.ends_with("but an MP3 file"), "{why}");
        }
    }

    #[test]
    fn other_files_are_refused_with_their_kind() {
        assert!(refuse_music(b"RF64\xff\xff\xff\xffWAVE").ends_with("convert it to FLAC first"));
        assert_eq!(refuse_music(b"MThd no more"), "not a readable MIDI file");
        assert!(refuse_music(b"ID3\x04").ends_with("but an MP3 file"));
        let text = "a".repeat(HEAD - 1) + "\u{e9}";
        assert!(refuse_music(text.as_bytes()).ends_with("but a text file"));
    }

    #[test]
    fn content_decides_the_kind_before_the_name() {
        let song = b"MThd\0\0\0\x06";
        assert!(MIDI.is(song, Path::new("x")));
        assert!(!PNG.is(song, Path::new("x.png")));
        assert!(!MIDI.is(b"RIFF\0\0\0\0WAVE", Path::new("x.mid")));
        assert!(MIDI.is(b"RIFF\0\0\0\0RMID", Path::new("x")));
        // A damaged MIDI file still counts as one; a text does not, even if its name ends in .mid.
        assert!(MIDI.is(b"MT\0\xff", Path::new("x.mid")));
        assert!(!MIDI.is(b"MT\0\xff", Path::new("x")));
        assert!(!MIDI.is("Cher ami, \u{e9}".as_bytes(), Path::new("x.mid")));
        assert!(!CORPUS.is(b"CNT\0", Path::new("x.corpus")));
        // Any XML may lie in an .xml file; only notation is replaced.
        assert!(MUSICXML.is(
            b"<?xml version=\"1.0\"?>\n<score-partwise>",
            Path::new("x.xml")
        ));
        assert!(!MUSICXML.is(b"<?xml version=\"1.0\"?>\n<html>", Path::new("x.xml")));
        assert_eq!(describe(b"Dear sir"), "a text file");
        assert_eq!(describe(b"{\"a\": 1}"), "a JSON file");
        assert_eq!(describe(b"\xff\x00\xfe"), "a file of another kind");
    }
}
