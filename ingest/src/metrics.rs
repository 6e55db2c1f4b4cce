//! What is measured of ingest.

use infra::telemetry::{Counter, Gauge, Metrics};

/// Ingest's metrics.
#[derive(Debug, Default)]
pub struct IngestMetrics {
    /// Files whose event is in the log.
    pub files: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// Updates whose event is in the log.
    pub updates: Counter,
    /// Uploads and updates that were there already.
    pub repeats: Counter,
    /// Objects removed because their upload was refused.
    pub removed: Counter,
    /// Objects that could not be removed, or may not be: the sweeper looks after them.
    pub left: Counter,
    /// Inspections that a file passed.
    pub accepted: Counter,
    /// Inspections that a file failed.
    pub rejected: Counter,
    /// Inspections that could not be done.
    pub attempts_failed: Counter,
    /// Claims that wait for a batch.
    pub parked: Gauge,
    /// Claims appended.
    pub claims: Counter,
    /// Renewals answered without an event.
    pub renewals_known: Counter,
}

impl IngestMetrics {
    /// The metrics, added to those of the process.
    pub fn new(metrics: &Metrics) -> Self {
        let all = Self::default();
        metrics.add("ingest_files", "Files whose event is in the log", all.files.clone());
        metrics.add("ingest_bytes", "Bytes of those files", all.bytes.clone());
        metrics.add("ingest_updates", "Updates whose event is in the log", all.updates.clone());
        let repeats = "Uploads and updates that were there already";
        metrics.add("ingest_repeats", repeats, all.repeats.clone());
        let removed = "Objects removed because their upload was refused";
        metrics.add("ingest_removed_objects", removed, all.removed.clone());
        let left = "Objects left to the sweeper";
        metrics.add("ingest_left_objects", left, all.left.clone());
        let passed = "Inspections that a file passed";
        metrics.add("ingest_inspections_passed", passed, all.accepted.clone());
        let rejected = "Inspections that a file failed";
        metrics.add("ingest_inspections_rejected", rejected, all.rejected.clone());
        let broken = "Inspections that could not be done";
        metrics.add("ingest_inspections_broken", broken, all.attempts_failed.clone());
        metrics.add("ingest_parked_claims", "Claims that wait for a batch", all.parked.clone());
        metrics.add("ingest_claims", "Claims appended", all.claims.clone());
        let known = "Renewals answered without an event";
        metrics.add("ingest_known_renewals", known, all.renewals_known.clone());
        all
    }
}
