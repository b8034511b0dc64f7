//! Parts: which instrument of a band plays a note.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The part of a band that a note belongs to. The order is that of the notes of one step.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A whole keyboard texture, as a solo piano; music without parts.
    #[default]
    Keys,
    /// The melody.
    Lead,
    /// The harmony: chords, pads, arpeggios.
    Chords,
    /// The bass line.
    Bass,
    /// Drum hits, whose keys are no pitches and which have no lengths.
    Drums,
}

impl Part {
    /// Number of parts.
    pub const COUNT: usize = 5;
    /// All parts, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Keys,
        Self::Lead,
        Self::Chords,
        Self::Bass,
        Self::Drums,
    ];

    /// The name, as in files and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Lead => "lead",
            Self::Chords => "chords",
            Self::Bass => "bass",
            Self::Drums => "drums",
        }
    }

    /// The index in [`Part::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether it is [`Part::Keys`].
    pub fn is_keys(&self) -> bool {
        *self == Self::Keys
    }

    /// Colour of its notes in piano rolls: red, green, blue.
    pub const fn colour(self) -> [u8; 3] {
        match self {
            Self::Keys => [86, 170, 255],
            Self::Lead => [232, 214, 96],
            Self::Chords => [120, 210, 130],
            Self::Bass => [190, 160, 255],
            Self::Drums => [150, 154, 162],
        }
    }

    /// Whether its keys are pitches, which sound for a length and can be transposed.
    pub fn is_pitched(self) -> bool {
        self != Self::Drums
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no part; the parts are keys, lead, chords, bass and drums")]
pub struct UnknownPart(String);

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, UnknownPart> {
        let name = text.trim();
        let found = Self::ALL.into_iter();
        let mut found = found.filter(|part| part.name().eq_ignore_ascii_case(name));
        found.next().ok_or_else(|| UnknownPart(text.into()))
    }
}

/// A set of parts. In JSON it is the list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Part>", into = "Vec<Part>")]
pub struct PartSet(u8);

impl PartSet {
    /// No part.
    pub const EMPTY: Self = Self(0);
    /// Every part.
    pub const ALL: Self = Self((1 << Part::COUNT) - 1);

    /// Whether it contains `part`.
    pub fn contains(self, part: Part) -> bool {
        self.0 >> part.index() & 1 == 1
    }

    /// Adds a part.
    pub fn insert(&mut self, part: Part) {
        self.0 |= 1 << part.index();
    }

    /// Removes a part.
    pub fn remove(&mut self, part: Part) {
        self.0 &= !(1 << part.index());
    }

    /// Whether it has no part.
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Number of its parts.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Its parts, in order.
    pub fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL
            .into_iter()
            .filter(move |&part| self.contains(part))
    }
}

impl FromIterator<Part> for PartSet {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        let mut set = Self::EMPTY;
        parts.into_iter().for_each(|part| set.insert(part));
        set
    }
}

impl From<Vec<Part>> for PartSet {
    fn from(parts: Vec<Part>) -> Self {
        parts.into_iter().collect()
    }
}

impl From<PartSet> for Vec<Part> {
    fn from(set: PartSet) -> Self {
        set.iter().collect()
    }
}

impl std::fmt::Display for PartSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.iter().map(Part::name).collect();
        f.pad(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_and_read_in_one_order() {
        for (index, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!(part.index(), index);
            assert_eq!(part.name().to_uppercase().parse(), Ok(part));
            let json = serde_json::to_string(&part).unwrap();
            assert_eq!(json, format!("\"{part}\""));
            assert_eq!(serde_json::from_str::<Part>(&json).unwrap(), part);
        }
        assert!(Part::ALL.is_sorted());
        let error = "tuba".parse::<Part>().unwrap_err().to_string();
        assert!(error.contains("tuba") && error.contains("drums"), "{error}");
    }

    #[test]
    fn a_set_is_a_list_of_names() {
        let mut set: PartSet = [Part::Drums, Part::Keys, Part::Drums].into_iter().collect();
        assert_eq!((set.len(), set.to_string()), (2, "keys, drums".into()));
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["keys","drums"]"#);
        assert_eq!(serde_json::from_str::<PartSet>(&json).unwrap(), set);
        set.remove(Part::Keys);
        assert!(set.contains(Part::Drums) && !set.contains(Part::Keys));
        set.remove(Part::Drums);
        assert!(set.is_empty() && set == PartSet::EMPTY);
        assert_eq!(Part::ALL.into_iter().collect::<PartSet>(), PartSet::ALL);
        assert_eq!(PartSet::ALL.iter().collect::<Vec<_>>(), Part::ALL);
    }
}
