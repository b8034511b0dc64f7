//! The container of a Standard MIDI file: RIFF wrapping, header chunk, track chunks.

use super::error::ParseError;

/// Tracks that a header can count.
pub(super) const MAX_TRACKS: usize = 0xffff;

/// The fields of the header chunk, and the bounds of the chunks after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// 0, 1 or 2; other numbers are kept as they are.
    pub(super) format: u16,
    /// Tracks the header announces.
    pub(super) tracks: u16,
    /// Time division.
    pub(super) division: Division,
    /// Offset of the header chunk: 0 unless the file is wrapped in RIFF.
    pub(super) start: usize,
    /// Offset of the first chunk after the header.
    pub(super) at: usize,
    /// Offset at which the MIDI data ends.
    pub(super) end: usize,
    /// A warning about it, if it is odd.
    pub(super) odd: Option<&'static str>,
}

/// Unit of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// Ticks in a quarter note, at least 1.
    Metrical(u16),
    /// SMPTE: frames a second (29 for 29.97) and ticks in a frame, at least 1 each.
    Smpte(u8, u8),
}

/// A chunk, or its absence, at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A track: offsets of its events and of its declared end, which may lie beyond the file's.
    Track(usize, usize),
    /// Another well-formed chunk, and the offset of its end.
    Other(usize),
    /// No chunk.
    None,
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    // Four bytes, by the range above.
    Some(field.iter().fold(0, |n, &b| n << 8 | usize::from(b)))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from(field[0]) << 8 | u16::from(field[1]))
}

/// Finds and reads the header.
///
/// # Errors
/// Fails if there is no header, it is cut, or its ticks have no meaning.
pub(super) fn header(bytes: &[u8]) -> Result<Header, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::new(0, "the file is empty"));
    }
    let (start, end) = if bytes.starts_with(b"RIFF") {
        riff(bytes)?
    } else {
        (0, bytes.len())
    };
    let bytes = &bytes[..end];
    if !bytes[start..].starts_with(b"MThd") {
        let why = if b"MThd".starts_with(&bytes[start..]) {
            "the file ends inside its header"
        } else {
            "not a MIDI file: it does not begin with MThd"
        };
        return Err(ParseError::new(start, why));
    }
    let fields = (
        be32(bytes, start + 4),
        be16(bytes, start + 8),
        be16(bytes, start + 10),
        be16(bytes, start + 12),
    );
    let (Some(length), Some(format), Some(tracks), Some(division)) = fields else {
        return Err(ParseError::new(end, "the file ends inside its header"));
    };
    if length < 6 {
        let why = format!("the header's length is {length}; it needs 6 bytes");
        return Err(ParseError::new(start + 4, why));
    }
    let declared = (start + 8).saturating_add(length);
    let usual = start + 14;
    // A track right after the usual 14 bytes shows that the length is wrong.
    let wrong = declared != usual && matches!(chunk(bytes, usual, end), Chunk::Track(..));
    let division = match division {
        0 => {
            let why = "0 ticks to the quarter note: the file's times have no meaning";
            return Err(ParseError::new(start + 12, why));
        }
        ticks @ 1..=0x7fff => Division::Metrical(ticks),
        smpte => match ((smpte >> 8) as u8).wrapping_neg() {
            frames if smpte & 0xff > 0 => Division::Smpte(frames, smpte as u8),
            _ => {
                let why = "0 ticks to the SMPTE frame: the file's times have no meaning";
                return Err(ParseError::new(start + 12, why));
            }
        },
    };
    Ok(Header {
        format,
        tracks,
        division,
        start,
        at: if wrong { usual } else { declared.min(end) },
        end,
        odd: match (wrong, format) {
            (true, _) => Some("the header's length is wrong"),
            (_, 3..) => Some("the file's type is unknown; read as type 1"),
            _ => None,
        },
    })
}

/// Offsets of the MIDI data in a RIFF file (`.rmi`): first byte and end.
fn riff(bytes: &[u8]) -> Result<(usize, usize), ParseError> {
    if bytes.get(8..12) != Some(b"RMID") {
        let at = bytes.len().min(8);
        return Err(ParseError::new(
            at,
            "a RIFF file that holds no MIDI (no RMID)",
        ));
    }
    let mut at = 12;
    while let Some(field) = bytes.get(at + 4..at + 8) {
        let length = field.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
        let end = (at + 8).saturating_add(length).min(bytes.len());
        if &bytes[at..at + 4] == b"data" {
            return Ok((at + 8, end));
        }
        // Chunks of odd length are padded.
        at = end + (length & 1);
    }
    let why = "a RIFF file without MIDI data (no data chunk)";
    Err(ParseError::new(at.min(bytes.len()), why))
}

/// The chunk at `at`, in a file that ends at `end`.
pub(super) fn chunk(bytes: &[u8], at: usize, end: usize) -> Chunk {
    let bytes = &bytes[..end];
    let (Some(id), Some(length)) = (bytes.get(at..at.saturating_add(4)), be32(bytes, at + 4))
    else {
        return Chunk::None;
    };
    let body = at + 8;
    let declared = body.saturating_add(length);
    match id {
        b"MTrk" => Chunk::Track(body, declared),
        id if id.iter().all(|b| matches!(b, 0x20..=0x7e)) && declared <= end => {
            Chunk::Other(declared)
        }
        _ => Chunk::None,
    }
}

/// Offset of the next track chunk at or after `at`, else `end`.
pub(super) fn next_track(bytes: &[u8], at: usize, end: usize) -> usize {
    let rest = bytes.get(at..end).unwrap_or_default();
    let found = rest.windows(8).position(|w| w.starts_with(b"MTrk"));
    found.map_or(end, |found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(format: u8, division: [u8; 2]) -> Vec<u8> {
        let mut bytes = b"MThd\0\0\0\x06\0".to_vec();
        bytes.extend([format, 0, 1, division[0], division[1]]);
        bytes
    }

    #[test]
    fn divisions() {
        let division = |d| header(&bytes(1, d)).map(|h| h.division);
        assert_eq!(division([0x01, 0xe0]), Ok(Division::Metrical(480)));
        assert_eq!(division([0xe7, 40]), Ok(Division::Smpte(25, 40)));
        assert_eq!(division([0xe3, 80]), Ok(Division::Smpte(29, 80)));
        assert_eq!(division([0x80, 1]), Ok(Division::Smpte(128, 1)));
        assert_eq!(division([0, 0]).unwrap_err().offset, 12);
        assert_eq!(division([0xe7, 0]).unwrap_err().offset, 12);
    }

    #[test]
    fn headers_cut_anywhere_say_where() {
        let whole = bytes(0, [0, 96]);
        for length in 0..whole.len() {
            assert!(header(&whole[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(header(&whole[..9]).unwrap_err().offset, 9);
    }

    #[test]
    fn riff_chunks_before_the_data_are_skipped() {
        let inner = bytes(0, [0, 96]);
        let mut riff = b"RIFF\0\0\0\0RMIDinfo\x03\0\0\0abc\0data".to_vec();
        riff.extend((inner.len() as u32).to_le_bytes());
        riff.extend(&inner);
        riff.extend(b"LIST");
        let read = header(&riff).unwrap();
        assert_eq!((read.at, read.end), (riff.len() - 4, riff.len() - 4));
        for length in 0..riff.len() - 4 {
            assert!(header(&riff[..length]).is_err(), "{length} bytes");
        }
    }
}
