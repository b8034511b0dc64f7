//! The program of each channel of a file over time.

use super::file::{MidiFile, MidiNote};

/// The program changes of a file, by port and channel. A value: its owner may be any thread.
#[derive(Clone, Debug)]
pub struct ProgramMap {
    /// `(port, channel, tick, program)`, in order.
    changes: Vec<(u8, u8, u64, u8)>,
}

impl ProgramMap {
    /// The program changes of `file`.
    pub fn new(file: &MidiFile) -> Self {
        let changes = file.programs.iter();
        let mut changes: Vec<_> = changes
            .map(|c| (file.drums.port(c.track), c.channel, c.tick, c.program))
            .collect();
        // Of several on one tick the last counts.
        changes.sort_by_key(|c| (c.0, c.1, c.2));
        Self { changes }
    }

    /// The program, 0 to 127, in force where a note of `file` begins; `None` before the first.
    pub fn at(&self, file: &MidiFile, note: &MidiNote) -> Option<u8> {
        let (port, channel) = (file.drums.port(note.track), note.channel);
        let key = (port, channel, note.start);
        let after = self.changes.partition_point(|c| (c.0, c.1, c.2) <= key);
        let last = self.changes.get(after.checked_sub(1)?)?;
        ((last.0, last.1) == (port, channel)).then_some(last.3)
    }
}
