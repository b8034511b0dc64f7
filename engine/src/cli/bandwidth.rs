//! How fast this machine reads memory, on one thread.

use std::hint::black_box;
use std::time::Instant;

/// Bytes of each array: more than any cache holds.
const BYTES: usize = 128 << 20;
/// The best of so many.
const ROUNDS: usize = 5;

/// Measured bandwidth, in bytes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bandwidth {
    /// Summing one array: what a network that reads its weights once can hope for.
    pub(crate) read: f64,
    /// STREAM's triad, `a = b + s * c` (J. D. McCalpin, 1995), counted as it counts: three
    /// arrays.
    pub(crate) triad: f64,
}

impl Bandwidth {
    /// Measures; takes about a second and 384 MB.
    pub(crate) fn measure() -> Self {
        let count = BYTES / 4;
        let (mut a, b, c) = (
            vec![0.0f32; count],
            vec![1.0f32; count],
            vec![2.0f32; count],
        );
        let read = best(|| {
            // Enough sums side by side that adding is not what takes the time.
            let mut sums = [0.0f32; 64];
            for row in b.chunks_exact(64) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            black_box(sums);
        });
        let triad = best(|| {
            let s = black_box(3.0f32);
            for ((a, b), c) in a.iter_mut().zip(&b).zip(&c) {
                *a = b + s * c;
            }
            black_box(&mut a);
        });
        Self {
            read: BYTES as f64 / read,
            triad: 3.0 * BYTES as f64 / triad,
        }
    }
}

/// Seconds of the fastest round.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work();
        best = best.min(started.elapsed().as_secs_f64());
    }
    best
}
