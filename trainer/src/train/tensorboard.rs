//! Event files for TensorBoard: protocol-buffer messages (`event.proto`,
//! `summary.proto` of TensorFlow, only the fields used here) in TFRecord framing:
//!
//! ```text
//! length u64 | masked CRC-32C of those 8 bytes u32 | message | masked CRC-32C of it u32
//! ```
//!
//! The crates that write them declare no licence or are no longer maintained.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct EventRecord {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    /// 1: a session starts; readers discard this and later steps of earlier files.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// An event file that is being written.
pub(super) struct EventWriter {
    out: BufWriter<File>,
}

impl EventWriter {
    /// Creates a file in `folder` for a training that continues after `step`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn create(folder: &Path, step: u64) -> io::Result<Self> {
        let stem = format!("events.out.tfevents.{:010}.continuo.{step}", now() as u64);
        // Two trainings that start in the same second get two files.
        let mut number = 0;
        let file = loop {
            let name = match number {
                0 => stem.clone(),
                _ => format!("{stem}.{number}"),
            };
            match File::create_new(folder.join(name)) {
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => number += 1,
                file => break file?,
            }
        };
        let out = BufWriter::new(file);
        let mut events = Self { out };
        events.write(EventRecord {
            file_version: Some("brain.Event:2".into()),
            ..EventRecord::default()
        })?;
        events.write(EventRecord {
            // The first step of this session.
            step: step as i64 + 1,
            session_log: Some(SessionLog { status: 1 }),
            ..EventRecord::default()
        })?;
        events.flush()?;
        Ok(events)
    }

    /// Adds the values of a step, by name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn add(&mut self, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        let entry = |&(tag, value): &(&str, f64)| Value {
            tag: tag.into(),
            simple_value: value as f32,
        };
        self.write(EventRecord {
            step: step as i64,
            summary: Some(Summary {
                value: values.iter().map(entry).collect(),
            }),
            ..EventRecord::default()
        })
    }

    /// Writes buffered values to the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn write(&mut self, event: EventRecord) -> io::Result<()> {
        let event = EventRecord {
            wall_time: now(),
            ..event
        };
        let message = event.encode_to_vec();
        let length = (message.len() as u64).to_le_bytes();
        self.out.write_all(&length)?;
        self.out.write_all(&masked(&length).to_le_bytes())?;
        self.out.write_all(&message)?;
        self.out.write_all(&masked(&message).to_le_bytes())
    }
}

/// Checksum of TFRecord.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    // No clock stands before 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of a file, with checked checksums.
    fn read(bytes: &[u8]) -> Vec<EventRecord> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, tail) = rest.split_at(8);
            let size = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            assert_eq!(tail[..4], masked(length).to_le_bytes());
            let message = &tail[4..4 + size];
            assert_eq!(tail[4 + size..8 + size], masked(message).to_le_bytes());
            events.push(EventRecord::decode(message).unwrap());
            rest = &tail[8 + size..];
        }
        events
    }

    #[test]
    fn written_events_are_read_back() {
        // The check value of CRC-32C (RFC 3720), masked by hand.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventWriter::create(folder.path(), 6).unwrap();
        events
            .add(7, &[("loss/train", 1.5), ("speed", 3.0)])
            .unwrap();
        events.flush().unwrap();
        let file = std::fs::read_dir(folder.path()).unwrap().next();
        let read = read(&std::fs::read(file.unwrap().unwrap().path()).unwrap());
        assert_eq!(read[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(read[1].session_log.as_ref().unwrap().status, 1);
        assert_eq!((read[1].step, read[2].step), (7, 7));
        let values = &read[2].summary.as_ref().unwrap().value;
        assert_eq!(values.len(), 2);
        assert_eq!(
            (values[0].tag.as_str(), values[0].simple_value),
            ("loss/train", 1.5)
        );
    }
}
