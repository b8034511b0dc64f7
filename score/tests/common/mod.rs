//! What the tests of this crate share; the fuzz targets take [`bodies`] from here too.
#![allow(dead_code)]

pub(crate) mod bodies;
pub(crate) mod fixtures;
pub(crate) mod shared;
