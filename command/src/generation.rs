//! Options and steps of all commands that generate notes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::ArgMatches;
use continuo_cli::{Force, Progress, at_least, number};
use continuo_engine::{Composer, Model};
use continuo_score::Score;
use continuo_score::midi::{MidiFile, Pedal};

use super::input_selection::InputSelection;
use super::inputs::{self, Wanted};
use super::music_file::MusicFile;
use crate::options::{ComputeOptions, ModelPaths, SamplingOptions};

/// Options of a command that generates notes from the notes of a file.
#[derive(clap::Args)]
pub(super) struct GenerationOptions {
    /// Seed: the same seed gives the same notes
    #[arg(long, default_value_t = 1, value_parser = at_least(0u64))]
    pub(super) seed: u64,
    /// Recall from beyond the model's window: 0 none, 1 full
    #[arg(long, default_value_t = 1.0, value_parser = number(0.0f32, 1.0))]
    pub(super) recall: f32,
    /// MIDI, WAV and FLAC files, or folders of them, to learn first: the model recalls them in any
    /// key, and does not continue them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) learn: Vec<PathBuf>,
    /// Print a report as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) force: Force,
    #[command(flatten)]
    pub(super) selection: InputSelection,
    #[command(flatten)]
    places: ModelPaths,
    #[command(flatten)]
    pub(super) sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

impl GenerationOptions {
    /// Moves an input file that `--learn` has taken back to `input`, and passes the path of ONNX
    /// Runtime to the options of the input, which may be a recording.
    pub(super) fn disentangle(&mut self, input: &mut Vec<PathBuf>, matches: &ArgMatches) {
        inputs::disentangle(input, &mut self.learn, matches, false);
        self.selection.runtime.clone_from(&self.places.runtime);
    }

    /// Reads the files to learn. The beats of recordings are found.
    ///
    /// # Errors
    /// Fails if one of them cannot be found or read.
    pub(super) fn read_learned(&self) -> Result<Vec<MidiFile>> {
        let files = inputs::find(&self.learn, Wanted::Music)?;
        let reading = self.selection.reading(Pedal::Lengthen);
        let hearing = self.selection.hearing_learned();
        inputs::read_all(&files, |file| {
            MusicFile::open(file, &hearing)?.read(&reading)
        })
    }

    /// Loads the model, and puts the files to learn on its grid. Each piece ends with the bar in
    /// which its last note ends.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded, has no memory to learn into, or has no parts to limit.
    pub(super) fn load(&self, learned: &[MidiFile]) -> Result<(Arc<Model>, Vec<Score>)> {
        let model = super::load(&self.places, &self.compute)?;
        ensure!(
            learned.is_empty() || model.can_learn(),
            "--learn: this model has no kNN or n-gram memory to learn into"
        );
        ensure!(
            model.vocabulary().has_parts() || !self.sampling.limits_parts(),
            "--part-limit: this model has no parts, and plays as one instrument; --range and \
             --polyphony limit it"
        );
        let on_grid = |file: &MidiFile| {
            let mut piece = Score::for_vocabulary(file, model.vocabulary());
            piece.end_with_music();
            piece
        };
        let pieces = learned.iter().map(on_grid).collect();
        Ok((model, pieces))
    }
}

/// Learns the pieces, and reports the progress.
///
/// # Errors
/// Fails if the network or the index of the kNN memory does.
pub(super) fn learn_all(composer: &mut Composer, pieces: &[Score]) -> Result<()> {
    composer.begin_learning(pieces)?;
    let progress = Progress::new("learning", "notes", 0);
    while composer.poll()?.is_some() {
        if let Some(p) = composer.learning() {
            progress.set(p.done as u64, p.all as u64);
        }
    }
    Ok(())
}

/// Reads the input, and reports the progress.
///
/// # Errors
/// Fails if the network or the index of the kNN memory does.
pub(super) fn listen(composer: &mut Composer, input: &Score) -> Result<()> {
    let progress = Progress::new("listening", "tokens", 0);
    let mut report = |p: continuo_engine::composer::Progress| {
        progress.set(p.done as u64, p.all as u64);
    };
    let listening = composer.listen_with(input, &mut report);
    listening.context("while reading the input")
}
