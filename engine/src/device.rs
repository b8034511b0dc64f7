//! Devices on which a network runs.
//!
//! A device counts only if it accepts the network: registering its provider fails here (ONNX Runtime
//! by itself would use the CPU in silence), and then the next preferred device is tried.
//! [`crate::Model::device`] and [`crate::Model::unavailable_devices`] have the results.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::runtime::Runtime;

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor; always there.
    Cpu,
    /// An NVIDIA GPU, with a library of ONNX Runtime built for it.
    Cuda,
    /// Any GPU on Windows.
    DirectMl,
    /// GPU or neural engine on macOS.
    CoreMl,
    /// A GPU of any maker through Vulkan, Metal or Direct3D 12, with a library of ONNX Runtime
    /// built for it.
    WebGpu,
}

impl Device {
    /// All devices in the order in which `auto` tries them.
    pub const ALL: [Device; 5] = [
        Device::Cuda,
        Device::DirectMl,
        Device::CoreMl,
        Device::WebGpu,
        Device::Cpu,
    ];

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "CPU",
            Device::Cuda => "CUDA",
            Device::DirectMl => "DirectML",
            Device::CoreMl => "CoreML",
            Device::WebGpu => "WebGPU",
        }
    }

    /// Variants of a model that run on it, those made for it first.
    pub fn variants(self) -> impl Iterator<Item = &'static str> {
        let names: &[&str] = match self {
            Device::Cpu => &["cpu", "plain", "gpu"],
            Device::Cuda => &["gpu", "plain"],
            Device::DirectMl | Device::CoreMl | Device::WebGpu => &["plain"],
        };
        names.iter().copied()
    }

    /// Devices in order, by their names with commas between: `cuda,cpu`; `auto` for all.
    ///
    /// # Errors
    /// Fails if a name is unknown.
    pub fn list(text: &str) -> Result<Vec<Device>, ParseDeviceError> {
        match text.trim().eq_ignore_ascii_case("auto") {
            true => Ok(Device::ALL.to_vec()),
            false => text.split(',').map(str::parse).collect(),
        }
    }

    /// ONNX Runtime's provider for the device; `None` for the CPU. The error is a reason for people.
    fn provider(self) -> Result<Option<ExecutionProviderDispatch>, String> {
        match self {
            Device::Cpu => Ok(None),
            #[cfg(not(target_os = "macos"))]
            Device::Cuda => Ok(Some(ort::ep::CUDA::default().build())),
            #[cfg(windows)]
            Device::DirectMl => Ok(Some(ort::ep::DirectML::default().build())),
            #[cfg(target_os = "macos")]
            Device::CoreMl => Ok(Some(ort::ep::CoreML::default().build())),
            Device::WebGpu => Ok(Some(ort::ep::WebGPU::default().build())),
            #[allow(unreachable_patterns)]
            other => Err(format!("there is no {other} on this system")),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no device's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no device: cpu, cuda, directml, coreml, webgpu, or auto")]
pub struct ParseDeviceError {
    /// The text.
    text: String,
}

impl FromStr for Device {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, ParseDeviceError> {
        let wanted = text.trim();
        let named = |d: &Device| d.name().eq_ignore_ascii_case(wanted);
        Device::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| ParseDeviceError {
                text: text.to_string(),
            })
    }
}

/// A requested device that is not available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnavailableDevice {
    /// The device.
    pub device: Device,
    /// Error of ONNX Runtime or the driver.
    pub reason: String,
}

impl fmt::Display for UnavailableDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.device, self.reason)
    }
}

/// Loads the graph in the file `graph` onto `device`, with `threads` threads inside one run.
///
/// # Errors
/// The error of ONNX Runtime or of the driver, as text.
pub(crate) fn open(
    runtime: &Runtime,
    graph: &Path,
    threads: usize,
    device: Device,
) -> Result<Session, String> {
    let provider = device.provider()?;
    let open = || -> ort::Result<Session> {
        let mut builder = Session::builder(runtime.environment())?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads.max(1))?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            .with_flush_to_zero()?;
        if device == Device::DirectMl {
            // ONNX Runtime requires this for DirectML.
            builder = builder.with_memory_pattern(false)?;
        }
        if let Some(provider) = provider {
            builder = builder.with_execution_providers([provider.error_on_failure()])?;
        }
        builder.commit_from_file(graph)
    };
    // DirectML's reasons have several lines.
    open().map_err(|e| {
        e.to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        for device in Device::ALL {
            assert_eq!(device.name().parse(), Ok(device));
        }
        assert_eq!(Device::list("auto"), Ok(Device::ALL.to_vec()));
        let two = vec![Device::Cuda, Device::Cpu];
        assert_eq!(Device::list(" cuda, CPU"), Ok(two));
        for bad in ["", "gpu", "cuda,", "cuda;cpu"] {
            let error = Device::list(bad).unwrap_err().to_string();
            assert!(error.contains("directml"), "{error}");
        }
    }
}
