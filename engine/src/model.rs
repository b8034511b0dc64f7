//! A loaded model: weights shared by every [`crate::Composer`].

mod directory;
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
use graph::{ForwardPass, Graph, Role};
use io_buffers::IoBuffers;
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
    /// If the directory is unusable, or no device accepts the model.
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

    /// Whether it can learn pieces: it has a kNN memory, or weights for the n-gram memory.
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

    /// Runs the network on `tokens`, which follow the tokens in `memory`, and stores their keys and
    /// values there. `recall`, 0 to 1, scales the output of the kNN memory: 0 gives exactly the logits
    /// of the KV cache alone. Gives the logits, `[tokens, vocabulary]`. After an error the memory is
    /// unchanged.
    ///
    /// With a variant that updates its caches in place, the results do not depend on the division of
    /// tokens among calls, to the last bit; with other variants they do, by rounding.
    ///
    /// # Errors
    /// If a token has no embedding, or the network or the index fails.
    pub fn forward(
        &self,
        memory: &mut Memory,
        tokens: &[InputToken],
        recall: f32,
    ) -> Result<Vec<f32>, EngineError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        input_token::check(tokens, &self.manifest.shape.sizes)?;
        let recall = if recall.is_nan() {
            1.0
        } else {
            recall.clamp(0.0, 1.0)
        };
        let position = memory.len();
        if let Some(knn) = &mut memory.knn {
            knn.trim()?;
        }
        let remembered = memory.knn.as_ref().map(KnnMemory::len);
        let mut pass = ForwardPass::new(self.manifest.shape.sizes.layers, recall);
        let mut logits = Vec::with_capacity(tokens.len() * self.manifest.shape.sizes.vocabulary);
        for tokens in tokens.chunks(self.run_length(tokens)) {
            pass.load(tokens, memory.len());
            if let Err(error) = self.run(&mut pass, memory) {
                memory.cache.truncate(position);
                if let (Some(knn), Some(len)) = (&mut memory.knn, remembered) {
                    knn.truncate(len)?;
                }
                return Err(error);
            }
            store(&mut memory.cache, &pass);
            logits.extend_from_slice(&pass.logits);
        }
        memory.cache.trim();
        Ok(logits)
    }

    /// Number of tokens in one run.
    fn run_length(&self, tokens: &[InputToken]) -> usize {
        match self.layout {
            Some(_) => 1,
            None => tokens.len(),
        }
    }

    fn run(&self, pass: &mut ForwardPass, memory: &mut Memory) -> Result<(), EngineError> {
        let position = memory.len();
        let Memory {
            cache,
            knn,
            io_buffers,
        } = memory;
        let mut graphs = self.lock();
        if self.layout.is_some() {
            self.io_buffers(io_buffers, &graphs)?.fill(cache)?;
        }
        self.run_graph(&mut graphs, 0, io_buffers, pass, cache)?;
        if let (2.., Some(knn)) = (graphs.len(), knn) {
            let (keys, values) = self.knn_rows(pass);
            // Tokens that are read again to fill the window are there already.
            let held = knn.len().saturating_sub(position) * self.manifest.shape.sizes.head_dim;
            if held < keys.len() {
                knn.append(&keys[held..], &values[held..])?;
            }
            let heads = self.manifest.shape.sizes.heads;
            knn.search(&pass.query, heads, position, &mut pass.recalled)?;
            self.run_graph(&mut graphs, 1, io_buffers, pass, cache)?;
        }
        Ok(())
    }

    fn run_graph(
        &self,
        graphs: &mut [Graph],
        at: usize,
        io_buffers: &mut Option<IoBuffers>,
        pass: &mut ForwardPass,
        cache: &KvCache,
    ) -> Result<(), EngineError> {
        match io_buffers {
            Some(io_buffers) => {
                let ran = io_buffers.run(at, &mut graphs[at], pass, cache);
                // An interrupted run may have changed some of the caches.
                ran.inspect_err(|_| io_buffers.invalidate())
            }
            None => graphs[at].run(pass, cache, &self.manifest),
        }
    }

    /// A listener's buffers for `graphs`, allocated if needed.
    fn io_buffers<'a>(
        &self,
        io_buffers: &'a mut Option<IoBuffers>,
        graphs: &[Graph],
    ) -> Result<&'a mut IoBuffers, EngineError> {
        let made = match (io_buffers.take(), self.layout) {
            (Some(made), _) => made,
            (None, layout) => {
                let window = self.manifest.shape.window;
                let layout = layout.unwrap_or(CacheLayout::new(window, window));
                IoBuffers::new(graphs, &self.manifest, layout, self.device)?
            }
        };
        Ok(io_buffers.insert(made))
    }

    /// Keys and values of the kNN layer, each `[tokens, head_dim]`: it has one head.
    fn knn_rows<'a>(&self, pass: &'a ForwardPass) -> (&'a [f32], &'a [f32]) {
        let slot = self.manifest.shape.knn.map_or(0, |knn| knn.layer * 2);
        (&pass.new[slot], &pass.new[slot + 1])
    }

    /// Begins to read a piece for the keys and values of the kNN layer alone.
    pub fn prefill(&self) -> Prefill {
        Prefill {
            cache: self.new_cache(Role::Lower.layers(&self.manifest)),
            io_buffers: None,
        }
    }

    /// A prefill at or before `position` that, once it has read up to there, gives keys and values as
    /// if it had read everything from the beginning.
    pub(crate) fn prefill_before(&self, position: usize) -> Prefill {
        let mut prefill = self.prefill();
        prefill.cache.restart(prefill.cache.restart_for(position));
        prefill
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

    /// Reads more tokens of a prefill, and gives their keys and values in the kNN layer, each
    /// `[tokens, head_dim]`; both are empty for a model without a kNN memory. It costs less than
    /// [`Model::forward`], since the layers above are not run.
    ///
    /// # Errors
    /// If a token has no embedding, or the network fails.
    pub fn prefill_keys(
        &self,
        prefill: &mut Prefill,
        tokens: &[InputToken],
    ) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        if self.manifest.shape.knn.is_none() || tokens.is_empty() {
            return Ok((keys, values));
        }
        input_token::check(tokens, &self.manifest.shape.sizes)?;
        let mut pass = ForwardPass::new(self.manifest.shape.sizes.layers, 0.0);
        let Prefill { cache, io_buffers } = prefill;
        for tokens in tokens.chunks(self.run_length(tokens)) {
            pass.load(tokens, cache.len());
            let mut graphs = self.lock();
            if self.layout.is_some() {
                self.io_buffers(io_buffers, &graphs[..1])?.fill(cache)?;
            }
            self.run_graph(&mut graphs, 0, io_buffers, &mut pass, cache)?;
            store(cache, &pass);
            let (new_keys, new_values) = self.knn_rows(&pass);
            keys.extend_from_slice(new_keys);
            values.extend_from_slice(new_values);
        }
        cache.trim();
        Ok((keys, values))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Graph>> {
        self.graphs
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
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

/// Appends the keys and values of a pass to every layer of `cache`.
fn store(cache: &mut KvCache, pass: &ForwardPass) {
    for slot in 0..cache.slots() {
        cache.append(slot, &pass.new[slot], pass.steps);
    }
    cache.advance(pass.steps);
}
