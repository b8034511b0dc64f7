//! The notes of a recording as a MIDI file.

use continuo_score::TimeSignature;
use continuo_score::midi::{MidiFile, MidiNote, Text};

use crate::note::Note;
use crate::tempo::{Beat, find_beat};
use crate::transcribe::Transcript;

/// Tempo of a recording whose tempo is not found, in beats a minute.
pub const DEFAULT_BPM: f64 = 120.0;
/// Ticks in a quarter note of the file. 960 ticks are 0.5 ms at 120 beats a minute.
const TICKS: u32 = 960;
/// Beats before the first one up to which a note counts as played early.
const EARLY: f64 = 0.1;
/// Beats in a bar of the file.
const BEATS: f64 = 4.0;

/// The notes of a recording as a MIDI file of one track, in 4/4 at one tempo.
#[derive(Clone, Debug, PartialEq)]
pub struct MidiTranscript {
    /// The file. A bar begins at the first beat, and notes before it are in the bars before. Its
    /// warnings are those about odd sound.
    pub file: MidiFile,
    /// Tempo and first beat.
    pub beat: Beat,
    /// Source of the tempo.
    pub tempo: TempoSource,
}

/// Source of a tempo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TempoSource {
    /// The caller named it.
    Named,
    /// It was found in the onsets.
    Found,
    /// There are too few notes to find one, so it is [`DEFAULT_BPM`].
    Default,
}

impl MidiTranscript {
    /// Makes the file. `bpm` is the tempo in beats a minute, and `first_beat` the time of the first
    /// beat in seconds; one that is not named is found ([`find_beat`]).
    pub fn new(transcript: &Transcript, bpm: Option<f64>, first_beat: Option<f64>) -> Self {
        let found = find_beat(&transcript.notes, bpm);
        let tempo = match (bpm, found) {
            (Some(_), _) => TempoSource::Named,
            (None, Some(_)) => TempoSource::Found,
            (None, None) => TempoSource::Default,
        };
        let beat = Beat {
            bpm: bpm.or(found.map(|beat| beat.bpm)).unwrap_or(DEFAULT_BPM),
            first: first_beat.unwrap_or(found.map_or(0.0, |beat| beat.first)),
        };
        let mut file = midi_file(&transcript.notes, &beat);
        file.warnings = transcript.warnings();
        Self { file, beat, tempo }
    }
}

fn midi_file(notes: &[Note], beat: &Beat) -> MidiFile {
    let beats = |seconds: f64| (seconds - beat.first) * beat.bpm / 60.0;
    // Notes that are only played early are no pickup; they move to the first beat.
    let early = notes.first().map_or(0.0, |note| -beats(note.onset));
    let pickup = if early > EARLY { early } else { 0.0 };
    let lead = (pickup / BEATS).ceil() * BEATS;
    let tick = |seconds: f64| ((beats(seconds) + lead).max(0.0) * f64::from(TICKS)).round() as u64;
    let notes: Vec<MidiNote> = notes
        .iter()
        .map(|note| MidiNote {
            start: tick(note.onset),
            end: tick(note.end).max(tick(note.onset) + 1),
            pitch: note.pitch,
            velocity: note.velocity,
            channel: 0,
            track: 0,
        })
        .collect();
    MidiFile {
        format: 1,
        ticks_per_beat: TICKS,
        end: notes.iter().map(|note| note.end).max().unwrap_or(0),
        notes,
        tempos: vec![(0, (60e6 / beat.bpm).round() as u32)],
        time_signatures: vec![(0, TimeSignature::COMMON)],
        tracks: vec![Text::from("transcription")],
        ..MidiFile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::midi::read_bytes;

    fn transcript(onsets: &[f64]) -> Transcript {
        let note = |&onset: &f64| Note {
            onset,
            end: onset + 0.5,
            pitch: 60,
            velocity: 80,
            confidence: 0.8,
            decided: 0.0,
        };
        Transcript {
            notes: onsets.iter().map(note).collect(),
            seconds: 10.0,
            rate: 48_000,
            channels: 1,
            repaired_samples: 0,
            damaged_packets: 0,
        }
    }

    #[test]
    fn first_beat_is_the_start_of_a_bar_and_a_pickup_comes_before() {
        let starts = |onsets: &[f64]| -> Vec<u64> {
            let made = MidiTranscript::new(&transcript(onsets), Some(120.0), Some(1.0));
            assert_eq!(made.tempo, TempoSource::Named);
            let read = read_bytes(&made.file.to_bytes().unwrap()).unwrap();
            assert_eq!(read.tempos, [(0, 500_000)]);
            read.notes.iter().map(|note| note.start).collect()
        };
        assert_eq!(starts(&[1.0, 1.5]), [0, 960]);
        assert_eq!(starts(&[0.98, 1.5]), [0, 960]);
        assert_eq!(starts(&[0.5, 1.0]), [3 * 960, 4 * 960]);
        assert_eq!(starts(&[]), [0; 0]);
    }

    #[test]
    fn tempo_is_found_where_none_is_named() {
        let onsets: Vec<f64> = (0..16).map(|beat| 0.7 + 0.6 * f64::from(beat)).collect();
        let found = MidiTranscript::new(&transcript(&onsets), None, None);
        assert_eq!(found.tempo, TempoSource::Found);
        assert!((found.beat.bpm - 100.0).abs() < 0.5, "{:?}", found.beat);
        assert!((found.beat.first - 0.7).abs() < 0.02, "{:?}", found.beat);
        let few = MidiTranscript::new(&transcript(&onsets[..3]), None, None);
        assert_eq!(few.tempo, TempoSource::Default);
        assert_eq!(few.file.tempos, [(0, 500_000)]);
    }

    #[test]
    fn odd_sound_is_among_the_warnings() {
        let odd = Transcript {
            repaired_samples: 3,
            damaged_packets: 1,
            ..transcript(&[])
        };
        let warnings = MidiTranscript::new(&odd, None, None).file.warnings;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("3 samples") && warnings[1].starts_with("1 damaged"));
    }
}
