//! Uploads and updates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::{FileFaults, HeldReason};
use crate::id::{AccountId, BatchId, UpdateId, UploadId};
use crate::name::{FileName, IdempotencyKey, InspectionName, MediaType};
use crate::time::{EffectiveAt, LogTime, ObservedAt, ReceivedAt, SentAt, Wall, Window};

/// Where a file will land, as far as was known when it was received; history says where it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Landing {
    /// The window its effective time falls in.
    pub window: Window,
    /// The window's end and the pool's grace: it closes then, if the clients' files have come so
    /// far; a count, a quorum or an admin may close it earlier.
    pub closes_at: LogTime,
    /// By then the window closes, whoever is missing.
    pub closes_at_latest: LogTime,
    /// Files in the window's open part, as far as the tables knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_in_window: Option<u32>,
    /// Whether the window has closed already, as far as the tables knew.
    pub late: bool,
    /// Whether the pool is paused: no window closes until it is resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// `201`: the bytes and their event are durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadReceipt {
    /// The upload: the same for every retry under one key.
    pub upload: UploadId,
    /// The key; made by us when the request had none.
    pub idempotency_key: IdempotencyKey,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Digest of the bytes.
    pub sha256: Digest,
    /// What they are.
    pub media_type: MediaType,
    /// When we had them.
    pub received_at: ReceivedAt,
    /// The time the file is grouped by.
    pub effective_at: EffectiveAt,
    /// Whether that was cut back to our clock.
    pub clamped: bool,
    /// Whether its time is so far ahead of ours that an admin must decide.
    pub quarantined: bool,
    /// Where it will land.
    pub landing: Landing,
    /// What it is inspected for before it is grouped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inspections: Vec<InspectionName>,
    /// When this client's next file is best sent, so that the pool's clients spread themselves
    /// over `update_every`. Advice: nothing is refused for coming earlier or later.
    pub next_upload_after: Wall,
    /// Says the same in a form that can be shown to anyone: a JWS that `sluice receipt verify`
    /// checks. Left out when the tables could not tell where its event is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<str>>,
    /// Whether this is the answer to a retry of an upload we had.
    pub repeated: bool,
}

/// First part of `POST /v1/pools/{pool}/updates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateManifest {
    /// When the client sent it, by its clock.
    #[serde(default)]
    pub sent_at: Option<SentAt>,
    /// Its files, in the order of the parts that follow.
    pub items: Vec<UpdateItem>,
}

/// One file of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateItem {
    /// What the client calls it.
    pub name: String,
    /// When the client made it, by its clock.
    pub observed_at: ObservedAt,
    /// What it is. Default: what its part says.
    #[serde(default)]
    pub media_type: Option<String>,
    /// Its digest, to be checked.
    #[serde(default)]
    pub sha256: Option<Digest>,
    /// Its length, to be checked.
    #[serde(default)]
    pub size_bytes: Option<u64>,
}

/// `201`: all files of an update are durable, in one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateReceipt {
    /// The update.
    pub update: UpdateId,
    /// Its key; made by us when the request had none.
    pub idempotency_key: IdempotencyKey,
    /// A receipt for each file, in the manifest's order; those skipped are left out.
    pub items: Vec<UploadReceipt>,
    /// With `on_invalid=skip`: what was not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<crate::problem::FieldError>,
}

/// Where an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UploadState {
    /// It waits for the files near it, in a pool that groups files by distance.
    Gathering,
    /// In an open part of a window, or gathered with other late files for the next revision.
    Accepted,
    /// In a batch.
    Batched,
    /// Received, and under inspection.
    Inspecting,
    /// It failed its inspection; `rejection` says why.
    Rejected,
    /// It could not be inspected, three times; it can be retried.
    Failed,
    /// Held for an admin.
    Held,
    /// Its time was too far ahead: held for an admin.
    Quarantined,
    /// It was held, and an admin discarded it.
    Discarded,
    /// Its window did not have what the pool asks for, and was skipped.
    Skipped,
    /// It is in a batch that was cancelled when the pool was archived.
    Cancelled,
}

/// Whether bytes can still be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// They can.
    #[default]
    Kept,
    /// They were kept for as long as the pool keeps them.
    Erased,
}

impl Content {
    /// As most are: then it is not said.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub(crate) fn is_kept(&self) -> bool {
        *self == Self::Kept
    }
}

/// `POST /v1/pools/{pool}/uploads/{upload}/release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseUpload {
    /// The time it shall be grouped by, at most the log's clock. Default: its own.
    #[serde(default)]
    pub effective_at: Option<EffectiveAt>,
}

/// One upload in a client's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadView {
    /// The upload.
    pub upload: UploadId,
    /// The pool.
    pub pool: crate::name::PoolName,
    /// Who sent it.
    pub client: AccountId,
    /// The update it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateId>,
    /// What its client calls it.
    pub name: FileName,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Digest of the bytes.
    pub sha256: Digest,
    /// What they are.
    pub media_type: MediaType,
    /// When its client made it, by the client's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<ObservedAt>,
    /// When we had it.
    pub received_at: ReceivedAt,
    /// The time it is grouped by.
    pub effective_at: EffectiveAt,
    /// Where it is.
    pub state: UploadState,
    /// The window its effective time falls in.
    pub window: Window,
    /// Whether the window had closed.
    pub late: bool,
    /// The batch it is in, or will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The first revision it is in, or will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The place of its event in the pool's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Whether its bytes can still be had.
    #[serde(default, skip_serializing_if = "Content::is_kept")]
    pub content: Content,
    /// Why it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_because: Option<HeldReason>,
    /// What its inspection found wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Box<FileFaults>>,
    /// Attempts to inspect it that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Why the last of them did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_failed_because: Option<Box<str>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
