//! Tensors by name, in safetensors files.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::CheckpointError;
use crate::model::values;

/// Name, shape and little-endian bytes of a tensor.
pub(super) type NamedTensor = (String, Vec<usize>, Vec<u8>);

/// A tensor with a name.
pub(super) fn named<const D: usize>(name: String, tensor: &Tensor<D>) -> NamedTensor {
    let bytes = values(tensor)
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    (name, tensor.dims().to_vec(), bytes)
}

/// Contents of a safetensors file.
pub(super) fn pack(tensors: Vec<NamedTensor>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        // `named` makes the bytes that the shape requires.
        (name.clone(), view.expect("four bytes per value"))
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
            if view.dtype() != Dtype::F32 {
                return Err(CheckpointError::Malformed {
                    path,
                    reason: format!("{name} is {:?}, not F32", view.dtype()),
                });
            }
            let values = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|&b| f32::from_le_bytes(b));
            tensors.insert(name, (view.shape().to_vec(), values.collect()));
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
