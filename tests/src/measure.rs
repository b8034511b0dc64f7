//! Measurements of the built plugin in a host, for docs/benchmarks.md: what `process()` costs, and
//! whether answers come in time. `cargo run --release -p continuo-tests --bin measure`.

pub mod process;
pub mod trades;

/// The value that a share of `sorted` stays within.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = (share * sorted.len().saturating_sub(1) as f64).ceil() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantiles_are_values_that_were_seen() {
        let sorted: Vec<f64> = (0..=1000).map(f64::from).collect();
        assert_eq!(super::quantile(&sorted, 0.5), 500.0);
        assert_eq!(super::quantile(&sorted, 0.999), 999.0);
        assert!(super::quantile(&[], 0.5).is_nan());
    }
}
