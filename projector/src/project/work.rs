//! Work on batches: who has which, what can be claimed, what was given up.

use infra::row;
use infra::table::{Field as _, Row as _};
use infra::views::{View, Writes};
use schemas::event::Derived;
use schemas::id::{AccountId, BatchId};
use schemas::name::PoolName;
use schemas::time::LogTime;

use super::{Projection, Said, Seen, Source};

row! {
    /// The last lease on a batch.
    LeaseRow in "lease" (batch: BatchId) {
        worker: AccountId,
        epoch: u64,
        attempt: u32,
        expires_at: LogTime,
    }
}

row! {
    /// A lease that ended without a result.
    LeaseEndedRow in "lease_ended" (batch: BatchId; epoch: u64 = Desc) {}
}

row! {
    /// A batch that was given up at this revision.
    BatchFailedRow in "batch_failed" (batch: BatchId) {
        revision: u32,
        attempts: u32,
        reason: Option<Box<str>>,
    }
}

row! {
    /// A batch that can be claimed, as far as these records tell: a hint for long-polls, the fold
    /// decides.
    ClaimableRow in "claimable" (pool: PoolName; batch: BatchId = Asc, revision: u32 = Asc) {}
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "work", version: 2 },
    source: Source::Batches,
    tables: &[LeaseRow::TABLE, LeaseEndedRow::TABLE, BatchFailedRow::TABLE, ClaimableRow::TABLE],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(said) = seen.said else { return };
    let mut claimable = |batch, revision, is| mark(seen, batch, revision, is, writes);
    match said {
        Derived::BatchReady(ready) => {
            claimable(ready.closed.batch, ready.closed.revision, Claimable::Yes);
        }
        Derived::BatchAmended(amended) => {
            let batch = amended.closed.batch;
            claimable(batch, amended.supersedes, Claimable::No);
            claimable(batch, amended.closed.revision, Claimable::Yes);
        }
        Derived::BatchLeased(leased) => {
            claimable(leased.batch, leased.revision, Claimable::No);
            let row = LeaseRow {
                batch: leased.batch,
                worker: leased.worker,
                epoch: leased.epoch,
                attempt: leased.attempt,
                expires_at: leased.expires_at,
            };
            writes.upsert(row, seen.stamp_us);
        }
        Derived::LeaseExpired(expired) => {
            claimable(expired.batch, expired.revision, Claimable::Yes);
            let (batch, epoch) = (expired.batch, expired.epoch);
            writes.upsert(LeaseEndedRow { batch, epoch }, seen.stamp_us);
        }
        Derived::BatchFailed(failed) => {
            claimable(failed.batch, failed.revision, Claimable::No);
            let (batch, revision, attempts) = (failed.batch, failed.revision, failed.attempts);
            let reason = failed.reason.clone();
            writes.upsert(BatchFailedRow { batch, revision, attempts, reason }, seen.stamp_us);
        }
        Derived::BatchRetried(retried) => {
            claimable(retried.batch, retried.revision, Claimable::Yes);
            writes.delete::<BatchFailedRow>([retried.batch.cell()], seen.stamp_us);
        }
        Derived::BatchCancelled(cancelled) => {
            claimable(cancelled.batch, cancelled.out, Claimable::No);
        }
        Derived::ResultPublished(result) => {
            claimable(result.batch, result.revision, Claimable::No);
        }
        _ => (),
    }
}

#[derive(Clone, Copy)]
enum Claimable {
    Yes,
    No,
}

fn mark(seen: &Seen<'_>, batch: BatchId, revision: u32, is: Claimable, writes: &mut Writes) {
    let pool = seen.pool.clone();
    match is {
        Claimable::Yes => writes.upsert(ClaimableRow { pool, batch, revision }, seen.stamp_us),
        Claimable::No => {
            let key = [pool.cell(), batch.cell(), revision.cell()];
            writes.delete::<ClaimableRow>(key, seen.stamp_us);
        }
    }
}
