//! The tracks that `continue` adds: channel, program, name, tempo and ticks.

use std::collections::{BTreeMap, BTreeSet};

use continuo_score::midi::{MidiDocument, MidiFile, MidiNote, NewTrack, PartSound};
use continuo_score::{Drums, Note, Part, PartFilter, Score, midi_tracks};

/// Number of bars before the answer that are searched for the part to continue.
const PART_BARS: u32 = 4;
/// Number of bars that a tempo must last to count as steady and not as part of a gradual change.
const SETTLED_BARS: u32 = 2;
/// Track name if the continued part has none.
const NAME: &str = "Continuo";
/// MIDI channel, from 0, of drums that the file lacks.
const DRUM_CHANNEL: u8 = 9;

/// Returns the track name and the General MIDI program, from 0, of a part that the file lacks.
fn general_midi(part: Part) -> (&'static str, Option<u8>) {
    match part {
        Part::Keys => ("Keys", Some(0)),
        Part::Lead => ("Lead", Some(73)),
        Part::Chords => ("Chords", Some(24)),
        Part::Bass => ("Bass", Some(33)),
        Part::Drums => ("Drums", None),
    }
}

/// Tempo of the continuation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tempo {
    /// The last tempo of the file.
    Kept,
    /// A given tempo in beats a minute.
    Bpm(f64),
    /// The tempo before its gradual change at the end of the file.
    Before,
}

/// The answer, or one part of it, and its position in the file.
#[derive(Clone)]
pub(super) struct Continuation<'a> {
    pub(super) document: &'a MidiDocument,
    pub(super) parts: &'a PartFilter,
    /// Score of the whole file, with its bars and tempo.
    pub(super) score: &'a Score,
    /// First step of the answer, in steps of the file.
    pub(super) from: u32,
    /// The step after the answer, in steps of the file.
    pub(super) until: u32,
    /// Notes of the answer, in steps of the file.
    pub(super) notes: Vec<Note>,
    pub(super) tempo: Tempo,
    /// The part that all notes belong to; `None` if the notes are not divided.
    pub(super) part: Option<Part>,
    /// Whether its track has the tempos and time signatures.
    pub(super) conducts: bool,
}

impl Continuation<'_> {
    fn file(&self) -> &MidiFile {
        self.document.file()
    }

    fn tick(&self, step: u32) -> u64 {
        let beat = u64::from(self.file().ticks_per_beat);
        u64::from(step) * beat / u64::from(self.score.steps_per_beat)
    }

    /// Divides the answer of a model with parts: one continuation for each part that has notes, the
    /// first with the tempo.
    pub(super) fn by_part(&self) -> Vec<Self> {
        let of_part = |part| {
            let notes = self.notes.iter().filter(|note| note.part == part);
            let notes: Vec<Note> = notes.copied().collect();
            (!notes.is_empty()).then(|| Self {
                notes,
                part: Some(part),
                ..self.clone()
            })
        };
        let mut parts: Vec<Self> = Part::ALL.into_iter().filter_map(of_part).collect();
        for later in parts.iter_mut().skip(1) {
            later.conducts = false;
        }
        parts
    }

    /// Returns the last note of the track to continue. Of the tracks that are read and play this
    /// part, that is the one with the most notes in the last bars, or the first one of equals.
    fn last_note(&self) -> Option<MidiNote> {
        let since = self.tick(self.score.bars_before(self.from, PART_BARS));
        let file = self.file();
        let mut heard: Vec<&MidiNote> = (file.notes.iter())
            .filter(|note| self.parts.accepts(file, note))
            .collect();
        if let Some(part) = self.part {
            let tracks = midi_tracks(file, self.score.steps_per_beat, Drums::Keep);
            let tracks = tracks.iter().filter(|track| track.part == part);
            let key = |track: u16, channel: u8, drums: bool| (track, channel, drums);
            let of_part: BTreeSet<_> = tracks
                .map(|track| key(track.track, track.channel, track.drums))
                .collect();
            heard.retain(|n| of_part.contains(&key(n.track, n.channel, file.is_drum(n))));
        }
        let late = heard.iter().filter(|note| note.start >= since);
        let mut tracks: BTreeMap<(u16, u8), usize> = BTreeMap::new();
        for note in late {
            *tracks.entry((note.track, note.channel)).or_default() += 1;
        }
        let most = tracks.values().max();
        let track = tracks.iter().find(|track| Some(track.1) == most);
        let mut latest_first = heard.iter().rev();
        let found = latest_first.find(|n| track.is_none_or(|t| *t.0 == (n.track, n.channel)));
        found.map(|note| **note)
    }

    /// Returns the tempo to set at the start, in beats a minute, or `None` if the file's last tempo
    /// continues.
    fn bpm(&self) -> Option<f64> {
        let last = self.score.tempos.bpm(self.from);
        let bpm = match self.tempo {
            Tempo::Kept => return None,
            Tempo::Bpm(bpm) => bpm,
            Tempo::Before => a_tempo(self.score, self.from),
        };
        (bpm != last).then_some(bpm)
    }

    /// Returns the track to add to the file, and notices for the user. Each bit of `taken` is a
    /// channel that counts as used, from 0. A track that finds no free channel shares one; drums
    /// stay on the channel of the drums in the file.
    pub(super) fn track(&self, taken: u16) -> (NewTrack, Vec<String>) {
        // In a type 2 file a track begins where the previous one ends.
        let before = match self.file().format {
            2 => self.file().end.min(self.tick(self.from)),
            _ => 0,
        };
        self.track_from(before, taken)
    }

    /// Returns the track with ticks counted from the tick `origin`, which must not be later than
    /// the step `from`.
    fn track_from(&self, origin: u64, taken: u16) -> (NewTrack, Vec<String>) {
        let mut said = Vec::new();
        let file = self.file();
        let last = self.last_note();
        let drums = self.part == Some(Part::Drums);
        let (own_name, program) = self.part.map_or((NAME, None), general_midi);
        let free = self
            .document
            .free_channel(last.map_or(0, |n| n.track), taken);
        let (channel, sound) = match (last, free) {
            // The channel has its sound already: set at tick 0, it would change the drums before.
            (Some(last), _) if drums => (last.channel, PartSound::default()),
            (None, _) if drums => (DRUM_CHANNEL, PartSound::default()),
            (Some(last), Some(channel)) => (channel, self.document.sound_of(&last)),
            (Some(last), None) => {
                said.push(format!(
                    "no channel is free: the answer shares channel {} with the continued part",
                    last.channel + 1
                ));
                (last.channel, PartSound::default())
            }
            (None, _) if self.part.is_none() => (0, PartSound::default()),
            (None, Some(channel)) => {
                let controls = Vec::new();
                (channel, PartSound { controls, program })
            }
            (None, None) => {
                said.push(format!(
                    "no channel is free: the part {own_name} plays on channel 1"
                ));
                (0, PartSound::default())
            }
        };
        // A name of several channels is that of the piece.
        let is_own = |last: &MidiNote| {
            let mut others = file.notes.iter().filter(|note| note.track == last.track);
            self.part.is_none() || others.all(|note| note.channel == last.channel)
        };
        let name = (last.filter(is_own)).and_then(|last| file.tracks.get(usize::from(last.track)));
        let name = name.filter(|name| !name.is_empty());
        let port = last.map(|last| file.drums.port(last.track));
        let tick = |step| self.tick(step) - origin;
        let notes = self.notes.iter().map(|note| MidiNote {
            start: tick(note.start),
            end: tick(note.end()),
            pitch: note.pitch,
            velocity: note.velocity,
            channel,
            track: 0,
        });
        let track = NewTrack {
            name: name.cloned().unwrap_or_else(|| own_name.into()),
            channel,
            port: port.filter(|&port| port > 0),
            sound,
            tempos: (self.bpm().filter(|_| self.conducts).into_iter())
                .map(|bpm| (tick(self.from), micros(bpm)))
                .collect(),
            time_signatures: Vec::new(),
            notes: notes.collect(),
            end: tick(self.until),
        };
        (track, said)
    }

    /// Returns the continuation alone. It begins at tick 0, with the time signature and the tempo
    /// that it has in the file. `taken` is that of [`Self::track`].
    pub(super) fn alone(&self, taken: u16) -> NewTrack {
        let bpm = (self.bpm()).unwrap_or_else(|| self.score.tempos.bpm(self.from));
        let start = self.tick(self.from);
        let later = |at: u32| at > self.from && at < self.until;
        let time_signatures = self
            .score
            .time_signatures
            .changes()
            .filter(|&(at, _)| later(at));
        let time_signatures = time_signatures.map(|(at, metre)| (self.tick(at) - start, metre));
        let metre = (0, self.score.time_signatures.time_signature(self.from));
        let tempos = self.score.tempos.changes().iter();
        let tempos = tempos.filter(|&&(at, _)| later(at));
        let tempos = tempos.map(|&(at, bpm)| (self.tick(at) - start, micros(bpm)));
        let mut track = NewTrack {
            port: None,
            ..self.track_from(start, taken).0
        };
        if self.conducts {
            track.tempos = std::iter::once((0, micros(bpm))).chain(tempos).collect();
            track.time_signatures = std::iter::once(metre).chain(time_signatures).collect();
        }
        track
    }
}

fn micros(bpm: f64) -> u32 {
    (60e6 / bpm).round().clamp(1.0, 16_777_215.0) as u32
}

/// Returns the tempo, in beats a minute, before the gradual change that ends at the step `from`.
/// Goes back over changes in one direction, to a tempo that lasted at least [`SETTLED_BARS`] or to
/// a change in the other direction.
pub(super) fn a_tempo(score: &Score, from: u32) -> f64 {
    let changes = score.tempos.changes();
    let known = &changes[..changes.partition_point(|&(at, _)| at < from.max(1))];
    let mut direction = None;
    let mut end = from;
    let mut found = score.tempos.bpm(from);
    for &(at, bpm) in known.iter().rev() {
        let turn = bpm.partial_cmp(&found);
        if end < from && direction.is_some() && turn != direction {
            break;
        }
        if end < from {
            direction = turn;
        }
        found = bpm;
        let settled = (0..SETTLED_BARS).fold(at, |at, _| score.time_signatures.next_bar(at + 1));
        if settled <= end {
            break;
        }
        end = at;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::midi::{ReadOptions, read_bytes};
    use continuo_score::{Drums, TempoMap};

    /// Returns the tempo before the gradual change for an answer from the fifth bar on, in 4/4 at
    /// 12 steps a beat.
    fn slowing(tempos: &[(u32, f64)]) -> f64 {
        let mut score = Score::new(12);
        score.tempos = TempoMap::new(tempos.to_vec());
        a_tempo(&score, 192)
    }

    #[test]
    fn a_tempo_is_the_tempo_before_the_ritardando() {
        assert_eq!(slowing(&[(0, 90.0)]), 90.0);
        let beats = [
            (0, 120.0),
            (144, 100.0),
            (156, 75.0),
            (168, 55.0),
            (180, 40.0),
        ];
        assert_eq!(slowing(&beats), 120.0);
        // The whole last bar is slower.
        assert_eq!(slowing(&[(0, 120.0), (144, 60.0)]), 120.0);
        // A lasting tempo is not part of a ritardando, and ends the search.
        assert_eq!(slowing(&[(0, 120.0), (96, 60.0)]), 60.0);
        assert_eq!(
            slowing(&[(0, 200.0), (48, 100.0), (144, 90.0), (180, 70.0)]),
            100.0
        );
        // The tempo first rises, then falls.
        assert_eq!(
            slowing(&[(0, 50.0), (120, 100.0), (156, 80.0), (180, 60.0)]),
            100.0
        );
        // Later tempos do not count.
        assert_eq!(slowing(&[(0, 120.0), (192, 40.0)]), 120.0);
    }

    /// Returns a MIDI file with a violin on channel 2 and a bass on channel 1: four bars of 4/4 at
    /// 96 ticks a beat.
    fn file(events: &[u8], format: u8) -> Vec<u8> {
        let note = |channel: u8, key: u8| [0, 0x90 | channel, key, 80, 96, 0x80 | channel, key, 0];
        let chunk = |events: &[&[u8]]| {
            let events = [&events.concat()[..], &[0, 0xff, 0x2f, 0]].concat();
            [&b"MTrk"[..], &(events.len() as u32).to_be_bytes(), &events].concat()
        };
        let bass: Vec<u8> = (0..4)
            .flat_map(|_| {
                let mut long = note(0, 40).to_vec();
                long.splice(4..5, [0x83, 0x00]);
                long
            })
            .collect();
        let violin: Vec<u8> = (0..16).flat_map(|beat| note(1, 60 + beat)).collect();
        [
            &b"MThd\0\0\0\x06\0"[..],
            &[format, 0, 2, 0, 96],
            &chunk(&[b"\0\xff\x03\x04Bass\0\xc0\x20", &bass]),
            &chunk(&[
                b"\0\xff\x03\x06\x83\x73\x83\x41\x83\x6d\0\xc1\x28",
                events,
                &violin,
            ]),
        ]
        .concat()
    }

    fn continued(bytes: &[u8], tempo: Tempo) -> (NewTrack, NewTrack, Vec<String>) {
        let document = MidiDocument::read(bytes.to_vec(), &ReadOptions::default()).unwrap();
        let score = Score::from_midi(document.file(), 12, Drums::Drop);
        let from = score.answer_start().unwrap();
        let note = Note {
            start: from + 6,
            length: 12,
            pitch: 62,
            velocity: 70,
            ..Note::default()
        };
        let continuation = Continuation {
            document: &document,
            parts: &PartFilter::default(),
            score: &score,
            from,
            until: from + 48,
            notes: vec![note],
            tempo,
            part: None,
            conducts: true,
        };
        let (track, said) = continuation.track(0);
        (track, continuation.alone(0), said)
    }

    #[test]
    fn new_track_has_name_and_program_of_the_busiest_part_and_a_free_channel() {
        let (track, alone, said) = continued(&file(&[], 1), Tempo::Kept);
        assert_eq!(track.name.as_bytes(), b"\x83\x73\x83\x41\x83\x6d");
        assert_eq!((track.channel, track.sound.program), (2, Some(40)));
        assert_eq!(
            (track.notes[0].start, track.notes[0].end),
            (16 * 96 + 48, 16 * 96 + 144)
        );
        assert_eq!((track.end, track.tempos.len(), said.len()), (20 * 96, 0, 0));
        // The continuation alone begins at tick 0.
        assert_eq!((alone.notes[0].start, alone.end), (48, 4 * 96));
        let read = read_bytes(&alone.to_bytes(96).unwrap()).unwrap();
        assert_eq!(
            (read.format, read.tracks.len(), read.notes.len()),
            (0, 1, 1)
        );
        assert_eq!(
            (read.tempos[0], read.time_signatures.len()),
            ((0, 500_000), 1)
        );
    }

    #[test]
    fn tempo_is_written_at_the_first_generated_bar() {
        let (track, alone, _) = continued(&file(&[], 1), Tempo::Bpm(100.0));
        assert_eq!(track.tempos, [(16 * 96, 600_000)]);
        assert_eq!(alone.tempos, [(0, 600_000)]);
        // The tempo that is already set is not set again.
        assert_eq!(continued(&file(&[], 1), Tempo::Bpm(120.0)).0.tempos, []);
        assert_eq!(continued(&file(&[], 1), Tempo::Before).0.tempos, []);
    }

    #[test]
    fn track_shares_a_channel_where_none_is_free() {
        let full: Vec<u8> = (0..16).flat_map(|channel| [0, 0xd0 | channel, 1]).collect();
        let (track, _, said) = continued(&file(&full, 1), Tempo::Kept);
        assert_eq!((track.channel, track.sound), (1, PartSound::default()));
        assert!(said[0].contains("channel 2"), "{said:?}");
    }

    #[test]
    fn consecutive_pieces_begin_at_the_end_of_the_last() {
        let (track, ..) = continued(&file(&[], 2), Tempo::Kept);
        assert_eq!(track.notes[0].start, 48);
    }
}
