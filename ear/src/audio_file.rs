//! Reads WAV and FLAC files block by block.

use std::fs::File;
use std::io::{Cursor, ErrorKind};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use continuo_files::{MOST_BYTES, is_standard, read_input};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Decoding;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use crate::error::EarError;

/// Accepted sample rates in Hz.
pub const RATES: RangeInclusive<u32> = 8_000..=192_000;

/// A WAV or FLAC file that is decoded block by block, so that its length does not matter. Its
/// channels are mixed to one.
pub struct AudioFile {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    channels: usize,
    frames: Option<u64>,
    damaged_packets: usize,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
}

impl AudioFile {
    /// Opens a file, or standard input for the path `-`, and reads its header. Standard input is
    /// read whole, at most [`MOST_BYTES`].
    ///
    /// # Errors
    /// Fails if the file cannot be read, is neither WAV nor FLAC, or has a sample rate outside of
    /// [`RATES`].
    pub fn open(path: &Path) -> Result<Self, EarError> {
        Self::probe(path, open_source(path)?)
    }

    /// Reads the header of a file that is in memory; `name` stands for it in messages.
    ///
    /// # Errors
    /// Fails as [`Self::open`] does.
    pub fn from_bytes(name: &Path, bytes: Vec<u8>) -> Result<Self, EarError> {
        Self::probe(name, Box::new(Cursor::new(bytes)))
    }

    fn probe(path: &Path, source: Box<dyn MediaSource>) -> Result<Self, EarError> {
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let refused = |reason: &dyn std::fmt::Display| EarError::format(path, reason);
        let format = symphonia::default::get_probe()
            .probe(
                &Hint::new(),
                stream,
                FormatOptions::default(),
                MetadataOptions::default(),
            )
            .map_err(|e| refused(&e))?;
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| refused(&"it has no audio track"))?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio())
            .ok_or_else(|| refused(&"its audio format is unknown"))?;
        let rate = parameters
            .sample_rate
            .ok_or_else(|| refused(&"it names no sample rate"))?;
        if !RATES.contains(&rate) {
            return Err(EarError::FileRate {
                path: path.into(),
                rate,
            });
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|e| refused(&e))?;
        Ok(Self {
            path: path.into(),
            rate,
            channels: parameters.channels.as_ref().map_or(1, |some| some.count()),
            frames: track.num_frames,
            track: track.id,
            decoder,
            format,
            damaged_packets: 0,
            interleaved: Vec::new(),
            mono: Vec::new(),
        })
    }

    /// Sample rate in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Number of channels in the file.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Length in seconds; `None` if the header does not say it.
    pub fn seconds(&self) -> Option<f64> {
        Some(self.frames? as f64 / f64::from(self.rate))
    }

    /// Number of packets so far that could not be decoded. Each was read as silence.
    pub fn damaged_packets(&self) -> usize {
        self.damaged_packets
    }

    /// Returns the next block, as the mean of the channels at [`Self::rate`]; `None` at the end. A
    /// file that ends too early ends there.
    ///
    /// # Errors
    /// Fails if the file cannot be read on.
    pub fn read(&mut self) -> Result<Option<&[f32]>, EarError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(None),
                Err(Decoding::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(None);
                }
                Err(Decoding::IoError(e)) => return Err(EarError::io(&self.path, e)),
                Err(e) => return Err(EarError::format(&self.path, e)),
            };
            if packet.track_id != self.track {
                continue;
            }
            self.mono.clear();
            match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    let channels = decoded.num_planes().max(1);
                    decoded.copy_to_vec_interleaved(&mut self.interleaved);
                    let frames = self.interleaved.chunks_exact(channels);
                    let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
                    self.mono.extend(frames.map(mean));
                }
                Err(Decoding::DecodeError(_) | Decoding::IoError(_)) => {
                    self.damaged_packets += 1;
                    let frames = usize::try_from(packet.dur.get()).unwrap_or(0);
                    self.mono.resize(frames.min(1 << 16), 0.0);
                }
                Err(e) => return Err(EarError::format(&self.path, e)),
            }
            if !self.mono.is_empty() {
                return Ok(Some(&self.mono));
            }
        }
    }
}

fn open_source(path: &Path) -> Result<Box<dyn MediaSource>, EarError> {
    if is_standard(path) {
        let input = read_input(path, MOST_BYTES)?;
        return Ok(Box::new(Cursor::new(input.bytes)));
    }
    // Some systems open a folder as a file and fail later, without naming the reason.
    if path.is_dir() {
        return Err(EarError::io(path, ErrorKind::IsADirectory.into()));
    }
    let file = File::open(path).map_err(|e| EarError::io(path, e))?;
    Ok(Box::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use hound::{SampleFormat, WavSpec, WavWriter};

    /// Writes a WAV file of 32-bit floats.
    fn write(path: &Path, rate: u32, channels: u16, interleaved: &[f32]) {
        let spec = WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
        };
        let mut writer = WavWriter::create(path, spec).unwrap();
        for sample in interleaved {
            writer.write_sample(*sample).unwrap();
        }
        writer.finalize().unwrap();
    }

    fn read(path: &Path) -> Result<Vec<f32>, EarError> {
        let mut file = AudioFile::open(path)?;
        let mut all = Vec::new();
        while let Some(block) = file.read()? {
            all.extend_from_slice(block);
        }
        Ok(all)
    }

    #[test]
    fn channels_are_mixed_to_their_mean() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(&path, 44_100, 1, &[0.25, -0.5]);
        assert_eq!(read(&path).unwrap(), [0.25, -0.5]);
        write(&path, 44_100, 2, &[0.5, 0.0, 1.0, 0.5]);
        assert_eq!(read(&path).unwrap(), [0.25, 0.75]);
        let bytes = fs::read(&path).unwrap();
        let mut in_memory = AudioFile::from_bytes(Path::new("standard input"), bytes).unwrap();
        assert_eq!(in_memory.read().unwrap(), Some(&[0.25, 0.75][..]));
        let surround = [0.6, 0.0, 0.6, 0.0, 0.0, 0.0].repeat(1_000);
        write(&path, 48_000, 6, &surround);
        let file = AudioFile::open(&path).unwrap();
        assert_eq!((file.rate(), file.channels()), (48_000, 6));
        assert_eq!(file.seconds(), Some(1_000.0 / 48_000.0));
        let mixed = read(&path).unwrap();
        assert_eq!(mixed.len(), 1_000);
        assert!(mixed.iter().all(|sample| (sample - 0.2).abs() < 1e-6));
    }

    #[test]
    fn whole_numbers_are_read_to_full_scale() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        for bits in [8u16, 16, 24, 32] {
            let spec = WavSpec {
                channels: 1,
                sample_rate: 8_000,
                bits_per_sample: bits,
                sample_format: SampleFormat::Int,
            };
            let mut writer = WavWriter::create(&path, spec).unwrap();
            for sample in [0, 1 << (bits - 2), -(1 << (bits - 2))] {
                writer.write_sample(sample).unwrap();
            }
            writer.finalize().unwrap();
            assert_eq!(read(&path).unwrap(), [0.0, 0.5, -0.5], "{bits} bits");
        }
    }

    #[test]
    fn flac_is_read() {
        // 4,096 frames of silence at 44.1 kHz, one channel, 16 bits: the header, and one frame with
        // a constant subframe.
        let mut bytes = b"fLaC\x80\0\0\x22".to_vec();
        bytes.extend([0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0x0a, 0xc4, 0x40, 0xf0, 0, 0, 0x10, 0]);
        bytes.extend([0; 16]);
        let mut frame = vec![0xff, 0xf8, 0xc9, 0x08, 0x00];
        frame.push(crc(&frame, 8, 0x07) as u8);
        frame.extend([0x00, 0x00, 0x00]);
        let check = crc(&frame, 16, 0x8005);
        frame.extend((check as u16).to_be_bytes());
        bytes.extend(frame);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.flac");
        fs::write(&path, bytes).unwrap();
        assert_eq!(AudioFile::open(&path).unwrap().rate(), 44_100);
        assert_eq!(read(&path).unwrap(), [0.0; 4_096]);
    }

    /// Returns the checksum with `bits` bits and the polynomial `polynomial`.
    fn crc(bytes: &[u8], bits: u32, polynomial: u32) -> u32 {
        let top = 1 << (bits - 1);
        bytes.iter().fold(0, |crc, byte| {
            let crc = crc ^ (u32::from(*byte) << (bits - 8));
            (0..8).fold(crc, |crc: u32, _| {
                let next = crc << 1 ^ if crc & top != 0 { polynomial } else { 0 };
                next & (top | (top - 1))
            })
        })
    }

    #[test]
    fn values_beyond_full_scale_and_no_numbers_are_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(&path, 48_000, 1, &[2.0, f32::NAN, f32::INFINITY, -2.0]);
        let samples = read(&path).unwrap();
        assert_eq!((samples[0], samples[3]), (2.0, -2.0));
        assert!(samples[1].is_nan() && samples[2] == f32::INFINITY);
    }

    #[test]
    fn file_without_samples_is_empty_and_a_cut_one_ends_early() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(&path, 48_000, 1, &[]);
        assert!(read(&path).unwrap().is_empty());
        write(&path, 48_000, 1, &[0.5; 10_000]);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let samples = read(&path).unwrap();
        assert!(
            (3_000..10_000).contains(&samples.len()),
            "{}",
            samples.len()
        );
    }

    #[test]
    fn unusable_files_are_refused_with_their_name_and_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let refused = |remedy: &str| {
            let error = AudioFile::open(&path).err().unwrap().to_string();
            assert!(error.contains("a.wav") && error.contains(remedy), "{error}");
        };
        refused("check the file's name");
        fs::write(&path, "").unwrap();
        refused("convert it to WAV or FLAC");
        fs::write(&path, "MThd".repeat(1_000)).unwrap();
        refused("convert it to WAV or FLAC");
        for rate in [4_000, 384_000] {
            write(&path, rate, 1, &[0.0; 100]);
            refused("8000 to 192000 Hz");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("check the file's name");
    }
}
