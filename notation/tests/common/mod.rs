//! Shared code of the tests.
#![allow(dead_code)]

pub(crate) mod checks;
pub(crate) mod reader;
pub(crate) mod shared;
