//! Options of loading a model.

use crate::device::Device;

/// Options of [`crate::Model::load`].
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// Threads inside one run of the network, 1 or more; they wait without spinning.
    pub threads: usize,
    /// Variants in order of preference; the first in the directory is loaded. Empty: those of
    /// [`Device::variants`].
    pub variants: Vec<String>,
    /// Devices in order of preference; the first that accepts the model is used, and
    /// [`crate::Model::unavailable_devices`] has the errors of the others.
    pub devices: Vec<Device>,
    /// Keys of the song that a token sees at most in the kNN memory, and as many learned ones; `None`
    /// is the number the model was trained with. A key and its value take 512 bytes with heads 64
    /// wide.
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
