//! Measurements of the built plugin in a host, for docs/benchmarks.md: the duration of `process()`, and
//! whether answers are in time, also while other instances load, and what a band costs. `cargo run --release -p continuo-tests
//! --bin measure`.

pub mod band;
pub mod process;
pub mod trades;
pub mod waiting;

use anyhow::{Result, bail};

/// Returns the value at a quantile of `sorted`; `share` is 0 to 1.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = (share * sorted.len().saturating_sub(1) as f64).ceil() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Gives this thread the real-time priority of JACK's audio thread. Threads that it starts do not
/// inherit it.
fn prioritise() -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
        let parameters = libc::sched_param { sched_priority: 70 };
        // SAFETY: 0 is the calling thread; the parameters live as long as the call.
        if unsafe { libc::sched_setscheduler(0, policy, &parameters) } == 0 {
            return Ok(());
        }
    }
    bail!("this user may not have real-time priority (RLIMIT_RTPRIO), or not on this system");
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantiles_are_measured_values() {
        let sorted: Vec<f64> = (0..=1000).map(f64::from).collect();
        assert_eq!(super::quantile(&sorted, 0.5), 500.0);
        assert_eq!(super::quantile(&sorted, 0.999), 999.0);
        assert!(super::quantile(&[], 0.5).is_nan());
    }
}
