//! `export`: a checkpoint becomes a model directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use continuo_files::{FolderOutput, Replace, WriteError};
use continuo_score::manifest::{HeldOut, Manifest, Variant};

use crate::calibrate::{Calibration, calibrate};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::config::LikeMidigen;
use crate::corpus::Corpus;
use crate::kinds::MODEL;
use crate::onnx::kind::Kind;
use crate::onnx::network::{self, File};
use crate::parity::loss::Loss;
use crate::parity::{self, Parity, ParityError};
use crate::suffix::{self, Fit};

/// What to export.
pub struct Options<'a> {
    /// The parameters.
    pub checkpoint: &'a Checkpoint,
    /// The model directory to write; one already there is replaced.
    pub output: &'a Path,
    /// Songs for the proof.
    pub corpus: &'a Corpus,
    /// Held-out songs that say how sure it should be ([`calibrate`]), if it is to be calibrated.
    pub calibrate: Option<&'a Corpus>,
    /// Variants to write.
    pub variants: &'a [Kind],
    /// ONNX Runtime's library.
    pub runtime: &'a Path,
    /// For `model.json`.
    pub name: String,
    /// For `model.json`.
    pub licence: String,
    /// For `model.json`.
    pub training_data: String,
    /// For `model.json`.
    pub held_out: Option<HeldOut>,
    /// Called with how many parts of the work are done, and how many there are.
    pub progress: &'a dyn Fn(usize, usize),
}

/// Why it was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The checkpoint could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The corpus is not the model's.
    #[error("{0}")]
    Corpus(String),
    /// There is nothing to calibrate it with.
    #[error(
        "the corpus to calibrate with has no held-out songs: encode songs it was not trained on \
         with --held-out 0.999999"
    )]
    NothingHeldOut,
    /// A network made for comparison.
    #[error(
        "{}: trained with --like-midigen, for comparison: there are no graphs for such a network; \
         train one without",
        .0.display()
    )]
    Comparison(PathBuf),
    /// The output is something else than a model directory, or cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It was not proved.
    #[error(transparent)]
    Parity(#[from] ParityError),
}

/// What was proved, and measured.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The proof, by the plain variant.
    pub parity: Parity,
    /// The variants written.
    pub variants: Vec<Loss>,
    /// What was measured and not written: of 8 and 4 bits, the other.
    pub left_out: Vec<Loss>,
    /// How sure it is now; none if that was left as it is.
    pub calibration: Option<Calibration>,
    /// The suffix memory's weights; none if the corpus has no songs to train on.
    pub suffix: Option<Fit>,
}

/// Most nats a token that 4 bits may lose more than 8 and still come in their place.
pub const FREE: f64 = 0.001;

/// Writes the model directory once its plain graphs are proved equal to the model, and no
/// variant loses much; and fits the weights of the suffix memory.
pub fn export(options: &Options<'_>) -> Result<Exported, ExportError> {
    let Options {
        checkpoint,
        output,
        corpus,
        ..
    } = *options;
    let shape = checkpoint.config.shape;
    if shape.like_midigen != LikeMidigen::default() {
        return Err(ExportError::Comparison(checkpoint.path.clone()));
    }
    corpus
        .fits(&checkpoint.vocabulary, &shape.sizes)
        .map_err(ExportError::Corpus)?;
    let output = FolderOutput::check(output, &MODEL, Replace::SameKind)?;
    let mut model = checkpoint.model(&Device::flex())?;
    // The proof, the calibration, each variant (cpu is made twice), and the suffix memory.
    let twice = options.variants.contains(&Kind::Cpu);
    let all = 3 + options.variants.len() + usize::from(twice);
    let mut done = 0;
    let mut step = || {
        done += 1;
        (options.progress)(done.min(all), all);
    };
    (options.progress)(0, all);
    let calibration = match options.calibrate {
        Some(corpus) => {
            let fits = corpus.fits(&checkpoint.vocabulary, &shape.sizes);
            fits.map_err(ExportError::Corpus)?;
            Some(calibrate(&mut model, corpus).ok_or(ExportError::NothingHeldOut)?)
        }
        None => None,
    };
    step();
    let plain = network::write(&model, Kind::Plain, &options.name);
    let parity = parity::compare(&model, &plain, corpus, options.runtime)?;
    parity.check()?;
    step();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut variants = BTreeMap::new();
    let (mut measured, mut left_out) = (Vec::new(), Vec::new());
    for &kind in options.variants {
        let made = |kind| {
            let graphs = network::write(&model, kind, &options.name);
            let loss = parity::loss::measure(&model, &graphs, kind, corpus, options.runtime)?;
            Ok::<_, ParityError>((graphs, loss))
        };
        let (mut graphs, mut loss) = made(kind)?;
        step();
        if kind == Kind::Cpu {
            let (smaller, its_loss) = made(Kind::Cpu4)?;
            step();
            if its_loss.per_token <= loss.per_token + FREE {
                left_out.push(loss);
                (graphs, loss) = (smaller, its_loss);
            } else {
                left_out.push(its_loss);
            }
        }
        loss.check()?;
        measured.push(loss);
        let place = |file: &File| format!("{}/{}.onnx", kind.name(), file.stem);
        let graphs_at = graphs.iter().map(place).collect();
        variants.insert(kind.name().into(), Variant { graphs: graphs_at });
        files.extend(graphs.into_iter().map(|file| (place(&file), file.bytes)));
    }

    let suffix = suffix::fit(&model, corpus);
    step();
    let manifest = Manifest {
        format: Manifest::FORMAT,
        name: options.name.clone(),
        sizes: shape.sizes,
        window: shape.window,
        knn: shape.knn,
        sounding: shape.sounding,
        relative: shape.relative.is_some(),
        suffix: suffix.map(|fit| fit.weights.same),
        suffix_transposed: suffix.map(|fit| fit.weights.transposed),
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
    for (place, bytes) in &files {
        draft.write(place, bytes)?;
    }
    // To measure it, to export it again, to train it further.
    draft.write(checkpoint::WEIGHTS, &checkpoint::weights(&model))?;
    draft.finish()?;
    Ok(Exported {
        parity,
        variants: measured,
        left_out,
        calibration,
        suffix,
    })
}
