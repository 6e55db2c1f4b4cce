//! What a member hears as it happens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::result::ResultView;
use super::webhook::WebhookState;
use crate::event::{Closed, ExpiryReason, FileFaults, HeldReason, Placement, PoolState, Stage};
use crate::id::{AccountId, BatchId, ResultId, UploadId, WebhookId};
use crate::name::FileName;
use crate::time::{Wall, Window};
use crate::topic::Offset;

/// What is sent for a notice: where it follows from, and the notice. The tables have it already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noticed {
    /// Its position in the pool's derived topic: send it back to go on after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Offset>,
    /// The event it follows from: send it back as `Sluice-Position` with a read on any instance.
    pub position: String,
    /// What happened.
    #[serde(flatten)]
    pub notice: Notice,
}

/// The first message over a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listening {
    /// What happens after the notice of this id is told.
    pub after: Offset,
}

/// What a listener may say over a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewStream {
    /// An access token of the same account: the stream lives as long as this one.
    pub token: String,
}

/// The answer to a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamRenewed {
    /// When the stream ends unless another comes.
    pub renewed_until: Wall,
}

/// Notices after an id, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticesPage {
    /// They.
    pub items: Vec<Noticed>,
    /// Ask for those after this next time.
    pub after: Offset,
}

/// One notice; its `id` in the stream is its position in the pool's derived topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "notice", rename_all = "kebab-case")]
pub enum Notice {
    /// One of the member's files was put somewhere.
    Accepted {
        /// The upload.
        upload: UploadId,
        /// What its client calls it.
        name: FileName,
        /// Where.
        placed: Placement,
    },
    /// One of the member's files has come, and is inspected before it is grouped.
    Received {
        /// The upload.
        upload: UploadId,
        /// What its client calls it.
        name: FileName,
    },
    /// A file failed its inspection; told to its sender, and to owners, admins and processors.
    Rejected {
        /// The upload.
        upload: UploadId,
        /// Who sent it.
        client: AccountId,
        /// What its client calls it.
        name: FileName,
        /// Why.
        rejection: Box<FileFaults>,
    },
    /// An attempt at an upload failed, and is counted; told to its sender, and to owners, admins
    /// and processors.
    UploadAttemptFailed {
        /// The upload.
        upload: UploadId,
        /// Who sent it.
        client: AccountId,
        /// What its client calls it.
        name: FileName,
        /// Attempts that failed so far.
        attempts: u32,
        /// What failed.
        stage: Stage,
        /// Why.
        reason: Box<str>,
    },
    /// The last attempt at an upload failed; told to its sender, and to owners, admins and
    /// processors.
    UploadFailed {
        /// The upload.
        upload: UploadId,
        /// Who sent it.
        client: AccountId,
        /// What its client calls it.
        name: FileName,
        /// Attempts that failed.
        attempts: u32,
        /// What failed last.
        stage: Stage,
        /// Why.
        reason: Box<str>,
    },
    /// A file is held; told to its sender, and to owners, admins and processors.
    Held {
        /// The upload.
        upload: UploadId,
        /// Who sent it.
        client: AccountId,
        /// What its client calls it.
        name: FileName,
        /// Why.
        reason: HeldReason,
    },
    /// A held file was discarded; told to owners, admins and processors.
    Discarded {
        /// The upload.
        upload: UploadId,
        /// Who discarded it.
        by: AccountId,
    },
    /// An upload was refused, its key having been used with other content; told to its sender, and
    /// to owners, admins and processors.
    Refused {
        /// The upload.
        upload: UploadId,
        /// Who sent it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<AccountId>,
    },
    /// A worker's attempt at a batch ended without a result; told to owners, admins and processors.
    AttemptFailed {
        /// The batch.
        batch: BatchId,
        /// The revision.
        revision: u32,
        /// Why.
        reason: ExpiryReason,
        /// Attempts that count, so far.
        attempts: u32,
    },
    /// A batch can be worked on.
    Batch {
        /// How it closed.
        closed: Box<Closed>,
    },
    /// A batch was given up; told to owners, admins and processors.
    BatchFailed {
        /// The batch.
        batch: BatchId,
        /// What the last worker said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A batch that was given up can be worked on again; told to owners, admins and processors.
    BatchRetried {
        /// The batch.
        batch: BatchId,
        /// The revision that can be claimed.
        revision: u32,
        /// Who asked.
        by: AccountId,
    },
    /// A result is there.
    Result {
        /// It.
        result: Box<ResultView>,
    },
    /// A result was withdrawn: whoever has it had better not use it.
    ResultWithdrawn {
        /// The result.
        result: ResultId,
        /// Its batch.
        batch: BatchId,
    },
    /// Results are to be delivered once more: those that `again=true` lists.
    Redelivery {
        /// From this sequence number on.
        from_seq: u64,
    },
    /// A window did not have what the pool asks for: its files are in no batch.
    Skipped {
        /// The window.
        window: Window,
        /// The batch it would have been.
        batch: BatchId,
        /// Files in it.
        files: u32,
    },
    /// A batch, or what was to follow its last result, will not be worked on: the pool is archived.
    BatchCancelled {
        /// The batch.
        batch: BatchId,
        /// The first revision that is cancelled.
        revision: u32,
    },
    /// The pool was paused, resumed or archived.
    Pool {
        /// Whether it takes files and closes windows.
        state: PoolState,
    },
    /// The member is suspended; the stream ends.
    Suspended {
        /// Who.
        account: AccountId,
    },
    /// Nothing more is sent to a target; told to owners, admins and processors who listen then. Not
    /// in the log: the list of webhooks says it too.
    WebhookEnded {
        /// The webhook.
        webhook: WebhookId,
        /// How it ended.
        state: WebhookState,
        /// Why the last try failed.
        failure: String,
    },
    /// The member belongs to the pool no longer; the stream ends.
    Removed {
        /// Who.
        account: AccountId,
    },
}
