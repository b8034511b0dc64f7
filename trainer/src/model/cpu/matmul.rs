//! Products of matrices that lie anywhere in a slice.

use gemm::Parallelism;

use super::Matrix;

/// A matrix within a slice.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A whole matrix.
    pub(super) fn of(matrix: &'a Matrix) -> Self {
        let (values, columns) = (matrix.values(), matrix.columns());
        Self::new(values, values.len() / columns.max(1), columns, columns)
    }

    /// The first `columns` of `rows` rows, which begin `stride` values apart.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        Self {
            values,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// The same matrix with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Number of values up to the last of the matrix.
    fn extent(&self) -> usize {
        match (self.rows, self.columns) {
            (0, _) | (_, 0) => 0,
            (rows, columns) => {
                (rows - 1) * self.row_stride + (columns - 1) * self.column_stride + 1
            }
        }
    }
}

/// `a · b` as a matrix of its own.
///
/// # Panics
/// As [`product_values`].
pub(super) fn product(a: View<'_>, b: View<'_>) -> Matrix {
    Matrix::new(product_values(a, b), b.columns)
}

/// Values of `a · b`, row after row.
///
/// # Panics
/// The shapes do not fit, or a matrix reaches beyond its slice.
pub(crate) fn product_values(a: View<'_>, b: View<'_>) -> Vec<f32> {
    let size = a.rows * b.columns;
    let mut values = Vec::with_capacity(size);
    check(a, b);
    if a.columns == 0 {
        values.resize(size, 0.0);
    }
    // SAFETY: `check` holds; the vector has room for `size` values, rows of `b.columns` fill them
    // all, and they are not read before.
    unsafe {
        write(values.as_mut_ptr(), b.columns, false, a, b);
        values.set_len(size);
    }
    values
}

/// Writes `a · b` into `to`, whose rows begin `stride` values apart, or adds it to them.
///
/// # Panics
/// The shapes do not fit, or a matrix reaches beyond its slice.
pub(super) fn matmul(to: &mut [f32], stride: usize, add: bool, a: View<'_>, b: View<'_>) {
    check(a, b);
    assert!(b.columns <= stride);
    assert!(View::new(to, a.rows, b.columns, stride).extent() <= to.len());
    // SAFETY: `check` holds; the indices of `to` are below its length, and its rows do not overlap.
    unsafe { write(to.as_mut_ptr(), stride, add, a, b) }
}

/// # Panics
/// The shapes do not fit, or a matrix reaches beyond its slice.
fn check(a: View<'_>, b: View<'_>) {
    assert_eq!(
        a.columns, b.rows,
        "columns of the first, rows of the second"
    );
    assert!(a.extent() <= a.values.len() && b.extent() <= b.values.len());
}

/// Writes or adds `a · b`.
///
/// # Safety
/// [`check`] accepts `a` and `b`; `to` has room for `a.rows` rows of `b.columns` values that begin
/// `stride` values apart and do not overlap, and nothing else refers to them. If `add`, they have
/// values.
unsafe fn write(to: *mut f32, stride: usize, add: bool, a: View<'_>, b: View<'_>) {
    // SAFETY: all indices are below the extents of the three matrices, which the caller vouches
    // for.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            to,
            1,
            stride as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of a view, row after row.
    fn to_values(view: View<'_>) -> Vec<f32> {
        let row = |i| {
            let row = view.values[i * view.row_stride..].iter();
            row.step_by(view.column_stride).take(view.columns).copied()
        };
        (0..view.rows).flat_map(row).collect()
    }

    #[test]
    fn products_of_views_are_written_in_place_or_added() {
        // [[1, 2], [3, 4]] within rows of 3, and [[1, 2, 3], [4, 5, 6]] transposed.
        let a = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let b = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
        let (a, b) = (View::new(&a, 2, 2, 3), View::new(&b, 3, 2, 2).transposed());
        assert_eq!(to_values(a), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(to_values(b), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let mut to = [7.0; 8];
        matmul(&mut to, 4, false, a, b);
        assert_eq!(to, [9.0, 12.0, 15.0, 7.0, 19.0, 26.0, 33.0, 7.0]);
        let alone = product(a, b);
        assert_eq!(alone.values(), [9.0, 12.0, 15.0, 19.0, 26.0, 33.0]);
        matmul(&mut to, 4, true, a, b);
        assert_eq!(to, [18.0, 24.0, 30.0, 7.0, 38.0, 52.0, 66.0, 7.0]);
    }
}
