//! What a member hears as it happens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::result::ResultView;
use crate::event::{Closed, Placement, PoolState};
use crate::id::{AccountId, BatchId, UploadId};
use crate::name::FileName;

/// What is sent for a notice: where it follows from, and the notice. The tables have it already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noticed {
    /// The event it follows from: send it back as `Sluice-Position` with a read on any instance.
    pub position: String,
    /// What happened.
    #[serde(flatten)]
    pub notice: Notice,
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
    /// One of the member's uploads was refused: its key was used with other content.
    Refused {
        /// The upload.
        upload: UploadId,
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
    /// A result is there.
    Result {
        /// It.
        result: Box<ResultView>,
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
    /// The member belongs to the pool no longer; the stream ends.
    Removed {
        /// Who.
        account: AccountId,
    },
}
