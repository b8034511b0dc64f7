//! A vector index over faiss: rows are appended at the end, removed at either end, and searched
//! within a range.

use std::ffi::{CStr, c_int};
use std::ops::Range;
use std::ptr;
use std::sync::Once;

use faiss::index::flat::FlatIndex;
use faiss::index::ivf_flat::IVFFlatIndex;
use faiss::index::{Idx, Index, NativeIndex};
use faiss::selector::IdSelector;
use faiss_sys as sys;

use crate::error::EngineError;

/// Rows up to which the search compares every one.
pub const EXACT: usize = 65_536;
/// Queries in one search, which bounds its temporary memory.
pub(super) const BATCH: usize = 64;
/// Lists of the trained index, and the number of them that a search visits.
const LISTS: u32 = 256;
const PROBES: usize = 32;
/// Rows for training the lists; k-means needs some dozens a list.
const TRAINING_ROWS: usize = 64 * LISTS as usize;

/// Rows multiplied with the queries at a time.
const BLOCK: c_int = 256;

/// Results of a search, best first for each query; rows are negative where fewer were found.
#[derive(Default)]
pub(crate) struct Hits {
    /// Inner products, `[queries, k]`.
    pub(crate) scores: Vec<f32>,
    /// Rows, `[queries, k]`.
    pub(crate) rows: Vec<i64>,
}

/// Rows of `dim` numbers, numbered from 0, searched by inner product.
pub(crate) struct VectorIndex {
    dim: usize,
    /// All rows; exact.
    flat: FlatIndex,
    /// The same rows in lists, from the first approximate search on.
    lists: Option<IVFFlatIndex>,
}

impl VectorIndex {
    pub(crate) fn new(dim: usize) -> Result<Self, EngineError> {
        static ONCE: Once = Once::new();
        // A matrix product also for the few queries of one token: faiss's loop for fewer than
        // 20 of them reads every key once a query, and was 2 to 4 times slower.
        //
        // And products in blocks of 64 KB: left to itself faiss allocates 16 MB for them each
        // time, which makes malloc tidy up everything that was freed since.
        // SAFETY: sets globals of faiss, before any search.
        ONCE.call_once(|| unsafe {
            sys::faiss_set_distance_compute_blas_threshold(1);
            sys::faiss_set_distance_compute_blas_query_bs(BATCH as c_int);
            sys::faiss_set_distance_compute_blas_database_bs(BLOCK);
        });
        Ok(Self {
            dim,
            flat: FlatIndex::new_ip(dim as u32)?,
            lists: None,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.flat.ntotal() as usize
    }

    /// Every row, `[rows, dim]`.
    pub(crate) fn all(&self) -> &[f32] {
        if self.len() == 0 {
            &[] // faiss would give a null pointer.
        } else {
            self.flat.xb()
        }
    }

    /// Appends rows, `[rows, dim]`.
    pub(crate) fn push(&mut self, rows: &[f32]) -> Result<(), EngineError> {
        if let Some(lists) = &mut self.lists {
            lists.add(rows)?;
        }
        Ok(self.flat.add(rows)?)
    }

    /// Keeps the first `len` rows.
    pub(crate) fn truncate(&mut self, len: usize) -> Result<(), EngineError> {
        let gone = IdSelector::range(Idx::new(len as u64), Idx::new(self.len() as u64))?;
        if let Some(lists) = &mut self.lists {
            lists.remove_ids(&gone)?;
        }
        self.flat.remove_ids(&gone)?;
        Ok(())
    }

    /// Removes the first `count` rows and the lists; the other rows are numbered from 0 again.
    pub(crate) fn drop_first(&mut self, count: usize) -> Result<(), EngineError> {
        self.lists = None;
        let gone = IdSelector::range(Idx::new(0), Idx::new(count as u64))?;
        self.flat.remove_ids(&gone)?;
        Ok(())
    }

    /// The `k` rows within `rows` with the largest inner product, for each query.
    pub(crate) fn search(
        &self,
        queries: &[f32],
        rows: Range<usize>,
        k: usize,
        hits: &mut Hits,
    ) -> Result<(), EngineError> {
        let params = SearchRange::new(rows)?;
        self.run(self.flat.inner_ptr(), queries, k, params.params, hits)
    }

    /// As [`VectorIndex::search`], but approximate: visits only the lists nearest to each query.
    pub(crate) fn search_lists(
        &mut self,
        queries: &[f32],
        rows: Range<usize>,
        k: usize,
        hits: &mut Hits,
    ) -> Result<(), EngineError> {
        let lists = match self.lists.take() {
            Some(lists) => lists,
            None => self.make_lists()?,
        };
        let lists = self.lists.insert(lists).inner_ptr();
        let params = SearchRange::with_probes(rows)?;
        self.run(lists, queries, k, params.params, hits)
    }

    /// Removes the lists, whose training rows are gone.
    pub(crate) fn drop_lists(&mut self) {
        self.lists = None;
    }

    /// Lists trained on the oldest rows, so that later rows and rewinds have no influence.
    fn make_lists(&self) -> Result<IVFFlatIndex, EngineError> {
        let dim = self.dim as u32;
        let mut lists = IVFFlatIndex::new_ip(FlatIndex::new_ip(dim)?, dim, LISTS)?;
        let oldest = &self.all()[..self.len().min(EXACT) * self.dim];
        let every = (oldest.len() / self.dim / TRAINING_ROWS).max(1);
        let rows = oldest.chunks_exact(self.dim).step_by(every);
        let sample: Vec<f32> = rows.flatten().copied().collect();
        lists.train(&sample)?;
        lists.add(self.all())?;
        Ok(lists)
    }

    fn run(
        &self,
        index: *mut sys::FaissIndex,
        queries: &[f32],
        k: usize,
        params: *mut sys::FaissSearchParameters,
        hits: &mut Hits,
    ) -> Result<(), EngineError> {
        let count = queries.len() / self.dim;
        hits.scores.clear();
        hits.rows.clear();
        hits.scores.resize(count * k, f32::MIN);
        hits.rows.resize(count * k, -1);
        // SAFETY: the index lives as long as `self`; the buffers hold `count` queries and
        // `count * k` results. faiss's C interface catches its exceptions.
        let code = unsafe {
            sys::faiss_Index_search_with_params(
                index,
                count as i64,
                queries.as_ptr(),
                k as i64,
                params,
                hits.scores.as_mut_ptr(),
                hits.rows.as_mut_ptr(),
            )
        };
        check(code)
    }
}

/// Search parameters that name a range of rows. The `faiss` crate's own leak the selector.
struct SearchRange {
    selector: *mut sys::FaissIDSelector,
    params: *mut sys::FaissSearchParameters,
}

impl SearchRange {
    fn new(rows: Range<usize>) -> Result<Self, EngineError> {
        let mut range = SearchRange::selector(rows)?;
        // SAFETY: the pointer is written before it is used; the selector outlives the search.
        let code = unsafe { sys::faiss_SearchParameters_new(&mut range.params, range.selector) };
        check(code).map(|()| range)
    }

    fn with_probes(rows: Range<usize>) -> Result<Self, EngineError> {
        let mut range = SearchRange::selector(rows)?;
        let params = (&raw mut range.params).cast();
        // SAFETY: as above; 0 codes at most means any number.
        let code =
            unsafe { sys::faiss_SearchParametersIVF_new_with(params, range.selector, PROBES, 0) };
        check(code).map(|()| range)
    }

    fn selector(rows: Range<usize>) -> Result<Self, EngineError> {
        let (from, to) = (rows.start as i64, rows.end as i64);
        let mut selector = ptr::null_mut();
        // SAFETY: the pointer is written before it is used.
        let code = unsafe { sys::faiss_IDSelectorRange_new(&mut selector, from, to) };
        check(code)?;
        Ok(SearchRange {
            selector: selector.cast(),
            params: ptr::null_mut(),
        })
    }
}

impl Drop for SearchRange {
    fn drop(&mut self) {
        // SAFETY: both were made by faiss (or are null, which `delete` ignores) and have no other
        // user.
        unsafe {
            sys::faiss_SearchParameters_free(self.params);
            sys::faiss_IDSelector_free(self.selector);
        }
    }
}

fn check(code: c_int) -> Result<(), EngineError> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: faiss keeps the text of the last error of this thread, or returns null.
    let text = unsafe {
        let text = sys::faiss_get_last_error();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    Err(EngineError::Memory(text.unwrap_or_default()))
}

impl From<faiss::error::Error> for EngineError {
    fn from(error: faiss::error::Error) -> Self {
        EngineError::Memory(error.to_string())
    }
}
