//! Batches: the list, one with its revisions, and its manifest.

use axum::extract::State;
use infra::http::{AskedPosition, Here, Json, Link, Listed, Path, Query, Refused};
use infra::identity::Caller;
use infra::table::Field as _;
use schemas::api::{
    BatchFile, BatchView, LeaseView, ManifestQuery, ManifestView, Page, RevisionView,
};
use schemas::event::{CloseReason, Closed};
use schemas::id::BatchId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;

use super::{Paging, Reading};
use crate::cursor::Cursor;
use crate::project::{
    BatchCancelledRow, BatchFailedRow, BatchResultRow, BatchRow, BatchWeekRow, LeaseEndedRow,
    LeaseRow, ManifestFileRow, PoolBatchRow, RevisionRow, accounts, close_reason, window,
};

pub(super) async fn list(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(pool): Path<PoolName>,
    Query(paging): Query<Paging>,
    here: Here,
) -> Result<Listed<BatchView>, Refused> {
    reading.allow(&caller, &route::LIST_BATCHES, &pool, asked).await?;
    let limit = paging.limit(reading.limits());
    let key = [pool.clone().cell()];
    let (weeks, _) = reading.tables.some::<BatchWeekRow>(key, None, 10_000).await?;
    let weeks: Vec<i64> = weeks.into_iter().map(|row| row.week).collect();
    let key = |week: i64| vec![pool.clone().cell(), week.cell()];
    let listed = reading
        .tables
        .listed::<PoolBatchRow>(&weeks, key, paging.cursor::<PoolBatchRow>()?, limit)
        .await?;
    let mut items = Vec::with_capacity(listed.rows.len());
    for row in listed.rows {
        if let Some(batch) = reading.batch(&pool, row.batch).await? {
            items.push(reading.view_of(batch).await?);
        }
    }
    let next_cursor = listed.next.map(|cursor| cursor.to_string());
    Ok(here.lists(Page { items, next_cursor }))
}

pub(super) async fn read(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, batch)): Path<(PoolName, BatchId)>,
) -> Result<Json<BatchView>, Refused> {
    reading.allow(&caller, &route::READ_BATCH, &pool, asked).await?;
    let row = reading.batch(&pool, batch).await?.ok_or(Code::NotFound)?;
    let (revisions, _) = reading.tables.some::<RevisionRow>([batch.cell()], None, 10_000).await?;
    let (results, _) = reading.tables.some::<BatchResultRow>([batch.cell()], None, 10_000).await?;
    let result =
        |revision| results.iter().find(|row| row.revision == revision).map(|row| row.result);
    let views = revisions.into_iter().map(|revision| RevisionView {
        result: result(revision.revision),
        closed: closed(&row, revision),
    });
    let views = views.collect();
    let mut view = reading.view_of(row).await?;
    view.revisions = views;
    Ok(Json(view))
}

pub(super) async fn manifest(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, batch)): Path<(PoolName, BatchId)>,
    Query(query): Query<ManifestQuery>,
    here: Here,
) -> Result<(Option<Link>, Json<ManifestView>), Refused> {
    reading.allow(&caller, &route::READ_MANIFEST, &pool, asked).await?;
    let row = reading.batch(&pool, batch).await?.ok_or(Code::NotFound)?;
    let revision = query.revision.unwrap_or(row.revision);
    let key = [batch.cell(), revision.cell()];
    let revision = reading.tables.one::<RevisionRow>(key).await?.ok_or(Code::NotFound)?;
    let paging = Paging { cursor: query.cursor, limit: query.limit };
    let limit = paging.limit(reading.limits());
    let pages: Vec<i64> = (1..=i64::from(revision.pages)).collect();
    let key = |page: i64| vec![batch.cell(), page.cell()];
    let listed = reading
        .tables
        .listed::<ManifestFileRow>(&pages, key, paging.cursor::<ManifestFileRow>()?, limit)
        .await?;
    let file = |row: ManifestFileRow| BatchFile { page: row.page, file: row.into() };
    let view = ManifestView {
        batch,
        revision: revision.revision,
        manifest_sha256: revision.manifest_sha256,
        files: revision.files,
        items: listed.rows.into_iter().map(file).collect(),
        next_cursor: listed.next.map(|cursor: Cursor| cursor.to_string()),
    };
    Ok((here.next(view.next_cursor.as_deref()), Json(view)))
}

fn closed(batch: &BatchRow, row: RevisionRow) -> Closed {
    Closed {
        batch: batch.batch,
        window: window(batch.window_start, batch.window_end, &batch.window_kind),
        part: batch.part,
        revision: row.revision,
        reason: close_reason(&row.reason).unwrap_or(CloseReason::Asked),
        files: row.files,
        bytes: row.bytes,
        pages: row.pages,
        manifest_sha256: row.manifest_sha256,
        watermark: row.watermark,
        log_clock: row.log_clock,
        policy_version: row.policy_version,
        expected: row.expected,
        active: row.active,
        reported: row.reported,
        missing: accounts(&row.missing),
        missing_count: row.missing_count,
    }
}

impl Reading {
    /// A batch of the pool.
    pub(super) async fn batch(
        &self,
        pool: &PoolName,
        batch: BatchId,
    ) -> Result<Option<BatchRow>, Refused> {
        let row = self.tables.one::<BatchRow>([batch.cell()]).await?;
        Ok(row.filter(|row| row.pool == *pool))
    }

    async fn view_of(&self, row: BatchRow) -> Result<BatchView, Refused> {
        let batch = row.batch;
        let result = self.tables.some::<BatchResultRow>([batch.cell()], None, 1).await?.0.pop();
        let result_revision = result.map(|row| row.revision);
        let failed = self.tables.one::<BatchFailedRow>([batch.cell()]).await?;
        let failed = failed.is_some_and(|failed| {
            failed.revision == row.revision && result_revision != Some(row.revision)
        });
        let cancelled = self.tables.one::<BatchCancelledRow>([batch.cell()]).await?.is_some();
        let lease = match self.tables.one::<LeaseRow>([batch.cell()]).await? {
            Some(lease) => Some(self.lease(lease, result_revision == Some(row.revision)).await?),
            None => None,
        };
        Ok(BatchView {
            batch,
            window: window(row.window_start, row.window_end, &row.window_kind),
            part: row.part,
            revision: row.revision,
            files: row.files,
            bytes: row.bytes,
            result_revision,
            lease,
            failed,
            cancelled,
            revisions: Vec::new(),
        })
    }

    async fn lease(&self, lease: LeaseRow, done: bool) -> Result<LeaseView, Refused> {
        let key = [lease.batch.cell(), lease.epoch.cell()];
        let ended = self.tables.one::<LeaseEndedRow>(key).await?.is_some();
        let LeaseRow { worker, epoch, attempt, expires_at, .. } = lease;
        Ok(LeaseView { worker, epoch, attempt, held: !ended && !done, expires_at })
    }
}
