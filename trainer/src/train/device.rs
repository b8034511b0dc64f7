//! Devices that run the network: the option `--device`.

use std::str::FromStr;

use burn::tensor::Device;

use crate::model::Precision;

/// Device that the user chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU where this build and this machine have one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this index, from 0, through CUDA.
    Cuda(usize),
    /// A GPU of any maker through Vulkan, Metal or Direct3D 12: the discrete GPU of this index,
    /// from 0, or the best that there is.
    Wgpu(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let index = |n: &str| {
            n.parse()
                .map_err(|_| format!("{n}: not the number of a GPU"))
        };
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            None if text == "wgpu" => Ok(Self::Wgpu(None)),
            Some(("cuda", n)) => index(n).map(Self::Cuda),
            Some(("wgpu", n)) => index(n).map(|n| Self::Wgpu(Some(n))),
            _ => Err("auto, cpu, cuda, cuda:1, wgpu or wgpu:1".into()),
        }
    }
}

/// Error of a device that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without this kind of GPU: `cuda` or `wgpu`.
    #[error(
        "--device {0}: this program was built without it; build it with `cargo build --release \
         -p continuo-trainer --features {0}`, or train with --device cpu"
    )]
    NotBuilt(&'static str),
    /// This machine has no CUDA.
    #[error("--device cuda: {0}; install it, or train with --device cpu")]
    NoCuda(String),
    /// This machine has no such GPU for Vulkan, Metal or Direct3D 12.
    #[error("--device wgpu: {0}; install the GPU's driver, or train with --device cpu")]
    NoWgpu(String),
    /// The products of this kind of GPU have no 16 bits.
    #[error(
        "--precision bf16: --device wgpu computes in f32 only; begin a training with --precision \
         f32, or use --device cuda or cpu"
    )]
    NoBf16,
    /// The list has a device twice, or the CPU beside others.
    #[error("--device: several devices must be different GPUs, such as cuda:0,cuda:1")]
    Several,
    /// This machine has fewer GPUs.
    #[error("--device cuda:{asked}: this machine has {count} (they count from 0)")]
    NoSuch {
        /// Index requested.
        asked: usize,
        /// GPUs of this machine.
        count: usize,
    },
}

/// Devices, ready for use.
#[derive(Clone, Debug)]
pub struct Devices {
    /// Device of parameters and optimiser state.
    pub device: Device,
    /// Further GPUs; all share the batch rows of a step.
    pub more: Vec<Device>,
    /// Name for people.
    pub name: String,
    /// Whether the devices are GPUs, which are used from one thread each.
    pub gpu: bool,
    /// Number format of the matrix products, if the user chooses none.
    pub precision: Precision,
    /// Whether matrix products can be bf16.
    pub has_bf16: bool,
}

impl Devices {
    /// The CPU.
    pub fn cpu() -> Self {
        Self {
            device: Device::flex(),
            more: Vec::new(),
            name: "CPU".into(),
            gpu: false,
            precision: Precision::F32,
            has_bf16: true,
        }
    }

    /// Checks that the devices compute matrix products in this number format.
    ///
    /// # Errors
    /// They do not.
    pub fn check_precision(&self, precision: Precision) -> Result<(), DeviceError> {
        match precision == Precision::Bf16 && !self.has_bf16 {
            true => Err(DeviceError::NoBf16),
            false => Ok(()),
        }
    }

    /// Opens the chosen devices; an empty list means [`DeviceChoice::Auto`].
    ///
    /// # Errors
    /// A device is missing or chosen twice.
    pub fn open(choices: &[DeviceChoice]) -> Result<Self, DeviceError> {
        let one = |choice| match choice {
            DeviceChoice::Cpu => Ok(Self::cpu()),
            DeviceChoice::Auto => Ok(cuda(0).unwrap_or_else(|_| Self::cpu())),
            DeviceChoice::Cuda(index) => cuda(index),
            DeviceChoice::Wgpu(index) => wgpu(index),
        };
        let (&first, rest) = choices.split_first().unwrap_or((&DeviceChoice::Auto, &[]));
        let apart = |(i, c): (usize, &DeviceChoice)| {
            let kind = std::mem::discriminant;
            let is_gpu = matches!(c, DeviceChoice::Cuda(_) | DeviceChoice::Wgpu(Some(_)));
            is_gpu && kind(c) == kind(&choices[0]) && !choices[..i].contains(c)
        };
        if !rest.is_empty() && !choices.iter().enumerate().all(apart) {
            return Err(DeviceError::Several);
        }
        let mut devices = one(first)?;
        for &choice in rest {
            let another = one(choice)?;
            devices.name += ", ";
            devices.name += &another.name;
            devices.more.push(another.device);
        }
        Ok(devices)
    }

    /// Device of each worker of a training: `threads` times the CPU, or each of several GPUs once.
    /// Empty for a single GPU, which is used from the caller's thread.
    pub fn workers(&self, threads: usize) -> Vec<Device> {
        if !self.gpu {
            return vec![self.device.clone(); threads];
        }
        if self.more.is_empty() {
            return Vec::new();
        }
        let all = std::iter::once(&self.device).chain(&self.more);
        all.cloned().collect()
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Devices, DeviceError> {
    Err(DeviceError::NotBuilt("cuda"))
}

/// Finds the GPU `index`. The backend panics if a library is missing, so they are loaded first.
#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Devices, DeviceError> {
    let count = driver::count()?;
    if index >= count {
        return Err(DeviceError::NoSuch {
            asked: index,
            count,
        });
    }
    Ok(Devices {
        device: Device::cuda(index),
        more: Vec::new(),
        name: format!("GPU {index}"),
        gpu: true,
        precision: Precision::Bf16,
        has_bf16: true,
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_index: Option<usize>) -> Result<Devices, DeviceError> {
    Err(DeviceError::NotBuilt("wgpu"))
}

/// Opens a GPU through wgpu. Its shaders have no bf16, so that products are f32.
#[cfg(feature = "wgpu")]
fn wgpu(index: Option<usize>) -> Result<Devices, DeviceError> {
    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::WgpuInitError;

    let kind = index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu);
    let opened = Device::wgpu_options().device_kind(kind.clone());
    let device = match opened.init() {
        Ok(device) => device,
        // This process has opened it before.
        Err(WgpuInitError::Registration { .. }) => Device::wgpu(kind),
        Err(e) => return Err(DeviceError::NoWgpu(e.to_string())),
    };
    Ok(Devices {
        device,
        more: Vec::new(),
        name: index.map_or("GPU".into(), |index| format!("GPU {index}")),
        gpu: true,
        precision: Precision::F32,
        has_bf16: false,
    })
}

#[cfg(feature = "cuda")]
mod driver {
    use std::ffi::c_int;

    use libloading::Library;

    use super::DeviceError;

    #[cfg(windows)]
    const DRIVER: &[&str] = &["nvcuda.dll"];
    #[cfg(not(windows))]
    const DRIVER: &[&str] = &["libcuda.so", "libcuda.so.1"];
    #[cfg(windows)]
    const COMPILER: &[&str] = &["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"];
    #[cfg(not(windows))]
    const COMPILER: &[&str] = &["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];

    /// Number of GPUs of this machine.
    pub(super) fn count() -> Result<usize, DeviceError> {
        let driver = open(DRIVER, "no NVIDIA driver")?;
        open(COMPILER, "no CUDA run-time compiler (NVRTC)")?;
        let fail = |why: String| DeviceError::NoCuda(why);
        let mut count: c_int = 0;
        // SAFETY: `CUresult cuInit(unsigned)` and `CUresult cuDeviceGetCount(int *)`, as
        // cuda.h declares them; `count` outlives the call, and the library the pointers.
        let (init, counted) = unsafe {
            type Init = unsafe extern "C" fn(u32) -> c_int;
            type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
            let init = driver
                .get::<Init>(b"cuInit")
                .map_err(|e| fail(e.to_string()))?;
            let counts = driver
                .get::<Count>(b"cuDeviceGetCount")
                .map_err(|e| fail(e.to_string()))?;
            (init(0), counts(&raw mut count))
        };
        if init != 0 || counted != 0 {
            let code = if init != 0 { init } else { counted };
            return Err(fail(format!(
                "the NVIDIA driver finds no GPU (error {code})"
            )));
        }
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn open(names: &[&str], missing: &str) -> Result<Library, DeviceError> {
        let found = names.iter().find_map(|name| {
            // SAFETY: loading NVIDIA's libraries does not affect this program; the backend loads
            // the same ones.
            unsafe { Library::new(*name) }.ok()
        });
        found.ok_or_else(|| DeviceError::NoCuda(format!("{missing} ({})", names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_choices_are_parsed() {
        let read = |text: &str| text.parse::<DeviceChoice>().ok();
        assert_eq!(read("auto"), Some(DeviceChoice::Auto));
        assert_eq!(read("cpu"), Some(DeviceChoice::Cpu));
        assert_eq!(read("cuda"), Some(DeviceChoice::Cuda(0)));
        assert_eq!(read("cuda:3"), Some(DeviceChoice::Cuda(3)));
        assert_eq!(read("wgpu"), Some(DeviceChoice::Wgpu(None)));
        assert_eq!(read("wgpu:1"), Some(DeviceChoice::Wgpu(Some(1))));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cpu:0", "wgpu:", "vulkan"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn several_devices_must_be_different_gpus() {
        for wrong in [
            [DeviceChoice::Cpu, DeviceChoice::Cpu],
            [DeviceChoice::Cpu, DeviceChoice::Cuda(0)],
            [DeviceChoice::Cuda(1), DeviceChoice::Auto],
            [DeviceChoice::Cuda(1), DeviceChoice::Cuda(1)],
            [DeviceChoice::Cuda(0), DeviceChoice::Wgpu(Some(1))],
            [DeviceChoice::Wgpu(None), DeviceChoice::Wgpu(Some(1))],
        ] {
            let refused = Devices::open(&wrong);
            assert!(matches!(refused, Err(DeviceError::Several)), "{wrong:?}");
        }
        let devices = Devices::open(&[DeviceChoice::Cpu]).expect("a CPU is always there");
        assert_eq!(devices.workers(3).len(), 3);
        assert!(devices.check_precision(Precision::Bf16).is_ok());
        let without = Devices {
            has_bf16: false,
            ..devices
        };
        assert!(without.check_precision(Precision::F32).is_ok());
        let refused = without.check_precision(Precision::Bf16);
        assert!(refused.unwrap_err().to_string().contains("--device cuda"));
    }
}
