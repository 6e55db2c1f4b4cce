//! What ingest asks of the tables before it writes: a narrow port, given by whoever reads them.
//!
//! Stages never import each other; the binary hands the projector's answers to ingest through this.

use std::fmt::Debug;

use async_trait::async_trait;
use schemas::digest::Digest;
use schemas::event::Sent;
use schemas::file::FileRef;
use schemas::id::{AccountId, ResultId, UploadId};
use schemas::name::PoolName;
use schemas::time::Window;
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

/// A result that can be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownResult {
    /// Its sequence number in the pool.
    pub seq: Offset,
    /// Digest of its bytes.
    pub sha256: Digest,
}

/// What the tables know. An error means that they cannot be asked, never that there is nothing.
#[async_trait]
pub trait Known: Debug + Send + Sync {
    /// The upload of this id, if it was ever placed.
    async fn upload(&self, pool: &PoolName, upload: UploadId) -> Result<Option<FileRef>>;

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

    /// Whether there may be a batch to claim, as of this offset of `.batches` or later: waits a
    /// little for the tables to get there, and says yes when they do not.
    async fn claimable(&self, pool: &PoolName, batches: Offset) -> Result<bool>;
}
