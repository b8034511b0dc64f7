//! `--device`: where the network runs.

use std::str::FromStr;

use burn::tensor::Device;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// A GPU where this build and this machine have one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number, from 0.
    Cuda(usize),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", n)) => n
                .parse()
                .map(Self::Cuda)
                .map_err(|_| format!("{n}: not the number of a GPU")),
            _ => Err("auto, cpu, cuda or cuda:1".into()),
        }
    }
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without CUDA.
    #[error(
        "--device cuda: this program was built for the CPU only; build it with `cargo build \
         --release -p continuo-trainer --features cuda`, or train with --device cpu"
    )]
    NotBuilt,
    /// CUDA is not on this machine.
    #[error("--device cuda: {0}; install it, or train with --device cpu")]
    NoCuda(String),
    /// A list that makes no sense.
    #[error("--device: several devices must be different GPUs, such as cuda:0,cuda:1")]
    Several,
    /// There are fewer GPUs.
    #[error("--device cuda:{asked}: this machine has {count} (they count from 0)")]
    NoSuch {
        /// The number asked for.
        asked: usize,
        /// GPUs there are.
        count: usize,
    },
}

/// A device, ready to be used.
#[derive(Clone, Debug)]
pub struct Place {
    /// For tensors.
    pub device: Device,
    /// More GPUs, each of which takes its share of the lanes.
    pub more: Vec<Device>,
    /// Its name, for people.
    pub name: String,
    /// Whether it is a GPU: those run one thing after the other, from one thread.
    pub gpu: bool,
}

impl Place {
    /// The CPU, which is always there.
    pub fn cpu() -> Self {
        Self {
            device: Device::flex(),
            more: Vec::new(),
            name: "CPU".into(),
            gpu: false,
        }
    }

    /// The devices that were asked for; none at all is [`Choice::Auto`].
    pub fn open(choices: &[Choice]) -> Result<Self, DeviceError> {
        let one = |choice| match choice {
            Choice::Cpu => Ok(Self::cpu()),
            Choice::Auto => Ok(cuda(0).unwrap_or_else(|_| Self::cpu())),
            Choice::Cuda(index) => cuda(index),
        };
        let (&first, rest) = choices.split_first().unwrap_or((&Choice::Auto, &[]));
        let apart =
            |(i, c): (usize, &Choice)| matches!(c, Choice::Cuda(_)) && !choices[..i].contains(c);
        if !rest.is_empty() && !choices.iter().enumerate().all(apart) {
            return Err(DeviceError::Several);
        }
        let mut place = one(first)?;
        for &choice in rest {
            let another = one(choice)?;
            place.name += ", ";
            place.name += &another.name;
            place.more.push(another.device);
        }
        Ok(place)
    }

    /// The device of each worker of a training: on the CPU as many as there are threads, on
    /// several GPUs one on each. None for one GPU, which is worked from the caller's thread.
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
fn cuda(_index: usize) -> Result<Place, DeviceError> {
    Err(DeviceError::NotBuilt)
}

/// The backend panics where a library is missing, so they are looked for first.
#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Place, DeviceError> {
    let count = driver::count()?;
    if index >= count {
        return Err(DeviceError::NoSuch {
            asked: index,
            count,
        });
    }
    Ok(Place {
        device: Device::cuda(index),
        more: Vec::new(),
        name: format!("GPU {index}"),
        gpu: true,
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

    /// GPUs of this machine, once the driver and the run-time compiler have been found.
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
            // SAFETY: NVIDIA's libraries do nothing when they are loaded that would break this
            // program; the backend loads the same ones.
            unsafe { Library::new(*name) }.ok()
        });
        found.ok_or_else(|| DeviceError::NoCuda(format!("{missing} ({})", names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read() {
        let read = |text: &str| text.parse::<Choice>().ok();
        assert_eq!(read("auto"), Some(Choice::Auto));
        assert_eq!(read("cpu"), Some(Choice::Cpu));
        assert_eq!(read("cuda"), Some(Choice::Cuda(0)));
        assert_eq!(read("cuda:3"), Some(Choice::Cuda(3)));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cpu:0"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn several_devices_are_different_gpus() {
        for wrong in [
            [Choice::Cpu, Choice::Cpu],
            [Choice::Cpu, Choice::Cuda(0)],
            [Choice::Cuda(1), Choice::Auto],
            [Choice::Cuda(1), Choice::Cuda(1)],
        ] {
            let refused = Place::open(&wrong);
            assert!(matches!(refused, Err(DeviceError::Several)), "{wrong:?}");
        }
        let place = Place::open(&[Choice::Cpu]).expect("a CPU is always there");
        assert_eq!(place.workers(3).len(), 3);
    }
}
