//! Uploads: where each is now, a client's history, and its own bytes.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use infra::audit::trail;
use infra::http::{AskedPosition, Here, Json, Listed, Path, Query, Refused};
use infra::identity::Caller;
use infra::table::{Cell, Field as _};
use schemas::api::{Page, UploadState, UploadView};
use schemas::event::HeldReason;
use schemas::id::{AccountId, BatchId, UploadId};
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Verdict, judge};
use schemas::route;
use schemas::time::LogTime;

use super::content::{self, Content};
use super::erased::content_of;
use super::{Paging, Reading};
use crate::cursor::Cursor;
use crate::holding;
use crate::project::{
    BatchCancelledRow, BatchRow, DISCARDED, FAILED, HistoryRow, HistoryWeekRow, INSPECTING,
    PartEndedRow, REJECTED, UploadGroupedRow, UploadMovedRow, UploadRow, VerdictRow, held_reason,
    week_of, window,
};

pub(super) async fn read(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, upload)): Path<(PoolName, UploadId)>,
) -> Result<Json<UploadView>, Refused> {
    let allowed = reading.allow(&caller, &route::READ_UPLOAD, &pool, asked).await?;
    let row = reading.upload(&pool, upload).await?.ok_or(Code::NotFound)?;
    if !allowed.covers(row.client) {
        return Err(Code::NotFound.into());
    }
    let mut views = reading.views_of(vec![row]).await?;
    Ok(Json(views.pop().ok_or(Code::NotFound)?))
}

pub(super) async fn fetch(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, upload)): Path<(PoolName, UploadId)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let allowed = reading.allow(&caller, &route::FETCH_UPLOAD, &pool, asked).await?;
    let row = reading.upload(&pool, upload).await?.ok_or(Code::NotFound)?;
    if !allowed.covers(row.client) {
        return Err(Code::NotFound.into());
    }
    reading.is_kept_upload(&row).await?;
    content::serve(reading.blobs.as_ref(), &headers, Content::of_upload(&row), None).await
}

pub(super) async fn history(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, client)): Path<(PoolName, AccountId)>,
    Query(paging): Query<Paging>,
    here: Here,
) -> Result<Listed<UploadView>, Refused> {
    let allowed = reading.allow(&caller, &route::READ_HISTORY, &pool, asked).await?;
    if !allowed.covers(client) {
        return Err(Code::NotFound.into());
    }
    let limit = paging.limit(reading.limits());
    let weeks = reading.weeks(&pool, client).await?;
    let key = |week: i64| vec![pool.clone().cell(), client.cell(), week.cell()];
    let listed = reading
        .tables
        .listed::<HistoryRow>(&weeks, key, paging.cursor::<HistoryRow>()?, limit)
        .await?;
    let next_cursor = listed.next.map(|cursor| cursor.to_string());
    let items = reading.views_of(listed.rows).await?;
    Ok(here.lists(Page { items, next_cursor }))
}

/// Like [`history`], over all pools of the client that the caller may see, merged.
pub(super) async fn client_history(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(client): Path<AccountId>,
    Query(paging): Query<Paging>,
    here: Here,
) -> Result<Listed<UploadView>, Refused> {
    reading.wait(&caller, asked).await?;
    let directory = reading.access.directory();
    directory.catch_up().await?;
    let mut pools = directory.pools_of(client);
    pools.retain(|pool| {
        let member = directory.membership(pool, caller.account);
        let verdict = judge(route::READ_HISTORY.act, member, caller.platform_admin);
        verdict == Verdict::Yes || (verdict == Verdict::OwnOnly && client == caller.account)
    });
    if client != caller.account {
        match directory.account(client) {
            Some(_) if caller.platform_admin => trail::over_others(),
            Some(_) if pools.is_empty() => trail::hidden(),
            _ => {}
        }
        if pools.is_empty() && !caller.platform_admin {
            return Err(Code::NotFound.into());
        }
    }
    let limit = paging.limit(reading.limits());
    let cursor = paging.cursor::<HistoryRow>()?;
    let mut rows = Vec::new();
    for pool in &pools {
        rows.extend(reading.history_after(pool, client, cursor.as_ref(), limit + 1).await?);
    }
    rows.sort_by_key(|row| (std::cmp::Reverse(row.at), row.upload));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| place(row.at, row.upload).to_string());
    let items = reading.views_of(rows).await?;
    Ok(here.lists(Page { items, next_cursor }))
}

/// The place of an upload in any of its client's histories.
fn place(at: LogTime, upload: UploadId) -> Cursor {
    Cursor { bucket: week_of(at.millis()), after: vec![at.cell(), upload.cell()] }
}

impl Reading {
    /// An upload of the pool, if it was ever placed.
    pub(crate) async fn upload(
        &self,
        pool: &PoolName,
        upload: UploadId,
    ) -> infra::views::Result<Option<HistoryRow>> {
        upload_of(&self.tables, pool, upload).await
    }

    async fn weeks(&self, pool: &PoolName, client: AccountId) -> Result<Vec<i64>, Refused> {
        let key = [pool.clone().cell(), client.cell()];
        let (rows, _) = self.tables.some::<HistoryWeekRow>(key, None, 10_000).await?;
        Ok(rows.into_iter().map(|row| row.week).collect())
    }

    /// Rows of one pool's history after a place that may be another pool's.
    async fn history_after(
        &self,
        pool: &PoolName,
        client: AccountId,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, Refused> {
        let mut weeks = self.weeks(pool, client).await?;
        let mut from = None;
        if let Some(cursor) = cursor {
            weeks.retain(|week| *week <= cursor.bucket);
            from = weeks.first().filter(|week| **week == cursor.bucket).map(|_| cursor.clone());
        }
        let key = |week: i64| vec![pool.clone().cell(), client.cell(), week.cell()];
        Ok(self.tables.listed::<HistoryRow>(&weeks, key, from, limit).await?.rows)
    }

    /// The rows as they are shown: with whether the revision each goes into is out.
    pub(super) async fn views_of(&self, rows: Vec<HistoryRow>) -> Result<Vec<UploadView>, Refused> {
        let (mut rows, mut carried) = (rows, HashMap::new());
        for row in &mut rows {
            *row = now(&self.tables, row.clone(), &mut carried).await?;
        }
        let mut out: HashMap<BatchId, Out> = HashMap::new();
        for batch in rows.iter().filter_map(|row| row.batch) {
            if let std::collections::hash_map::Entry::Vacant(entry) = out.entry(batch) {
                let row = self.tables.one::<BatchRow>([batch.cell()]).await?;
                let cancelled = self.tables.one::<BatchCancelledRow>([batch.cell()]).await?;
                let ended = self.tables.one::<PartEndedRow>([batch.cell()]).await?;
                let revision = row.map_or(0, |row| row.revision);
                let cancelled = cancelled.map(|row| row.revision);
                let skipped = ended.is_some_and(|ended| !ended.carried);
                entry.insert(Out { revision, cancelled, skipped });
            }
        }
        let mut erased: HashMap<PoolName, Option<LogTime>> = HashMap::new();
        for row in &rows {
            if let std::collections::hash_map::Entry::Vacant(entry) = erased.entry(row.pool.clone())
            {
                entry.insert(holding::erased(&self.tables, &row.pool).await?.inputs_before);
            }
        }
        let content =
            |row: &HistoryRow| content_of(row.at, erased.get(&row.pool).copied().flatten());
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            let verdict = self.verdict(&row).await?;
            views.push(UploadView { content: content(&row), ..view(row, &out, verdict) });
        }
        Ok(views)
    }

    /// What is known of a file that is inspected, or did not come through it.
    async fn verdict(&self, row: &HistoryRow) -> Result<Option<VerdictRow>, Refused> {
        let is_asked = row.held.as_deref().is_some_and(|held| INSPECTED.contains(&held));
        let upload = row.upload.cell();
        Ok(if is_asked { self.tables.one::<VerdictRow>([upload]).await? } else { None })
    }
}

/// An upload of the pool, if it was ever placed.
pub(crate) async fn upload_of(
    tables: &crate::Tables,
    pool: &PoolName,
    upload: UploadId,
) -> infra::views::Result<Option<HistoryRow>> {
    let Some(row) = tables.one::<UploadRow>([upload.cell()]).await? else { return Ok(None) };
    if row.pool != *pool {
        return Ok(None);
    }
    let week = week_of(row.at.millis());
    let key: [Cell; 5] =
        [row.pool.cell(), row.client.cell(), week.cell(), row.at.cell(), upload.cell()];
    match tables.one::<HistoryRow>(key).await? {
        Some(row) => now(tables, row, &mut HashMap::new()).await.map(Some),
        None => Ok(None),
    }
}

/// A row of history as it is now: what was held may have been released or discarded, what was
/// inspected has a verdict, what gathered may have its window, and what was in a window may have
/// been carried over. `carried` has what was looked up before.
async fn now(
    tables: &crate::Tables,
    mut row: HistoryRow,
    carried: &mut HashMap<BatchId, bool>,
) -> infra::views::Result<HistoryRow> {
    if row.held.is_some()
        && let Some(moved) = tables.one::<UploadMovedRow>([row.upload.cell()]).await?
    {
        row = row.moved(moved);
    } else if row.held.as_deref() == Some(INSPECTING)
        && let Some(verdict) = tables.one::<VerdictRow>([row.upload.cell()]).await?
    {
        row.held = Some(verdict.state);
    }
    if (row.gathers() || is_carried(tables, row.batch, carried).await?)
        && let Some(grouped) = tables.one::<UploadGroupedRow>([row.upload.cell()]).await?
    {
        row = row.grouped(grouped);
    }
    Ok(row)
}

/// Whether the files of a part that was to be this batch were carried over.
async fn is_carried(
    tables: &crate::Tables,
    batch: Option<BatchId>,
    known: &mut HashMap<BatchId, bool>,
) -> infra::views::Result<bool> {
    let Some(batch) = batch else { return Ok(false) };
    if let Some(carried) = known.get(&batch) {
        return Ok(*carried);
    }
    let ended = tables.one::<PartEndedRow>([batch.cell()]).await?;
    Ok(*known.entry(batch).or_insert(ended.is_some_and(|ended| ended.carried)))
}

/// Where a file is that has no other place on account of its inspection.
const INSPECTED: [&str; 3] = [INSPECTING, REJECTED, FAILED];

/// How far a batch has got.
#[derive(Clone, Copy, Debug)]
struct Out {
    /// Its newest revision that is out; 0 when none is.
    revision: u32,
    /// The first one that was cancelled.
    cancelled: Option<u32>,
    /// Whether the part that was to be it was skipped.
    skipped: bool,
}

fn view(row: HistoryRow, out: &HashMap<BatchId, Out>, verdict: Option<VerdictRow>) -> UploadView {
    let gathers = row.gathers();
    let held_because = row.held.as_deref().and_then(held_reason);
    let batch = row.batch.and_then(|batch| out.get(&batch)).copied();
    let is_out = batch.map(|batch| batch.revision) >= row.revision;
    let first_cancelled = batch.and_then(|batch| batch.cancelled);
    let is_cancelled = first_cancelled.is_some_and(|first| row.revision >= Some(first));
    let state = match held_because {
        None if row.held.as_deref() == Some(DISCARDED) => UploadState::Discarded,
        None if row.held.as_deref() == Some(INSPECTING) => UploadState::Inspecting,
        None if row.held.as_deref() == Some(REJECTED) => UploadState::Rejected,
        None if row.held.as_deref() == Some(FAILED) => UploadState::Failed,
        Some(HeldReason::TooFarAhead) => UploadState::Quarantined,
        Some(_) => UploadState::Held,
        None if gathers => UploadState::Gathering,
        None if batch.is_some_and(|batch| batch.skipped) => UploadState::Skipped,
        None if is_cancelled => UploadState::Cancelled,
        None if is_out => UploadState::Batched,
        None => UploadState::Accepted,
    };
    UploadView {
        upload: row.upload,
        pool: row.pool,
        client: row.client,
        update: row.update_id,
        name: row.name,
        size_bytes: row.size_bytes,
        sha256: row.sha256,
        media_type: row.media_type,
        observed_at: row.observed_at,
        received_at: row.received_at,
        effective_at: row.effective_at,
        state,
        window: window(row.window_start, row.window_end, &row.window_kind),
        late: row.late,
        batch: row.batch,
        revision: row.revision,
        offset: row.event,
        held_because,
        content: schemas::api::Content::Kept,
        rejection: verdict.as_ref().and_then(VerdictRow::faults).map(Box::new),
        attempts: verdict.as_ref().map_or(0, |verdict| verdict.attempts),
        attempt_failed_because: verdict.and_then(|verdict| verdict.reason),
    }
}
