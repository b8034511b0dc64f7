//! Event files, as TensorBoard reads them: protocol-buffer messages (`event.proto`,
//! `summary.proto` of TensorFlow, only the fields used here) in TFRecord framing:
//!
//! ```text
//! length u64 | masked CRC-32C of those 8 bytes u32 | message | masked CRC-32C of it u32
//! ```
//!
//! The crates that write them declare no licence, or have stood still for years.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Event {
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
    /// 1: a session begins; what earlier files say of this step and later ones is void.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// An event file that is being written.
pub struct Events {
    out: BufWriter<File>,
}

impl Events {
    /// A new file in `folder`, for a training that goes on after `step`.
    pub fn create(folder: &Path, step: u64) -> io::Result<Self> {
        let stem = format!("events.out.tfevents.{:010}.continuo.{step}", now() as u64);
        // Of two trainings begun in one second, neither writes over the other's.
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
        events.write(Event {
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        })?;
        events.write(Event {
            // The first step that is taken anew.
            step: step as i64 + 1,
            session_log: Some(SessionLog { status: 1 }),
            ..Event::default()
        })?;
        events.flush()?;
        Ok(events)
    }

    /// Adds numbers of a step, by name.
    pub fn add(&mut self, step: u64, numbers: &[(&str, f64)]) -> io::Result<()> {
        let value = |&(tag, number): &(&str, f64)| Value {
            tag: tag.into(),
            simple_value: number as f32,
        };
        self.write(Event {
            step: step as i64,
            summary: Some(Summary {
                value: numbers.iter().map(value).collect(),
            }),
            ..Event::default()
        })
    }

    /// Lets readers see what was added.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        let event = Event {
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

/// TFRecord's checksum.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    // A clock before 1970 is nobody's.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file's records, checksums checked.
    fn read(bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, tail) = rest.split_at(8);
            let size = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            assert_eq!(tail[..4], masked(length).to_le_bytes());
            let message = &tail[4..4 + size];
            assert_eq!(tail[4 + size..8 + size], masked(message).to_le_bytes());
            events.push(Event::decode(message).unwrap());
            rest = &tail[8 + size..];
        }
        events
    }

    #[test]
    fn what_is_written_is_read() {
        // The check value of CRC-32C (RFC 3720), masked by hand.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path(), 6).unwrap();
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
