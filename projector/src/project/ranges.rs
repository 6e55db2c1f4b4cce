//! Files of a pool by their time: what a range that is asked for is made of.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::digest::Digest;
use schemas::event::{Derived, Placement};
use schemas::file::FileRef;
use schemas::id::{AccountId, UploadId};
use schemas::name::{FileName, MediaType, ObjectKey, PoolName};
use schemas::time::{EffectiveAt, ObservedAt, ReceivedAt, SentAt};
use schemas::topic::Offset;

use super::file::{file_of, time_source_text};
use super::{Projection, Said, Seen, Source};

/// A partition has the files of one hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

row! {
    /// A file that was put into a window, or gathers for one.
    PoolFileRow in "pool_file"
        (pool: PoolName, hour: i64; effective_at: EffectiveAt = Asc, client: AccountId = Asc, upload: UploadId = Asc) {
        cause: Offset,
        name: FileName,
        size_bytes: u64,
        sha256: Digest,
        media_type: MediaType,
        object: ObjectKey,
        observed_at: Option<ObservedAt>,
        sent_at: Option<SentAt>,
        received_at: ReceivedAt,
        time_source: Box<str>,
        clamped: bool,
    }
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "ranges", version: 1 },
    source: Source::Batches,
    tables: &[PoolFileRow::TABLE],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let (file, placed) = match seen.said {
        Said::Derived(Derived::FilePlaced(said)) => (&said.file, &said.placed),
        Said::Derived(Derived::FileReleased(said)) => (&said.file, &said.placed),
        Said::Derived(Derived::FileAccepted(said)) => (&said.file, &said.placed),
        _ => return,
    };
    if !matches!(placed, Placement::Held { .. } | Placement::Inspecting { .. }) {
        writes.upsert(row(seen, file), seen.stamp_us);
    }
}

fn row(seen: &Seen<'_>, file: &FileRef) -> PoolFileRow {
    PoolFileRow {
        pool: seen.pool.clone(),
        hour: file.effective_at.millis().div_euclid(HOUR_MS),
        effective_at: file.effective_at,
        client: file.client,
        upload: file.upload,
        cause: seen.event.unwrap_or_default(),
        name: file.name.clone(),
        size_bytes: file.size_bytes,
        sha256: file.sha256,
        media_type: file.media_type.clone(),
        object: file.object.clone(),
        observed_at: file.observed_at,
        sent_at: file.sent_at,
        received_at: file.received_at,
        time_source: time_source_text(file.time_source).into(),
        clamped: file.clamped,
    }
}

impl From<PoolFileRow> for FileRef {
    fn from(row: PoolFileRow) -> Self {
        file_of!(row, quarantined: false)
    }
}
