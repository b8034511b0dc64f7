//! Reads a model directory, and checks it before anything is built on it.

use std::path::{Component, Path, PathBuf};

use continuo_score::Vocabulary;
use continuo_score::manifest::Manifest;

use crate::error::EngineError;

/// Maximum number of layers.
pub(super) const MAX_LAYERS: usize = 256;
/// Maximum capacity of a kNN memory, in keys.
pub(super) const MAX_KNN_CAPACITY: usize = 1 << 22;
/// Maximum size of `model.json` and `vocabulary.json`, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// Reads and checks `model.json` and `vocabulary.json`.
///
/// # Errors
/// Fails if a file is missing, unreadable or has unusable values.
pub(super) fn read(directory: &Path) -> Result<(Manifest, Vocabulary), EngineError> {
    let path = directory.join("model.json");
    if !directory.exists() {
        return Err(bad(
            directory,
            "there is no such folder; a project, --model or CONTINUO_MODEL names it",
        ));
    }
    if directory.is_dir() && !path.exists() {
        return Err(bad(
            directory,
            "not a model directory, because it has no model.json; `continuo-trainer export` makes one",
        ));
    }
    let manifest: Manifest = serde_json::from_str(&text(&path)?).map_err(|e| bad(&path, e))?;
    check(&manifest).map_err(|reason| bad(&path, reason))?;
    let path = directory.join("vocabulary.json");
    let vocabulary = Vocabulary::from_json(&text(&path)?).map_err(|e| bad(&path, e))?;
    if vocabulary.size() != manifest.shape.sizes.vocabulary {
        let (had, needed) = (vocabulary.size(), manifest.shape.sizes.vocabulary);
        return Err(bad(
            &path,
            format!("{had} ids, and model.json says {needed}"),
        ));
    }
    Ok((manifest, vocabulary))
}

/// The first of the variants `wanted` that the directory has, and its graph files.
///
/// # Errors
/// Fails if there is none, or a graph lies outside of the directory.
pub(super) fn graphs(
    directory: &Path,
    manifest: &Manifest,
    wanted: &[String],
) -> Result<(String, Vec<PathBuf>), EngineError> {
    let has = |name: &&String| manifest.variants.contains_key(name.as_str());
    let variant = wanted.iter().find(has).cloned().ok_or_else(|| {
        let there: Vec<&str> = manifest.variants.keys().map(String::as_str).collect();
        bad(
            directory,
            format!(
                "has the variants {}, none of {}; `continuo-trainer export --variants` makes others",
                there.join(", "),
                wanted.join(", ")
            ),
        )
    })?;
    let names = &manifest.variants[&variant].graphs;
    let needed = if manifest.shape.knn.is_some() { 2 } else { 1 };
    if names.len() != needed {
        let had = names.len();
        let reason = format!("variant {variant} has {had} graphs and should have {needed}");
        return Err(bad(directory, reason));
    }
    let mut files = Vec::new();
    for name in names {
        let file = directory.join(name);
        inside(directory, &file).map_err(|reason| bad(&file, reason))?;
        files.push(file);
    }
    Ok((variant, files))
}

/// Checks that a file lies in the directory, also after its links are resolved.
fn inside(directory: &Path, file: &Path) -> Result<(), String> {
    let real = |path: &Path| path.canonicalize().map_err(|e| e.to_string());
    if real(file)?.starts_with(real(directory)?) {
        Ok(())
    } else {
        Err("lies outside the model directory".into())
    }
}

/// An [`EngineError::Model`] of a file or directory.
pub(super) fn bad(path: &Path, reason: impl ToString) -> EngineError {
    EngineError::Model {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

fn text(path: &Path) -> Result<String, EngineError> {
    let size = std::fs::metadata(path).map_err(|e| bad(path, e))?.len();
    if size > MAX_TEXT {
        return Err(bad(path, format!("{size} bytes are too many for it")));
    }
    std::fs::read_to_string(path).map_err(|e| bad(path, e))
}

/// Checks that sizes are usable, so that no later code divides by zero or allocates terabytes.
fn check(manifest: &Manifest) -> Result<(), String> {
    if manifest.format != Manifest::FORMAT {
        let (has, reads) = (manifest.format, Manifest::FORMAT);
        return Err(format!(
            "format {has}, this build reads {reads}; export the model again"
        ));
    }
    let s = &manifest.shape.sizes;
    let knn = manifest.shape.knn;
    for (name, value, most) in [
        ("vocabulary", s.vocabulary, 65_536),
        ("layers", s.layers, MAX_LAYERS),
        ("width", s.width, 65_536),
        ("heads", s.heads, 1_024),
        ("head_dim", s.head_dim, 1_024),
        ("feed_forward", s.feed_forward, 1 << 20),
        ("bar_steps", s.bar_steps, 65_536),
        ("bars", s.bars, 65_536),
        ("window", manifest.shape.window.saturating_sub(1), 1 << 16),
        // The values retrieved for one token, and one row of a window.
        (
            "heads x head_dim",
            s.heads.saturating_mul(s.head_dim),
            65_536,
        ),
        (
            "knn.layer",
            knn.map_or(1, |knn| knn.layer.saturating_add(1)),
            s.layers,
        ),
        ("knn.k", knn.map_or(1, |knn| knn.k), 1_024),
        (
            "knn.capacity",
            knn.map_or(1, |knn| knn.capacity),
            MAX_KNN_CAPACITY,
        ),
    ] {
        if value == 0 || value > most {
            return Err(format!("{name} is out of bounds"));
        }
    }
    let weights = [manifest.suffix, manifest.suffix_transposed];
    if weights
        .into_iter()
        .flatten()
        .any(|weights| !weights.is_valid())
    {
        return Err("suffix: weights are from 0 to 1".into());
    }
    if manifest.gate.is_some_and(|gate| !gate.is_valid()) {
        return Err("gate: a weight is no number".into());
    }
    for graph in manifest.variants.values().flat_map(|v| &v.graphs) {
        let plain = Path::new(graph)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        if !plain || graph.is_empty() {
            return Err(format!(
                "graph {graph:?} is not a path inside the model directory"
            ));
        }
    }
    Ok(())
}
