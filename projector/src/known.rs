//! What ingest asks of the tables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra::clock::Clock;
use infra::known::{Known, KnownDelivery, KnownPart, KnownResult, KnownUpload};
use infra::table::Field as _;
use infra::views::Result;
use schemas::api::DeliveryState;
use schemas::event::Sent;
use schemas::file::FileRef;
use schemas::id::{AccountId, ResultId, UploadId};
use schemas::name::PoolName;
use schemas::time::{EffectiveAt, Window};
use schemas::topic::Offset;

use crate::again::Redeliveries;
use crate::holding;
use crate::parts::Parts;
use crate::progress::Progress;
use crate::project::{
    ClaimableRow, DeliveryRow, HOUR_MS, HistoryRow, InspectingRow, MemberRolesRow, MemberRow,
    PartClosedRow, PartFilesRow, PartRow, PoolFileRow, ResultRow, file_of, role_set,
    shard_of_member, state_number, week_of,
};
use crate::read::upload_of;
use crate::tables::Tables;

/// How long the tables are waited for before a claim is worth a try.
const CLAIMABLE_WAIT: Duration = Duration::from_millis(500);
/// How long they are waited for to tell of a result that was offered once more.
const PUBLISHED_WAIT: Duration = Duration::from_millis(500);
/// How long the tables are waited for before a range is listed.
const RANGE_WAIT: Duration = Duration::from_secs(2);
/// How long they are waited for to tell of files that wait for a verdict.
const INSPECTING_WAIT: Duration = Duration::from_secs(2);
/// Rows of a range that are read in one go.
const RANGE_PAGE: usize = 2_000;

/// Answers ingest from the tables.
#[derive(Clone, Debug)]
pub struct KnownTables {
    tables: Tables,
    progress: Arc<Progress>,
    parts: Arc<Parts>,
}

impl KnownTables {
    /// From these tables, which have got as far as `progress` says.
    pub fn new(tables: Tables, progress: Arc<Progress>, clock: Arc<dyn Clock>) -> Self {
        Self { tables, progress, parts: Arc::new(Parts::new(clock)) }
    }

    async fn look_at_part(&self, pool: &PoolName, window: &Window) -> Result<Option<KnownPart>> {
        let week = week_of(window.start.millis());
        let key = [pool.clone().cell(), week.cell(), window.start.cell()];
        let (rows, _) = self.tables.some::<PartRow>(key, None, 1).await?;
        let Some(row) = rows.into_iter().find(|row| row.window_end == window.end) else {
            return Ok(None);
        };
        let closed = self.tables.one::<PartClosedRow>([row.batch.cell()]).await?.is_some();
        let files = self.tables.one::<PartFilesRow>([row.batch.cell()]).await?;
        Ok(Some(KnownPart { files: files.map_or(0, |row| row.files), closed }))
    }
}

#[async_trait]
impl Known for KnownTables {
    async fn upload(&self, pool: &PoolName, upload: UploadId) -> Result<Option<KnownUpload>> {
        let row = upload_of(&self.tables, pool, upload).await?;
        Ok(row.map(|row| KnownUpload { offset: row.event, file: row.into() }))
    }

    async fn inspecting(
        &self,
        pool: &PoolName,
        batches: Offset,
        files_max: usize,
    ) -> Result<Option<Vec<FileRef>>> {
        if !self.progress.wait_batches(pool, batches, INSPECTING_WAIT).await {
            return Ok(None);
        }
        let key = [pool.clone().cell()];
        let (rows, _) = self.tables.some::<InspectingRow>(key, None, files_max).await?;
        let mut files = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(history) = upload_of(&self.tables, pool, row.upload).await? {
                files.push(FileRef { inspections: row.names(), ..history.into() });
            }
        }
        Ok(Some(files))
    }

    async fn held(&self, pool: &PoolName, member: AccountId) -> Result<Sent> {
        holding::held(&self.tables, pool, member).await
    }

    async fn has(&self, pool: &PoolName, events: Offset) -> bool {
        self.progress.events(pool) > events
    }

    async fn part(&self, pool: &PoolName, window: &Window) -> Result<Option<KnownPart>> {
        let version = || self.progress.version();
        self.parts.get(pool, window, version, self.look_at_part(pool, window)).await
    }

    async fn result(
        &self,
        pool: &PoolName,
        result: ResultId,
        member: AccountId,
    ) -> Result<Option<KnownResult>> {
        let row = self.tables.one::<ResultRow>([result.cell()]).await?;
        let Some(row) = row.filter(|row| row.pool == *pool) else { return Ok(None) };
        let key = || [pool.clone().cell(), member.cell()];
        let Some(since) = self.tables.one::<MemberRow>(key()).await? else { return Ok(None) };
        let roles = self.tables.one::<MemberRolesRow>(key()).await?;
        let roles = roles.map(|row| role_set(&row.roles)).unwrap_or_default();
        let may = since.is_entitled(result, row.seq) || roles.meets(crate::read::SEES_ALL);
        Ok(may.then(|| row.into()))
    }

    async fn published(
        &self,
        pool: &PoolName,
        result: ResultId,
        batches: Offset,
    ) -> Result<Option<KnownResult>> {
        if !self.progress.wait_batches(pool, batches, PUBLISHED_WAIT).await {
            return Ok(None);
        }
        let row = self.tables.one::<ResultRow>([result.cell()]).await?;
        let row = row.filter(|row| row.pool == *pool);
        Ok(row.map(KnownResult::from))
    }

    async fn acknowledged(
        &self,
        result: ResultId,
        member: AccountId,
    ) -> Result<Option<KnownDelivery>> {
        let state = state_number(DeliveryState::Acknowledged);
        let key = [result.cell(), shard_of_member(member).cell(), member.cell(), state.cell()];
        let row = self.tables.one::<DeliveryRow>(key).await?;
        Ok(row.map(|row| KnownDelivery { offset: row.offset, at: row.at }))
    }

    async fn asked_again(
        &self,
        pool: &PoolName,
        result: &KnownResult,
        member: AccountId,
    ) -> Result<Option<Offset>> {
        let redeliveries = Redeliveries::of(&self.tables, pool).await?;
        redeliveries.asks(&self.tables, pool, member, result.seq).await
    }

    async fn range(
        &self,
        pool: &PoolName,
        (from, to): (EffectiveAt, EffectiveAt),
        before: Offset,
        files_max: usize,
    ) -> Result<Option<Vec<FileRef>>> {
        if !self.progress.wait_events(pool, before, RANGE_WAIT).await {
            return Ok(None);
        }
        let mut files = Vec::new();
        let hour_of = |at: EffectiveAt| at.millis().div_euclid(HOUR_MS);
        for hour in hour_of(from)..=hour_of(to) {
            let mut after = None;
            loop {
                let key = [pool.clone().cell(), hour.cell()];
                let (rows, more) = self.tables.some::<PoolFileRow>(key, after, RANGE_PAGE).await?;
                after = rows
                    .last()
                    .map(|row| vec![row.effective_at.cell(), row.client.cell(), row.upload.cell()]);
                let meant = |row: &PoolFileRow| {
                    (from..to).contains(&row.effective_at) && row.cause < before
                };
                files.extend(rows.into_iter().filter(meant).map(FileRef::from));
                if files.len() > files_max {
                    return Ok(Some(files));
                }
                if !more || after.is_none() {
                    break;
                }
            }
        }
        Ok(Some(files))
    }

    async fn claimable(&self, pool: &PoolName, batches: Offset) -> Result<bool> {
        if !self.progress.wait_batches(pool, batches, CLAIMABLE_WAIT).await {
            return Ok(true);
        }
        let (rows, _) = self.tables.some::<ClaimableRow>([pool.clone().cell()], None, 1).await?;
        Ok(!rows.is_empty())
    }
}

impl From<ResultRow> for KnownResult {
    fn from(row: ResultRow) -> Self {
        let ResultRow { batch, revision, seq, sha256, at, .. } = row;
        Self { batch, revision, seq, sha256, at }
    }
}

impl From<HistoryRow> for FileRef {
    fn from(row: HistoryRow) -> Self {
        let quarantined = row.held.as_deref() == Some("too-far-ahead");
        file_of!(row, quarantined: quarantined)
    }
}
