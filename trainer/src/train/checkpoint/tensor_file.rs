//! Tensors by name, in safetensors files.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::CheckpointError;
use crate::model::values;

/// Number format of stored tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredFormat {
    /// 32 bits: exact.
    F32,
    /// 16 bits: half the size, rounded to 11 significant bits.
    F16,
}

/// Name, shape and little-endian bytes of a tensor.
pub(super) struct NamedTensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A tensor with a name.
pub(super) fn named<const D: usize>(
    name: String,
    tensor: &Tensor<D>,
    format: StoredFormat,
) -> NamedTensor {
    let values = values(tensor).into_iter();
    let (dtype, bytes) = match format {
        StoredFormat::F32 => (Dtype::F32, values.flat_map(f32::to_le_bytes).collect()),
        StoredFormat::F16 => {
            let halves = values.flat_map(|value| f16::from_f32(value).to_le_bytes());
            (Dtype::F16, halves.collect())
        }
    };
    NamedTensor {
        name,
        dtype,
        shape: tensor.dims().to_vec(),
        bytes,
    }
}

/// Contents of a safetensors file.
pub(super) fn pack(tensors: &[NamedTensor]) -> Vec<u8> {
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
        // `named` makes the bytes that the shape requires.
        (
            tensor.name.clone(),
            view.expect("as many bytes as the shape requires"),
        )
    });
    safetensors::serialize(views.collect::<Vec<_>>(), None).expect("names are unique and in memory")
}

/// A safetensors file, read into memory.
pub(super) struct TensorFile {
    path: PathBuf,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl TensorFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, CheckpointError> {
        let bytes = fs::read(&path).map_err(|source| CheckpointError::Io {
            path: path.clone(),
            source,
        })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| CheckpointError::Malformed {
            path: path.clone(),
            reason: format!("not a safetensors file: {e}"),
        })?;
        let mut tensors = HashMap::new();
        for (name, view) in file.tensors() {
            let data = view.data();
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => {
                    let words = data.as_chunks().0.iter();
                    words.map(|&word| f32::from_le_bytes(word)).collect()
                }
                Dtype::F16 => {
                    let words = data.as_chunks().0.iter();
                    words
                        .map(|&word| f16::from_le_bytes(word).to_f32())
                        .collect()
                }
                other => {
                    let reason = format!("{name} is {other:?}, neither F32 nor F16");
                    return Err(CheckpointError::Malformed { path, reason });
                }
            };
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Self { path, tensors })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Result<&(Vec<usize>, Vec<f32>), CheckpointError> {
        self.tensors
            .get(name)
            .ok_or_else(|| CheckpointError::Malformed {
                path: self.path.clone(),
                reason: format!("{name} is missing"),
            })
    }

    pub(super) fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, CheckpointError> {
        let (found, data) = self.get(name)?;
        if *found != shape {
            return Err(CheckpointError::Malformed {
                path: self.path.clone(),
                reason: format!("{name} is {found:?}, and config.json asks for {shape:?}"),
            });
        }
        Ok(Tensor::from_data(
            TensorData::new(data.clone(), shape),
            device,
        ))
    }

    pub(super) fn memory(&self, name: &str, device: &Device) -> Result<Tensor<4>, CheckpointError> {
        let (found, _) = self.get(name)?;
        let shape =
            <[usize; 4]>::try_from(found.as_slice()).map_err(|_| CheckpointError::Malformed {
                path: self.path.clone(),
                reason: format!("{name} is {found:?}, not four-dimensional"),
            })?;
        self.tensor(name, shape, device)
    }
}
