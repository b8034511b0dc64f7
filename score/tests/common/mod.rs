//! What the tests of this crate share; the fuzz targets take [`properties`] from here too.
#![allow(dead_code)]

pub(crate) mod fixtures;
pub(crate) mod properties;
pub(crate) mod shared;
