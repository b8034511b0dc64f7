//! Shared code of this crate's tests. The fuzz targets also use [`properties`].
#![allow(dead_code)]

pub(crate) mod fixtures;
pub(crate) mod properties;
pub(crate) mod shared;
