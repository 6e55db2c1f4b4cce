//! Calls about batches and the work on them.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use reqwest::header::CONTENT_TYPE;
use schemas::api::{
    BatchFile, BatchView, Claim, Fail, Lease, ManifestView, Page, Renew, RequestBatch,
    RequestedBatch, ResultReceipt,
};
use schemas::file::FileRef;
use schemas::id::BatchId;
use schemas::name::{FileName, IdempotencyKey, MediaType, PoolName};
use schemas::route;

use crate::client::{Client, PageAsk};
use crate::error::{Error, Result};
use crate::fetch::Wanted;
use crate::fresh;
use crate::source::{Progress, Source};
use crate::uploads::{CONTENT_DIGEST, digest_field};

/// Most bytes of a reason that the server takes.
const REASON_BYTES_MAX: usize = 500;

/// The one file computed from a batch. Offering the same value again is a repeat.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its bytes.
    pub source: Source,
    /// What to call it.
    pub name: FileName,
    /// What it is.
    pub media_type: MediaType,
    /// Names this offer.
    pub key: IdempotencyKey,
}

impl Offer {
    /// Under a new key.
    pub fn new(name: FileName, media_type: MediaType, source: Source) -> Self {
        Self { source, name, media_type, key: fresh::key() }
    }
}

impl Client {
    /// A pool's batches, newest first.
    pub async fn batches(&self, pool: &PoolName, page: &PageAsk) -> Result<Page<BatchView>> {
        self.pool_call(route::LIST_BATCHES, pool, &[]).page(page).answer().await
    }

    /// A batch with all its revisions.
    pub async fn batch(&self, pool: &PoolName, batch: BatchId) -> Result<BatchView> {
        self.pool_call(route::READ_BATCH, pool, &[&batch]).answer().await
    }

    /// Asks for a batch of all files of a range of time. Without an id of its own it is given one,
    /// so that it may be repeated.
    pub async fn request_batch(
        &self,
        pool: &PoolName,
        ask: &RequestBatch,
    ) -> Result<RequestedBatch> {
        let request = ask.request.unwrap_or_else(fresh::request);
        let ask = RequestBatch { request: Some(request), ..ask.clone() };
        self.pool_call(route::REQUEST_BATCH, pool, &[]).json(&ask).repeatable().answer().await
    }

    /// A page of the files of a revision of a batch.
    pub async fn manifest(
        &self,
        pool: &PoolName,
        batch: BatchId,
        revision: u32,
        page: &PageAsk,
    ) -> Result<ManifestView> {
        self.pool_call(route::READ_MANIFEST, pool, &[&batch])
            .query("revision", Some(revision))
            .page(page)
            .answer()
            .await
    }

    /// All files of a revision of a batch, in the manifest's order. Whether they are what was
    /// announced, [`schemas::file::manifest_digest`] tells.
    pub async fn whole_manifest(
        &self,
        pool: &PoolName,
        batch: BatchId,
        revision: u32,
    ) -> Result<Vec<BatchFile>> {
        let (mut files, mut page) = (Vec::new(), PageAsk::default());
        loop {
            let view = self.manifest(pool, batch, revision, &page).await?;
            files.extend(view.items);
            page.cursor = view.next_cursor;
            if page.cursor.is_none() {
                return Ok(files);
            }
        }
    }

    /// Fetches one file of a batch to `to`.
    pub async fn fetch_batch_file(
        &self,
        pool: &PoolName,
        batch: BatchId,
        file: &FileRef,
        to: &Path,
    ) -> Result<()> {
        let call = self.pool_call(route::FETCH_BATCH_FILE, pool, &[&batch, &file.upload]);
        let wanted = Wanted { size_bytes: file.size_bytes, sha256: file.sha256 };
        self.fetch(call, wanted, to, &Progress::none()).await
    }

    /// All files of a revision of a batch, the newest by default, as the pieces of a tar archive;
    /// each is called by its upload and its name. One without an end was cut off.
    pub async fn batch_archive(
        &self,
        pool: &PoolName,
        batch: BatchId,
        revision: Option<u32>,
    ) -> Result<impl Stream<Item = Result<Bytes>> + use<>> {
        let call = self.pool_call(route::FETCH_BATCH, pool, &[&batch]).query("revision", revision);
        Ok(call.once().await?.bytes_stream().map_err(Error::from))
    }

    /// Claims a batch, waiting for one as long as the claim says; none when there was none. The
    /// same claim again gives the same lease.
    pub async fn claim(&self, pool: &PoolName, claim: &Claim) -> Result<Option<Lease>> {
        self.pool_call(route::CLAIM, pool, &[])
            .json(claim)
            .repeatable()
            .waits(Duration::from_millis(claim.wait_ms))
            .optional_answer()
            .await
    }

    /// Renews a lease.
    pub async fn renew(&self, pool: &PoolName, batch: BatchId, epoch: u64) -> Result<()> {
        let call = self.pool_call(route::RENEW, pool, &[&batch]);
        call.json(&Renew { epoch }).repeatable().done().await
    }

    /// Gives a batch back. The reason is cut to what the server takes.
    pub async fn fail(
        &self,
        pool: &PoolName,
        batch: BatchId,
        epoch: u64,
        reason: &str,
        retryable: bool,
    ) -> Result<()> {
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        let reason = reason.get(..end).unwrap_or_default().to_owned();
        let call = self.pool_call(route::FAIL, pool, &[&batch]);
        call.json(&Fail { epoch, reason, retryable }).repeatable().done().await
    }

    /// Has a batch that was given up be worked on again.
    pub async fn retry_batch(&self, pool: &PoolName, batch: BatchId) -> Result<()> {
        self.pool_call(route::RETRY_BATCH, pool, &[&batch]).done().await
    }

    /// Offers the result of the leased revision. Taken, it is that revision's one result.
    pub async fn offer_result(
        &self,
        pool: &PoolName,
        lease: &Lease,
        offer: &Offer,
    ) -> Result<ResultReceipt> {
        let source = offer.source.clone();
        self.pool_call(route::OFFER_RESULT, pool, &[&lease.batch])
            .query("name", Some(&offer.name))
            .query("revision", Some(lease.revision))
            .query("epoch", Some(lease.epoch))
            .query("manifest_sha256", Some(lease.manifest_sha256))
            .key(&offer.key)
            .header(CONTENT_TYPE, offer.media_type.as_str())
            .header(CONTENT_DIGEST, &digest_field(source.sha256()))
            .stream(source.size_bytes(), &Progress::none(), move || source.chunks())
            .answer()
            .await
    }
}
