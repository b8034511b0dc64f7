//! Renders MIDI files as WAV files.

use std::io::BufWriter;
use std::ops::Range;

use continuo_files::{Output, WriteError};
use continuo_score::midi::MidiFile;
use continuo_score::{Drums, Part, midi_tracks};

use crate::{DRUM_CHANNEL, Ensemble};

/// Number of samples in a rendered block.
const BLOCK: usize = 4_096;
/// Longest time for the last notes to fade, in seconds.
const TAIL: f64 = 5.0;

/// Error of rendering a WAV file.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The file cannot be written.
    #[error("cannot write {name}: {error}")]
    Write {
        /// The WAV file.
        name: String,
        /// Error of the system.
        error: hound::Error,
    },
    /// The file cannot be moved into its place.
    #[error(transparent)]
    Place(#[from] WriteError),
    /// The sound is too long, since a WAV file stores its size in 32 bits.
    #[error(
        "{name} would be {seconds:.0} s long, more than a WAV file holds at {rate} samples a \
         second; choose a lower rate or cut the MIDI file"
    )]
    TooLong {
        /// The WAV file.
        name: String,
        /// Length in seconds.
        seconds: f64,
        /// Sample rate in Hz.
        rate: u32,
    },
}

/// Statistics of a rendered file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rendered {
    /// Length of the sound in seconds, with the release of the last notes.
    pub seconds: f64,
    /// Number of notes played, without drums.
    pub notes: usize,
    /// Number of drum hits played.
    pub drums: usize,
    /// Peak of the samples; 1 is full scale.
    pub peak: f32,
}

/// A note-on or note-off at a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct KeyEvent {
    sample: u64,
    /// MIDI velocity. It is 0 for a note-off, which sorts before a note-on.
    velocity: u8,
    channel: u8,
    key: u8,
}

/// Renders the notes that sound in a range of ticks, each to its end, at the file's tempo. A note
/// that begins before the range begins with it. Writes a stereo WAV file of 16 bits at `rate`
/// samples a second, as a whole or not at all. Calls `progress` with the finished share, from 0 to
/// 1.
///
/// # Errors
/// Fails if the sound is longer than a WAV file can be, or if the file cannot be written.
pub fn write_wav(
    file: &MidiFile,
    ticks: Range<u64>,
    output: &Output,
    rate: u32,
    progress: &mut dyn FnMut(f64),
) -> Result<Rendered, WavError> {
    let failed = |error| WavError::Write {
        name: output.name(),
        error,
    };
    let (events, mut rendered) = events(file, &ticks, rate);
    let seconds = seconds(file, &ticks);
    // A sample of two channels takes four bytes.
    if (seconds + TAIL) * f64::from(rate) * 4.0 > f64::from(u32::MAX) - 1e4 {
        return Err(WavError::TooLong {
            name: output.name(),
            seconds,
            rate,
        });
    }
    let specification = hound::WavSpec {
        channels: 2,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut draft = output.begin()?;
    let buffered = BufWriter::new(&mut draft);
    let mut writer = hound::WavWriter::new(buffered, specification).map_err(failed)?;
    let mut ensemble = Ensemble::new(f64::from(rate));
    ensemble.set_bass(bass_channels(file));
    let (mut left, mut right) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
    let (mut now, mut next) = (0, 0);
    let end = samples(seconds, rate);
    let last = end + samples(TAIL, rate);
    while now < end || next < events.len() || (now < last && !ensemble.is_silent()) {
        while let Some(event) = events.get(next).filter(|event| event.sample <= now) {
            match event.velocity {
                0 => ensemble.note_off(event.channel, event.key),
                velocity => {
                    let velocity = f32::from(velocity) / 127.0;
                    ensemble.note_on(event.channel, event.key, velocity);
                }
            }
            next += 1;
        }
        // Renders up to the next event. After the last one, renders to the end of the range and
        // until all notes have faded.
        let until = events.get(next).map_or(last, |event| event.sample);
        let until = if now < end { until.min(end) } else { until };
        let count = usize::try_from(until.saturating_sub(now))
            .unwrap_or(BLOCK)
            .min(BLOCK);
        ensemble.render(&mut left[..count], &mut right[..count]);
        for (&left, &right) in left[..count].iter().zip(&right[..count]) {
            rendered.peak = rendered.peak.max(left.abs()).max(right.abs());
            for sample in [left, right] {
                let sample = (sample * f32::from(i16::MAX)).round() as i16;
                writer.write_sample(sample).map_err(failed)?;
            }
        }
        now += count as u64;
        progress((now as f64 / end.max(1) as f64).min(1.0));
    }
    writer.finalize().map_err(failed)?;
    draft.finish()?;
    rendered.seconds = now as f64 / f64::from(rate);
    Ok(rendered)
}

/// Returns the duration of a range of ticks in seconds, at the file's tempo.
pub fn seconds(file: &MidiFile, ticks: &Range<u64>) -> f64 {
    let at = seconds_of(file, &[ticks.start, ticks.end.max(ticks.start)]);
    at[1] - at[0]
}

/// Returns the events in order of time, with samples counted from the first tick of the range, and
/// the numbers of notes. A note that begins before the range, for example a little ahead of its
/// beat, begins with it.
fn events(file: &MidiFile, ticks: &Range<u64>, rate: u32) -> (Vec<KeyEvent>, Rendered) {
    let within = || {
        file.notes
            .iter()
            .filter(|note| note.end >= ticks.start && note.start <= ticks.end)
    };
    let mut moments: Vec<u64> = within().flat_map(|n| [n.start, n.end]).collect();
    moments.push(ticks.start);
    moments.sort_unstable();
    moments.dedup();
    let at = seconds_of(file, &moments);
    // `moments` contains every requested tick.
    let second = |tick| moments.binary_search(&tick).map_or(0.0, |index| at[index]);
    let origin = second(ticks.start);
    let sample = |tick| samples((second(tick) - origin).max(0.0), rate);
    let mut events = Vec::with_capacity(2 * file.notes.len());
    let mut drums = 0;
    for note in within() {
        let (is_drum, key) = (file.is_drum(note), note.pitch);
        drums += usize::from(is_drum);
        let channel = match note.channel {
            _ if is_drum => DRUM_CHANNEL,
            // Notes on channel 10 that are no drums sound on channel 11.
            DRUM_CHANNEL => DRUM_CHANNEL + 1,
            channel => channel,
        };
        let on = sample(note.start);
        events.push(KeyEvent {
            sample: on,
            velocity: note.velocity.max(1),
            channel,
            key,
        });
        // A drum ends by itself.
        if !is_drum {
            events.push(KeyEvent {
                sample: sample(note.end).max(on + 1),
                velocity: 0,
                channel,
                key,
            });
        }
    }
    events.sort_unstable();
    let counts = Rendered {
        notes: (events.len() - drums) / 2,
        drums,
        ..Rendered::default()
    };
    (events, counts)
}

/// Returns the channels on which all tracks play a bass: bit *c* for channel *c*, from 0.
fn bass_channels(file: &MidiFile) -> u16 {
    // The grid only serves to find the parts.
    let tracks = midi_tracks(file, 12, Drums::Drop);
    let of = |is_bass: bool| {
        let those = tracks.iter().filter(|t| (t.part == Part::Bass) == is_bass);
        those.fold(0, |bits, track| bits | 1 << (track.channel & 15))
    };
    of(true) & !of(false)
}

/// Returns the time of each tick in seconds, at the file's tempo. `ticks` must ascend. The tempo
/// before the file's first is 120 beats a minute.
fn seconds_of(file: &MidiFile, ticks: &[u64]) -> Vec<f64> {
    let (mut seconds, mut now, mut micros) = (0.0, 0, 500_000);
    let per_tick = |micros: u32| f64::from(micros) / 1e6 / f64::from(file.ticks_per_beat.max(1));
    let mut tempos = file.tempos.iter().peekable();
    let mut found = Vec::with_capacity(ticks.len());
    for &tick in ticks {
        while let Some(&(from, next)) = tempos.next_if(|tempo| tempo.0 <= tick) {
            seconds += from.saturating_sub(now) as f64 * per_tick(micros);
            (now, micros) = (from.max(now), next);
        }
        found.push(seconds + (tick - now) as f64 * per_tick(micros));
    }
    found
}

/// Returns the sample nearest to a time in seconds.
fn samples(seconds: f64, rate: u32) -> u64 {
    (seconds * f64::from(rate)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_files::{Replace, kind};
    use continuo_score::midi::MidiNote;
    use std::path::Path;

    fn wav(path: &Path) -> Output {
        Output::check(path, &kind::WAV, Replace::SameKind).unwrap()
    }

    fn file(tempos: &[(u64, u32)], notes: &[(u64, u64, u8, u8)]) -> MidiFile {
        let note = |&(start, end, pitch, channel): &(u64, u64, u8, u8)| MidiNote {
            start,
            end,
            pitch,
            velocity: 100,
            channel,
            track: 0,
        };
        let notes: Vec<MidiNote> = notes.iter().map(note).collect();
        MidiFile {
            format: 0,
            ticks_per_beat: 480,
            end: notes.iter().map(|n| n.end).max().unwrap_or(0),
            notes,
            tempos: tempos.to_vec(),
            ..MidiFile::default()
        }
    }

    #[test]
    fn every_note_begins_on_its_sample_at_the_tempo_of_the_file() {
        // 120 beats a minute, 60 from the second beat, and 240 from the third.
        let tempos = [(480, 1_000_000), (960, 250_000)];
        let notes = [
            (0, 480, 60, 0),
            (480, 960, 62, 0),
            (960, 1440, 64, 1),
            (960, 960, 65, 1),
        ];
        let (events, counts) = events(&file(&tempos, &notes), &(0..1440), 48_000);
        let plain: Vec<_> = events
            .iter()
            .map(|e| (e.sample, e.velocity > 0, e.key))
            .collect();
        let expected = [
            (0, true, 60),
            (24_000, false, 60),
            (24_000, true, 62),
            (72_000, false, 62),
            (72_000, true, 64),
            (72_000, true, 65),
            (72_001, false, 65),
            (84_000, false, 64),
        ];
        assert_eq!(plain, expected);
        assert_eq!((counts.notes, counts.drums), (4, 0));
    }

    #[test]
    fn range_of_ticks_begins_at_the_first_sample() {
        // 120 beats a minute, and 60 from the second beat.
        let music = file(
            &[(480, 1_000_000)],
            &[(475, 960, 62, 0), (960, 1440, 64, 0), (0, 400, 60, 0)],
        );
        let (events, counts) = events(&music, &(480..1440), 48_000);
        let plain: Vec<_> = events
            .iter()
            .map(|e| (e.sample, e.velocity > 0, e.key))
            .collect();
        let expected = [
            (0, true, 62),
            (48_000, false, 62),
            (48_000, true, 64),
            (96_000, false, 64),
        ];
        assert_eq!((plain, counts.notes), (expected.to_vec(), 2));
        assert_eq!(seconds(&music, &(480..1440)), 2.0);
        assert_eq!(seconds(&music, &(0..1440)), 2.5);
    }

    #[test]
    fn wav_file_ends_with_the_release_of_the_last_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.wav");
        let music = file(&[(0, 500_000)], &[(480, 960, 69, 0), (0, 1920, 38, 9)]);
        let mut shares = Vec::new();
        let rendered = write_wav(&music, 0..music.end, &wav(&path), 22_050, &mut |share| {
            shares.push(share)
        })
        .unwrap();
        assert_eq!((rendered.notes, rendered.drums), (1, 1));
        assert!(rendered.peak > 0.02 && rendered.peak < 1.0, "{rendered:?}");
        assert!(shares.is_sorted() && shares.last() == Some(&1.0));
        let mut reader = hound::WavReader::open(&path).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate), (2, 22_050));
        let left: Vec<i16> = reader
            .samples::<i16>()
            .step_by(2)
            .map(Result::unwrap)
            .collect();
        assert_eq!(left.len() as f64, (rendered.seconds * 22_050.0).round());
        // The range lasts four beats, two seconds. The note is released after one second and has
        // faded by then, and so has the drum.
        assert_eq!(left.len(), 44_100);
        let loudest = |range: std::ops::Range<usize>| left[range].iter().map(|s| s.abs()).max();
        assert!(loudest(0..2_000) > Some(1_000), "the snare");
        assert_eq!(loudest(10_500..11_025), Some(0), "between both");
        assert!(loudest(11_025..22_050) > Some(1_000), "the note");
    }

    #[test]
    fn file_without_notes_is_silent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.wav");
        let rendered = write_wav(&file(&[], &[]), 0..0, &wav(&path), 48_000, &mut |_| ()).unwrap();
        assert_eq!(rendered, Rendered::default());
        assert_eq!(hound::WavReader::open(&path).unwrap().len(), 0);
        let long = file(&[(0, u32::MAX)], &[(0, u64::from(u32::MAX), 60, 0)]);
        let error = write_wav(&long, 0..long.end, &wav(&path), 48_000, &mut |_| ()).unwrap_err();
        assert!(matches!(error, WavError::TooLong { .. }), "{error}");
        let whole = hound::WavReader::open(&path).unwrap();
        assert_eq!(whole.len(), 0, "what was there stays");
    }
}
