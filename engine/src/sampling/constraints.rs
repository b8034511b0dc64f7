//! Constraints of the musician, and their form for one vocabulary.

use continuo_score::{Part, PartSet, Scale, Vocabulary};

/// Restriction of generated notes to pitch classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ScaleLock {
    /// All pitch classes.
    #[default]
    Off,
    /// The pitch classes of this scale.
    Fixed(Scale),
    /// The pitch classes of the input's scale at the beginning of the answer ([`Scale::detect`]); all
    /// without input.
    Heard,
}

/// A bias towards a pitch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Register {
    /// MIDI key with the highest probability.
    pub centre: u8,
    /// Nats subtracted from a pitch an octave away; four times as many two octaves away.
    pub strength: f32,
}

/// Limits of the notes of one part, besides those of all parts. Without effect where the model has no
/// parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartLimits {
    /// Lowest and highest MIDI key; no limit for drums. Where it does not meet
    /// [`Constraints::range`], it applies alone.
    pub range: (u8, u8),
    /// Maximum number of generated notes of the part that sound at once, 1 or more. Drum hits do not
    /// sound on: of the drums, it is the maximum number of hits that begin on one step.
    pub polyphony: Option<u8>,
}

impl Default for PartLimits {
    fn default() -> Self {
        Self {
            range: (0, 127),
            polyphony: None,
        }
    }
}

/// Constraints of the musician. [`Constraints::default`] allows everything.
///
/// Every generated note satisfies all constraints, and some token always does. There is one
/// exception: constraints that change while notes sound can contradict those notes. Then they are
/// relaxed for one token, in this order: upper bound of the density, polyphony, scale and chords, all
/// others. The grammar always applies. A scale without a pitch in the range has no effect, and a chord
/// without a pitch in scale and range neither. The two ends of a range can have either order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constraints {
    /// Pitch classes of generated notes.
    pub scale: ScaleLock,
    /// Lowest and highest MIDI key.
    pub range: (u8, u8),
    /// Maximum number of generated notes that sound at once, 1 or more. Drum hits do not count.
    pub polyphony: Option<u8>,
    /// Target density, in notes a beat. It is a bias of at most 4 nats that grows with the deviation.
    /// Besides, at most twice as many notes, rounded up, begin within any beat.
    pub density: Option<f32>,
    /// Bias towards a pitch. It does not change the number of notes.
    pub register: Option<Register>,
    /// Maximum length of a note, in beats; at least a step.
    pub longest: Option<f32>,
    /// Lowest and highest MIDI velocity.
    pub velocity: (u8, u8),
    /// Parts whose notes all these constraints limit. The notes of other parts are free, and do not
    /// count: they are imagined, and others play them.
    pub parts: PartSet,
    /// Those of these parts that the musician has switched on. Each gets likelier, the less it plays,
    /// until it plays about half as much as people write for it. None in a model without parts.
    pub owed: PartSet,
    /// Limits of each part, by [`Part::index`].
    pub of_part: [PartLimits; Part::COUNT],
    /// Pull to the chords that the answer is to follow ([`Sampler::follow_chords`]), 0 to 1: from none,
    /// through a bias to their tones on strong beats, to a lock.
    ///
    /// [`Sampler::follow_chords`]: crate::Sampler::follow_chords
    pub chord_pull: f32,
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            scale: ScaleLock::Off,
            range: (0, 127),
            polyphony: None,
            density: None,
            register: None,
            longest: None,
            velocity: (1, 127),
            parts: PartSet::ALL,
            owed: PartSet::EMPTY,
            of_part: [PartLimits::default(); Part::COUNT],
            chord_pull: 0.0,
        }
    }
}

impl Constraints {
    /// A velocity clamped to the allowed range, 1 to 127.
    pub fn velocity_of(&self, velocity: u8) -> u8 {
        let (softest, loudest) = ordered(self.velocity);
        velocity.clamp(softest.clamp(1, 127), loudest.clamp(1, 127))
    }
}

/// Constraints as tests on tokens of one vocabulary.
#[derive(Clone, Debug)]
pub(super) struct CompiledConstraints {
    /// Parts that are limited.
    pub(super) parts: PartSet,
    /// Those of them that are to play at least about half as much as people do.
    pub(super) owed: PartSet,
    /// Parts that the vocabulary has.
    pub(super) known_parts: PartSet,
    /// For each part, bit *p*: pitch *p* is in range, and in the scale.
    pub(super) pitches: [u128; Part::COUNT],
    /// For each part, bit *p*: pitch *p* is in range.
    ranges: [u128; Part::COUNT],
    /// Maximum number of notes at once.
    pub(super) polyphony: usize,
    /// Maximum number of notes of each part at once; of drum hits, on one step.
    pub(super) part_polyphony: [usize; Part::COUNT],
    /// Maximum number of notes that begin within a beat.
    pub(super) per_beat: usize,
    /// Maximum length of a note, in steps.
    pub(super) longest: u16,
    /// Bit *v*: velocity bin *v* is allowed.
    pub(super) velocities: u128,
    /// Nats added to each pitch.
    pub(super) register: [f32; 128],
    /// Target density, in notes a beat.
    pub(super) density: Option<f32>,
    /// Whether a lock on chords holds.
    pub(super) locks_chords: bool,
}

/// Largest argument of [`CompiledConstraints::relaxed`]; the grammar alone remains.
pub(super) const MAX_RELAXATION: usize = 4;

impl CompiledConstraints {
    pub(super) fn new(
        constraints: &Constraints,
        heard: Option<Scale>,
        vocabulary: &Vocabulary,
    ) -> Self {
        let of_part = match vocabulary.has_parts() {
            true => constraints.of_part,
            false => Default::default(),
        };
        let ranges = of_part.map(|limits| {
            let all = pitches_in(constraints.range);
            let own = pitches_in(limits.range);
            match all & own {
                0 => own,
                both => both,
            }
        });
        let scale = match constraints.scale {
            ScaleLock::Off => None,
            ScaleLock::Fixed(scale) => Some(scale),
            ScaleLock::Heard => heard,
        };
        let in_scale = scale.map_or(u128::MAX, |scale| bits(|p| scale.contains(p)));
        let most = |polyphony: Option<u8>| polyphony.map_or(usize::MAX, |p| usize::from(p.max(1)));
        // A value that is not finite is no constraint.
        let density = constraints.density.filter(|d| d.is_finite());
        let density = density.map(|d| d.clamp(0.0, 64.0));
        let longest = constraints.longest.filter(|l| !l.is_nan()).map(|beats| {
            let steps = (beats * vocabulary.steps_per_beat as f32).round();
            steps.clamp(1.0, f32::from(vocabulary.longest)) as u16
        });
        Self {
            parts: constraints.parts,
            owed: match vocabulary.has_parts() {
                true => (constraints.owed.iter())
                    .filter(|&part| constraints.parts.contains(part))
                    .collect(),
                false => PartSet::EMPTY,
            },
            known_parts: match vocabulary.has_parts() {
                true => PartSet::ALL,
                false => PartSet::from_iter([Part::Keys]),
            },
            pitches: ranges.map(|range| match range & in_scale {
                0 => range,
                some => some,
            }),
            ranges,
            polyphony: most(constraints.polyphony),
            part_polyphony: of_part.map(|limits| most(limits.polyphony)),
            per_beat: density.map_or(usize::MAX, |d| ((2.0 * d).ceil() as usize).max(1)),
            longest: longest.unwrap_or(u16::MAX),
            velocities: velocities(constraints, vocabulary),
            register: std::array::from_fn(|p| constraints.register.map_or(0.0, |r| r.bias(p))),
            density,
            locks_chords: true,
        }
    }

    /// The constraints without the first `relaxation` ones, in the order that [`Constraints`] states.
    pub(super) fn relaxed(&self, relaxation: usize) -> Self {
        let mut compiled = self.clone();
        if relaxation > 0 {
            compiled.per_beat = usize::MAX;
        }
        if relaxation > 1 {
            compiled.polyphony = usize::MAX;
            compiled.part_polyphony = [usize::MAX; Part::COUNT];
        }
        if relaxation > 2 {
            compiled.pitches = compiled.ranges;
            compiled.locks_chords = false;
        }
        if relaxation > 3 {
            compiled.pitches = [u128::MAX; Part::COUNT];
            compiled.velocities = u128::MAX;
            compiled.longest = u16::MAX;
        }
        compiled
    }

    /// Whether no constraint limits the number of notes.
    pub(super) fn is_unlimited(&self) -> bool {
        let part_polyphony = self.part_polyphony.iter();
        let mut all = part_polyphony.chain([&self.polyphony, &self.per_beat]);
        all.all(|&most| most == usize::MAX)
    }

    /// Whether notes of this part are limited.
    pub(super) fn limits(&self, part: Part) -> bool {
        self.parts.contains(part)
    }
}

impl Register {
    fn bias(&self, pitch: usize) -> f32 {
        let octaves = (pitch as f32 - f32::from(self.centre)) / 12.0;
        let bias = -self.strength * octaves * octaves;
        // No setting makes a pitch impossible, or its logit NaN.
        match bias.is_finite() {
            true => bias.clamp(-40.0, 40.0),
            false => 0.0,
        }
    }
}

/// The bins whose velocity is within the bounds; the middle one if there is none.
fn velocities(constraints: &Constraints, vocabulary: &Vocabulary) -> u128 {
    let (softest, loudest) = ordered(constraints.velocity);
    let bins = bits(|bin| {
        bin < vocabulary.velocity_bins
            && (softest..=loudest).contains(&vocabulary.bin_velocity(bin))
    });
    let middle = softest.min(127) / 2 + loudest.min(127) / 2;
    match bins {
        0 => 1 << vocabulary.velocity_bin(middle),
        some => some,
    }
}

/// The pitches of a range whose ends have either order, as bits.
fn pitches_in(range: (u8, u8)) -> u128 {
    let (low, high) = ordered(range);
    bits(|p| (low.min(127)..=high).contains(&p))
}

fn ordered((a, b): (u8, u8)) -> (u8, u8) {
    (a.min(b), a.max(b))
}

/// The numbers 0 to 127 for which `holds` is true, as bits.
fn bits(holds: impl Fn(u8) -> bool) -> u128 {
    (0..128u8).fold(0, |set, bit| set | (u128::from(holds(bit)) << bit))
}
