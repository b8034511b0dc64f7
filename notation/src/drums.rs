//! Drum kit: where each key of General MIDI's drums stands on a staff of five lines.

/// The writing of a drum key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drum {
    pub(crate) name: &'static str,
    /// Step and octave of the line or space, as in the treble clef.
    pub(crate) place: (char, u8),
    /// MusicXML's notehead.
    pub(crate) head: &'static str,
}

const fn drum(name: &'static str, step: char, octave: u8, head: &'static str) -> Drum {
    Drum {
        name,
        place: (step, octave),
        head,
    }
}

/// The first key of [`KIT`].
const FIRST: u8 = 35;

/// The keys from 35 on.
const KIT: [Drum; 25] = [
    drum("Acoustic Bass Drum", 'E', 4, "normal"),
    drum("Bass Drum", 'F', 4, "normal"),
    drum("Side Stick", 'C', 5, "x"),
    drum("Snare", 'C', 5, "normal"),
    drum("Hand Clap", 'D', 5, "x"),
    drum("Electric Snare", 'C', 5, "normal"),
    drum("Low Floor Tom", 'G', 4, "normal"),
    drum("Closed Hi-Hat", 'G', 5, "x"),
    drum("High Floor Tom", 'A', 4, "normal"),
    drum("Pedal Hi-Hat", 'D', 4, "x"),
    drum("Low Tom", 'B', 4, "normal"),
    drum("Open Hi-Hat", 'G', 5, "circle-x"),
    drum("Low-Mid Tom", 'B', 4, "normal"),
    drum("Hi-Mid Tom", 'D', 5, "normal"),
    drum("Crash Cymbal", 'A', 5, "x"),
    drum("High Tom", 'E', 5, "normal"),
    drum("Ride Cymbal", 'F', 5, "x"),
    drum("Chinese Cymbal", 'B', 5, "x"),
    drum("Ride Bell", 'F', 5, "diamond"),
    drum("Tambourine", 'B', 5, "triangle"),
    drum("Splash Cymbal", 'B', 5, "x"),
    drum("Cowbell", 'E', 5, "triangle"),
    drum("Crash Cymbal 2", 'A', 5, "x"),
    drum("Vibraslap", 'A', 5, "diamond"),
    drum("Ride Cymbal 2", 'F', 5, "x"),
];

/// The writing of a key; other percussion stands on the middle line.
pub(crate) fn of(key: u8) -> Drum {
    let index = key.checked_sub(FIRST).map(usize::from);
    let known = index.and_then(|index| KIT.get(index));
    known
        .copied()
        .unwrap_or(drum("Percussion", 'B', 4, "slash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_general_midi() {
        let names = [36, 38, 42, 46, 49, 51, 59].map(|key| of(key).name);
        let expected = ["Bass Drum", "Snare", "Closed Hi-Hat", "Open Hi-Hat"];
        assert_eq!(names[..4], expected);
        assert_eq!(names[4..], ["Crash Cymbal", "Ride Cymbal", "Ride Cymbal 2"]);
        assert_eq!((of(0).name, of(60).name), ("Percussion", "Percussion"));
    }
}
