//! The files of a batch, for those who work on it: one by one, or all in one tar archive.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use infra::blobs::Blobs;
use infra::http::{AskedPosition, Path, Query, Refused};
use infra::identity::Caller;
use infra::table::Field as _;
use schemas::api::{ArchiveQuery, Content as Kept};
use schemas::id::{BatchId, UploadId};
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;
use schemas::time::{LogTime, WindowKind};

use super::content::{self, Content};
use super::erased::content_of;
use super::{Reading, archive};
use crate::holding;
use crate::project::{BatchRow, HistoryRow, ManifestFileRow, RevisionRow, UploadRow, window};
use crate::tables::Tables;

/// More files than a page of a manifest has.
const PAGE_FILES_MAX: usize = 20_000;

pub(super) async fn fetch(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, batch, upload)): Path<(PoolName, BatchId, UploadId)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    reading.allow(&caller, &route::FETCH_BATCH_FILE, &pool, asked).await?;
    let row = reading.upload(&pool, upload).await?.ok_or(Code::NotFound)?;
    let batch = reading.batch(&pool, batch).await?.ok_or(Code::NotFound)?;
    if !reading.is_in(&row, &batch).await? {
        return Err(Code::NotFound.into());
    }
    reading.is_kept_upload(&row).await?;
    content::serve(reading.blobs.as_ref(), &headers, Content::of_upload(&row), None).await
}

pub(super) async fn archive(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, batch)): Path<(PoolName, BatchId)>,
    Query(ArchiveQuery { revision }): Query<ArchiveQuery>,
) -> Result<Response, Refused> {
    reading.allow(&caller, &route::FETCH_BATCH, &pool, asked).await?;
    let row = reading.batch(&pool, batch).await?.ok_or(Code::NotFound)?;
    let key = [batch.cell(), revision.unwrap_or(row.revision).cell()];
    let revision: RevisionRow = reading.tables.one(key).await?.ok_or(Code::NotFound)?;
    let files = Files {
        tables: reading.tables.clone(),
        blobs: Arc::clone(&reading.blobs),
        batch,
        erased_before: holding::erased(&reading.tables, &pool).await?.inputs_before,
    };
    // What can be told is told before the first byte.
    for file in files.page(1).await? {
        if files.is_erased(&file).await? {
            return Err(Code::ContentErased.into());
        }
    }
    let mut response = Response::new(Body::from_stream(files.archive(revision.pages)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    let named = format!("attachment; filename=\"{batch}-r{}.tar\"", revision.revision);
    let named = HeaderValue::try_from(named).expect("ids and digits are visible ASCII");
    headers.insert(CONTENT_DISPOSITION, named);
    Ok(response)
}

impl Reading {
    /// Whether a file is in a revision of the batch that is out.
    async fn is_in(&self, file: &HistoryRow, batch: &BatchRow) -> Result<bool, Refused> {
        let window = window(batch.window_start, batch.window_end, &batch.window_kind);
        if window.kind != WindowKind::Range {
            // It may be placed in a batch whose revision is not out yet.
            let out = file.revision.is_some_and(|revision| revision <= batch.revision);
            return Ok(out && file.batch == Some(batch.batch));
        }
        // A range takes nothing from the windows: the file says nothing of it, its manifest does.
        let key = [batch.batch.cell(), batch.revision.cell()];
        let pages = self.tables.one::<RevisionRow>(key).await?.map_or(0, |row| row.pages);
        for page in 1..=pages {
            let (at, client, upload) = (file.effective_at, file.client, file.upload);
            let place = [batch.batch.cell(), page.cell(), at.cell(), client.cell(), upload.cell()];
            if self.tables.one::<ManifestFileRow>(place).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The files of a batch.
#[derive(Clone, Debug)]
struct Files {
    tables: Tables,
    blobs: Arc<dyn Blobs>,
    batch: BatchId,
    erased_before: Option<LogTime>,
}

impl Files {
    /// Those of one page of the manifest, in its order.
    async fn page(&self, page: u32) -> Result<Vec<ManifestFileRow>, infra::views::Error> {
        let key = [self.batch.cell(), page.cell()];
        Ok(self.tables.some(key, None, PAGE_FILES_MAX).await?.0)
    }

    /// Whether its pool has kept it for as long as it keeps files.
    async fn is_erased(&self, file: &ManifestFileRow) -> Result<bool, infra::views::Error> {
        if self.erased_before.is_none() {
            return Ok(false);
        }
        let placed: Option<UploadRow> = self.tables.one([file.upload.cell()]).await?;
        let erased = placed.map(|row| content_of(row.at, self.erased_before));
        Ok(erased == Some(Kept::Erased))
    }

    /// One page after the other, one file after the other: no more than that is held.
    fn archive(self, pages: u32) -> impl Stream<Item = io::Result<Bytes>> {
        let entries = stream::iter(1..=pages)
            .then({
                let files = self.clone();
                move |page| {
                    let files = files.clone();
                    async move {
                        let rows = files.page(page).await.map_err(io::Error::other)?;
                        io::Result::Ok(stream::iter(rows.into_iter().map(io::Result::Ok)))
                    }
                }
            })
            .try_flatten()
            .and_then(move |file| {
                let files = self.clone();
                async move { files.entry(file).await }
            })
            .try_flatten();
        entries.chain(stream::once(async { Ok(archive::END) }))
    }

    async fn entry(
        &self,
        file: ManifestFileRow,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + use<>> {
        if self.is_erased(&file).await.map_err(io::Error::other)? {
            return Err(io::Error::other("the bytes of a file were erased meanwhile"));
        }
        let path = format!("{}/{}", file.upload, file.name);
        let size_bytes = file.size_bytes;
        let head = archive::head(&path, size_bytes, file.effective_at)?;
        let body = self.blobs.get(&file.object, 0..size_bytes).await.map_err(io::Error::other)?;
        Ok(archive::entry(head, body, size_bytes))
    }
}
