//! Batches and the work on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::Closed;
use crate::file::FileRef;
use crate::id::{AccountId, BatchId, ClaimId, RequestId, ResultId};
use crate::time::{EffectiveAt, LogTime, Window};

/// One batch with its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchView {
    /// The batch.
    pub batch: BatchId,
    /// Its window.
    pub window: Window,
    /// Its part.
    pub part: u32,
    /// The newest revision.
    pub revision: u32,
    /// Files in it.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// The newest revision that has a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_revision: Option<u32>,
    /// Who works on it, or last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseView>,
    /// Whether it has been given up.
    pub failed: bool,
    /// Its revisions, oldest first. Left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<RevisionView>,
}

/// `POST /v1/pools/{pool}/batches`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestBatch {
    /// Made by who asks: a repeat under the same id gives the same batch. Default: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The first moment of the range.
    pub from: EffectiveAt,
    /// The first moment after it; at most 31 days later.
    pub to: EffectiveAt,
}

/// A batch of a range of time, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestedBatch {
    /// The request.
    pub request: RequestId,
    /// The batch: it can be claimed, as any other.
    pub batch: BatchId,
    /// The range.
    pub window: Window,
    /// Files in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// Whether it was asked for before.
    pub repeated: bool,
}

/// One revision of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionView {
    /// How it closed: why, with what, who was missing.
    pub closed: Closed,
    /// Its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultId>,
}

/// The lease on a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseView {
    /// Who.
    pub worker: AccountId,
    /// Which.
    pub epoch: u64,
    /// Counted from 1.
    pub attempt: u32,
    /// Whether it is still held.
    pub held: bool,
    /// Without renewal, until then.
    pub expires_at: LogTime,
}

/// One page of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestView {
    /// The batch.
    pub batch: BatchId,
    /// The revision.
    pub revision: u32,
    /// Digest of the whole manifest of the revision.
    pub manifest_sha256: Digest,
    /// Files of the whole manifest.
    pub files: u32,
    /// Files of this page.
    pub items: Vec<BatchFile>,
    /// Send it back as `cursor` for what follows; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One file of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchFile {
    /// The page of the manifest it is on: files are in order within a page, pages in order.
    pub page: u32,
    /// The file.
    pub file: FileRef,
}

/// `POST /v1/pools/{pool}/claims`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Made by the worker; a repeat gives the same lease.
    pub claim: ClaimId,
    /// How long to wait for a batch, at most 60,000. Default 0.
    #[serde(default)]
    pub wait_ms: u64,
}

/// `201`: the batch is the worker's until `expires_at`, or as long as it renews. Without a first
/// renewal within 15 s it goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    /// The batch.
    pub batch: BatchId,
    /// The revision to work on.
    pub revision: u32,
    /// Its manifest.
    pub manifest_sha256: Digest,
    /// Send it with everything about this lease.
    pub epoch: u64,
    /// Counted from 1.
    pub attempt: u32,
    /// Without renewal, until then.
    pub expires_at: LogTime,
    /// Life of a lease from each renewal, in milliseconds: renew at a third of it.
    pub lease_ms: u64,
}

/// `POST /v1/pools/{pool}/batches/{batch}/renew`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The lease.
    pub epoch: u64,
}

/// `POST /v1/pools/{pool}/batches/{batch}/fail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The lease.
    pub epoch: u64,
    /// What happened, in at most 500 bytes.
    pub reason: String,
    /// Whether another attempt may help. Default true.
    #[serde(default = "yes")]
    pub retryable: bool,
}

fn yes() -> bool {
    true
}
