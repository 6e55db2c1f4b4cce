//! The grouping: from what was said in a pool to what follows from it.
//!
//! [`fold`] decides, and does nothing else; [`run()`] reads events, folds them, writes what follows
//! and says when a timer is due. There is no database: the output is the checkpoint. A restarted
//! batcher folds from a snapshot or from zero, looks how far its output had been written, and goes
//! on from there, completing what was torn.

mod copies;
pub mod fold;
mod folding;
mod lane;
mod metrics;
mod open;
pub mod record;
mod run;
mod snapshot;
pub mod verify;

pub use folding::Halt;
pub use metrics::BatcherMetrics;
pub use run::run;

use std::sync::Arc;

use infra::blobs::Blobs;
use infra::clock::Clock;
use infra::directory::Directory;
use infra::log::{Append, Read};
use schemas::limit::Limits;

/// What the batcher works with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Where what follows is written, and timers.
    pub append: Arc<dyn Append>,
    /// Where events are read.
    pub read: Arc<dyn Read>,
    /// Where snapshots lie.
    pub blobs: Arc<dyn Blobs>,
    /// Tells when to say that a timer is due; decides nothing.
    pub clock: Arc<dyn Clock>,
    /// Which pools there are.
    pub directory: Arc<Directory>,
    /// How often a snapshot is taken.
    pub limits: Arc<Limits>,
}

#[cfg(test)]
mod tests;
