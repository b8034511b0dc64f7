//! The tensors of the graphs: their names, shapes and types.

use continuo_score::manifest::Manifest;
use ort::value::{Outlet, TensorElementType, ValueType};

use super::directory;

/// An input or output tensor of a graph. A slot is twice the layer, plus one for the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tensor {
    Token,
    BarStep,
    Bar,
    TimeSignature,
    /// Embedding rows of the note context.
    Sounding,
    Position,
    /// Steps since the beginning of the piece.
    Step,
    /// The last pitch.
    Pitch,
    /// Number of tokens after the run, less one.
    LastCounted,
    /// Number of tokens after the run.
    Counted,
    /// Keys or values of earlier tokens.
    Past(usize),
    /// Keys or values of earlier and new tokens, updated in place.
    Present(usize),
    /// Keys or values of the new tokens.
    New(usize),
    Hidden,
    Local,
    Query,
    Score,
    Memory,
    Recall,
    Logits,
}

/// Names of the tensors without a slot.
const NAMES: [(&str, Tensor); 17] = [
    ("token", Tensor::Token),
    ("bar_step", Tensor::BarStep),
    ("bar", Tensor::Bar),
    ("metre", Tensor::TimeSignature),
    ("sounding", Tensor::Sounding),
    ("position", Tensor::Position),
    ("step", Tensor::Step),
    ("pitch", Tensor::Pitch),
    ("seqlens_k", Tensor::LastCounted),
    ("total_sequence_length", Tensor::Counted),
    ("hidden", Tensor::Hidden),
    ("local", Tensor::Local),
    ("query", Tensor::Query),
    ("score", Tensor::Score),
    ("memory", Tensor::Memory),
    ("recall", Tensor::Recall),
    ("logits", Tensor::Logits),
];

impl Tensor {
    /// The tensor of a name in a graph; `None` for an unknown one.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some((_, tensor)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(*tensor);
        }
        let (side, layer) = name.split_once('.')?;
        let layer = layer.parse().ok();
        let layer: usize = layer.filter(|&layer| layer < directory::MAX_LAYERS)?;
        let (of, side): (fn(usize) -> Self, _) = match side.split_once('_') {
            Some(("past", side)) => (Tensor::Past, side),
            Some(("present", side)) => (Tensor::Present, side),
            _ => (Tensor::New, side),
        };
        match side {
            "key" => Some(of(layer * 2)),
            "value" => Some(of(layer * 2 + 1)),
            _ => None,
        }
    }

    /// Its name in a graph.
    pub(super) fn name(self) -> String {
        let of = |prefix: &str, slot: usize| {
            let side = if slot.is_multiple_of(2) {
                "key"
            } else {
                "value"
            };
            format!("{prefix}{side}.{}", slot / 2)
        };
        match self {
            Tensor::Past(slot) => of("past_", slot),
            Tensor::Present(slot) => of("present_", slot),
            Tensor::New(slot) => of("", slot),
            tensor => {
                let known = NAMES.iter().find(|(_, known)| *known == tensor);
                known.map_or("", |(name, _)| name).to_owned()
            }
        }
    }

    /// Whether it may be an input.
    pub(super) fn is_input(self) -> bool {
        !matches!(
            self,
            Tensor::New(_) | Tensor::Present(_) | Tensor::Query | Tensor::Logits
        )
    }

    /// Its slot, if it has one.
    pub(super) fn slot(self) -> Option<usize> {
        match self {
            Tensor::Past(slot) | Tensor::Present(slot) | Tensor::New(slot) => Some(slot),
            _ => None,
        }
    }

    /// Its shape for `steps` new tokens and `past` earlier ones.
    pub(super) fn shape(self, manifest: &Manifest, steps: usize, past: usize) -> Vec<usize> {
        let sizes = &manifest.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let k = manifest.shape.knn.map_or(0, |knn| knn.k);
        let memory_heads = |slot| manifest.shape.memory_heads(slot / 2);
        match self {
            Tensor::Token | Tensor::BarStep | Tensor::Bar | Tensor::TimeSignature => vec![1, steps],
            Tensor::Sounding => vec![1, steps, continuo_score::NoteState::SLOTS],
            Tensor::Position | Tensor::Step | Tensor::Pitch => vec![steps],
            Tensor::LastCounted | Tensor::Counted => vec![1],
            Tensor::Past(slot) | Tensor::Present(slot) => vec![1, memory_heads(slot), past, dim],
            Tensor::New(slot) => vec![1, memory_heads(slot), steps, dim],
            Tensor::Hidden => vec![1, steps, sizes.width],
            Tensor::Local => vec![1, steps, heads * dim],
            Tensor::Query => vec![1, steps, heads, dim],
            Tensor::Score => vec![1, steps, heads, k],
            Tensor::Memory => vec![1, steps, heads, k, dim],
            Tensor::Recall => vec![1],
            Tensor::Logits => vec![1, steps, sizes.vocabulary],
        }
    }

    /// Whether it may have the type `ty`; `halves` also allows half precision.
    fn fits(self, ty: TensorElementType, halves: bool) -> bool {
        use Tensor::*;
        match self {
            Token | BarStep | Bar | TimeSignature | Sounding | Position | Step | Pitch => {
                ty == TensorElementType::Int64
            }
            LastCounted | Counted => ty == TensorElementType::Int32,
            Past(_) | Present(_) | New(_) | Hidden | Local
                if halves && ty == TensorElementType::Float16 =>
            {
                true
            }
            _ => ty == TensorElementType::Float32,
        }
    }

    /// Checks a graph's declaration against `model.json`, and returns its type. `halves` allows half
    /// precision in tensors that stay on the device.
    ///
    /// # Errors
    /// Fails if type or shape differ; the text has the tensor, its type and its shape.
    pub(super) fn check(
        self,
        outlet: &Outlet,
        manifest: &Manifest,
        halves: bool,
    ) -> Result<TensorElementType, String> {
        let ValueType::Tensor { ty, shape: has, .. } = outlet.dtype() else {
            return Err(format!("{:?} is no tensor", outlet.name()));
        };
        // Sizes that differ from run to run must be free.
        const FREE: usize = usize::MAX;
        let should = self.shape(manifest, FREE, FREE);
        let fits = |(&has, &should): (&i64, &usize)| match should {
            FREE => has == -1,
            should => has == -1 || usize::try_from(has) == Ok(should),
        };
        let sized = has.len() == should.len() && has.iter().zip(&should).all(fits);
        if !self.fits(*ty, halves) || !sized {
            return Err(format!(
                "{:?} is {ty} {has:?}, which does not fit model.json",
                outlet.name()
            ));
        }
        Ok(*ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensor_names_are_parsed() {
        let slots = [Tensor::Past, Tensor::Present, Tensor::New];
        let slots = slots.iter().flat_map(|of| (0..40).map(of));
        for tensor in NAMES.iter().map(|(_, tensor)| *tensor).chain(slots) {
            assert_eq!(Tensor::parse(&tensor.name()), Some(tensor));
        }
        for name in [
            "",
            "keys.1",
            "key.",
            "key.256",
            "past_key",
            "future_key.1",
            "key.-1",
        ] {
            assert_eq!(Tensor::parse(name), None, "{name}");
        }
    }
}
