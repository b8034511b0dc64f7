//! Loops over slices that the compiler turns into the vector instructions of this processor.
//!
//! All functions are inlined into the closure of [`vectorised`], which is compiled once for each
//! set of instructions.

use std::f32::consts::LOG2_E;

/// Numbers that a sum keeps side by side: additions in one order only cannot be vectorised.
pub(super) const LANES: usize = 16;

/// Exponents below it count as minus infinity: `exp(-40)` is 4e-18, and a sum of probabilities
/// holds seven digits. Without it the gradients of improbable tokens were subnormal, and a processor
/// multiplies subnormal numbers about a hundred times as slowly.
const LOWEST: f32 = -40.0;

/// Runs `work` compiled for the widest vector instructions of this processor.
#[inline(always)]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The sum of `a[i] * b[i]`.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The sum of all values.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The largest value.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    lanes
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, larger)
}

/// `to[i] += factor * from[i]`.
#[inline(always)]
pub(super) fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// Replaces each value `x` by `exp(x - highest)`, divided by the sum of all.
#[inline(always)]
pub(super) fn softmax(values: &mut [f32]) {
    let highest = largest(values);
    for value in values.iter_mut() {
        *value = exp(*value - highest);
    }
    let factor = 1.0 / sum(values);
    for value in values.iter_mut() {
        *value *= factor;
    }
}

/// `exp(x)` to 2e-7 of itself; 0 where `x` is below [`LOWEST`].
///
/// The standard library's `exp` is a call for each value. Here `x = n ln 2 + r`; a polynomial
/// gives `exp(r)`, and `n` goes into the exponent.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it rounds to an integer, which stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// `ln 2` in two parts: the product of the first with `n` is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let vanishes = x < LOWEST;
    let x = if vanishes { LOWEST } else { x };
    let x = if x < 88.0 { x } else { 88.0 };
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let p = 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let p = p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if vanishes { 0.0 } else { p }
}

/// `1 / (1 + exp(-x))`; below [`LOWEST`] it is `exp(LOWEST)`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    let x = if x > LOWEST { x } else { LOWEST };
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_standard_library() {
        for i in -4000..8800 {
            let x = i as f32 / 100.0;
            let (ours, theirs) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (ours - theirs).abs() <= 3e-7 * theirs,
                "{x}: {ours} {theirs}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn no_result_is_subnormal() {
        for x in (-2000..=0)
            .map(|i| i as f32 / 10.0)
            .chain([-1e30, f32::NEG_INFINITY])
        {
            assert!(!exp(x).is_subnormal(), "exp({x}) is {}", exp(x));
            assert!(!sigmoid(x).is_subnormal(), "sigmoid({x})");
        }
        assert_eq!(exp(-1e30), 0.0);
        // As attention's gradient: a weight times the gradient of a loss that is a mean.
        let mut weights = [0.0, -30.0, -60.0, -80.0];
        vectorised(|| softmax(&mut weights));
        assert!(
            weights.iter().all(|w| !(w * 1e-12).is_subnormal()),
            "{weights:?}"
        );
    }

    #[test]
    fn sums_count_every_value_once() {
        for count in [0, 1, 15, 16, 17, 40] {
            let values: Vec<f32> = (1..=count).map(|i| i as f32).collect();
            let of = |f: fn(f32) -> f32| values.iter().copied().map(f).sum::<f32>();
            assert_eq!(vectorised(|| sum(&values)), of(|x| x));
            assert_eq!(vectorised(|| dot(&values, &values)), of(|x| x * x));
            let highest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(vectorised(|| largest(&values)), highest);
        }
    }
}
