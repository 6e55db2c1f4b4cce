//! Batches: the newest revision of each, all revisions, the manifest, the pool's list.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::digest::Digest;
use schemas::event::{Closed, Derived, ManifestPage};
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId, ResultId, UploadId};
use schemas::name::{FileName, MediaType, ObjectKey, PoolName};
use schemas::time::{EffectiveAt, LogTime, ObservedAt, ReceivedAt, SentAt};

use super::file::{file_of, time_source_text};
use super::windows::{kind_text, reason_text};
use super::{Projection, Said, Seen, Source, week_of};

row! {
    /// A batch as of its newest revision.
    BatchRow in "batch" (batch: BatchId) {
        pool: PoolName,
        window_start: EffectiveAt,
        window_end: EffectiveAt,
        window_kind: Box<str>,
        part: u32,
        revision: u32,
        files: u32,
        bytes: u64,
        pages: u32,
        manifest_sha256: Digest,
    }
}

row! {
    /// One revision of a batch: how it closed.
    RevisionRow in "batch_revision" (batch: BatchId; revision: u32 = Asc) {
        reason: Box<str>,
        files: u32,
        bytes: u64,
        pages: u32,
        manifest_sha256: Digest,
        watermark: EffectiveAt,
        log_clock: LogTime,
        policy_version: u32,
        expected: u32,
        active: u32,
        reported: u32,
        missing: Box<str>,
        missing_count: u32,
    }
}

row! {
    /// A batch in its pool's list.
    PoolBatchRow in "pool_batch"
        (pool: PoolName, week: i64; window_start: EffectiveAt = Desc, part: u32 = Desc, batch: BatchId = Asc) {}
}

row! {
    /// The weeks in which a pool has batches.
    BatchWeekRow in "batch_week" (pool: PoolName; week: i64 = Desc) {}
}

row! {
    /// One file of one page of a manifest.
    ManifestFileRow in "manifest_file"
        (batch: BatchId, page: u32; effective_at: EffectiveAt = Asc, client: AccountId = Asc, upload: UploadId = Asc) {
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

row! {
    /// The results of a batch, the newest first: of each revision its last correction.
    BatchResultRow in "batch_result" (batch: BatchId; revision: u32 = Desc, correction: u32 = Desc) {
        result: ResultId,
    }
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "batches", version: 3 },
    source: Source::Batches,
    tables: &[
        BatchRow::TABLE,
        RevisionRow::TABLE,
        PoolBatchRow::TABLE,
        BatchWeekRow::TABLE,
        ManifestFileRow::TABLE,
        BatchResultRow::TABLE,
    ],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(said) = seen.said else { return };
    match said {
        Derived::ManifestPage(page) => manifest(seen, page, writes),
        Derived::BatchReady(ready) => closed(seen, &ready.closed, writes),
        Derived::BatchAmended(amended) => closed(seen, &amended.closed, writes),
        Derived::ResultPublished(published) => {
            let (batch, revision, result) = (published.batch, published.revision, published.result);
            let correction = published.correction;
            writes.upsert(BatchResultRow { batch, revision, correction, result }, seen.stamp_us);
        }
        _ => (),
    }
}

fn manifest(seen: &Seen<'_>, page: &ManifestPage, writes: &mut Writes) {
    for file in &page.added {
        writes.upsert(manifest_file(page, file), seen.stamp_us);
    }
}

fn manifest_file(page: &ManifestPage, file: &FileRef) -> ManifestFileRow {
    ManifestFileRow {
        batch: page.batch,
        page: page.page,
        effective_at: file.effective_at,
        client: file.client,
        upload: file.upload,
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

impl From<ManifestFileRow> for FileRef {
    fn from(row: ManifestFileRow) -> Self {
        file_of!(row, quarantined: false)
    }
}

fn closed(seen: &Seen<'_>, closed: &Closed, writes: &mut Writes) {
    let (batch, window, part) = (closed.batch, closed.window, closed.part);
    let week = week_of(window.start.millis());
    let row = BatchRow {
        batch,
        pool: seen.pool.clone(),
        window_start: window.start,
        window_end: window.end,
        window_kind: kind_text(window.kind).into(),
        part,
        revision: closed.revision,
        files: closed.files,
        bytes: closed.bytes,
        pages: closed.pages,
        manifest_sha256: closed.manifest_sha256,
    };
    writes.upsert(row, seen.stamp_us);
    writes.upsert(revision(closed), seen.stamp_us);
    let pool = || seen.pool.clone();
    let row = PoolBatchRow { pool: pool(), week, window_start: window.start, part, batch };
    writes.upsert(row, seen.stamp_us);
    writes.upsert(BatchWeekRow { pool: pool(), week }, seen.stamp_us);
}

fn revision(closed: &Closed) -> RevisionRow {
    let missing: Vec<_> = closed.missing.iter().map(ToString::to_string).collect();
    RevisionRow {
        batch: closed.batch,
        revision: closed.revision,
        reason: reason_text(closed.reason).into(),
        files: closed.files,
        bytes: closed.bytes,
        pages: closed.pages,
        manifest_sha256: closed.manifest_sha256,
        watermark: closed.watermark,
        log_clock: closed.log_clock,
        policy_version: closed.policy_version,
        expected: closed.expected,
        active: closed.active,
        reported: closed.reported,
        missing: missing.join(",").into(),
        missing_count: closed.missing_count,
    }
}
