//! Momentary commands: buttons of the host and of the editor. Plain data, any thread.

/// A command that takes effect once, at the start of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Ends everything that sounds; silent until there is a new reason to play.
    Panic,
    /// Generates the current bar again.
    Regenerate,
    /// Clears input and generated notes.
    Clear,
    /// Undoes the last of these, or the last change of variation or freeze.
    Undo,
    /// Redoes the last command that was undone.
    Redo,
}

impl Trigger {
    /// All triggers, in the order in which one block executes them.
    pub const ALL: [Self; 5] = [
        Self::Panic,
        Self::Regenerate,
        Self::Clear,
        Self::Undo,
        Self::Redo,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of triggers, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TriggerSet(u8);

impl TriggerSet {
    /// Adds or removes `trigger`.
    pub const fn set(&mut self, trigger: Trigger, on: bool) {
        self.0 = self.0 & !trigger.bit() | if on { trigger.bit() } else { 0 };
    }

    /// Whether `trigger` is in the set.
    pub const fn contains(self, trigger: Trigger) -> bool {
        self.0 & trigger.bit() != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Triggers of this set that `other` lacks.
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Triggers of either set.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set as bits, for an atomic.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The triggers in the set, in order of execution.
    pub fn iter(self) -> impl Iterator<Item = Trigger> {
        let all = Trigger::ALL.into_iter();
        all.filter(move |trigger| self.contains(*trigger))
    }
}

impl From<Trigger> for TriggerSet {
    fn from(trigger: Trigger) -> Self {
        Self(trigger.bit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_returned_in_order_of_execution() {
        let mut set = TriggerSet::from(Trigger::Undo);
        set.set(Trigger::Clear, true);
        set.set(Trigger::Panic, true);
        set.set(Trigger::Clear, false);
        assert!(set.iter().eq([Trigger::Panic, Trigger::Undo]));
        assert_eq!(set.minus(Trigger::Panic.into()), Trigger::Undo.into());
        assert_eq!(TriggerSet::from_bits(set.bits()), set);
        assert!(set.minus(set).is_empty() && !set.is_empty());
    }
}
