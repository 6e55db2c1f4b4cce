//! What a pool holds: how much was sent by when, and from when on bytes are still kept.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::event::{Derived, FilePlaced, Sent};
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::time::LogTime;

use super::{Projection, Said, Seen, Source};

row! {
    /// What an account had sent by the end of a day (UTC, by the log's clock); of the nil account:
    /// what all had.
    SentRow in "sent" (pool: PoolName, client: AccountId; day: i64 = Desc) {
        files: u64,
        bytes: u64,
    }
}

row! {
    /// From when on a pool's bytes are still kept.
    ErasedRow in "erased" (pool: PoolName) {
        inputs_before: Option<LogTime>,
        results_before: Option<LogTime>,
    }
}

/// Whom the sum of all stands under.
pub(crate) fn everybody() -> AccountId {
    AccountId::from_bits(0)
}

const DAY_MS: i64 = 86_400_000;

/// The day of a moment, counted from 1970.
pub(crate) fn day_of(at: LogTime) -> i64 {
    at.millis().div_euclid(DAY_MS)
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "keeping", version: 1 },
    source: Source::Batches,
    tables: &[SentRow::TABLE, ErasedRow::TABLE],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let pool = || seen.pool.clone();
    match seen.said {
        Said::Derived(Derived::FilePlaced(FilePlaced { file, sent: Some(sent), .. })) => {
            let Sent { files, bytes, client_files, client_bytes } = *sent;
            let day = day_of(seen.at);
            let all = SentRow { pool: pool(), client: everybody(), day, files, bytes };
            writes.upsert(all, seen.stamp_us);
            let (client, files, bytes) = (file.client, client_files, client_bytes);
            writes.upsert(SentRow { pool: pool(), client, day, files, bytes }, seen.stamp_us);
        }
        Said::Derived(Derived::ContentErased(erased)) => {
            let (inputs_before, results_before) = (erased.inputs_before, erased.results_before);
            let row = ErasedRow { pool: pool(), inputs_before, results_before };
            writes.upsert(row, seen.stamp_us);
        }
        _ => (),
    }
}
