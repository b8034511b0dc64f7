//! Writing of a model directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use continuo_files::{FolderOutput, Replace, WriteError};
use continuo_score::manifest::{self, HeldOut, Manifest};

use crate::data::corpus::Corpus;
use crate::data::file_kinds::MODEL;
use crate::export::calibration::{Calibration, calibrate};
use crate::export::memory_fit::{self, MemoryFit};
use crate::export::onnx::variant::Variant;
use crate::export::onnx::{self, GraphFile};
use crate::export::parity::variant_loss::{self, VariantLoss};
use crate::export::parity::{self, Parity, ParityError};
use crate::model::LikeMidigen;
use crate::train::checkpoint::{self, Checkpoint, CheckpointError, StoredFormat};

/// Options of [`export`].
pub struct ExportOptions<'a> {
    /// Checkpoint to export.
    pub checkpoint: &'a Checkpoint,
    /// Model directory to write; an existing one is replaced.
    pub output: &'a Path,
    /// Songs for the proof and the memory of a piece.
    pub corpus: &'a Corpus,
    /// Corpus with held-out songs for [`calibrate`]; `None` for no calibration.
    pub calibrate: Option<&'a Corpus>,
    /// Variants to write.
    pub variants: &'a [Variant],
    /// Library of ONNX Runtime.
    pub runtime: &'a Path,
    /// Name in `model.json`.
    pub name: String,
    /// Licence in `model.json`.
    pub licence: String,
    /// Attribution in `model.json`.
    pub training_data: String,
    /// Measured loss for `model.json`.
    pub held_out: Option<HeldOut>,
    /// Called with the number of finished parts of the work, and of all parts.
    pub progress: &'a dyn Fn(usize, usize),
}

/// Error that keeps a model from being exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A corpus does not fit the model.
    #[error("{0}")]
    Corpus(String),
    /// The corpus for calibration has no held-out songs.
    #[error(
        "the corpus to calibrate with has no held-out songs: encode songs it was not trained on \
         with --held-out 0.999999"
    )]
    NothingHeldOut,
    /// The network has parts as in MIDIGen.
    #[error(
        "{}: trained with --like-midigen, for comparison: there are no graphs for such a network; \
         train one without",
        .0.display()
    )]
    Comparison(PathBuf),
    /// Something else is in the way of the output, or it cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The proof fails.
    #[error(transparent)]
    Parity(#[from] ParityError),
}

/// Result of an export.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Proof by the plain variant.
    pub parity: Parity,
    /// Variants written.
    pub variants: Vec<VariantLoss>,
    /// Variants measured and not written: of 8 and 4 bits, the other.
    pub left_out: Vec<VariantLoss>,
    /// Calibration, if requested.
    pub calibration: Option<Calibration>,
    /// Weights of the memories of tokens; `None` if the corpus has no training songs.
    pub suffix: Option<MemoryFit>,
}

/// Largest additional loss of 4 bits over 8, nats per token, at which 4 bits are written.
pub const MOST_LOST_BY_FOUR_BITS: f64 = 0.001;

/// Writes a model directory, after its plain graphs are proved equal to the model and no variant
/// loses too much, with fitted weights of the memory of a piece. All parameters are rounded to 16 bits
/// first, so that graphs and `weights.safetensors` are the same network.
///
/// # Errors
/// The checkpoint or a corpus does not fit, the proof fails, or a file cannot be written; the
/// directory then stays as it was.
pub fn export(options: &ExportOptions<'_>) -> Result<Exported, ExportError> {
    let ExportOptions {
        checkpoint,
        output,
        corpus,
        ..
    } = *options;
    let config = checkpoint.config.model;
    if config.like_midigen != LikeMidigen::default() {
        return Err(ExportError::Comparison(checkpoint.path.clone()));
    }
    corpus
        .fits(&checkpoint.vocabulary, &config.shape.sizes)
        .map_err(ExportError::Corpus)?;
    let output = FolderOutput::check(output, &MODEL, Replace::SameKind)?;
    let mut model = checkpoint.model(&Device::flex())?;
    // Calibration, proof, each variant (cpu is built twice), and the memory of a piece.
    let twice = options.variants.contains(&Variant::Cpu);
    let all = 3 + options.variants.len() + usize::from(twice);
    let mut done = 0;
    let mut step = || {
        done += 1;
        (options.progress)(done.min(all), all);
    };
    (options.progress)(0, all);
    let calibration = match options.calibrate {
        Some(corpus) => {
            let fits = corpus.fits(&checkpoint.vocabulary, &config.shape.sizes);
            fits.map_err(ExportError::Corpus)?;
            Some(calibrate(&mut model, corpus).ok_or(ExportError::NothingHeldOut)?)
        }
        None => None,
    };
    // Before the graphs are built, so that they equal the stored parameters.
    model.round_to_f16();
    step();
    let plain_graphs = onnx::write(&model, Variant::Plain, &options.name);
    let parity = parity::compare(&model, &plain_graphs, corpus, options.runtime)?;
    parity.check()?;
    step();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut variants = BTreeMap::new();
    let (mut measured, mut left_out) = (Vec::new(), Vec::new());
    for &variant in options.variants {
        let build = |variant| {
            let graphs = onnx::write(&model, variant, &options.name);
            let loss = variant_loss::measure(&model, &graphs, variant, corpus, options.runtime)?;
            Ok::<_, ParityError>((graphs, loss))
        };
        let (mut graphs, mut loss) = build(variant)?;
        step();
        if variant == Variant::Cpu {
            let (smaller, its_loss) = build(Variant::Cpu4)?;
            step();
            if its_loss.per_token <= loss.per_token + MOST_LOST_BY_FOUR_BITS {
                left_out.push(loss);
                (graphs, loss) = (smaller, its_loss);
            } else {
                left_out.push(its_loss);
            }
        }
        loss.check()?;
        measured.push(loss);
        let path = |file: &GraphFile| format!("{}/{}.onnx", variant.name(), file.stem);
        let paths = graphs.iter().map(path).collect();
        variants.insert(variant.name().into(), manifest::Variant { graphs: paths });
        files.extend(graphs.into_iter().map(|file| (path(&file), file.bytes)));
    }

    let suffix = memory_fit::fit(&model, corpus);
    step();
    let weights = suffix.as_ref().map(|fit| &fit.weights);
    let manifest = Manifest {
        format: Manifest::FORMAT,
        name: options.name.clone(),
        shape: config.shape,
        relative: config.relative.is_some(),
        suffix: weights.map(|weights| weights.mixture.same),
        suffix_transposed: weights.map(|weights| weights.mixture.transposed),
        gate: weights.and_then(|weights| weights.gate),
        variants,
        licence: options.licence.clone(),
        training_data: options.training_data.clone(),
        held_out: options.held_out,
    };
    let draft = output.begin()?;
    // A struct of numbers and strings always serialises.
    let mut json = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    json.push(b'\n');
    draft.write("model.json", &json)?;
    draft.write(
        "vocabulary.json",
        checkpoint.vocabulary.to_json().as_bytes(),
    )?;
    for (path, bytes) in &files {
        draft.write(path, bytes)?;
    }
    // With its parameters a model can be measured, exported again and trained further.
    draft.write(
        checkpoint::WEIGHTS,
        &checkpoint::weights(&model, StoredFormat::F16),
    )?;
    draft.finish()?;
    Ok(Exported {
        parity,
        variants: measured,
        left_out,
        calibration,
        suffix,
    })
}
