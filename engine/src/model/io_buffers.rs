//! Bound buffers for graphs that update their caches in place, one token a run.
//!
//! Every buffer is allocated and bound once (ONNX Runtime's IoBinding); a token costs a few numbers
//! written, the run, and a few numbers read. The caches are inputs and outputs at once, so nothing is
//! copied. The outputs of `lower` share their buffers with the inputs of `upper`; on a GPU these
//! buffers stay there.
//!
//! A run always has one token: attention over several sums in another order and eight-bit products
//! round its result, so that two ways of reading the same tokens would diverge.

use continuo_score::manifest::Manifest;
use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::AsPointer;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynTensor, TensorElementType};

use super::graph::{ForwardPass, Graph, TensorPort};
use super::tensors::Tensor;
use crate::denormals;
use crate::device::Device;
use crate::error::EngineError;
use crate::kv_cache::{CacheLayout, KvCache};

/// The buffers of one listener, for all graphs of a variant. Owned by the thread of its composer.
pub(crate) struct IoBuffers {
    /// One binding for each graph.
    bindings: Vec<GraphBinding>,
    /// Inputs and outputs; a tensor updated in place is there once, as [`Tensor::Past`].
    buffers: Vec<(Tensor, DynTensor)>,
    /// [`KvCache::generation`] with which the caches were filled; `None` if they must be filled.
    filled: Option<u64>,
    /// Whether inputs are copied to the device when bound, so that written ones are bound again.
    copied: bool,
}

/// The buffers of one graph.
struct GraphBinding {
    /// Address of its session.
    session: usize,
    binding: IoBinding,
    /// Inputs written before a run, by name and buffer index, and outputs read after it.
    writes: Vec<(String, usize)>,
    reads: Vec<usize>,
}

/// Whether a tensor stays on the device.
fn stays(tensor: Tensor) -> bool {
    matches!(tensor, Tensor::Past(_) | Tensor::Hidden | Tensor::Local)
}

/// The tensor under which a buffer is kept.
fn kept_as(tensor: Tensor) -> Tensor {
    match tensor {
        Tensor::Present(slot) => Tensor::Past(slot),
        tensor => tensor,
    }
}

impl IoBuffers {
    /// Allocates and binds buffers for `graphs`, which run on `device`.
    pub(super) fn new(
        graphs: &[Graph],
        manifest: &Manifest,
        layout: CacheLayout,
        device: Device,
    ) -> Result<Self, EngineError> {
        let mut made = Self {
            bindings: Vec::new(),
            buffers: Vec::new(),
            filled: None,
            copied: device == Device::Cuda,
        };
        for graph in graphs {
            let mut binding = graph.session.create_binding()?;
            let (mut writes, mut reads) = (Vec::new(), Vec::new());
            for port in &graph.inputs {
                let at = made.buffer(port, &graph.session, manifest, layout)?;
                binding.bind_input(port.name.as_str(), &made.buffers[at].1)?;
                if !stays(port.tensor) {
                    writes.push((port.name.clone(), at));
                }
            }
            for port in &graph.outputs {
                let at = made.buffer(port, &graph.session, manifest, layout)?;
                binding.bind_output(port.name.as_str(), &mut made.buffers[at].1)?;
                if !stays(kept_as(port.tensor)) {
                    reads.push(at);
                }
            }
            made.bindings.push(GraphBinding {
                session: address(&graph.session),
                binding,
                writes,
                reads,
            });
        }
        Ok(made)
    }

    /// The index of the buffer of an input or output, which is allocated if needed.
    fn buffer(
        &mut self,
        port: &TensorPort,
        session: &Session,
        manifest: &Manifest,
        layout: CacheLayout,
    ) -> Result<usize, EngineError> {
        let tensor = kept_as(port.tensor);
        let known = self.buffers.iter().position(|(known, _)| *known == tensor);
        let at = match known {
            Some(at) => at,
            None => {
                let shape = tensor.shape(manifest, 1, layout.rows);
                let allocator = match self.copied && stays(tensor) {
                    true => on_gpu(session)?,
                    false => Allocator::default(),
                };
                let allocated = DynTensor::new(&allocator, port.ty, shape)?;
                self.buffers.push((tensor, allocated));
                self.buffers.len() - 1
            }
        };
        if *self.buffers[at].1.data_type() != port.ty {
            let name = &port.name;
            let reason = format!("the graphs do not agree what type {name} has");
            return Err(EngineError::Run(reason));
        }
        Ok(at)
    }

    /// Bytes of the buffers.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |t: &DynTensor| t.data_type().byte_size(t.shape().num_elements());
        self.buffers.iter().filter_map(|(_, t)| bytes(t)).sum()
    }

    /// Marks the caches as invalid, so that they are filled before the next run.
    pub(super) fn invalidate(&mut self) {
        self.filled = None;
    }

    /// Fills the caches from `cache` if that was cut since the last time.
    pub(super) fn fill(&mut self, cache: &KvCache) -> Result<(), EngineError> {
        if self.filled == Some(cache.generation()) {
            return Ok(());
        }
        for (tensor, buffer) in &mut self.buffers {
            let Tensor::Past(slot) = *tensor else {
                continue;
            };
            let mut away = match self.copied {
                true => {
                    let here = Allocator::default();
                    let (ty, shape) = (*buffer.data_type(), buffer.shape().clone());
                    Some(DynTensor::new(&here, ty, shape)?)
                }
                false => None,
            };
            let target = away.as_mut().unwrap_or(buffer);
            let (heads, size) = (target.shape()[1], target.shape().num_elements());
            let head_size = size / (heads.max(1) as usize);
            for (head, rows) in cache.in_use(slot).enumerate() {
                write(target, head * head_size, rows)?;
            }
            if let Some(staged) = away {
                staged.copy_into(buffer)?;
            }
        }
        self.filled = Some(cache.generation());
        Ok(())
    }

    /// Runs graph number `at` on the one token in `pass`. The outputs go into `pass`, except those
    /// that only the next graph reads.
    pub(super) fn run(
        &mut self,
        at: usize,
        graph: &mut Graph,
        pass: &mut ForwardPass,
        cache: &KvCache,
    ) -> Result<(), EngineError> {
        let bound = &mut self.bindings[at];
        if bound.session != address(&graph.session) {
            return Err(EngineError::Run("this memory is of another model".into()));
        }
        let counted = |tokens: usize| i32::try_from(tokens).unwrap_or(i32::MAX);
        for (name, at) in &bound.writes {
            let (tensor, buffer) = &mut self.buffers[*at];
            match (*tensor, pass.ids(*tensor)) {
                (_, Some(ids)) => put(buffer.try_extract_tensor_mut()?.1, ids)?,
                (Tensor::LastCounted, _) => {
                    put(
                        buffer.try_extract_tensor_mut()?.1,
                        &[counted(cache.counted())],
                    )?;
                }
                (Tensor::Counted, _) => {
                    let all = counted(cache.counted() + 1);
                    put(buffer.try_extract_tensor_mut()?.1, &[all])?;
                }
                (tensor, _) => write(buffer, 0, pass.numbers(tensor))?,
            }
            if self.copied {
                bound.binding.bind_input(name.as_str(), buffer)?;
            }
        }
        {
            let _flushed = denormals::flush();
            run_bound(&mut graph.session, &bound.binding)?;
        }
        for &at in &bound.reads {
            let (tensor, buffer) = &self.buffers[at];
            if let Some(output) = pass.output(*tensor) {
                read(buffer, output)?;
            }
        }
        Ok(())
    }
}

/// `Session::run_binding` without its list of outputs: this module has the outputs, and the list takes
/// longer than some of the graph's operators.
fn run_bound(session: &mut Session, binding: &IoBinding) -> Result<(), EngineError> {
    let run = ort::api().RunWithBinding;
    // SAFETY: both live, the lock on the graphs excludes other runs of the session, null means no
    // options, and the status is released once.
    let ran = unsafe {
        let status = run(session.ptr().cast_mut(), std::ptr::null(), binding.ptr());
        ort::Error::result_from_status(status)
    };
    Ok(ran?)
}

/// The address of a session, which identifies it: bindings keep it alive.
fn address(session: &Session) -> usize {
    session.ptr().addr()
}

fn on_gpu(session: &Session) -> Result<Allocator, EngineError> {
    let place = MemoryInfo::new(
        AllocationDevice::CUDA,
        0,
        AllocatorType::Device,
        MemoryType::Default,
    )?;
    Ok(Allocator::new(session, place)?)
}

fn put<T: Copy>(target: &mut [T], numbers: &[T]) -> Result<(), EngineError> {
    if target.len() != numbers.len() {
        let (had, needed) = (numbers.len(), target.len());
        let reason = format!("{had} numbers for {needed} of a graph's");
        return Err(EngineError::Run(reason));
    }
    target.copy_from_slice(numbers);
    Ok(())
}

/// Writes numbers into a tensor from element `from` on.
fn write(target: &mut DynTensor, from: usize, numbers: &[f32]) -> Result<(), EngineError> {
    let short = || EngineError::Run("a graph's buffer is too small".into());
    if *target.data_type() == TensorElementType::Float16 {
        let (_, halves) = target.try_extract_tensor_mut::<f16>()?;
        let halves = halves.get_mut(from..from + numbers.len());
        halves.ok_or_else(short)?.convert_from_f32_slice(numbers);
        return Ok(());
    }
    let (_, all) = target.try_extract_tensor_mut::<f32>()?;
    let all = all.get_mut(from..from + numbers.len());
    put(all.ok_or_else(short)?, numbers)
}

fn read(source: &DynTensor, out: &mut Vec<f32>) -> Result<(), EngineError> {
    out.clear();
    if *source.data_type() == TensorElementType::Float16 {
        let (_, halves) = source.try_extract_tensor::<f16>()?;
        out.resize(halves.len(), 0.0);
        halves.convert_to_f32_slice(out);
    } else {
        out.extend_from_slice(source.try_extract_tensor::<f32>()?.1);
    }
    Ok(())
}
