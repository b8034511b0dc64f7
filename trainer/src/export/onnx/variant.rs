//! Variants of an exported network.

use super::proto::tensor_proto::DataType;

/// Target that a network is exported for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// Any ONNX runtime, and the reference: f32, standard operators, concatenated caches.
    Plain,
    /// One core with ONNX Runtime: 8-bit matrices, caches changed in place.
    Cpu,
    /// As [`Self::Cpu`], with 4-bit matrices; it replaces `Cpu` if it loses almost nothing.
    Cpu4,
    /// CUDA with ONNX Runtime: f16, caches changed in place.
    Gpu,
}

impl Variant {
    /// Variants that a user can choose.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Cpu, Self::Gpu];

    /// Name in the model directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Cpu | Self::Cpu4 => "cpu",
            Self::Gpu => "gpu",
        }
    }

    /// Bits per value of the matrices.
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

    /// Float type of unquantised weights, activations and caches.
    pub(crate) fn float(self) -> DataType {
        match self {
            Self::Plain | Self::Cpu | Self::Cpu4 => DataType::Float,
            Self::Gpu => DataType::Float16,
        }
    }
}

impl std::str::FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|variant| variant.name() == text);
        found.ok_or_else(|| format!("{text}: not plain, cpu or gpu"))
    }
}
