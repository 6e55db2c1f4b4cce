//! Windows that opened and closed, and the batches that came of them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::file::FileRef;
use crate::id::{AccountId, BatchId, RequestId, UploadId};
use crate::time::{EffectiveAt, LogTime, Window};
use crate::topic::Offset;

/// How many missing contributors a batch names; the rest are counted.
pub const MISSING_NAMED_MAX: usize = 50;

/// Someone asks that the open windows, or one of them, close now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowCloseAsked {
    /// Who.
    pub by: AccountId,
    /// The window of this moment; all that are open when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<EffectiveAt>,
}

/// Someone asks for a batch of all files of a range of time that were accepted before this event.
/// It takes nothing away from the windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchRequested {
    /// The request: a repeat under the same id asks for the same batch.
    pub request: RequestId,
    /// Who.
    pub by: AccountId,
    /// The first moment of the range.
    pub from: EffectiveAt,
    /// The first moment after it.
    pub to: EffectiveAt,
}

/// Some files of a range that was asked for, as ingest found them in the tables: all that was
/// accepted before the request, in order. The fold keeps no files; this record is what a replay
/// goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RangeListed {
    /// The request.
    pub request: RequestId,
    /// Counted from 1 to `pages`.
    pub page: u32,
    /// How many there are.
    pub pages: u32,
    /// Clients with a file in the whole range.
    pub clients: u32,
    /// The files, in (effective time, client, upload) order; at most 512 KiB.
    pub files: Vec<FileRef>,
}

/// A batch of a range was asked for: its files are to be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RangeOpened {
    /// The request.
    pub request: RequestId,
    /// The batch it is, or will be.
    pub batch: BatchId,
    /// The range.
    pub window: Window,
    /// Files placed by events before this one are in it.
    pub before: Offset,
    /// Pages that were listed before.
    pub pages: u32,
    /// Whether all were: the batch is out.
    pub ready: bool,
}

/// A window got its first file, or the first of its next part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowOpened {
    /// The window.
    pub window: Window,
    /// The part, counted from 1.
    pub part: u32,
    /// The batch it will be.
    pub batch: BatchId,
    /// No file for it counts as late before this moment of the watermark.
    pub closes_at: EffectiveAt,
    /// By then it closes, whoever is missing.
    pub closes_at_latest: LogTime,
    /// The policy whose rules it has.
    #[serde(default = "first")]
    pub policy_version: u32,
}

fn first() -> u32 {
    1
}

/// A part was held back for the pool's minimum as long as the pool says, and makes no batch: its
/// files are in none. They stay in their clients' histories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowSkipped {
    /// The window.
    pub window: Window,
    /// The part, counted from 1.
    pub part: u32,
    /// The batch it would have been.
    pub batch: BatchId,
    /// Files in it.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Clients with a file in it.
    pub reported: u32,
    /// Files it lacked.
    pub files_missing: u32,
    /// Clients it lacked.
    pub clients_missing: u32,
}

/// Most files that one record says to be grouped.
pub const GROUPED_FILES_MAX: usize = 5_000;

/// Files have their window now: they were gathering, or their own window did not have what the
/// pool asks for, and they are carried over. Their `file.placed` did not say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilesGrouped {
    /// The window.
    pub window: Window,
    /// The part, counted from 1.
    pub part: u32,
    /// The batch it will be, with them in its first revision.
    pub batch: BatchId,
    /// The batch that they would have been; none where they were gathering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<BatchId>,
    /// The files; at most 5,000, the others in further records.
    pub files: Vec<GroupedFile>,
    /// Files in the part then, all of these counted.
    pub part_files: u32,
    /// Their bytes.
    pub part_bytes: u64,
    /// Clients with a file in the part.
    pub part_clients: u32,
}

/// A file that has its window now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupedFile {
    /// The file.
    pub upload: UploadId,
    /// Its sender.
    pub client: AccountId,
}

/// Some files of a batch: added by the revision whose `batch.ready` or `.amended` follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestPage {
    /// The batch.
    pub batch: BatchId,
    /// Counted from 1 through all revisions: revision r's manifest is pages 1 to its `pages`.
    pub page: u32,
    /// The files, in (effective time, client, upload) order; at most 512 KiB.
    pub added: Vec<Arc<FileRef>>,
}

/// Why a part closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// The clients' watermark reached its end and the grace.
    WindowEnd,
    /// It had waited as long as the pool allows; someone is missing.
    MaxWait,
    /// It had been held back for the pool's minimum as long as the pool allows.
    BelowMinimum,
    /// It had as many files as the pool asks for.
    Count,
    /// It had as many bytes as the pool asks for.
    Bytes,
    /// As many of the contributors had reported as the pool asks for.
    Quorum,
    /// It had as many files as a part may hold.
    PartFull,
    /// The pool's schedule said so.
    Schedule,
    /// A pool admin or the external server asked.
    Asked,
    /// It is what someone asked for: the files of a range of time.
    Requested,
    /// Late files came into a window that had closed without a batch, or whose last part is full.
    Late,
    /// The pool was archived.
    Archived,
}

/// How a part closed: what it holds, and who had reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// The batch.
    pub batch: BatchId,
    /// The window.
    pub window: Window,
    /// The part, counted from 1.
    pub part: u32,
    /// Counted from 1.
    pub revision: u32,
    /// Why.
    pub reason: CloseReason,
    /// Files in it, all revisions together.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Pages of its manifest.
    pub pages: u32,
    /// Digest of its manifest ([`crate::file::manifest_digest`]).
    pub manifest_sha256: Digest,
    /// The watermark when it closed.
    pub watermark: EffectiveAt,
    /// The log's clock when it closed.
    pub log_clock: LogTime,
    /// The policy it closed under.
    pub policy_version: u32,
    /// Contributors the pool has.
    pub expected: u32,
    /// Of those, the ones active of late.
    pub active: u32,
    /// Clients with a file in it when it first closed.
    pub reported: u32,
    /// Contributors without a file in it then, the first 50 by id. Told once, at revision 1.
    pub missing: Vec<AccountId>,
    /// How many there were in all.
    pub missing_count: u32,
}

/// A part closed: the batch can be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchReady {
    /// How.
    pub closed: Closed,
}

/// Late files joined a batch: its next revision can be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchAmended {
    /// What it holds now.
    pub closed: Closed,
    /// The revision before.
    pub supersedes: u32,
    /// Files added.
    pub added: u32,
}

/// A revision of a batch, and what was to follow it, will never be worked on: the pool was archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchCancelled {
    /// The batch, which may never have been ready.
    pub batch: BatchId,
    /// Its window.
    pub window: Window,
    /// Its part.
    pub part: u32,
    /// The first revision that is cancelled; those before it have their results.
    pub revision: u32,
    /// The newest revision that was out; 0 when none was.
    pub out: u32,
    /// Files in it.
    pub files: u32,
}

/// A batch was given up, until an admin retries it or late files amend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchFailed {
    /// The batch.
    pub batch: BatchId,
    /// The revision.
    pub revision: u32,
    /// Attempts made.
    pub attempts: u32,
    /// What the last worker said, if it said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}
