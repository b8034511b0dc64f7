//! `sgemm`, the only BLAS function that faiss calls here, under another name (see
//! `third_party/faiss/toolchain.cmake`). It runs on the calling thread.
//!
//! A search multiplies a few queries with many keys. General libraries first copy both into
//! panels, which costs more than the product where there are eight queries; so that case is
//! written out for AVX2, and everything else goes to the `matrixmultiply` crate.

use std::ffi::{c_char, c_int};

/// `C = alpha op(A) op(B) + beta C`, column-major, as in the reference BLAS: `op(A)` is
/// `[m, k]`, `op(B)` `[k, n]`, `C` `[m, n]`.
///
/// # Safety
///
/// The pointers must be valid as the reference BLAS requires. Called by faiss only.
// SAFETY: no other library has a function of this name.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn continuo_sgemm(
    trans_a: *const c_char,
    trans_b: *const c_char,
    m: *const c_int,
    n: *const c_int,
    k: *const c_int,
    alpha: *const f32,
    a: *const f32,
    lda: *const c_int,
    b: *const f32,
    ldb: *const c_int,
    beta: *const f32,
    c: *mut f32,
    ldc: *const c_int,
) -> c_int {
    // SAFETY: faiss passes pointers to its locals, and matrices of the sizes it names.
    unsafe {
        let transposed = |flag: *const c_char| matches!(*flag as u8, b'T' | b't' | b'C' | b'c');
        let size = |value: *const c_int| usize::try_from(*value).unwrap_or(0);
        let (a_rows, b_rows) = (transposed(trans_a), transposed(trans_b));
        let (m, n, k) = (size(m), size(n), size(k));
        let (lda, ldb, ldc) = (size(lda), size(ldb), size(ldc));
        #[cfg(target_arch = "x86_64")]
        if a_rows && !b_rows && (*alpha, *beta) == (1.0, 0.0) && k.is_multiple_of(8) {
            use std::arch::is_x86_feature_detected;
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                avx2::dots((a, m, lda), (b, n, ldb), k, (c, ldc));
                return 0;
            }
        }
        let strides = |rows: bool, ld: usize| if rows { (ld, 1) } else { (1, ld) };
        let ((rsa, csa), (rsb, csb)) = (strides(a_rows, lda), strides(b_rows, ldb));
        let s = |stride: usize| stride as isize;
        matrixmultiply::sgemm(
            m,
            k,
            n,
            *alpha,
            a,
            s(rsa),
            s(csa),
            b,
            s(rsb),
            s(csb),
            *beta,
            c,
            1,
            s(ldc),
        );
    }
    0
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    /// Rows: pointer, count, and stride in numbers.
    type MatrixRows = (*const f32, usize, usize);

    /// Prefetch distance ahead of the present keys, in numbers.
    const AHEAD: usize = 4096 / 4;

    /// The dot product of every row of `a` with every row of `b`, each `k` long, into column
    /// `b`, row `a` of `c`. Four rows of `a` (keys) are held against two of `b` (queries) at a
    /// time, so that each key is fetched from memory once.
    ///
    /// # Safety
    ///
    /// The processor must have AVX2 and FMA, `k` must be a multiple of 8, and the pointers must be
    /// valid for the given sizes.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn dots(a: MatrixRows, b: MatrixRows, k: usize, c: (*mut f32, usize)) {
        // SAFETY: every row index is below its count, every column below `k`.
        unsafe {
            let ((a, m, lda), (b, n, ldb), (c, ldc)) = (a, b, c);
            for i in (0..m).step_by(4) {
                // Past the end the last row is computed again, and not stored.
                let keys: [_; 4] = std::array::from_fn(|x| a.add((i + x).min(m - 1) * lda));
                for line in 0..k / 4 {
                    let ahead = keys[0].wrapping_add(AHEAD + line * 16);
                    _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                }
                for j in (0..n).step_by(2) {
                    let queries: [_; 2] = std::array::from_fn(|y| b.add((j + y).min(n - 1) * ldb));
                    let mut sums = [[_mm256_setzero_ps(); 4]; 2];
                    for p in (0..k).step_by(8) {
                        let key: [_; 4] = std::array::from_fn(|x| _mm256_loadu_ps(keys[x].add(p)));
                        for (sums, query) in sums.iter_mut().zip(queries) {
                            let query = _mm256_loadu_ps(query.add(p));
                            for (sum, key) in sums.iter_mut().zip(key) {
                                *sum = _mm256_fmadd_ps(query, key, *sum);
                            }
                        }
                    }
                    for (y, [s0, s1, s2, s3]) in sums.into_iter().enumerate().take(n - j) {
                        let sums = _mm256_hadd_ps(_mm256_hadd_ps(s0, s1), _mm256_hadd_ps(s2, s3));
                        let high = _mm256_extractf128_ps(sums, 1);
                        let sums = _mm_add_ps(_mm256_castps256_ps128(sums), high);
                        let to = c.add((j + y) * ldc + i);
                        if m - i >= 4 {
                            _mm_storeu_ps(to, sums);
                        } else {
                            let mut few = [0.0f32; 4];
                            _mm_storeu_ps(few.as_mut_ptr(), sums);
                            std::ptr::copy_nonoverlapping(few.as_ptr(), to, m - i);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn product_equals_the_reference() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (ta, tb) = (rng.random::<bool>(), rng.random::<bool>());
            let mut size = || rng.random_range(1..20usize);
            let (m, n, mut k) = (size(), size(), size());
            if seed % 2 == 0 {
                k = 8 * k.min(8);
            }
            let plain = seed % 3 == 0;
            let (ta, tb) = if plain { (true, false) } else { (ta, tb) };
            let (alpha, beta) = if plain { (1.0, 0.0) } else { (0.5, 2.0) };
            let extra = rng.random_range(0..3usize);
            let (lda, ldb) = (
                if ta { k } else { m } + extra,
                if tb { n } else { k } + extra,
            );
            let ldc = m + extra;
            let mut matrix = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random()).collect() };
            let a = matrix(lda * if ta { m } else { k });
            let b = matrix(ldb * if tb { k } else { n });
            let before = matrix(ldc * n);
            let mut c = before.clone();
            let int = |value: usize| value as c_int;
            let flag = |t: bool| (if t { b'T' } else { b'N' }) as c_char;
            // SAFETY: the matrices are as large as the sizes say.
            unsafe {
                continuo_sgemm(
                    &flag(ta),
                    &flag(tb),
                    &int(m),
                    &int(n),
                    &int(k),
                    &alpha,
                    a.as_ptr(),
                    &int(lda),
                    b.as_ptr(),
                    &int(ldb),
                    &beta,
                    c.as_mut_ptr(),
                    &int(ldc),
                );
            }
            for (at, (&is, &was)) in c.iter().zip(&before).enumerate() {
                let (i, j) = (at % ldc, at / ldc);
                let a = |p| if ta { a[i * lda + p] } else { a[p * lda + i] };
                let b = |p| if tb { b[p * ldb + j] } else { b[j * ldb + p] };
                let should = if i >= m {
                    was
                } else {
                    alpha * (0..k).map(|p| a(p) * b(p)).sum::<f32>() + beta * was
                };
                assert!(
                    (is - should).abs() < 1e-4,
                    "seed {seed}: {is} for {should} at {i}, {j}"
                );
            }
        }
    }
}
