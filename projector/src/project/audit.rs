//! The audit log, newest first: all of it, and each pool's own.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::event::{AuditOutcome, AuditRecorded};
use schemas::id::{AccountId, EventId, ObjectId};
use schemas::name::PoolName;
use schemas::time::LogTime;

use super::{Projection, Said, Seen, Source, hour_of};

macro_rules! audit_row {
    ($(#[$doc:meta])* $name:ident in $table:literal ($($part:ident: $type:ty),+) { $($pool:tt)* }) => {
        row! {
            $(#[$doc])*
            $name in $table ($($part: $type),+; at: LogTime = Desc, id: EventId = Asc) {
                $($pool)*
                actor: Option<AccountId>,
                act: Box<str>,
                object: Option<ObjectId>,
                outcome: Box<str>,
                reason: Option<Box<str>>,
                platform_admin: bool,
                times: u32,
            }
        }
    };
}

audit_row! {
    /// A record of the audit log, in the hour it was said.
    AuditRow in "audit" (all: i64, hour: i64) { pool: Option<PoolName>, }
}

audit_row! {
    /// A record of the audit log that is about a pool, in the hour it was said.
    PoolAuditRow in "pool_audit" (pool: PoolName, hour: i64) {}
}

row! {
    /// The hours in which something was recorded.
    AuditHourRow in "audit_hour" (all: i64; hour: i64 = Desc) {}
}

row! {
    /// The hours in which something about a pool was recorded.
    PoolAuditHourRow in "pool_audit_hour" (pool: PoolName; hour: i64 = Desc) {}
}

/// The view of the audit log.
pub const AUDIT: View = View { name: "audit", version: 1 };

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: AUDIT,
    source: Source::Audit,
    tables: &[AuditRow::TABLE, PoolAuditRow::TABLE, AuditHourRow::TABLE, PoolAuditHourRow::TABLE],
    fold,
};

/// A record stands by when it was said, and by its id: one that was written twice stands once.
fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Audit { recorded, id, time: at } = seen.said else { return };
    let AuditRecorded { actor, object, platform_admin, times, .. } = *recorded;
    let AuditRecorded { act, pool, outcome, reason, .. } = recorded;
    let (hour, outcome): (i64, Box<str>) = (hour_of(at), outcome_text(*outcome).into());
    let (act, reason) = (act.clone(), reason.clone());
    writes.upsert(AuditHourRow { all: 0, hour }, seen.stamp_us);
    if let Some(pool) = pool.clone() {
        writes.upsert(PoolAuditHourRow { pool: pool.clone(), hour }, seen.stamp_us);
        let (act, outcome, reason) = (act.clone(), outcome.clone(), reason.clone());
        let row = PoolAuditRow {
            pool,
            hour,
            at,
            id,
            actor,
            act,
            object,
            outcome,
            reason,
            platform_admin,
            times,
        };
        writes.upsert(row, seen.stamp_us);
    }
    let pool = pool.clone();
    let row = AuditRow {
        all: 0,
        hour,
        at,
        id,
        pool,
        actor,
        act,
        object,
        outcome,
        reason,
        platform_admin,
        times,
    };
    writes.upsert(row, seen.stamp_us);
}

const OUTCOMES: [(AuditOutcome, &str); 4] = [
    (AuditOutcome::Done, "done"),
    (AuditOutcome::Asked, "asked"),
    (AuditOutcome::Denied, "denied"),
    (AuditOutcome::Unknown, "unknown"),
];

fn outcome_text(outcome: AuditOutcome) -> &'static str {
    OUTCOMES.iter().find(|(known, _)| *known == outcome).map_or("unknown", |(_, text)| text)
}

/// The outcome a row's text stands for.
pub(crate) fn outcome_of(text: &str) -> AuditOutcome {
    let known = OUTCOMES.iter().find(|(_, known)| *known == text);
    known.map_or(AuditOutcome::Unknown, |(outcome, _)| *outcome)
}
