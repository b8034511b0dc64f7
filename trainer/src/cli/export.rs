//! Command `continuo-trainer export`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use continuo_cli::{Progress, print};
use continuo_files::{FolderOutput, MOST_BYTES, Replace, onnx_runtime, read_text};
use continuo_score::manifest::HeldOut;
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::file_kinds::MODEL;
use continuo_trainer::export::onnx::variant::Variant;
use continuo_trainer::export::parity::variant_loss::VariantLoss;
use continuo_trainer::export::{ExportOptions, Exported, export};
use continuo_trainer::train::checkpoint::Checkpoint;

/// Write a checkpoint as a model directory, and prove that they are equal.
///
/// The proof: ONNX Runtime's logits equal the trainer's to 1e-4 on held-out songs of the corpus, in
/// one piece, in chunks and token by token, with both memories in use, and with recall 0. If it
/// fails, nothing is written.
///
/// Variants: `plain` (f32, any ONNX runtime), `cpu` (8-bit matrices, for one core with ONNX
/// Runtime; 4-bit matrices if these lose at most 0.001 nats a token more), `gpu` (f16, for CUDA
/// with ONNX Runtime). The weights of the memory of a piece, which follows its earlier
/// passages, are fitted as well. The table shows the size of each variant, ONNX
/// Runtime's time per token on one thread of this machine, and the loss by rounding in nats; a
/// variant that loses more than 0.02 nats a token is not written.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folder of a training (its newest checkpoint is exported), a checkpoint step-…, or a model
    /// directory.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Model directory to write. An existing one is replaced; its README.md stays.
    #[arg(short, long, value_name = "MODELDIR")]
    output: PathBuf,
    /// Corpus with songs for the proof.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// Calibrate the model's certainty on the held-out songs of this corpus: a model trained long on
    /// few songs is too certain about others.
    #[arg(long, value_name = "FILE")]
    calibrate: Option<PathBuf>,
    /// Variants to write: plain, cpu, gpu.
    #[arg(long, value_delimiter = ',', default_value = "plain")]
    variants: Vec<Variant>,
    /// Name of the model.
    #[arg(long, default_value = "unnamed")]
    name: String,
    /// Licence of the weights (an SPDX expression).
    #[arg(long, default_value = "")]
    licence: String,
    /// Training data, with attribution.
    #[arg(long, default_value = "", value_name = "TEXT")]
    training_data: String,
    /// Output of `eval --json`, for the model's measured loss. Not with --calibrate, which changes
    /// the loss.
    #[arg(long, value_name = "FILE", conflicts_with = "calibrate")]
    held_out_json: Option<PathBuf>,
    /// ONNX Runtime's library [env: CONTINUO_RUNTIME] [default: beside the program, or target/runtime].
    #[arg(long, value_name = "FILE")]
    runtime: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// An input cannot be read or does not fit, or the output cannot be written.
pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    // A wrong folder must not be noticed only after minutes of work.
    FolderOutput::check(&a.output, &MODEL, Replace::SameKind)?;
    let checkpoint = Checkpoint::open(&a.checkpoint)?;
    let corpus = Corpus::open(&a.corpus)?;
    let unseen = a.calibrate.as_deref().map(Corpus::open).transpose()?;
    let runtime = onnx_runtime::find(a.runtime.as_deref())?;
    let held_out = a.held_out_json.as_deref().map(read_held_out).transpose()?;
    let progress = Progress::new("proving and measuring", "parts", 0);
    let Exported {
        parity,
        variants,
        left_out,
        calibration,
        suffix,
    } = export(&ExportOptions {
        variants: &a.variants,
        checkpoint: &checkpoint,
        output: &a.output,
        corpus: &corpus,
        calibrate: unseen.as_ref(),
        runtime: &runtime,
        name: a.name.clone(),
        licence: a.licence.clone(),
        training_data: a.training_data.clone(),
        held_out,
        progress: &|done, all| progress.set(done as u64, all as u64),
    })?;
    drop(progress);
    let rows = [
        ("whole", parity.whole),
        ("chunked", parity.chunked),
        ("streamed", parity.streamed),
        ("recall 0", parity.xl_only),
    ];
    if a.json {
        let json = serde_json::json!({
            "songs": parity.songs,
            "tokens": parity.tokens,
            "variants": variants.iter().map(json).collect::<Vec<_>>(),
            "calibration": calibration.map(|c| serde_json::json!({
                "temperature": c.temperature,
                "tokens": c.tokens,
                "nats_per_token_before": c.before,
                "nats_per_token_after": c.after,
            })),
            "suffix": suffix.as_ref().map(|fit| serde_json::json!({
                "weights": fit.weights.mixture.same,
                "weights_transposed": fit.weights.mixture.transposed,
                "gate": fit.weights.gate,
                "tokens": fit.tokens,
                "nats_per_note_without": fit.without,
                "nats_per_note_with": fit.with,
            })),
            "left_out": left_out.iter().map(json).collect::<Vec<_>>(),
            "largest_logit": parity.scale,
            "memories": parity.memories,
            "largest_effect_of_recall": parity.recall,
            "largest_difference": rows.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        });
        print(&(serde_json::to_string_pretty(&json)? + "\n"))?;
    } else {
        let mut text = String::new();
        text += &format!(
            "ONNX Runtime against the trainer on {} songs, {} tokens (logits up to {:.1}):\n",
            parity.songs, parity.tokens, parity.scale
        );
        for (how, difference) in rows {
            text += &format!("  {how:<10} largest difference {difference:.2e}\n");
        }
        if parity.memories > 0 {
            text += &format!(
                "  up to {} memories, which move a logit by up to {:.2}\n",
                parity.memories, parity.recall
            );
        }
        text += &format!(
            "{:<8} {:>5} {:>8} {:>12} {:>16} {:>12}\n",
            "variant", "bits", "MB", "ms a token", "nats lost/token", "per note"
        );
        let written = variants.iter().map(|v| (v, ""));
        for (v, not) in written.chain(left_out.iter().map(|v| (v, "  not written"))) {
            text += &format!(
                "{:<8} {:>5} {:>8.2} {:>12.3} {:>16.5} {:>12.4}{not}\n",
                v.variant.name(),
                v.variant.bits(),
                v.bytes as f64 / 1e6,
                v.milliseconds,
                v.per_token,
                v.per_note
            );
        }
        if let Some(c) = calibration {
            text += &format!(
                "calibrated: logits divided by {:.3}, {:.4} nats a token before, {:.4} with it (on \
                 {} tokens of held-out songs)\n",
                c.temperature, c.before, c.after, c.tokens
            );
        }
        if let Some(fit) = suffix {
            text += &format!(
                "memory of the piece: {:.3} nats a note without, {:.3} with (fitted on {} tokens of \
                 songs it was trained on)\n",
                fit.without, fit.with, fit.tokens
            );
        }
        text += &format!("{}: written\n", a.output.display());
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn json(v: &VariantLoss) -> serde_json::Value {
    serde_json::json!({
        "variant": v.variant.name(),
        "bits": v.variant.bits(),
        "bytes": v.bytes,
        "tokens": v.tokens,
        "milliseconds_per_token": v.milliseconds,
        "nats_lost_per_token": v.per_token,
        "nats_lost_per_note": v.per_note,
    })
}

fn read_held_out(path: &std::path::Path) -> anyhow::Result<HeldOut> {
    let name = || path.display().to_string();
    let text = read_text(path, MOST_BYTES)?;
    let json: serde_json::Value = serde_json::from_str(&text).with_context(name)?;
    serde_json::from_value(json["held_out"].clone())
        .with_context(|| format!("{}: not what `eval --json` prints", path.display()))
}
