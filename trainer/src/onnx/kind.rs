//! The variants of a network.

use super::proto::tensor_proto::DataType;

/// What a network is exported for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// f32, standard operators, caches that are concatenated: any runtime, and the reference.
    Plain,
    /// One core with ONNX Runtime: matrices of 8 bits, caches changed in place.
    Cpu,
    /// The same with 4 bits, in its place where that loses nothing.
    Cpu4,
    /// CUDA with ONNX Runtime: f16, caches changed in place.
    Gpu,
}

impl Kind {
    /// Those to ask for.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Cpu, Self::Gpu];

    /// Its name in the model directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Cpu | Self::Cpu4 => "cpu",
            Self::Gpu => "gpu",
        }
    }

    /// Bits of a number in its matrices.
    pub fn bits(self) -> usize {
        match self {
            Self::Plain => 32,
            Self::Gpu => 16,
            Self::Cpu => 8,
            Self::Cpu4 => 4,
        }
    }

    /// Whether `past_*` and `present_*` are one buffer.
    pub fn in_place(self) -> bool {
        self != Self::Plain
    }

    /// Of weights that are not quantised, of activations and of caches.
    pub(crate) fn float(self) -> DataType {
        match self {
            Self::Plain | Self::Cpu | Self::Cpu4 => DataType::Float,
            Self::Gpu => DataType::Float16,
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("{text}: not plain, cpu or gpu"))
    }
}
