//! A [`Choice`] as the value of a host parameter. Plain data, any thread.

use nice_plug::prelude::Enum;

use continuo_accompaniment::choices::Choice;

/// Wraps a [`Choice`] for nice-plug's `EnumParam`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostChoice<T>(pub T);

impl<T: Choice> Enum for HostChoice<T> {
    fn variants() -> &'static [&'static str] {
        T::NAMES
    }

    fn ids() -> Option<&'static [&'static str]> {
        Some(T::IDS)
    }

    fn to_index(self) -> usize {
        self.0.index()
    }

    fn from_index(index: usize) -> Self {
        // nice-plug requires this: the first value where the index is out of range.
        Self(*T::VALUES.get(index).unwrap_or(&T::VALUES[0]))
    }
}
