//! The model directory, checked and loaded: weights shared by every [`crate::Composer`].

mod directory;
mod graph;
pub(crate) mod io_buffers;
mod load;
mod tensors;

use std::path::Path;
use std::sync::{Arc, Mutex};

use continuo_score::manifest::{GridRows, Manifest, Sizes};
use continuo_score::{
    BarPosition, NoteContext, NoteState, PositionedId, TimeSignatureMap, Vocabulary,
};

use crate::device::{Device, UnavailableDevice};
use crate::error::EngineError;
use crate::knn::KnnMemory;
use crate::kv_cache::{CacheLayout, KvCache};
use crate::memory::Memory;
use crate::runtime::Runtime;
use graph::{ForwardPass, Graph, Role};
use io_buffers::IoBuffers;

pub(crate) use directory::{MOST_LAYERS, bad};

/// How to load a model.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// Threads inside one run of the network, 1 or more. They wait without spinning.
    pub threads: usize,
    /// Variants in order of preference; the first the directory has is loaded. None: those
    /// made for the device first ([`Device::variants`]).
    pub variants: Vec<String>,
    /// Devices in order of preference; the first that takes the model is used, and
    /// [`Model::unavailable_devices`] says what the others answered.
    pub devices: Vec<Device>,
    /// Memories a token sees at most of its song, and as many of what was learned; as many as
    /// the model was trained with unless told. Half a kilobyte each where heads are 64 wide.
    pub knn_capacity: Option<usize>,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            variants: Vec::new(),
            devices: vec![Device::Cpu],
            knn_capacity: None,
        }
    }
}

/// One token as the network reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputToken {
    /// Id in the vocabulary.
    pub id: u16,
    /// Its place in time.
    pub rows: GridRows,
    /// What else the network is told of it.
    pub note_context: NoteContext,
    /// Its bar, counted from the beginning of the score.
    pub bar: u32,
}

/// A loaded model. Shared: one set of weights a process, one memory a composer.
pub struct Model {
    manifest: Manifest,
    vocabulary: Vocabulary,
    variant: String,
    capacity: usize,
    device: Device,
    unavailable_devices: Vec<UnavailableDevice>,
    /// Where graphs that change their caches in place have their tokens.
    layout: Option<CacheLayout>,
    /// In the order they run. A session runs one thing at a time. Composers share one thread,
    /// so this is never contended there; it is no lock an audio thread could meet.
    graphs: Mutex<Vec<Graph>>,
}

/// A piece that is read for what it leaves in the kNN memory, not to predict.
pub struct Prefill {
    xl: KvCache,
    io_buffers: Option<IoBuffers>,
}

impl Prefill {
    /// Position of the token to be read next.
    pub(crate) fn position(&self) -> usize {
        self.xl.len()
    }

    /// Forgets every token from position `to` on. `false`, and nothing done, where too little of
    /// what stands before is held.
    pub(crate) fn rewind(&mut self, to: usize) -> bool {
        self.xl.rewind(to)
    }
}

impl Model {
    /// Loads the model in `directory`.
    pub fn load(
        runtime: &'static Runtime,
        directory: &Path,
        options: &ModelOptions,
    ) -> Result<Arc<Model>, EngineError> {
        load::load(runtime, directory, options).map(Arc::new)
    }

    /// What `model.json` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sizes of the network.
    pub fn sizes(&self) -> &Sizes {
        &self.manifest.sizes
    }

    /// Its vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The device it really runs on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Devices that were asked for before that one, and why they could not be had.
    pub fn unavailable_devices(&self) -> &[UnavailableDevice] {
        &self.unavailable_devices
    }

    /// The variant loaded.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// Memories that a token sees at most of its song, and as many of what was learned; 0
    /// without a kNN memory.
    pub fn knn_capacity(&self) -> usize {
        self.manifest.knn.map_or(0, |_| self.capacity)
    }

    /// Whether it can learn from pieces: it has a kNN memory, or weights for the suffix memory.
    pub fn can_learn(&self) -> bool {
        self.manifest.knn.is_some() || self.manifest.suffix.is_some()
    }

    /// Bytes of memory, in f32, that a token looks at in a session of so many: the window's keys
    /// and values in every layer, and the kNN memory's keys.
    pub fn bytes_read_per_token(&self, tokens: usize) -> usize {
        let (sizes, window) = (&self.manifest.sizes, self.manifest.window);
        let heads: usize = (0..sizes.layers)
            .map(|l| memory_heads(&self.manifest, l))
            .sum();
        let searched = tokens.saturating_sub(window).min(self.knn_capacity());
        (tokens.min(window) * heads * 2 + searched) * sizes.head_dim * size_of::<f32>()
    }

    /// An empty memory for this model.
    pub fn memory(&self) -> Memory {
        let xl = self.xl(0..self.manifest.sizes.layers);
        let (dim, window) = (self.manifest.sizes.head_dim, self.manifest.window);
        let again = xl.receptive_field() + 1 + self.layout.map_or(1, CacheLayout::period);
        let knn = self.manifest.knn;
        Memory {
            knn: knn.map(|knn| {
                let memory = KnnMemory::new(dim, knn.k, self.capacity, window, again);
                if knn.following {
                    memory.with_next_values()
                } else {
                    memory
                }
            }),
            xl,
            io_buffers: None,
        }
    }

    fn xl(&self, layers: std::ops::Range<usize>) -> KvCache {
        let heads: Vec<usize> = layers.map(|l| memory_heads(&self.manifest, l)).collect();
        let (dim, window) = (self.manifest.sizes.head_dim, self.manifest.window);
        KvCache::new(&heads, dim, window, self.layout)
    }

    /// Reads `tokens` after what `memory` holds and remembers them. `recall`, 0 to 1, scales
    /// what the kNN memory adds: 0 gives the logits of the XL memory alone, exactly. Gives the
    /// logits `[tokens, vocabulary]` after each. A failure leaves the memory as it was.
    ///
    /// With a variant that changes its caches in place, how tokens are shared out among calls
    /// makes no difference, to the last bit; else it does, by rounding.
    pub fn forward(
        &self,
        memory: &mut Memory,
        tokens: &[InputToken],
        recall: f32,
    ) -> Result<Vec<f32>, EngineError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        self.check(tokens)?;
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
        let mut pass = ForwardPass::new(self.manifest.sizes.layers, recall);
        let mut logits = Vec::with_capacity(tokens.len() * self.manifest.sizes.vocabulary);
        for tokens in tokens.chunks(self.at_once(tokens)) {
            pass.load(tokens, memory.len());
            if let Err(error) = self.run(&mut pass, memory) {
                memory.xl.cut(position);
                if let (Some(knn), Some(len)) = (&mut memory.knn, remembered) {
                    knn.truncate(len)?;
                }
                return Err(error);
            }
            remember(&mut memory.xl, &pass);
            logits.extend_from_slice(&pass.logits);
        }
        memory.xl.trim();
        Ok(logits)
    }

    /// Tokens that are read in one run.
    fn at_once(&self, tokens: &[InputToken]) -> usize {
        match self.layout {
            Some(_) => 1,
            None => tokens.len(),
        }
    }

    fn run(&self, pass: &mut ForwardPass, memory: &mut Memory) -> Result<(), EngineError> {
        let position = memory.len();
        let Memory {
            xl,
            knn,
            io_buffers,
        } = memory;
        let mut graphs = self.lock();
        if self.layout.is_some() {
            self.io_buffers(io_buffers, &graphs)?.fill(xl)?;
        }
        self.run_graph(&mut graphs, 0, io_buffers, pass, xl)?;
        if let (2.., Some(knn)) = (graphs.len(), knn) {
            let (keys, values) = self.knn_rows(pass);
            // Tokens that are read again, to fill the window, are in there already.
            let held = knn.len().saturating_sub(position) * self.manifest.sizes.head_dim;
            if held < keys.len() {
                knn.append(&keys[held..], &values[held..])?;
            }
            let heads = self.manifest.sizes.heads;
            knn.search(&pass.query, heads, position, &mut pass.recalled)?;
            self.run_graph(&mut graphs, 1, io_buffers, pass, xl)?;
        }
        Ok(())
    }

    fn run_graph(
        &self,
        graphs: &mut [Graph],
        at: usize,
        io_buffers: &mut Option<IoBuffers>,
        pass: &mut ForwardPass,
        xl: &KvCache,
    ) -> Result<(), EngineError> {
        match io_buffers {
            Some(io_buffers) => {
                let ran = io_buffers.run(at, &mut graphs[at], pass, xl);
                // Half a run may have changed some of the caches.
                ran.inspect_err(|_| io_buffers.spoil())
            }
            None => graphs[at].run(pass, xl, &self.manifest),
        }
    }

    /// A listener's lanes through `graphs`, made if it has none.
    fn io_buffers<'a>(
        &self,
        io_buffers: &'a mut Option<IoBuffers>,
        graphs: &[Graph],
    ) -> Result<&'a mut IoBuffers, EngineError> {
        let made = match (io_buffers.take(), self.layout) {
            (Some(made), _) => made,
            (None, layout) => {
                let window = self.manifest.window;
                let layout = layout.unwrap_or(CacheLayout::new(window, window));
                IoBuffers::new(graphs, &self.manifest, layout, self.device)?
            }
        };
        Ok(io_buffers.insert(made))
    }

    /// Keys and values of the kNN layer: it has one head, so these are rows of tokens.
    fn knn_rows<'a>(&self, pass: &'a ForwardPass) -> (&'a [f32], &'a [f32]) {
        let slot = self.manifest.knn.map_or(0, |knn| knn.layer * 2);
        (&pass.new[slot], &pass.new[slot + 1])
    }

    /// Begins a piece of which only the kNN memory's keys and values are wanted.
    pub fn prefill(&self) -> Prefill {
        Prefill {
            xl: self.xl(Role::Lower.layers(&self.manifest)),
            io_buffers: None,
        }
    }

    /// A lesson that stands at or before `position` and, once it has read on to there, gives keys
    /// and values as if it had read everything from the beginning.
    pub(crate) fn prefill_before(&self, position: usize) -> Prefill {
        let mut prefill = self.prefill();
        prefill.xl.restart(prefill.xl.restart_for(position));
        prefill
    }

    /// A window without a kNN memory, with nothing held before `position`.
    pub(crate) fn window_at(&self, position: usize) -> Memory {
        let mut xl = self.xl(0..self.manifest.sizes.layers);
        xl.restart(position);
        Memory {
            xl,
            knn: None,
            io_buffers: None,
        }
    }

    /// Whether a run of the network reads one token, so that a slice may end after any.
    pub(crate) fn reads_single_tokens(&self) -> bool {
        self.layout.is_some()
    }

    /// Reads on in a lesson: gives the keys and the values that the kNN memory has of these
    /// tokens, each `[tokens, head_dim]`; nothing for a model without one. Costs less than
    /// [`Model::feed`]: what follows the kNN layer is not run.
    pub fn prefill_keys(
        &self,
        prefill: &mut Prefill,
        tokens: &[InputToken],
    ) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        if self.manifest.knn.is_none() || tokens.is_empty() {
            return Ok((keys, values));
        }
        self.check(tokens)?;
        let mut pass = ForwardPass::new(self.manifest.sizes.layers, 0.0);
        let Prefill { xl, io_buffers } = prefill;
        for tokens in tokens.chunks(self.at_once(tokens)) {
            pass.load(tokens, xl.len());
            let mut graphs = self.lock();
            if self.layout.is_some() {
                self.io_buffers(io_buffers, &graphs[..1])?.fill(xl)?;
            }
            self.run_graph(&mut graphs, 0, io_buffers, &mut pass, xl)?;
            remember(xl, &pass);
            let (new_keys, new_values) = self.knn_rows(&pass);
            keys.extend_from_slice(new_keys);
            values.extend_from_slice(new_values);
        }
        xl.trim();
        Ok((keys, values))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Graph>> {
        self.graphs
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// An id as the network reads it: at its place in time, and after `sounding` has been read on
    /// to it.
    pub fn input_token(&self, id: u16, place: BarPosition, sounding: &mut NoteState) -> InputToken {
        let tokens = self.vocabulary.tokens(id);
        tokens.for_each(|token| sounding.read(token));
        InputToken {
            id,
            rows: self.manifest.sizes.rows(place),
            note_context: sounding.context(),
            bar: place.bar,
        }
    }

    /// Placed ids as the network reads them, in the bars of `time_signatures`; `sounding` is read on.
    pub fn input_tokens(
        &self,
        ids: &[PositionedId],
        time_signatures: &TimeSignatureMap,
        sounding: &mut NoteState,
    ) -> Vec<InputToken> {
        let input_token =
            |p: &PositionedId| self.input_token(p.id, time_signatures.position(p.step), sounding);
        ids.iter().map(input_token).collect()
    }

    /// Only what the embeddings have rows for may be fed: graphs read outside of them.
    fn check(&self, tokens: &[InputToken]) -> Result<(), EngineError> {
        let sizes = &self.manifest.sizes;
        let known = |t: &InputToken| {
            usize::from(t.id) < sizes.vocabulary
                && usize::from(t.rows.bar_step.max(t.rows.metre)) < sizes.bar_steps
                && usize::from(t.rows.bar) < sizes.bars
                && t.note_context
                    .rows
                    .iter()
                    .all(|&row| row <= NoteState::NOTHING)
        };
        match tokens.iter().find(|t| !known(t)) {
            Some(token) => Err(EngineError::Token {
                id: token.id,
                size: sizes.vocabulary,
            }),
            None => Ok(()),
        }
    }

    /// One run before anybody waits for one: shapes are wrong here, not while playing.
    fn warm_up(&self) -> Result<(), EngineError> {
        let rows = GridRows {
            bar_step: 0,
            bar: 0,
            metre: 0,
        };
        let mut memory = self.memory();
        let first = InputToken {
            id: 0,
            rows,
            note_context: NoteContext::NOTHING,
            bar: 0,
        };
        self.forward(&mut memory, &[first; 2], 1.0)?;
        self.forward(&mut memory, &[first], 1.0).map(drop)
    }
}

/// Appends what a pass made to every layer that `xl` has.
fn remember(xl: &mut KvCache, pass: &ForwardPass) {
    for slot in 0..xl.slots() {
        xl.append(slot, &pass.new[slot], pass.steps);
    }
    xl.advance(pass.steps);
}

/// Heads of keys and values in layer `layer`: one in the kNN layer.
pub(crate) fn memory_heads(manifest: &Manifest, layer: usize) -> usize {
    match manifest.knn {
        Some(knn) if knn.layer == layer => 1,
        _ => manifest.sizes.heads,
    }
}
