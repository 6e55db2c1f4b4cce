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
use schemas::time::{EffectiveAt, LogTime, WindowKind};

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
        correction: u32,
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

row! {
    /// What became of a result: that it was corrected, that it was withdrawn.
    ResultEndedRow in "result_ended" (result: ResultId; what: i64 = Asc) {
        at: LogTime,
        corrected_by: Option<ResultId>,
    }
}

row! {
    /// Results that are to be delivered once more: to one member, or to all.
    RedeliveryRow in "redelivery" (pool: PoolName; redelivery: u64 = Desc) {
        member: Option<AccountId>,
        from_seq: u64,
    }
}

const CORRECTED: i64 = 1;
const WITHDRAWN: i64 = 2;

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "results", version: 2 },
    source: Source::Batches,
    tables: &[
        ResultRow::TABLE,
        PoolResultRow::TABLE,
        ResultBlockRow::TABLE,
        ResultOrderRow::TABLE,
        ResultWeekRow::TABLE,
        ResultEndedRow::TABLE,
        RedeliveryRow::TABLE,
    ],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(said) = seen.said else { return };
    match said {
        Derived::ResultPublished(published) => publish(seen, published, writes),
        Derived::ResultWithdrawn(withdrawn) => {
            let (result, at) = (withdrawn.result, seen.at);
            let row = ResultEndedRow { result, what: WITHDRAWN, at, corrected_by: None };
            writes.upsert(row, seen.stamp_us);
        }
        Derived::RedeliveryBegun(begun) => {
            let (pool, redelivery) = (seen.pool.clone(), seen.offset);
            let (member, from_seq) = (begun.member, begun.from_seq);
            writes.upsert(RedeliveryRow { pool, redelivery, member, from_seq }, seen.stamp_us);
        }
        _ => (),
    }
}

fn publish(seen: &Seen<'_>, published: &ResultPublished, writes: &mut Writes) {
    let pool = || seen.pool.clone();
    let (seq, result) = (seen.offset, published.result);
    let (block, week) = (block_of(seq), week_of(published.window.start.millis()));
    writes.upsert(row_of(seen, published), seen.stamp_us);
    writes.upsert(PoolResultRow { pool: pool(), block, seq, result }, seen.stamp_us);
    writes.upsert(ResultBlockRow { pool: pool(), block }, seen.stamp_us);
    if let Some(corrected) = published.supersedes.filter(|_| published.correction > 0) {
        let (at, corrected_by) = (seen.at, Some(result));
        let row = ResultEndedRow { result: corrected, what: CORRECTED, at, corrected_by };
        writes.upsert(row, seen.stamp_us);
    }
    if published.window.kind == WindowKind::Range {
        return; // what was asked for is never the latest
    }
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
        correction: published.correction,
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
            correction: row.correction,
            supersedes: row.supersedes,
            corrected_by: None,
            withdrawn_at: None,
            name: row.name,
            media_type: row.media_type,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
            published_at: row.at,
            content: schemas::api::Content::Kept,
        }
    }
}

impl RedeliveryRow {
    /// Whether a member is meant.
    pub(crate) fn is_for(&self, member: AccountId) -> bool {
        self.member.is_none_or(|meant| meant == member)
    }
}

/// What became of a result: the correction that took its place, and when it was withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) corrected_by: Option<ResultId>,
    pub(crate) withdrawn_at: Option<LogTime>,
}

impl Ended {
    /// As these rows of one result say.
    pub(crate) fn of(rows: &[ResultEndedRow]) -> Self {
        let found = |what: i64| rows.iter().find(|row| row.what == what);
        Self {
            corrected_by: found(CORRECTED).and_then(|row| row.corrected_by),
            withdrawn_at: found(WITHDRAWN).map(|row| row.at),
        }
    }
}

/// What a record says of a result, as its readers see it.
pub(crate) fn view_of(seen: &Seen<'_>, published: &ResultPublished) -> ResultView {
    row_of(seen, published).into()
}
