//! MIDI files as bytes, and the command that reads them.

use std::path::{Path, PathBuf};
use std::process::Command;

use continuo_tests::artifacts;

/// Ticks in a beat.
pub(crate) const TICKS: u16 = 480;

/// Returns a track of events, with its end of track.
pub(crate) fn track(events: &[u8]) -> Vec<u8> {
    let body = [events, &[0, 0xff, 0x2f, 0]].concat();
    [&b"MTrk"[..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

/// Returns a type 1 file of 480 ticks a beat.
pub(crate) fn file(tracks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0\x01".to_vec();
    bytes.extend((tracks.len() as u16).to_be_bytes());
    bytes.extend(TICKS.to_be_bytes());
    bytes.extend(tracks.concat());
    bytes
}

/// Encodes a number of ticks below 16384.
pub(crate) fn ticks(ticks: u16) -> [u8; 2] {
    [0x80 | (ticks >> 7) as u8, (ticks & 127) as u8]
}

/// Returns quarter notes up and down a scale, which is higher on a higher channel.
pub(crate) fn tune(beats: u8, channel: u8) -> Vec<u8> {
    let note = |beat: u8| {
        let key = 48 + 5 * channel + [0, 2, 4, 5, 7, 5, 4, 2][usize::from(beat % 8)];
        let off = [ticks(TICKS).to_vec(), vec![0x80 | channel, key, 64]].concat();
        [vec![0, 0x90 | channel, key, 80], off].concat()
    };
    (0..beats).flat_map(note).collect()
}

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Returns a command of `continuo` on a file.
pub(crate) fn command(name: &str, input: &Path) -> Command {
    let mut command = artifacts::command("continuo").unwrap();
    command
        .arg(name)
        .arg(input)
        .stdin(std::process::Stdio::null());
    command
}
