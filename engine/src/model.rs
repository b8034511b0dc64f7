//! A loaded model: weights shared by every [`crate::Composer`].

mod directory;
mod forward;
mod graph;
mod input_token;
pub(crate) mod io_buffers;
mod load;
mod options;
mod prefill;
mod tensors;

use std::path::Path;
use std::sync::{Arc, Mutex};

use continuo_score::manifest::{Manifest, Sizes};
use continuo_score::{BarPosition, NoteState, PositionedId, TimeSignatureMap, Vocabulary};

use crate::device::{Device, UnavailableDevice};
use crate::error::EngineError;
use crate::knn::KnnMemory;
use crate::kv_cache::{CacheLayout, KvCache};
use crate::memory::Memory;
use crate::runtime::Runtime;
use graph::Graph;
use load::Loaded;

pub use input_token::InputToken;
pub use options::ModelOptions;
pub use prefill::Prefill;

/// A loaded model. Shared by any number of threads: one set of weights a process, one memory a
/// composer.
///
/// ```no_run
/// use continuo_engine::{Model, ModelOptions, Runtime};
/// use std::path::Path;
///
/// let runtime = Runtime::load(Path::new("target/runtime/libonnxruntime.so"))?;
/// let model = Model::load(runtime, Path::new("models/default"), &ModelOptions::default())?;
/// println!("{} on {}", model.manifest().name, model.device());
/// # Ok::<(), continuo_engine::EngineError>(())
/// ```
pub struct Model {
    manifest: Manifest,
    vocabulary: Vocabulary,
    variant: String,
    knn_capacity: usize,
    device: Device,
    unavailable_devices: Vec<UnavailableDevice>,
    /// Layout of the caches that graphs update in place; `None` for other graphs.
    layout: Option<CacheLayout>,
    /// The graphs in running order. A session runs one call at a time. Composers share one thread,
    /// so the lock is not contended there; no audio thread takes it.
    graphs: Mutex<Vec<Graph>>,
}

impl Model {
    /// Loads the model in `directory` onto the first of the devices that accepts it.
    ///
    /// # Errors
    /// Fails if the directory is unusable, or no device accepts the model.
    pub fn load(
        runtime: &'static Runtime,
        directory: &Path,
        options: &ModelOptions,
    ) -> Result<Arc<Model>, EngineError> {
        let build = |loaded| {
            let model = Self::new(loaded);
            model.warm_up().map(|()| model)
        };
        let (mut model, unavailable_devices) = load::load(runtime, directory, options, build)?;
        model.unavailable_devices = unavailable_devices;
        Ok(Arc::new(model))
    }

    fn new(loaded: Loaded) -> Self {
        Self {
            manifest: loaded.manifest,
            vocabulary: loaded.vocabulary,
            variant: loaded.variant,
            knn_capacity: loaded.knn_capacity,
            device: loaded.device,
            unavailable_devices: Vec::new(),
            layout: loaded.layout,
            graphs: Mutex::new(loaded.graphs),
        }
    }

    /// The contents of `model.json`.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sizes of the network.
    pub fn sizes(&self) -> &Sizes {
        &self.manifest.shape.sizes
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The device on which it runs.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Devices that were preferred and did not accept the model, with their errors.
    pub fn unavailable_devices(&self) -> &[UnavailableDevice] {
        &self.unavailable_devices
    }

    /// The variant loaded.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// Keys of the song that a token sees at most in the kNN memory, and as many learned ones; 0
    /// without a kNN memory.
    pub fn knn_capacity(&self) -> usize {
        self.manifest.shape.knn.map_or(0, |_| self.knn_capacity)
    }

    /// Whether it can learn pieces: it has a kNN memory, or weights for the memory of a piece.
    pub fn can_learn(&self) -> bool {
        self.manifest.shape.knn.is_some() || self.manifest.suffix.is_some()
    }

    /// Bytes of memory, in f32, that one token reads in a session of `tokens`: keys and values of the
    /// window in every layer, and keys of the kNN memory.
    pub fn bytes_read_per_token(&self, tokens: usize) -> usize {
        let (sizes, window) = (&self.manifest.shape.sizes, self.manifest.shape.window);
        let heads: usize = (0..sizes.layers)
            .map(|l| self.manifest.shape.memory_heads(l))
            .sum();
        let searched = tokens.saturating_sub(window).min(self.knn_capacity());
        (tokens.min(window) * heads * 2 + searched) * sizes.head_dim * size_of::<f32>()
    }

    /// An empty memory for this model.
    pub fn memory(&self) -> Memory {
        let cache = self.new_cache(0..self.manifest.shape.sizes.layers);
        let (dim, window) = (
            self.manifest.shape.sizes.head_dim,
            self.manifest.shape.window,
        );
        let again = cache.receptive_field() + 1 + self.layout.map_or(1, CacheLayout::period);
        let knn = self.manifest.shape.knn;
        Memory {
            knn: knn.map(|knn| {
                let memory = KnnMemory::new(dim, knn.k, self.knn_capacity, window, again);
                if knn.following {
                    memory.with_next_values()
                } else {
                    memory
                }
            }),
            cache,
            io_buffers: None,
        }
    }

    fn new_cache(&self, layers: std::ops::Range<usize>) -> KvCache {
        let heads: Vec<usize> = layers
            .map(|l| self.manifest.shape.memory_heads(l))
            .collect();
        let (dim, window) = (
            self.manifest.shape.sizes.head_dim,
            self.manifest.shape.window,
        );
        KvCache::new(&heads, dim, window, self.layout)
    }

    /// A memory without a kNN memory that begins at `position`, with an empty cache.
    pub(crate) fn window_at(&self, position: usize) -> Memory {
        let mut cache = self.new_cache(0..self.manifest.shape.sizes.layers);
        cache.restart(position);
        Memory {
            cache,
            knn: None,
            io_buffers: None,
        }
    }

    /// Whether a run of the network has one token, so that a slice of work may end after any.
    pub(crate) fn reads_single_tokens(&self) -> bool {
        self.layout.is_some()
    }

    /// The input of an id at a position in bars; `note_state` reads its base tokens.
    pub fn input_token(
        &self,
        id: u16,
        position: BarPosition,
        note_state: &mut NoteState,
    ) -> InputToken {
        let tokens = self.vocabulary.tokens(id);
        tokens.for_each(|token| note_state.read(token));
        InputToken {
            id,
            rows: self.manifest.shape.sizes.rows(position),
            note_context: note_state.context(),
            bar: position.bar,
        }
    }

    /// The inputs of ids with their positions, in the bars of `time_signatures`; `note_state` reads
    /// their base tokens.
    pub fn input_tokens(
        &self,
        ids: &[PositionedId],
        time_signatures: &TimeSignatureMap,
        note_state: &mut NoteState,
    ) -> Vec<InputToken> {
        let input_token =
            |p: &PositionedId| self.input_token(p.id, time_signatures.position(p.step), note_state);
        ids.iter().map(input_token).collect()
    }

    /// Runs the network once, so that wrong shapes and slow first runs appear here and not while
    /// playing.
    fn warm_up(&self) -> Result<(), EngineError> {
        let mut memory = self.memory();
        self.forward(&mut memory, &[InputToken::BLANK; 2], 1.0)?;
        self.forward(&mut memory, &[InputToken::BLANK], 1.0)
            .map(drop)
    }
}
