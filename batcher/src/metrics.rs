//! What is measured of the batcher.

use infra::telemetry::{Counter, Gauge, Metrics};

/// The batcher's metrics.
#[derive(Debug, Default)]
pub struct BatcherMetrics {
    /// Pools folded here.
    pub pools: Gauge,
    /// Pools that stopped because somebody has to look.
    pub halted: Counter,
    /// Events folded.
    pub folded: Counter,
    /// Derived records written.
    pub written: Counter,
    /// Snapshots stored.
    pub snapshots: Counter,
}

impl BatcherMetrics {
    /// The metrics, added to those of the process.
    pub fn new(metrics: &Metrics) -> Self {
        let all = Self::default();
        metrics.add("batcher_pools", "Pools folded here", all.pools.clone());
        let halted = "Pools that stopped because somebody has to look";
        metrics.add("batcher_halted_pools", halted, all.halted.clone());
        metrics.add("batcher_events", "Events folded", all.folded.clone());
        metrics.add("batcher_records", "Derived records written", all.written.clone());
        metrics.add("batcher_snapshots", "Snapshots stored", all.snapshots.clone());
        all
    }
}
