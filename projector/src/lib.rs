//! The way out: from derived records to tables, answers, deliveries and notices.
//!
//! [`project`] says what each record does to which table, and does nothing else; [`run()`] reads
//! records and applies that. [`routes`] answers from the tables, and tells those who listen.
//! Where a file ended up is taken from the batcher's records, never worked out a second time.

mod again;
mod cursor;
mod fetched;
mod follow;
mod holding;
mod known;
mod metrics;
mod notices;
mod parts;
mod progress;
pub mod project;
mod read;
mod rebuild;
mod run;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod samples;
mod sweep;
mod tables;
mod webhooks;

pub use fetched::{Fetched, ToWrite};
pub use known::KnownTables;
pub use metrics::ProjectorMetrics;
pub use notices::{Hub, HubParts};
pub use progress::Progress;
pub use project::AUDIT;
pub use read::{Reading, routes};
pub use rebuild::rebuild;
pub use run::{Deps, Error, prepare, run};
pub use sweep::{SweepDeps, SweepError, Sweeper};
pub use tables::Tables;
pub use webhooks::{Deliveries, WebhookDeps};
