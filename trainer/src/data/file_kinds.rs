//! Files and folders that the trainer writes, and how they are recognised before one is replaced.

use continuo_files::{FolderKind, Kind};

use crate::data::corpus::MAGIC;

/// File of the parameters, in a checkpoint and in a model directory.
pub const WEIGHTS: &str = "weights.safetensors";

/// A corpus.
pub const CORPUS: Kind = Kind {
    name: "a corpus",
    endings: &["corpus"],
    // Other programs use the same ending.
    by_name: false,
    any_ending: true,
    binary: true,
    recognises: |head| head.starts_with(MAGIC),
};

/// `vocabulary.json`.
pub const VOCABULARY: Kind = Kind {
    name: "a vocabulary",
    endings: &["json"],
    by_name: false,
    any_ending: true,
    binary: false,
    recognises: |head| {
        let head = String::from_utf8_lossy(head);
        let keys = ["\"steps_per_beat\"", "\"velocity_bins\""];
        head.trim_start().starts_with('{') && keys.iter().all(|key| head.contains(key))
    },
};

/// First line of `FILE.skipped.tsv`.
pub const SKIPPED_COLUMNS: &str = "file\treason\tdetail\n";

/// `FILE.skipped.tsv`.
pub const SKIPPED: Kind = Kind {
    name: "a list of skipped files",
    endings: &["tsv"],
    by_name: false,
    any_ending: false,
    binary: false,
    recognises: |head| head.starts_with(SKIPPED_COLUMNS.as_bytes()),
};

/// `losses.csv` or `held_out.csv`.
pub(crate) const TABLE: Kind = Kind {
    name: "a training's table",
    endings: &["csv"],
    by_name: false,
    any_ending: false,
    binary: false,
    recognises: |head| head.starts_with(b"step,tokens,seconds,"),
};

/// A checkpoint folder `step-…`.
pub(crate) const CHECKPOINT: FolderKind = FolderKind {
    name: "a checkpoint",
    marker: "config.json",
    owns: |name| CHECKPOINT_FILES.iter().any(|own| name == *own),
};

/// The state of a training in its checkpoints; an average has none.
pub(crate) const TRAINING: &str = "training.json";

/// The files of a checkpoint.
pub(crate) const CHECKPOINT_FILES: [&str; 5] = [
    "config.json",
    "vocabulary.json",
    WEIGHTS,
    TRAINING,
    "training.safetensors",
];

/// A model directory; files of its owner beside these are kept.
pub const MODEL: FolderKind = FolderKind {
    name: "a model directory",
    marker: "model.json",
    owns: |name| {
        let files = ["model.json", "vocabulary.json", WEIGHTS];
        let variants = ["plain", "cpu", "gpu"];
        files.iter().chain(&variants).any(|own| name == *own)
    },
};
