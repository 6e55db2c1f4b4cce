//! What is measured of the projector.

use infra::telemetry::{Counter, Gauge, Metrics};

/// The projector's metrics.
#[derive(Debug, Default)]
pub struct ProjectorMetrics {
    /// Records folded into the tables.
    pub records: Counter,
    /// Topics that stopped because somebody has to look.
    pub halted: Counter,
    /// Members that listen now.
    pub listeners: Gauge,
}

impl ProjectorMetrics {
    /// The metrics, added to those of the process.
    pub fn new(metrics: &Metrics) -> Self {
        let all = Self::default();
        metrics.add("projector_records", "Records folded into the tables", all.records.clone());
        let halted = "Topics that stopped because somebody has to look";
        metrics.add("projector_halted_topics", halted, all.halted.clone());
        metrics.add("listeners", "Members that listen now", all.listeners.clone());
        all
    }
}
