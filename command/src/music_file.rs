//! Files of music that a command line names: MIDI files, and recordings, whose notes are found first.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow};
use continuo_cli::{Progress, note, number};
use continuo_ear::{
    AudioFile, DEFAULT_BPM, EarModel, MidiTranscript, Settings, TempoSource, Transcript, transcribe,
};
use continuo_engine::Runtime;
use continuo_files::{Input, MOST_BYTES, ReadError, ear_model, kind, onnx_runtime, read_input};
use continuo_score::midi::{self, MidiDocument, MidiFile, ReadOptions};

/// Latest time of a first beat in seconds.
const LATEST: f64 = 36_000.0;

/// Options about the beats of a recording.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct BeatOptions {
    /// Tempo of a recording (WAV, FLAC) in beats a minute [default: found]
    #[arg(long, value_name = "BPM", value_parser = number(4.0f64, 1000.0))]
    pub(super) bpm: Option<f64>,
    /// Time of a recording's first beat in seconds [default: found]
    #[arg(long, value_name = "SECONDS", value_parser = number(0.0f64, LATEST))]
    pub(super) first_beat: Option<f64>,
}

/// How the notes of a recording are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing {
    /// Tempo and first beat, where they are named.
    pub(super) beat: BeatOptions,
    pub(super) settings: Settings,
    /// ONNX Runtime's library and basic-pitch's model, where options name them.
    pub(super) runtime: Option<PathBuf>,
    pub(super) model: Option<PathBuf>,
}

impl Hearing {
    /// Finds the notes of a recording, and shows the progress. Prints what is odd about it.
    ///
    /// # Errors
    /// Fails if ONNX Runtime or the model is not found, or if the recording cannot be read.
    pub(super) fn transcribe(
        &self,
        name: &Path,
        file: AudioFile,
    ) -> Result<(Transcript, MidiTranscript)> {
        let named = name.display();
        let library = onnx_runtime::find(self.runtime.as_deref())
            .with_context(|| format!("{named}: its notes cannot be found"))?;
        let model = ear_model::find(self.model.as_deref(), Some(&library))
            .with_context(|| format!("{named}: its notes cannot be found"))?;
        let model = EarModel::load(Runtime::load(&library)?.environment(), &model)?;
        let all = file.seconds().unwrap_or(0.0) as u64;
        let progress = Progress::new("listening", "s", all);
        let mut tell = |done: f64| {
            progress.set(done as u64, all.max(done as u64));
            ControlFlow::Continue(())
        };
        let heard = transcribe(file, model, &self.settings, &mut tell)?;
        drop(progress);
        let made = MidiTranscript::new(&heard, self.beat.bpm, self.beat.first_beat);
        super::warn(name, &made.file.warnings);
        if made.tempo == TempoSource::Default && !heard.notes.is_empty() {
            note(format_args!(
                "continuo: {named}: too few notes to find a tempo, so it is {DEFAULT_BPM} beats a \
                 minute; --bpm sets it"
            ));
        }
        Ok((heard, made))
    }
}

/// A file of music as the bytes of a MIDI file.
pub(super) struct MusicFile {
    /// Name of the file in messages.
    pub(super) name: PathBuf,
    bytes: Vec<u8>,
    is_recording: bool,
}

impl MusicFile {
    /// Reads a MIDI file, a recording, or either from standard input (`-`). The content decides which
    /// it is. The notes of a recording are found, and become a MIDI file.
    ///
    /// # Errors
    /// Fails if the file cannot be read. Whether it is a MIDI file is decided when that is read.
    pub(super) fn open(path: &Path, hearing: &Hearing) -> Result<Self> {
        let (name, audio) = if kind::is_audio_file(path) {
            (path.to_path_buf(), AudioFile::open(path)?)
        } else {
            let Input { name, bytes } = read_input(path, MOST_BYTES).map_err(|why| {
                // The kind of a huge file says more than its size.
                let other = matches!(why, ReadError::TooLarge { .. } if path.is_file())
                    .then(|| kind::refuse_music_file(path))
                    .flatten();
                other.map_or_else(
                    || why.into(),
                    |other| anyhow!("{}: {other}", path.display()),
                )
            })?;
            if !kind::is_audio(&bytes) {
                return Ok(Self {
                    name,
                    bytes,
                    is_recording: false,
                });
            }
            let audio = AudioFile::from_bytes(&name, bytes)?;
            (name, audio)
        };
        let (_, made) = hearing.transcribe(&name, audio)?;
        Ok(Self {
            bytes: made
                .file
                .to_bytes()
                .with_context(|| name.display().to_string())?,
            name,
            is_recording: true,
        })
    }

    /// Says once that options about recordings have no effect, if the file is none.
    pub(super) fn note_without_effect(&self, options: &[&str]) {
        static SAID: AtomicBool = AtomicBool::new(false);
        if self.is_recording || options.is_empty() || SAID.swap(true, Ordering::Relaxed) {
            return;
        }
        note(format_args!("continuo: {}", self.without_effect(options)));
    }

    fn without_effect(&self, options: &[&str]) -> String {
        let (are, change) = match options.len() {
            1 => ("is", "changes"),
            _ => ("are", "change"),
        };
        format!(
            "{}: {} {are} for recordings and {change} nothing here: a MIDI file has beats of its own",
            self.name.display(),
            options.join(" and "),
        )
    }

    /// Returns the notes.
    ///
    /// # Errors
    /// Fails if the file is no readable MIDI file.
    pub(super) fn read(&self, reading: &ReadOptions) -> Result<MidiFile> {
        midi::read(&self.bytes, reading).with_context(|| self.refusal())
    }

    /// Returns the notes with the bytes that they come from.
    ///
    /// # Errors
    /// Fails if the file is no readable MIDI file.
    pub(super) fn into_document(self, reading: &ReadOptions) -> Result<MidiDocument> {
        let refusal = self.refusal();
        MidiDocument::read(self.bytes, reading).context(refusal)
    }

    /// Reason of refusing a file that cannot be read.
    fn refusal(&self) -> String {
        let why = kind::refuse_music(&self.bytes);
        format!("{}: {why}", self.name.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("song.mid");
        std::fs::write(&path, bytes).unwrap();
        let file = MusicFile::open(&path, &Hearing::default()).unwrap();
        assert!(!file.is_recording);
        let why = file.read(&ReadOptions::default()).unwrap_err();
        let text = format!("{why:#}");
        let document = file.into_document(&ReadOptions::default()).unwrap_err();
        assert_eq!(format!("{document:#}"), text);
        text
    }

    #[test]
    fn huge_file_is_refused_with_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wav");
        std::fs::write(&path, b"RF64\xff\xff\xff\xffWAVE").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        let why = MusicFile::open(&path, &Hearing::default()).err().unwrap();
        assert!(why.to_string().contains("RF64"), "{why:#}");
    }

    #[test]
    fn all_options_without_effect_are_named() {
        let file = MusicFile {
            name: "a.mid".into(),
            bytes: Vec::new(),
            is_recording: false,
        };
        let both = file.without_effect(&["--bpm", "--first-beat"]);
        assert!(
            both.starts_with("a.mid: --bpm and --first-beat are for"),
            "{both}"
        );
        assert!(file.without_effect(&["--bpm"]).contains("--bpm is for"));
    }

    #[test]
    fn other_files_are_refused_with_their_kind_and_what_is_taken() {
        let mp3 = refusal(b"ID3\x04");
        assert!(
            mp3.contains("song.mid") && mp3.contains("MIDI, WAV or FLAC") && mp3.contains("MP3"),
            "{mp3}"
        );
        assert!(refusal(b"Dear sir").contains("a text file"));
        assert!(refusal(b"MThd no more").contains("not a readable MIDI file: byte"));
    }
}
