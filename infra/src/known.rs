//! What ingest asks of the tables before it writes: a narrow port, given by whoever reads them.
//!
//! Stages never import each other; the binary hands the projector's answers to ingest through this.

use std::fmt::Debug;

use async_trait::async_trait;
use schemas::digest::Digest;
use schemas::event::Sent;
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId, ResultId, UploadId};
use schemas::name::PoolName;
use schemas::time::{EffectiveAt, LogTime, Window};
use schemas::topic::Offset;

use crate::views::Result;

/// A window's open part, as far as the tables know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPart {
    /// Files in it.
    pub files: u32,
    /// Whether it has closed.
    pub closed: bool,
}

/// An upload that was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownUpload {
    /// The file.
    pub file: FileRef,
    /// The place of its event, when that is known.
    pub offset: Option<Offset>,
}

/// A result that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownResult {
    /// Its batch.
    pub batch: BatchId,
    /// The revision it is of.
    pub revision: u32,
    /// Its sequence number in the pool.
    pub seq: Offset,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// When it was published.
    pub at: LogTime,
}

/// A delivery that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownDelivery {
    /// The place of its event in the pool's deliveries.
    pub offset: Offset,
    /// When that was appended.
    pub at: LogTime,
}

/// What the tables know. An error means that they cannot be asked, never that there is nothing.
#[async_trait]
pub trait Known: Debug + Send + Sync {
    /// The upload of this id, if it was ever placed.
    async fn upload(&self, pool: &PoolName, upload: UploadId) -> Result<Option<KnownUpload>>;

    /// Files of the pool that wait for a verdict, as of this offset of `.batches` or later, each
    /// with what it is inspected for; at most so many. `None` when the tables do not get there in
    /// time.
    async fn inspecting(
        &self,
        pool: &PoolName,
        batches: Offset,
        files_max: usize,
    ) -> Result<Option<Vec<FileRef>>>;

    /// What the pool and one of its members hold: what was sent, less what was erased.
    async fn held(&self, pool: &PoolName, member: AccountId) -> Result<Sent>;

    /// Whether they have all that follows from this event of the pool.
    async fn has(&self, pool: &PoolName, events: Offset) -> bool;

    /// The newest part of a window; `None` when no file of it has been placed.
    async fn part(&self, pool: &PoolName, window: &Window) -> Result<Option<KnownPart>>;

    /// A result of the pool, if `member` may have it.
    async fn result(
        &self,
        pool: &PoolName,
        result: ResultId,
        member: AccountId,
    ) -> Result<Option<KnownResult>>;

    /// A result that was published, as of this offset of `.batches` or later; `None` when the
    /// tables do not get there in a little while.
    async fn published(
        &self,
        pool: &PoolName,
        result: ResultId,
        batches: Offset,
    ) -> Result<Option<KnownResult>>;

    /// What a member acknowledged of a result.
    async fn acknowledged(
        &self,
        result: ResultId,
        member: AccountId,
    ) -> Result<Option<KnownDelivery>>;

    /// The redelivery that asked for a member to get a result once more, unless the member has
    /// acknowledged it since.
    async fn asked_again(
        &self,
        pool: &PoolName,
        result: &KnownResult,
        member: AccountId,
    ) -> Result<Option<Offset>>;

    /// The files put into windows by events before `before` whose effective time lies in a range,
    /// in (effective time, client, upload) order; more than `files_max` when there are more. `None`
    /// when the tables do not get to that event in time.
    async fn range(
        &self,
        pool: &PoolName,
        range: (EffectiveAt, EffectiveAt),
        before: Offset,
        files_max: usize,
    ) -> Result<Option<Vec<FileRef>>>;

    /// Whether there may be a batch to claim, as of this offset of `.batches` or later: waits a
    /// little for the tables to get there, and says yes when they do not.
    async fn claimable(&self, pool: &PoolName, batches: Offset) -> Result<bool>;
}
