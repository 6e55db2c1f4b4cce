//! The projections: which tables there are, and what each record does to them. Pure.
//!
//! A projection is a value: a view, the topic it reads, its tables, and a fold from one record to
//! writes. One table is written by one projection from one topic; reads join. Where a file ended
//! up is taken from the batcher's derived records, never worked out a second time.

mod audit;
mod batches;
mod deliveries;
mod everyone;
mod file;
mod files;
mod inspections;
mod keeping;
mod members;
mod ranges;
mod results;
mod windows;
mod work;

pub(crate) use audit::outcome_of;
pub use audit::{AUDIT, AuditHourRow, AuditRow, PoolAuditHourRow, PoolAuditRow};
pub use batches::{
    BatchResultRow, BatchRow, BatchWeekRow, ManifestFileRow, PoolBatchRow, RevisionRow,
};
pub use deliveries::{AgainRow, DeliveryRow, MemberDeliveryRow};
pub(crate) use deliveries::{SHARDS as DELIVERY_SHARDS, shard_of_member, state_number, state_of};
pub use everyone::{ClientFileHourRow, ClientFileRow, PlacedFileRow, PlacedHourRow};
pub(crate) use file::{file_of, time_source_of};
pub(crate) use files::{DISCARDED, held_reason};
pub use files::{HistoryRow, HistoryWeekRow, UploadGroupedRow, UploadMovedRow, UploadRow};
pub(crate) use inspections::{FAILED, INSPECTING, REJECTED};
pub use inspections::{InspectingRow, VerdictRow};
pub use keeping::{ErasedRow, SentRow};
pub(crate) use keeping::{day_of, everybody};
pub(crate) use members::role_set;
pub use members::{MemberRolesRow, MemberRow};
pub(crate) use ranges::{HOUR_MS, PoolFileRow};
pub(crate) use results::{Ended, view_of};
pub use results::{
    PoolResultRow, RedeliveryRow, ResultBlockRow, ResultEndedRow, ResultOrderRow, ResultRow,
    ResultWeekRow,
};
pub use windows::{
    BatchCancelledRow, GatheringRow, PartClientRow, PartClosedRow, PartEndedRow, PartFilesRow,
    PartRow, PartWeekRow,
};
pub(crate) use windows::{accounts, close_reason, window};
pub use work::{BatchFailedRow, ClaimableRow, LeaseEndedRow, LeaseRow};

use infra::table::Table;
use infra::views::{View, Writes};
use schemas::event::{AuditRecorded, Delivery, Derived};
use schemas::id::EventId;
use schemas::name::PoolName;
use schemas::time::LogTime;
use schemas::topic::Offset;

/// Which of a pool's topics a projection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// What follows from its events.
    Batches,
    /// Who has which result.
    Deliveries,
    /// The audit log, which is no pool's.
    Audit,
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// In a pool's `.batches`.
    Derived(&'a Derived),
    /// In a pool's `.deliveries`.
    Delivery(&'a Delivery),
    /// In the audit log.
    Audit {
        /// What was recorded.
        recorded: &'a AuditRecorded,
        /// The record.
        id: EventId,
        /// When it was said.
        time: LogTime,
    },
}

/// One record as a projection sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The pool whose topic it is in; of the audit log, the one whose shard it goes with.
    pub pool: &'a PoolName,
    /// Its place in its topic.
    pub offset: Offset,
    /// When it was appended.
    pub at: LogTime,
    /// The event it follows from, where it is in `.batches`.
    pub event: Option<Offset>,
    /// The stamp of its writes: microseconds of the log's clock, different for every record.
    pub stamp_us: i64,
    /// What it says.
    pub said: Said<'a>,
}

/// One projection.
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    /// Its view.
    pub view: View,
    /// The topic it reads.
    pub source: Source,
    /// Its tables.
    pub tables: &'static [&'static Table],
    /// What one record does to them.
    pub fold: fn(&Seen<'_>, &mut Writes),
}

/// All of them. A new one is a file and a line here.
pub const ALL: &[Projection] = &[
    files::PROJECTION,
    inspections::PROJECTION,
    windows::PROJECTION,
    batches::PROJECTION,
    work::PROJECTION,
    results::PROJECTION,
    members::PROJECTION,
    deliveries::PROJECTION,
    keeping::PROJECTION,
    ranges::PROJECTION,
    everyone::PROJECTION,
    audit::PROJECTION,
];

const WEEK_MS: i64 = 7 * 86_400_000;

/// The week of a moment, counted from 1970: what long lists are partitioned by, so that no
/// partition grows beyond what a pool does in a week.
pub fn week_of(millis: i64) -> i64 {
    millis.div_euclid(WEEK_MS)
}

/// The hour of a moment, counted from 1970: what lists over all pools are partitioned by.
pub(crate) fn hour_of(at: LogTime) -> i64 {
    at.millis().div_euclid(HOUR_MS)
}

/// Records of a topic in blocks of 65,536: what lists by sequence number are partitioned by.
pub fn block_of(seq: Offset) -> i64 {
    (seq >> 16).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::Audit;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_belongs_to_one_projection() {
        let mut seen = BTreeSet::new();
        for projection in ALL {
            for table in projection.tables {
                assert!(seen.insert(table.name), "{} is declared twice", table.name);
            }
        }
    }

    fn audited(Audit::AuditRecorded(recorded): &Audit) -> Said<'_> {
        Said::Audit { recorded, id: EventId::from_bits(1), time: LogTime::from_millis(5) }
    }

    /// Folds every example record and checks that what is written is of the projection's tables.
    #[test]
    fn projections_write_their_own_tables_only() {
        let pool = "tests".parse().unwrap();
        let derived = schemas::event::example::derived();
        let deliveries = schemas::event::example::deliveries();
        let audit = schemas::event::example::audit();
        for projection in ALL {
            let mut writes = Writes::default();
            let said: Vec<Said<'_>> = match projection.source {
                Source::Batches => derived.iter().map(Said::Derived).collect(),
                Source::Deliveries => deliveries.iter().map(Said::Delivery).collect(),
                Source::Audit => audit.iter().map(audited).collect(),
            };
            for (offset, said) in (0..).zip(said) {
                let at = LogTime::from_millis(5);
                let event = Some(3);
                let seen = Seen { pool: &pool, offset, at, event, stamp_us: 5_000, said };
                (projection.fold)(&seen, &mut writes);
            }
            let mut written = BTreeSet::new();
            for (op, cells) in writes.iter() {
                assert!(projection.tables.contains(&op.table), "{}", op.table.name);
                let columns = if op.delete { op.table.key_len() } else { op.table.columns.len() };
                assert_eq!(cells.len(), columns, "{}", op.table.name);
                written.insert(op.table.name);
            }
            let declared: BTreeSet<_> = projection.tables.iter().map(|table| table.name).collect();
            assert_eq!(written, declared, "the examples write every table");
        }
    }
}
