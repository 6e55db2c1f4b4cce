//! Results that did not stay as they were: corrected, withdrawn, delivered once more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{AccountId, BatchId, ResultId};
use crate::name::{FileName, MediaType, ObjectKey};
use crate::time::StoredAt;

/// An admin gives a file in place of a result that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultCorrected {
    /// The result that is wrong.
    pub of: ResultId,
    /// Its batch.
    pub batch: BatchId,
    /// Who corrects it.
    pub by: AccountId,
    /// What its giver calls the file.
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

/// An admin wants a result to be given out no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultWithdrawRequested {
    /// The result.
    pub result: ResultId,
    /// Its batch.
    pub batch: BatchId,
    /// Who asks.
    pub by: AccountId,
}

/// A result is given out no more. Its place stays taken: the latest does not fall back behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultWithdrawn {
    /// The result.
    pub result: ResultId,
    /// Its batch.
    pub batch: BatchId,
    /// Who asked.
    pub by: AccountId,
}

/// An admin wants results to be delivered once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedeliveryRequested {
    /// Who asks.
    pub by: AccountId,
    /// To whom; to all members when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<AccountId>,
    /// Results from this sequence number on.
    pub from_seq: u64,
}

/// Results from a sequence number on, up to this record, are to be delivered once more. Its place
/// in this topic is the redelivery's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedeliveryBegun {
    /// Who asked.
    pub by: AccountId,
    /// To whom; to all members when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<AccountId>,
    /// Results from this sequence number on.
    pub from_seq: u64,
}
