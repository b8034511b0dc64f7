//! Attention biases by distance, as in MIDIGen: a learned number per head and distance, added to
//! the scores instead of rotating queries and keys.
//!
//! Distances share buckets (T5, arXiv 1910.10683, with 32 buckets): half of the buckets stand for
//! one distance each, the others for ranges that grow geometrically up to [`FARTHEST`], and the
//! last one for all distances beyond.

/// Biases per head.
pub(super) const BUCKETS: usize = 32;
/// Distance in tokens from which on all distances share a bucket.
const FARTHEST: f64 = 128.0;

/// The bucket of a distance in tokens; distance 0 is the token itself.
pub(super) fn bucket(distance: usize) -> u16 {
    const EXACT: usize = BUCKETS / 2;
    let bucket = if distance < EXACT {
        distance
    } else {
        let exact = EXACT as f64;
        let share = (distance as f64 / exact).ln() / (FARTHEST / exact).ln();
        EXACT + (share * exact) as usize
    };
    // At most 31.
    bucket.min(BUCKETS - 1) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_have_own_buckets_and_far_ones_share() {
        let near: Vec<u16> = (0..16).map(bucket).collect();
        assert_eq!(near, (0..16).collect::<Vec<u16>>());
        assert!((0..1000).map(bucket).is_sorted());
        // 16 * (128 / 16)^(8 / 16) = 45.3
        assert_eq!([45, 46, 127, 128, 5000].map(bucket), [23, 24, 31, 31, 31]);
        let used: std::collections::BTreeSet<u16> = (0..128).map(bucket).collect();
        assert_eq!(used.len(), BUCKETS);
    }
}
