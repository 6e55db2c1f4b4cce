//! The way out: from derived records to tables, answers, deliveries and notices.
//!
//! [`project`] says what each record does to which table, and does nothing else; [`run()`] reads
//! records and applies that. Where a file ended up is taken from the batcher's records, never worked
//! out a second time.

mod cursor;
mod follow;
mod metrics;
mod progress;
pub mod project;
mod run;
mod tables;

pub use metrics::ProjectorMetrics;
pub use progress::Progress;
pub use run::{Deps, Error, prepare, run};
pub use tables::Tables;
