//! The loss of one token.

/// Negative log-likelihood of an id in nats. `logits` has one entry an id.
pub fn nats(logits: &[f32], id: usize) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - most).exp()).sum();
    sum.ln() - f64::from(logits[id] - most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihoods_sum_to_one() {
        let logits = [1.5f32, -2.0, 0.25, 80.0];
        let sum: f64 = (0..4).map(|id| (-nats(&logits, id)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert!((nats(&[0.0; 8], 3) - 8f64.ln()).abs() < 1e-9);
    }
}
