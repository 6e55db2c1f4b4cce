//! Work on batches: claims, leases, results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{AccountId, BatchId, ClaimId, ResultId};
use crate::name::{FileName, MediaType, ObjectKey};
use crate::time::{LogTime, StoredAt, Window};

/// A worker asks for a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimRequested {
    /// Made by the worker; a repeat gives the same lease.
    pub claim: ClaimId,
    /// Who.
    pub worker: AccountId,
    /// Recorded later than this, it is refused: the worker has stopped waiting.
    pub deadline: LogTime,
}

/// A worker still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseRenewed {
    /// The batch.
    pub batch: BatchId,
    /// The lease.
    pub epoch: u64,
    /// Who.
    pub worker: AccountId,
}

/// A worker gave up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessingFailed {
    /// The batch.
    pub batch: BatchId,
    /// The lease.
    pub epoch: u64,
    /// Who.
    pub worker: AccountId,
    /// Whether another attempt may help.
    pub retryable: bool,
    /// What happened, in at most 500 bytes.
    pub reason: Box<str>,
}

/// An admin wants a batch that was given up to be worked on once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchRetryRequested {
    /// The batch.
    pub batch: BatchId,
    /// Who asks.
    pub by: AccountId,
}

/// A batch that was given up can be claimed again, with all its attempts before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchRetried {
    /// The batch.
    pub batch: BatchId,
    /// Its newest revision: the one that can be claimed now.
    pub revision: u32,
    /// Who asked.
    pub by: AccountId,
}

/// A worker offers the one file it computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultOffered {
    /// The batch.
    pub batch: BatchId,
    /// The revision it was computed from.
    pub revision: u32,
    /// The lease; none from a server that takes batches from the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The manifest it was computed from.
    pub manifest_sha256: Digest,
    /// Who.
    pub worker: AccountId,
    /// What the worker calls it.
    pub name: FileName,
    /// What it is.
    pub media_type: MediaType,
    /// Where its bytes lie.
    pub object: ObjectKey,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Length in bytes; never 0.
    pub size_bytes: u64,
    /// When its bytes were durable.
    pub stored_at: StoredAt,
}

/// A worker has a batch, until `expires_at` or as long as it renews.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchLeased {
    /// The batch.
    pub batch: BatchId,
    /// The revision to work on.
    pub revision: u32,
    /// Its manifest.
    pub manifest_sha256: Digest,
    /// Who has it.
    pub worker: AccountId,
    /// By which claim.
    pub claim: ClaimId,
    /// Never given twice for a batch; the greater one fences the smaller.
    pub epoch: u64,
    /// Counted from 1.
    pub attempt: u32,
    /// Without renewal, until then.
    pub expires_at: LogTime,
    /// Without a first renewal, until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_by: Option<LogTime>,
}

/// Why there is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimRefusal {
    /// Nothing can be claimed now.
    NothingToClaim,
    /// Recorded after its deadline.
    DeadlinePassed,
    /// The worker is no processor of the pool.
    NotAProcessor,
    /// The lease has ended, or another one has begun.
    StaleEpoch,
    /// No such batch.
    NoBatch,
}

/// A claim, renewal or failure was refused; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimRefused {
    /// Why.
    pub reason: ClaimRefusal,
}

/// Why a lease ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiryReason {
    /// Never renewed: the worker may not have heard of it. No attempt.
    Unconfirmed,
    /// Not renewed in time.
    Expired,
    /// The worker gave up.
    Failed,
    /// The pool was archived. No attempt.
    Archived,
}

/// A lease ended without a result: the batch can be claimed again, unless `batch.failed` follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseExpired {
    /// The batch.
    pub batch: BatchId,
    /// Its newest revision: the one that can be claimed now.
    pub revision: u32,
    /// The lease.
    pub epoch: u64,
    /// Why.
    pub reason: ExpiryReason,
    /// Attempts that count, so far.
    pub attempts: u32,
}

/// The one result of a revision: to be shared with the whole pool. Its place in this topic is its
/// sequence number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultPublished {
    /// The result.
    pub result: ResultId,
    /// The batch.
    pub batch: BatchId,
    /// Its window.
    pub window: Window,
    /// Its part.
    pub part: u32,
    /// The revision it was computed from.
    pub revision: u32,
    /// The result of an earlier revision that this one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<ResultId>,
    /// Who computed it.
    pub worker: AccountId,
    /// What the worker calls it.
    pub name: FileName,
    /// What it is.
    pub media_type: MediaType,
    /// Where its bytes lie.
    pub object: ObjectKey,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Length in bytes.
    pub size_bytes: u64,
}

/// Why a result was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfferRefusal {
    /// No such batch or revision.
    NoBatch,
    /// Another worker holds, or held, a later lease.
    StaleEpoch,
    /// The manifest is not that revision's.
    OtherManifest,
    /// That revision, or a later one, has a result. The same bytes offered again count as taken.
    HasResult,
    /// The worker is no processor of the pool.
    NotAProcessor,
}

/// A result was not taken; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultRefused {
    /// The batch.
    pub batch: BatchId,
    /// The revision.
    pub revision: u32,
    /// Why.
    pub reason: OfferRefusal,
    /// The result that stands, when it has the offered digest: the offer was a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<ResultId>,
}
