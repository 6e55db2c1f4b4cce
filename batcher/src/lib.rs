//! The grouping: from what was said in a pool to what follows from it.

pub mod fold;
