//! What ingest asks of the tables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra::clock::Clock;
use infra::known::{Known, KnownPart, KnownResult};
use infra::table::Field as _;
use infra::views::Result;
use schemas::file::{FileRef, TimeSource};
use schemas::id::{AccountId, ResultId, UploadId};
use schemas::name::PoolName;
use schemas::time::Window;
use schemas::topic::Offset;

use crate::parts::Parts;
use crate::progress::Progress;
use crate::project::{
    ClaimableRow, HistoryRow, MemberRolesRow, MemberRow, PartClosedRow, PartFilesRow, PartRow,
    ResultRow, role_set, week_of,
};
use crate::read::upload_of;
use crate::tables::Tables;

/// How long the tables are waited for before a claim is worth a try.
const CLAIMABLE_WAIT: Duration = Duration::from_millis(500);

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
    async fn upload(&self, pool: &PoolName, upload: UploadId) -> Result<Option<FileRef>> {
        Ok(upload_of(&self.tables, pool, upload).await?.map(FileRef::from))
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
        Ok(may.then_some(KnownResult { seq: row.seq, sha256: row.sha256 }))
    }

    async fn claimable(&self, pool: &PoolName, batches: Offset) -> Result<bool> {
        if !self.progress.wait_batches(pool, batches, CLAIMABLE_WAIT).await {
            return Ok(true);
        }
        let (rows, _) = self.tables.some::<ClaimableRow>([pool.clone().cell()], None, 1).await?;
        Ok(!rows.is_empty())
    }
}

impl From<HistoryRow> for FileRef {
    fn from(row: HistoryRow) -> Self {
        let time_source =
            if row.observed_at.is_some() { TimeSource::Client } else { TimeSource::Server };
        let observed = row.observed_at.map(schemas::time::ObservedAt::millis);
        Self {
            upload: row.upload,
            client: row.client,
            name: row.name,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
            media_type: row.media_type,
            object: row.object,
            observed_at: row.observed_at,
            sent_at: None,
            received_at: row.received_at,
            effective_at: row.effective_at,
            time_source,
            clamped: observed.is_some_and(|at| at != row.effective_at.millis()),
            quarantined: row.held.as_deref() == Some("too-far-ahead"),
        }
    }
}
