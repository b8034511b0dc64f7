//! The drums of a file: channel 10, the channels that GS, XG and GM2 messages set, and the tracks
//! whose names say so.

/// Channel 10, counted from 0: the drums of General MIDI.
const GENERAL_MIDI: u8 = 9;
/// Bank (controller 0) of the drum kits of GM2, and of its melodic sounds.
const GM2_DRUMS: u8 = 120;
const GM2_MELODIC: u8 = 121;
/// Banks of XG's sound effect kits and drum kits.
const XG_KITS: [u8; 2] = [126, 127];

/// The channels that play drums, over time, and the tracks that play them on other channels. By
/// default channel 10 of every port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrumMap {
    /// Port of each track that names one, by track.
    ports: Vec<(u16, u8)>,
    /// `(port, channel, tick, whether it is drums from there on)`, in order.
    changes: Vec<(u8, u8, u64, bool)>,
    /// Tracks that play drums by their names, in order.
    named: Vec<u16>,
}

impl DrumMap {
    /// Sets the tracks that play drums by their names, in order.
    pub(super) fn set_named(&mut self, tracks: Vec<u16>) {
        self.named = tracks;
    }

    /// The port a track plays on: 0 unless it names another.
    pub fn port(&self, track: u16) -> u8 {
        let found = self.ports.binary_search_by_key(&track, |p| p.0);
        found.map_or(0, |index| self.ports[index].1)
    }

    /// Whether a track plays drums by its name, on channels that are no drum channels.
    pub fn is_named(&self, track: u16) -> bool {
        self.named.binary_search(&track).is_ok()
    }

    /// Whether a note of `track` that begins on `channel` at `tick` is a drum.
    pub fn is_drum(&self, track: u16, channel: u8, tick: u64) -> bool {
        self.is_named(track) || self.is_drum_channel(track, channel, tick)
    }

    fn is_drum_channel(&self, track: u16, channel: u8, tick: u64) -> bool {
        if self.changes.is_empty() {
            return channel == GENERAL_MIDI;
        }
        let key = (self.port(track), channel);
        let after = self
            .changes
            .partition_point(|c| (c.0, c.1, c.2) <= (key.0, key.1, tick));
        match after.checked_sub(1).map(|index| self.changes[index]) {
            Some((port, channel, _, drums)) if (port, channel) == key => drums,
            _ => channel == GENERAL_MIDI,
        }
    }
}

/// A message that may turn a channel into drums or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DrumMessage {
    /// A reset that puts the device into this standard.
    Reset(DeviceStandard),
    /// The part on this channel plays drums, or does not.
    Part(u8, bool),
    /// Bank select, most significant byte: channel, bank.
    Bank(u8, u8),
    /// Program change: channel.
    Program(u8),
}

/// The standard a device follows; it decides what a bank number means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DeviceStandard {
    #[default]
    Gm,
    Gm2,
    Gs,
    Xg,
}

impl DrumMessage {
    /// Reads a system-exclusive message without its first byte 0xf0.
    pub(super) fn of_exclusive(data: &[u8]) -> Option<Self> {
        Some(match *data {
            [0x7e, _, 0x09, 0x01 | 0x02, ..] => Self::Reset(DeviceStandard::Gm),
            [0x7e, _, 0x09, 0x03, ..] => Self::Reset(DeviceStandard::Gm2),
            // Roland: address 40 00 7F resets; 40 1x 15 says which drum map part x plays.
            [0x41, _, 0x42, 0x12, 0x40, 0x00, 0x7f, 0x00, ..] => Self::Reset(DeviceStandard::Gs),
            [0x41, _, 0x42, 0x12, 0x40, part @ 0x10..=0x1f, 0x15, map, ..] => {
                Self::Part(gs_channel(part & 15), map > 0)
            }
            // Yamaha: address 00 00 7E switches XG on; 08 pp 07 is the mode of part pp.
            [0x43, 0x10..=0x1f, 0x4c, 0x00, 0x00, 0x7e, 0x00, ..] => {
                Self::Reset(DeviceStandard::Xg)
            }
            [0x43, 0x10..=0x1f, 0x4c, 0x08, part @ ..16, 0x07, mode, ..] => {
                Self::Part(part, mode > 0)
            }
            _ => return None,
        })
    }
}

/// GS counts its parts so that part 0 is channel 10.
fn gs_channel(part: u8) -> u8 {
    match part {
        0 => 9,
        1..=9 => part - 1,
        part => part,
    }
}

/// Builds a [`DrumMap`] from the messages of a file.
#[derive(Debug, Default)]
pub(super) struct DrumMapBuilder {
    /// `(tick, track, message)`, in the order read.
    messages: Vec<(u64, u16, DrumMessage)>,
    ports: Vec<(u16, u8)>,
}

impl DrumMapBuilder {
    pub(super) fn add(&mut self, tick: u64, track: u16, message: DrumMessage) {
        self.messages.push((tick, track, message));
    }

    /// A track plays on a port. The first message of a track counts: notes have one port.
    pub(super) fn port(&mut self, track: u16, port: u8) {
        if self.ports.last().is_none_or(|last| last.0 < track) {
            self.ports.push((track, port));
        }
    }

    pub(super) fn finish(mut self) -> DrumMap {
        let mut map = DrumMap {
            ports: self.ports,
            ..DrumMap::default()
        };
        // On one tick, tracks count in their order.
        self.messages.sort_by_key(|m| m.0);
        let mut ports: Vec<(u8, Device)> = Vec::new();
        for (tick, track, message) in self.messages {
            let port = map.port(track);
            let index = ports.iter().position(|p| p.0 == port).unwrap_or_else(|| {
                ports.push((port, Device::new(DeviceStandard::Gm)));
                ports.len() - 1
            });
            let device = &mut ports[index].1;
            let before = device.drums;
            device.take(message);
            let drums = device.drums;
            let changed = (0..16u8).filter(|&c| before[usize::from(c)] != drums[usize::from(c)]);
            let change = |c: u8| (port, c, tick, drums[usize::from(c)]);
            map.changes.extend(changed.map(change));
        }
        // Of several changes on one tick the last counts.
        map.changes.sort_by_key(|c| (c.0, c.1, c.2));
        map
    }
}

/// The sixteen channels of one port.
struct Device {
    standard: DeviceStandard,
    banks: [Option<u8>; 16],
    drums: [bool; 16],
}

impl Device {
    fn new(standard: DeviceStandard) -> Self {
        let mut drums = [false; 16];
        drums[usize::from(GENERAL_MIDI)] = true;
        Self {
            standard,
            banks: [None; 16],
            drums,
        }
    }

    fn take(&mut self, message: DrumMessage) {
        match message {
            DrumMessage::Reset(standard) => *self = Self::new(standard),
            DrumMessage::Part(channel, drums) => self.drums[usize::from(channel & 15)] = drums,
            DrumMessage::Bank(channel, bank) => self.banks[usize::from(channel & 15)] = Some(bank),
            DrumMessage::Program(channel) => {
                let channel = usize::from(channel & 15);
                // A channel whose bank was never named keeps what it plays.
                let Some(bank) = self.banks[channel] else {
                    return;
                };
                match (self.standard, bank) {
                    (DeviceStandard::Xg, bank) => self.drums[channel] = XG_KITS.contains(&bank),
                    (DeviceStandard::Gm | DeviceStandard::Gm2, GM2_DRUMS) => {
                        self.drums[channel] = true
                    }
                    (DeviceStandard::Gm2, GM2_MELODIC) => self.drums[channel] = false,
                    // In GS a bank never makes drums; elsewhere it means nothing.
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(messages: &[(u64, DrumMessage)]) -> DrumMap {
        let mut collector = DrumMapBuilder::default();
        for &(tick, message) in messages {
            collector.add(tick, 0, message);
        }
        collector.finish()
    }

    fn drums(map: &DrumMap, tick: u64) -> Vec<u8> {
        (0..16).filter(|&c| map.is_drum(0, c, tick)).collect()
    }

    #[test]
    fn channel_10_is_drums_by_default() {
        assert_eq!(drums(&DrumMap::default(), 0), [9]);
        assert_eq!(drums(&map(&[(0, DrumMessage::Program(3))]), 0), [9]);
    }

    #[test]
    fn exclusive_messages_name_parts() {
        let gs = |part: u8, on: u8| {
            let data = [0x41, 0x10, 0x42, 0x12, 0x40, 0x10 | part, 0x15, on, 0, 0xf7];
            DrumMessage::of_exclusive(&data)
        };
        assert_eq!(gs(0, 0), Some(DrumMessage::Part(9, false)));
        assert_eq!(gs(1, 1), Some(DrumMessage::Part(0, true)));
        assert_eq!(gs(9, 1), Some(DrumMessage::Part(8, true)));
        assert_eq!(gs(10, 2), Some(DrumMessage::Part(10, true)));
        let xg = |data: &[u8]| DrumMessage::of_exclusive(data);
        let mode = xg(&[0x43, 0x10, 0x4c, 8, 3, 7, 2, 0xf7]);
        assert_eq!(mode, Some(DrumMessage::Part(3, true)));
        let on = xg(&[0x43, 0x10, 0x4c, 0, 0, 0x7e, 0, 0xf7]);
        assert_eq!(on, Some(DrumMessage::Reset(DeviceStandard::Xg)));
        let general = DrumMessage::of_exclusive(&[0x7e, 0x7f, 9, 3, 0xf7]);
        assert_eq!(general, Some(DrumMessage::Reset(DeviceStandard::Gm2)));
        for other in [
            &[][..],
            &[0x41],
            &[0x43, 0x10, 0x4c, 8, 3, 8, 2],
            &[0x7e, 1, 9],
        ] {
            assert_eq!(DrumMessage::of_exclusive(other), None);
        }
    }

    #[test]
    fn parts_change_in_time_and_resets_undo_them() {
        let map = map(&[
            (10, DrumMessage::Part(10, true)),
            (10, DrumMessage::Part(9, false)),
            (30, DrumMessage::Reset(DeviceStandard::Gs)),
        ]);
        assert_eq!(drums(&map, 9), [9]);
        assert_eq!(drums(&map, 10), [10]);
        assert_eq!(drums(&map, 29), [10]);
        assert_eq!(drums(&map, 30), [9]);
    }

    #[test]
    fn a_bank_means_what_the_standard_says() {
        let with = |standard, channel, bank| {
            map(&[
                (0, DrumMessage::Reset(standard)),
                (0, DrumMessage::Bank(channel, bank)),
                (0, DrumMessage::Program(channel)),
            ])
        };
        assert_eq!(drums(&with(DeviceStandard::Xg, 2, 127), 0), [2, 9]);
        assert_eq!(drums(&with(DeviceStandard::Xg, 9, 0), 0), [0u8; 0]);
        assert_eq!(drums(&with(DeviceStandard::Gm2, 2, 120), 0), [2, 9]);
        assert_eq!(drums(&with(DeviceStandard::Gm2, 9, 121), 0), [0u8; 0]);
        // In GS this is the bank of the older MT-32's sounds.
        assert_eq!(drums(&with(DeviceStandard::Gs, 2, 127), 0), [9]);
        assert_eq!(drums(&with(DeviceStandard::Gm, 2, 127), 0), [9]);
    }

    #[test]
    fn ports_are_apart() {
        let mut collector = DrumMapBuilder::default();
        collector.port(1, 1);
        collector.add(0, 1, DrumMessage::Part(10, true));
        let map = collector.finish();
        assert!(map.is_drum(1, 10, 0) && !map.is_drum(0, 10, 0));
        assert!(map.is_drum(1, 9, 0) && map.is_drum(0, 9, 0));
    }
}
