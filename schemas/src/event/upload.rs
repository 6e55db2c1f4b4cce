//! Files that came, and where each was put.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::file::FileRef;
use crate::id::{AccountId, BatchId, UpdateId, UploadId};
use crate::time::{EffectiveAt, LogTime, StoredAt, Window};

/// A file is here: its bytes are durable under `file.object`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadReceived {
    /// The file.
    pub file: FileRef,
    /// When its bytes were durable.
    pub stored_at: StoredAt,
}

/// Many files of one client that was offline. This one record is the commit of them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateReceived {
    /// The update.
    pub update: UpdateId,
    /// Whose.
    pub client: AccountId,
    /// Its files: at most 1,000, in 512 KiB of references.
    pub items: Vec<FileRef>,
    /// When the last one's bytes were durable.
    pub stored_at: StoredAt,
}

/// A file was put somewhere: exactly one such record per upload, ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilePlaced {
    /// The file.
    pub file: Arc<FileRef>,
    /// The update it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateId>,
    /// Where it is.
    pub placed: Placement,
    /// What the pool and its sender have sent, this file counted; where the pool has a quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
}

/// What was ever sent: it only grows. What was erased is taken off by whoever asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// The pool's files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The sender's files.
    pub client_files: u64,
    /// Their bytes.
    pub client_bytes: u64,
}

/// Bytes have been kept for as long as the pool keeps them: nobody gets them any more, and they
/// may be deleted. What was said of them stays. The moments only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentErased {
    /// Those of files placed before this moment of the log's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_before: Option<LogTime>,
    /// Those of results published before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_before: Option<LogTime>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// In a part of a window: it will be in that batch.
    Window {
        /// The window it is in.
        window: Window,
        /// The part, counted from 1.
        part: u32,
        /// The batch the part is, or will be.
        batch: BatchId,
        /// The revision it will first be in.
        revision: u32,
        /// Whether the window it falls in had closed.
        late: bool,
        /// The window its effective time falls in, where that had closed and the pool puts late
        /// files into the next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        falls_in: Option<Window>,
        /// Files in the part so far, this one counted.
        part_files: u32,
        /// Their bytes.
        part_bytes: u64,
        /// Clients with a file in the part.
        part_clients: u32,
    },
    /// It waits for the files near it, in a pool that groups files by distance: `file.grouped`
    /// says into which batch it goes.
    Gathering {
        /// The window its group would have if no other file came.
        window: Window,
        /// The time it is grouped by: its own, or a later one where it is late.
        at: EffectiveAt,
        /// Whether the window it falls in had closed.
        late: bool,
        /// That window, where the pool puts late files into the next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        falls_in: Option<Window>,
        /// Files in the group so far, this one counted.
        group_files: u32,
        /// Their bytes.
        group_bytes: u64,
        /// Clients with a file in the group.
        group_clients: u32,
    },
    /// Nowhere yet: it is inspected first.
    Inspecting {
        /// The window its effective time falls in.
        window: Window,
    },
    /// Held for an admin to release or discard.
    Held {
        /// Why.
        reason: HeldReason,
        /// The window its effective time falls in.
        window: Window,
    },
}

impl Placement {
    /// The window it is in, or would be.
    pub fn window(&self) -> Window {
        match self {
            Self::Window { window, .. }
            | Self::Gathering { window, .. }
            | Self::Inspecting { window }
            | Self::Held { window, .. } => *window,
        }
    }
}

/// Why a file is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldReason {
    /// Its sender no longer belonged, or no longer as a contributor, when it was recorded.
    SenderNotAContributor,
    /// It is later than the pool allows.
    TooLate,
    /// Its window had closed, and the pool holds late files.
    Late,
    /// Its time is too far ahead of ours: quarantined.
    TooFarAhead,
    /// It was recorded so long after it was stored that its bytes must be checked first.
    StoredLongAgo,
    /// Its sender was suspended when it was recorded.
    SenderSuspended,
    /// The pool was archived when it was recorded: it stays held.
    PoolArchived,
    /// It was not inspected: too many files were under inspection when it came.
    NotInspected,
}

/// An admin asks that a held file be grouped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadReleaseRequested {
    /// Who.
    pub by: AccountId,
    /// The file, as it was placed.
    pub file: FileRef,
    /// The time it shall be grouped by, at most the log's clock; its own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<EffectiveAt>,
}

/// An admin asks that a held file never be grouped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadDiscardRequested {
    /// Who.
    pub by: AccountId,
    /// The upload.
    pub upload: UploadId,
}

/// A held file was put into a window: at most one such record, or a `file.discarded`, per upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileReleased {
    /// Who released it.
    pub by: AccountId,
    /// The file, with the time it is grouped by now.
    pub file: Arc<FileRef>,
    /// Where it is.
    pub placed: Placement,
}

/// A held file will never be grouped. Its bytes and its history stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDiscarded {
    /// Who discarded it.
    pub by: AccountId,
    /// The upload.
    pub upload: UploadId,
}

/// Another body under a key that was used: not taken. `upload` names the first clash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadRefused {
    /// The upload whose key was used again.
    pub upload: UploadId,
    /// Who sent it.
    pub client: AccountId,
    /// The update it came with: refused as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateId>,
}

/// The same upload once more: nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadRepeated {
    /// The upload, or the first of an update.
    pub upload: UploadId,
    /// The update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateId>,
}
