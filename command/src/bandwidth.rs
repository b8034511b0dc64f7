//! Measures the memory bandwidth of this machine on one thread.

use std::hint::black_box;
use std::time::Instant;

/// Bytes of each array; larger than the caches of usual machines.
const BYTES: usize = 128 << 20;
/// Number of rounds; the fastest one counts.
const ROUNDS: usize = 5;

/// Measured bandwidth in bytes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bandwidth {
    /// Bandwidth of summing one array: the upper bound for a network that reads its weights once.
    pub(crate) read: f64,
    /// Bandwidth of STREAM's triad, `a = b + s * c` (J. D. McCalpin, 1995), which reads two arrays
    /// and writes one.
    pub(crate) triad: f64,
}

impl Bandwidth {
    /// Measures the bandwidth. This takes about a second and 384 MiB.
    pub(crate) fn measure() -> Self {
        let count = BYTES / 4;
        let (mut a, b, c) = (
            vec![0.0f32; count],
            vec![1.0f32; count],
            vec![2.0f32; count],
        );
        let read = best(|| sum(&b));
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

/// Returns the bandwidth of reading the same bytes repeatedly, in bytes a second. This is the
/// bandwidth of a cache if the bytes fit into one that nothing else uses.
pub(crate) fn read_again(bytes: usize) -> f64 {
    let numbers = vec![1.0f32; (bytes / 4).max(1)];
    let times = (BYTES / bytes.max(1)).max(1);
    let seconds = best(|| (0..times).for_each(|_| sum(black_box(&numbers))));
    (times * bytes) as f64 / seconds
}

/// Sums an array with 32 parallel sums, which fit into vector registers, so that memory and not the
/// addition limits the speed. More sums are slower.
fn sum(numbers: &[f32]) {
    let mut sums = [0.0f32; 32];
    for row in numbers.chunks_exact(32) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    black_box(sums);
}

/// Returns the time of the fastest round in seconds.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work();
        best = best.min(started.elapsed().as_secs_f64());
    }
    best
}
