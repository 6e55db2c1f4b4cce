//! Floors: the least that has to be done, as straight as it can be written.

pub(crate) mod log;
pub(crate) mod upload;
