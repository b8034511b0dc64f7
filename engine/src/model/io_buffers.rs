//! Graphs that change their caches in place, one token at a time.
//!
//! Every buffer is made and bound once (ONNX Runtime's IoBinding); a token is a few numbers
//! written, the run, and a few read. The caches are input and output at once, so nothing is
//! copied; what `lower` gives `upper` is the same buffer too, and on a GPU these stay there.
//!
//! Always one token a run: attention over several adds up in another order, eight-bit products
//! round what it gives, and from there two ways to read the same tokens would go apart.

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

/// One listener's buffers, for all graphs of a variant.
pub(crate) struct IoBuffers {
    /// For each graph.
    lanes: Vec<GraphBinding>,
    /// What the graphs take and give; where a graph changes one in place, it is there once, as
    /// [`Tensor::Past`].
    buffers: Vec<(Tensor, DynTensor)>,
    /// [`KvCache::cuts`] of what the caches were filled from; none: they are to be filled.
    filled: Option<u64>,
    /// What is written must be bound again: inputs are copied to the device when bound.
    copied: bool,
}

/// One graph's share of the buffers.
struct GraphBinding {
    /// Its session, by address.
    session: usize,
    binding: IoBinding,
    /// What is written before a run and read after it: by name, and the number of its buffer.
    writes: Vec<(String, usize)>,
    reads: Vec<usize>,
}

/// What stays on the device.
fn stays(tensor: Tensor) -> bool {
    matches!(tensor, Tensor::Past(_) | Tensor::Hidden | Tensor::Local)
}

fn kept_as(tensor: Tensor) -> Tensor {
    match tensor {
        Tensor::Present(slot) => Tensor::Past(slot),
        tensor => tensor,
    }
}

impl IoBuffers {
    /// Buffers for `graphs`, which run on `device`.
    pub(super) fn new(
        graphs: &[Graph],
        manifest: &Manifest,
        layout: CacheLayout,
        device: Device,
    ) -> Result<Self, EngineError> {
        let mut lanes = Self {
            lanes: Vec::new(),
            buffers: Vec::new(),
            filled: None,
            copied: device == Device::Cuda,
        };
        for graph in graphs {
            let mut binding = graph.session.create_binding()?;
            let (mut writes, mut reads) = (Vec::new(), Vec::new());
            for port in &graph.inputs {
                let at = lanes.buffer(port, &graph.session, manifest, layout)?;
                binding.bind_input(port.name.as_str(), &lanes.buffers[at].1)?;
                if !stays(port.tensor) {
                    writes.push((port.name.clone(), at));
                }
            }
            for port in &graph.outputs {
                let at = lanes.buffer(port, &graph.session, manifest, layout)?;
                binding.bind_output(port.name.as_str(), &mut lanes.buffers[at].1)?;
                if !stays(kept_as(port.tensor)) {
                    reads.push(at);
                }
            }
            lanes.lanes.push(GraphBinding {
                session: address(&graph.session),
                binding,
                writes,
                reads,
            });
        }
        Ok(lanes)
    }

    /// The number of the buffer of a graph's input or output.
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
                let made = DynTensor::new(&allocator, port.ty, shape)?;
                self.buffers.push((tensor, made));
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

    /// The caches are no longer what they should be.
    pub(super) fn spoil(&mut self) {
        self.filled = None;
    }

    /// Fills the caches from what is remembered, where something was cut since they were.
    pub(super) fn fill(&mut self, xl: &KvCache) -> Result<(), EngineError> {
        if self.filled == Some(xl.cuts()) {
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
            for (head, rows) in xl.in_use(slot).enumerate() {
                write(target, head * head_size, rows)?;
            }
            if let Some(staged) = away {
                staged.copy_into(buffer)?;
            }
        }
        self.filled = Some(xl.cuts());
        Ok(())
    }

    /// Runs graph number `at` on the one token that `pass` holds. What comes out goes into
    /// `pass`, but for what only the next graph wants.
    pub(super) fn run(
        &mut self,
        at: usize,
        graph: &mut Graph,
        pass: &mut ForwardPass,
        xl: &KvCache,
    ) -> Result<(), EngineError> {
        let lane = &mut self.lanes[at];
        if lane.session != address(&graph.session) {
            return Err(EngineError::Run("this memory is of another model".into()));
        }
        let counted = |tokens: usize| i32::try_from(tokens).unwrap_or(i32::MAX);
        for (name, at) in &lane.writes {
            let (tensor, buffer) = &mut self.buffers[*at];
            match (*tensor, pass.ids(*tensor)) {
                (_, Some(ids)) => put(buffer.try_extract_tensor_mut()?.1, ids)?,
                (Tensor::LastCounted, _) => {
                    put(buffer.try_extract_tensor_mut()?.1, &[counted(xl.counted())])?;
                }
                (Tensor::Counted, _) => {
                    let all = counted(xl.counted() + 1);
                    put(buffer.try_extract_tensor_mut()?.1, &[all])?;
                }
                (tensor, _) => write(buffer, 0, pass.numbers(tensor))?,
            }
            if self.copied {
                lane.binding.bind_input(name.as_str(), buffer)?;
            }
        }
        {
            let _flushed = denormals::flush();
            run_bound(&mut graph.session, &lane.binding)?;
        }
        for &at in &lane.reads {
            let (tensor, buffer) = &self.buffers[at];
            if let Some(place) = pass.place(*tensor) {
                read(buffer, place)?;
            }
        }
        Ok(())
    }
}

/// `Session::run_binding` without the list of outputs that it gives: this module has them, and
/// to make the list takes longer than some of the graph's own operators.
fn run_bound(session: &mut Session, binding: &IoBinding) -> Result<(), EngineError> {
    let run = ort::api().RunWithBinding;
    // SAFETY: both live, nobody else runs the session meanwhile, null stands for no options, and
    // a status is given away once.
    let ran = unsafe {
        let status = run(session.ptr().cast_mut(), std::ptr::null(), binding.ptr());
        ort::Error::result_from_status(status)
    };
    Ok(ran?)
}

/// A session by where it is: bindings hold it, so no other can come to be there.
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

/// Writes numbers into a tensor from element `from` on; of a whole tensor all of them.
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
