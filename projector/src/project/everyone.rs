//! Files of all pools, newest first, and of each client over all pools: for platform admins.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::event::Derived;
use schemas::id::{AccountId, UploadId};
use schemas::name::PoolName;
use schemas::time::LogTime;

use super::{Projection, Said, Seen, Source, hour_of};

row! {
    /// A file that was placed, of whatever pool, in the hour it was.
    PlacedFileRow in "placed_file" (all: i64, hour: i64; at: LogTime = Desc, upload: UploadId = Asc) {
        pool: PoolName,
        client: AccountId,
    }
}

row! {
    /// The hours in which files were placed.
    PlacedHourRow in "placed_hour" (all: i64; hour: i64 = Desc) {}
}

row! {
    /// A file of a client, of whatever pool, in the hour it was placed.
    ClientFileRow in "client_file"
        (client: AccountId, hour: i64; at: LogTime = Desc, upload: UploadId = Asc) {
        pool: PoolName,
    }
}

row! {
    /// The hours in which files of a client were placed.
    ClientFileHourRow in "client_file_hour" (client: AccountId; hour: i64 = Desc) {}
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "everyone", version: 1 },
    source: Source::Batches,
    tables: &[
        PlacedFileRow::TABLE,
        PlacedHourRow::TABLE,
        ClientFileRow::TABLE,
        ClientFileHourRow::TABLE,
    ],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(Derived::FilePlaced(placed)) = seen.said else { return };
    let (upload, client) = (placed.file.upload, placed.file.client);
    let (pool, at, hour) = (seen.pool.clone(), seen.at, hour_of(seen.at));
    writes.upsert(PlacedHourRow { all: 0, hour }, seen.stamp_us);
    writes.upsert(ClientFileHourRow { client, hour }, seen.stamp_us);
    let row = ClientFileRow { client, hour, at, upload, pool: pool.clone() };
    writes.upsert(row, seen.stamp_us);
    writes.upsert(PlacedFileRow { all: 0, hour, at, upload, pool, client }, seen.stamp_us);
}
