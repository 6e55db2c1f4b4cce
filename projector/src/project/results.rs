//! Results: by id, in the order they came, and in the order of their windows.
//!
//! One row however many members there are: delivery is fanned out on read.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::api::ResultView;
use schemas::digest::Digest;
use schemas::event::{Derived, ResultPublished};
use schemas::id::{AccountId, BatchId, ResultId};
use schemas::name::{FileName, MediaType, ObjectKey, PoolName};
use schemas::time::{EffectiveAt, LogTime};

use super::windows::{kind_text, window};
use super::{Projection, Said, Seen, Source, block_of, week_of};

row! {
    /// One result.
    ResultRow in "result" (result: ResultId) {
        pool: PoolName,
        seq: u64,
        batch: BatchId,
        window_start: EffectiveAt,
        window_end: EffectiveAt,
        window_kind: Box<str>,
        part: u32,
        revision: u32,
        supersedes: Option<ResultId>,
        worker: AccountId,
        name: FileName,
        media_type: MediaType,
        object: ObjectKey,
        sha256: Digest,
        size_bytes: u64,
        at: LogTime,
    }
}

row! {
    /// Results in the order they came.
    PoolResultRow in "pool_result" (pool: PoolName, block: i64; seq: u64 = Asc) {
        result: ResultId,
    }
}

row! {
    /// The blocks in which a pool has results.
    ResultBlockRow in "pool_result_block" (pool: PoolName; block: i64 = Asc) {}
}

row! {
    /// Results in the order of their windows, newest first: the first is the latest.
    ResultOrderRow in "result_order"
        (pool: PoolName, week: i64; window_start: EffectiveAt = Desc, part: u32 = Desc, revision: u32 = Desc) {
        result: ResultId,
    }
}

row! {
    /// The weeks of windows that have results.
    ResultWeekRow in "result_week" (pool: PoolName; week: i64 = Desc) {}
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "results", version: 1 },
    source: Source::Batches,
    tables: &[
        ResultRow::TABLE,
        PoolResultRow::TABLE,
        ResultBlockRow::TABLE,
        ResultOrderRow::TABLE,
        ResultWeekRow::TABLE,
    ],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(Derived::ResultPublished(published)) = seen.said else { return };
    let pool = || seen.pool.clone();
    let (seq, result) = (seen.offset, published.result);
    let (block, week) = (block_of(seq), week_of(published.window.start.millis()));
    writes.upsert(row_of(seen, published), seen.stamp_us);
    writes.upsert(PoolResultRow { pool: pool(), block, seq, result }, seen.stamp_us);
    writes.upsert(ResultBlockRow { pool: pool(), block }, seen.stamp_us);
    let (part, revision) = (published.part, published.revision);
    let window_start = published.window.start;
    let order = ResultOrderRow { pool: pool(), week, window_start, part, revision, result };
    writes.upsert(order, seen.stamp_us);
    writes.upsert(ResultWeekRow { pool: pool(), week }, seen.stamp_us);
}

fn row_of(seen: &Seen<'_>, published: &ResultPublished) -> ResultRow {
    ResultRow {
        result: published.result,
        pool: seen.pool.clone(),
        seq: seen.offset,
        batch: published.batch,
        window_start: published.window.start,
        window_end: published.window.end,
        window_kind: kind_text(published.window.kind).into(),
        part: published.part,
        revision: published.revision,
        supersedes: published.supersedes,
        worker: published.worker,
        name: published.name.clone(),
        media_type: published.media_type.clone(),
        object: published.object.clone(),
        sha256: published.sha256,
        size_bytes: published.size_bytes,
        at: seen.at,
    }
}

impl From<ResultRow> for ResultView {
    fn from(row: ResultRow) -> Self {
        Self {
            result: row.result,
            seq: row.seq,
            batch: row.batch,
            window: window(row.window_start, row.window_end, &row.window_kind),
            part: row.part,
            revision: row.revision,
            supersedes: row.supersedes,
            name: row.name,
            media_type: row.media_type,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
            published_at: row.at,
            content: schemas::api::Content::Kept,
        }
    }
}

/// What a record says of a result, as its readers see it.
pub(crate) fn view_of(seen: &Seen<'_>, published: &ResultPublished) -> ResultView {
    row_of(seen, published).into()
}
