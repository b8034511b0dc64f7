//! The proof that what was exported is what was trained: ONNX Runtime's logits against the
//! trainer's, on real songs.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use crate::config::Shape;
use crate::corpus::Corpus;
use crate::model::{Input, Memory, Model, numbers};

/// The largest difference of two logits that counts as equal.
pub const TOLERANCE: f32 = 1e-4;
/// Songs compared.
const SONGS: usize = 3;
/// Tokens of each: several windows, and a whole one at once still fits in memory.
const TOKENS: usize = 1200;
/// Tokens in a chunk; no divisor of any window.
const CHUNK: usize = 97;

/// Why it could not be proved.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// There is no ONNX Runtime.
    #[error(
        "ONNX Runtime not found{}; fetch it with `cargo xtask runtime`, or name the library \
         with --runtime or CONTINUO_RUNTIME",
        .0.as_ref().map(|p| format!(" at {}", p.display())).unwrap_or_default()
    )]
    NoRuntime(Option<PathBuf>),
    /// It is there and does not load.
    #[error("{}: ONNX Runtime does not load: {reason}", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It refuses the graph.
    #[error("ONNX Runtime on the exported graph: {0}")]
    Run(#[from] ort::Error),
    /// There is nothing to compare with.
    #[error("{}: no songs", .0.display())]
    NoSongs(PathBuf),
    /// They differ.
    #[error(
        "the exported graph is not the model: logits differ by up to {largest:.2e} (at most {TOLERANCE:.0e} is rounding)"
    )]
    Differs {
        /// Largest absolute difference.
        largest: f32,
    },
}

/// Largest absolute differences between ONNX Runtime's logits and the trainer's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parity {
    /// Songs compared.
    pub songs: usize,
    /// Tokens compared.
    pub tokens: usize,
    /// All tokens of a song at once.
    pub whole: f32,
    /// In chunks, with memory.
    pub chunked: f32,
    /// Token by token, with memory.
    pub streamed: f32,
    /// The largest of the logits themselves, for comparison.
    pub scale: f32,
}

impl Parity {
    /// An error if any difference is more than rounding.
    pub fn check(&self) -> Result<(), ParityError> {
        let largest = self.whole.max(self.chunked).max(self.streamed);
        // Not `largest > TOLERANCE`: NaN is a difference too.
        if largest <= TOLERANCE {
            Ok(())
        } else {
            Err(ParityError::Differs { largest })
        }
    }
}

/// Finds ONNX Runtime's library: the path given, `CONTINUO_RUNTIME`, or
/// `runtime/` beside a folder this program is in, which is where `cargo xtask runtime` puts it.
pub fn find_runtime(given: Option<&Path>) -> Result<PathBuf, ParityError> {
    let variable = || std::env::var_os("CONTINUO_RUNTIME").filter(|s| !s.is_empty());
    let named = given
        .map(Path::to_owned)
        .or_else(|| variable().map(PathBuf::from));
    if let Some(path) = named {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(ParityError::NoRuntime(Some(path)))
        };
    }
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = format!("runtime/{prefix}onnxruntime{suffix}");
    let program = std::env::current_exe().unwrap_or_default();
    let found = program
        .ancestors()
        .skip(1)
        .map(|f| f.join(&library))
        .find(|p| p.is_file());
    found.ok_or(ParityError::NoRuntime(None))
}

/// Compares `graph`, the bytes of an ONNX file, with `model` on songs of `corpus`: held-out
/// ones if it has any.
pub fn compare(
    model: &Model,
    graph: &[u8],
    corpus: &Corpus,
    runtime: &Path,
) -> Result<Parity, ParityError> {
    let mut session = open(runtime, graph)?;
    let mut songs: Vec<usize> = (0..corpus.songs.len()).collect();
    // Held-out songs first, then long ones: those fill the memory.
    songs.sort_by_key(|&i| {
        let song = &corpus.songs[i];
        (
            !song.held_out,
            std::cmp::Reverse(song.tokens.min(TOKENS as u64)),
            i,
        )
    });
    songs.truncate(SONGS);
    if songs.is_empty() {
        return Err(ParityError::NoSongs(corpus.path().into()));
    }
    let mut parity = Parity {
        songs: songs.len(),
        ..Parity::default()
    };
    for song in songs {
        let count = (corpus.songs[song].tokens as usize - 1).min(TOKENS);
        let mut input = Input {
            lanes: 1,
            length: count,
            ..Input::default()
        };
        input.extend(corpus, song, 0, count, 0);
        let expected = numbers(&model.forward(&input, &mut Memory::default()));
        parity.tokens += count;
        parity.scale = expected.iter().fold(parity.scale, |m, x| m.max(x.abs()));
        let mut differs = |size| -> Result<f32, ParityError> {
            let got = logits(&mut session, model.shape, &input, size)?;
            Ok(largest_difference(&expected, &got))
        };
        parity.whole = parity.whole.max(differs(count)?);
        parity.chunked = parity.chunked.max(differs(CHUNK)?);
        parity.streamed = parity.streamed.max(differs(1)?);
    }
    Ok(parity)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    // NaN must not get lost, as it would in `f32::max`.
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m, d| if d <= m { m } else { d })
}

/// One environment a process, whatever number of sessions.
static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

fn open(runtime: &Path, graph: &[u8]) -> Result<Session, ParityError> {
    let fail = |reason: String| ParityError::Runtime {
        path: runtime.into(),
        reason,
    };
    let path = std::path::absolute(runtime).map_err(|e| fail(e.to_string()))?;
    let environment = ENVIRONMENT.get_or_init(|| {
        let builder = ort::init_from(&path).map_err(|e| e.to_string())?;
        builder
            .with_telemetry(false)
            .build()
            .map_err(|e| e.to_string())
    });
    let environment = environment.as_ref().map_err(|e| fail(e.clone()))?;
    let session = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(ort::Error::from)?
        .with_intra_threads(1)
        .map_err(ort::Error::from)?
        .commit_from_memory(graph)?;
    Ok(session)
}

/// Logits of a stream fed to ONNX Runtime in chunks of `size`, as the engine feeds it.
fn logits(
    session: &mut Session,
    shape: Shape,
    input: &Input,
    size: usize,
) -> Result<Vec<f32>, ParityError> {
    let Shape { sizes, window } = shape;
    let (heads, dim) = (sizes.heads, sizes.head_dim);
    let sides: Vec<String> = (0..sizes.layers)
        .flat_map(|l| ["key", "value"].map(|side| format!("{side}.{l}")))
        .collect();
    let mut past: Vec<Past> = sides.iter().map(|_| Past::new(heads, dim)).collect();
    let mut all = Vec::new();
    for from in (0..input.length).step_by(size) {
        let to = (from + size).min(input.length);
        let wide = |rows: &[u16]| {
            rows[from..to]
                .iter()
                .map(|&r| i64::from(r))
                .collect::<Vec<_>>()
        };
        let columns = [
            ("token", wide(&input.tokens)),
            ("bar_step", wide(&input.bar_step)),
            ("bar", wide(&input.bar)),
            ("metre", wide(&input.metre)),
        ];
        let position: Vec<i64> = (from..to).map(|p| p as i64).collect();
        let mut inputs: Vec<(String, SessionInputValue<'_>)> = Vec::new();
        for (name, column) in &columns {
            let row = TensorRef::from_array_view(([1, to - from], column.as_slice()))?;
            inputs.push(((*name).to_owned(), row.into()));
        }
        let position = TensorRef::from_array_view(([to - from], position.as_slice()))?;
        inputs.push(("position".into(), position.into()));
        for (side, past) in sides.iter().zip(&past) {
            let shape = [1, heads, past.length, dim];
            let tensor = TensorRef::from_array_view((shape, past.numbers.as_slice()))?;
            inputs.push((format!("past_{side}"), tensor.into()));
        }
        let outputs = session.run(inputs)?;
        all.extend_from_slice(outputs["logits"].try_extract_tensor::<f32>()?.1);
        let new: Vec<Vec<f32>> = sides
            .iter()
            .map(|side| {
                Ok(outputs[side.as_str()]
                    .try_extract_tensor::<f32>()?
                    .1
                    .to_vec())
            })
            .collect::<Result<_, ort::Error>>()?;
        for (past, new) in past.iter_mut().zip(&new) {
            past.append(new, to - from, window - 1);
        }
    }
    Ok(all)
}

/// Keys or values of one layer, `[heads, length, dim]`.
struct Past {
    heads: usize,
    dim: usize,
    length: usize,
    numbers: Vec<f32>,
}

impl Past {
    fn new(heads: usize, dim: usize) -> Self {
        Self {
            heads,
            dim,
            length: 0,
            numbers: Vec::new(),
        }
    }

    /// Adds `count` tokens and keeps the last `most`.
    fn append(&mut self, new: &[f32], count: usize, most: usize) {
        let all = self.length + count;
        let drop = all.saturating_sub(most);
        let mut numbers = Vec::with_capacity(self.heads * (all - drop) * self.dim);
        for head in 0..self.heads {
            let old = &self.numbers[head * self.length * self.dim..][..self.length * self.dim];
            let new = &new[head * count * self.dim..][..count * self.dim];
            numbers.extend(old.iter().chain(new).skip(drop * self.dim));
        }
        self.length = all - drop;
        self.numbers = numbers;
    }
}
