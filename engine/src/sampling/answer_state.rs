//! State of an answer: the kind of token that comes next and the notes that sound. It decides which
//! base tokens the constraints allow.

use continuo_score::{Part, PartSet, Token, Vocabulary};

use super::chord_guide::ChordGuide;
use super::constraints::CompiledConstraints;

/// Units of the grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Steps in a quarter note.
    pub(super) beat: u32,
    /// The longest duration, in steps. Only a move of this length can be followed by another move.
    pub(super) longest: u16,
}

impl Grid {
    pub(super) fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            beat: vocabulary.steps_per_beat,
            longest: vocabulary.longest,
        }
    }
}

/// Kind of base token that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expected {
    /// A pitch, a velocity, or the beginning of a move.
    #[default]
    Open,
    /// The length of a note.
    Length,
    /// The duration of a move.
    Move,
}

/// State of an answer after some base tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerState {
    pub(super) expected: Expected,
    pub(super) step: u32,
    /// Part of the next note.
    pub(super) part: Part,
    /// Pitch of the last note.
    pitch: u8,
    /// Recent notes: those that sound or began within the last beat. At most [`AnswerState::MOST`].
    notes: Vec<RecentNote>,
}

/// A note that may still count.
#[derive(Clone, Copy, Debug)]
struct RecentNote {
    start: u32,
    end: u32,
    part: Part,
}

impl AnswerState {
    /// Maximum number of notes kept, more than a keyboard has keys.
    const MOST: usize = 256;

    /// Resets to `step`, without notes.
    pub(super) fn start(&mut self, step: u32) {
        self.notes.clear();
        self.wait(step);
    }

    /// Moves to `step` and keeps the notes.
    pub(super) fn wait(&mut self, step: u32) {
        (self.expected, self.step) = (Expected::Open, step);
    }

    /// Makes this a copy of `other`. Allocates nothing once its buffer has grown.
    pub(super) fn copy(&mut self, other: &Self) {
        (self.expected, self.step, self.part) = (other.expected, other.step, other.part);
        self.pitch = other.pitch;
        self.notes.clear();
        self.notes.extend_from_slice(&other.notes);
    }

    /// Reads a base token.
    pub(super) fn read(&mut self, token: Token, grid: Grid) {
        match token {
            Token::Duration(d) if self.expected == Expected::Move => {
                self.step = self.step.saturating_add(u32::from(d));
                let now = self.step;
                self.notes
                    .retain(|n| n.end > now || n.start.saturating_add(grid.beat) > now);
            }
            Token::Duration(d) => self.note(d.max(1)),
            // A drum hit has no length.
            Token::Pitch(_) if !self.part.is_pitched() => self.note(0),
            Token::Part(part) => self.part = part,
            Token::Start => self.part = Part::Keys,
            _ => {}
        }
        if let Token::Pitch(pitch) = token {
            self.pitch = pitch;
        }
        self.expected = match token {
            Token::Pitch(_) if self.part.is_pitched() => Expected::Length,
            Token::Separator => Expected::Move,
            _ => Expected::Open,
        };
    }

    /// Adds a note of `length` steps.
    fn note(&mut self, length: u16) {
        if self.notes.len() == Self::MOST {
            // Only reached without constraints, when the notes are not read.
            self.notes.remove(0);
        }
        let end = self.step.saturating_add(u32::from(length));
        self.notes.push(RecentNote {
            start: self.step,
            end,
            part: self.part,
        });
    }

    /// The base tokens that the constraints allow here.
    pub(super) fn allowed_tokens<'a>(
        &self,
        compiled: &'a CompiledConstraints,
        chords: &ChordGuide,
        grid: Grid,
    ) -> AllowedTokens<'a> {
        let locks = compiled.locks_chords;
        let longest = match self.expected {
            Expected::Length if locks => chords.longest(self.step, self.pitch),
            _ => u32::MAX,
        };
        // The chords count for imagined notes, too.
        let (pitches, most) = match compiled.limits(self.part) {
            true => (
                compiled.pitches[self.part.index()],
                u32::from(compiled.longest),
            ),
            false => (u128::MAX, u32::MAX),
        };
        AllowedTokens {
            compiled,
            pitches: match self.expected {
                Expected::Open if locks => chords.allowed(self.step, pitches),
                _ => pitches,
            },
            longest: longest.min(most),
            grid,
            expected: self.expected,
            step: self.step,
            part: self.part,
            room: match compiled.is_unlimited() {
                true => PartSet::ALL,
                false => (compiled.known_parts.iter())
                    .filter(|&part| self.has_room(self.step, part, compiled, grid))
                    .collect(),
            },
            first_room: match self.expected {
                Expected::Move => self.first_room(self.step, compiled, grid),
                _ => self.step,
            },
        }
    }

    /// Whether another note of `part` may begin at `step`.
    fn has_room(&self, step: u32, part: Part, compiled: &CompiledConstraints, grid: Grid) -> bool {
        if !compiled.limits(part) {
            return true;
        }
        let counted = || self.notes.iter().filter(move |n| compiled.limits(n.part));
        let sounding = || counted().filter(move |n| n.end > step);
        // A drum hit ends on the step on which it begins.
        let own = counted().filter(|n| n.part == part && (n.end > step || n.start == step));
        let begun = counted().filter(|n| n.start.saturating_add(grid.beat) > step);
        sounding().count() < compiled.polyphony
            && own.count() < compiled.part_polyphony[part.index()]
            && begun.count() < compiled.per_beat
    }

    /// The first step from `now` on at which another note of some part may begin, if none begins before
    /// it. Every later step has room, too.
    pub(super) fn first_room(&self, now: u32, compiled: &CompiledConstraints, grid: Grid) -> u32 {
        if compiled.is_unlimited() {
            return now;
        }
        let ends = self.notes.iter().map(|n| n.end);
        let begins = self.notes.iter().map(|n| n.start.saturating_add(grid.beat));
        let has_room = |step| {
            let mut parts = compiled.known_parts.iter();
            parts.any(|part| self.has_room(step, part, compiled, grid))
        };
        // Behind a step full of drum hits there is room for others.
        let next = std::iter::once(now.saturating_add(1));
        let changes = ends.chain(begins).chain(next).filter(|&step| step > now);
        std::iter::once(now)
            .chain(changes)
            .filter(|&step| has_room(step))
            .min()
            // After the last change there is room, unless steps overflow.
            .unwrap_or(u32::MAX)
    }
}

/// The base tokens that the constraints allow at one position of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllowedTokens<'a> {
    compiled: &'a CompiledConstraints,
    /// Bit *p*: pitch *p* is allowed.
    pitches: u128,
    /// Longest note, in steps.
    longest: u32,
    grid: Grid,
    expected: Expected,
    step: u32,
    part: Part,
    /// Parts of which a note may begin here.
    room: PartSet,
    /// Before the duration of a move: the first step at which a note may begin.
    first_room: u32,
}

impl AllowedTokens<'_> {
    /// Whether the constraints allow a base token that the grammar allows here, and some token after
    /// it.
    pub(super) fn allows(&self, token: Token) -> bool {
        let limited = self.compiled.limits(self.part);
        match token {
            // The key of a drum is no pitch.
            Token::Pitch(_) if !self.part.is_pitched() => self.room.contains(self.part),
            // A note of the part must follow.
            Token::Part(part) => self.room.contains(part),
            Token::Pitch(p) => self.room.contains(self.part) && self.pitches >> (p & 127) & 1 == 1,
            // Only a move of the longest duration can be followed by another move. After any other a
            // note must begin.
            Token::Duration(d) if self.expected == Expected::Move => {
                d == self.grid.longest || self.step.saturating_add(u32::from(d)) >= self.first_room
            }
            Token::Duration(d) => u32::from(d) <= self.longest,
            Token::Velocity(_) if !limited => true,
            Token::Velocity(bin) => self.compiled.velocities >> (bin & 127) & 1 == 1,
            Token::Start | Token::Separator => true,
            // An answer never ends by itself.
            Token::End | Token::Pad => false,
        }
    }
}
