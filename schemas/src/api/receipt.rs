//! Receipts: what was acknowledged, in a form that its holder can show to anyone.
//!
//! The text is a compact JWS (RFC 7515) of a type of its own, so that it never passes as an access
//! token; it has none of a token's claims and does not expire. Whoever has the server's public keys
//! can check it without the server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{AccountId, BatchId, PoolId, ResultId, UploadId};
use crate::name::PoolName;
use crate::time::Wall;

/// The type of a receipt, in its header (RFC 8725, section 3.11).
pub const RECEIPT_TYPE: &str = "sluice-receipt+jwt";

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stated {
    /// Of what.
    #[serde(flatten)]
    pub of: StatedOf,
    /// The pool.
    pub pool: PoolName,
    /// Its id.
    pub pool_id: PoolId,
    /// Digest of the bytes.
    pub sha256: Digest,
    /// Their length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The topic whose record says the same.
    pub topic: Box<str>,
    /// The record's place in it.
    pub offset: u64,
    /// Since when: an upload was received, a result published, a delivery acknowledged.
    pub at: Wall,
}

/// What a receipt is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "receipt_of", rename_all = "kebab-case")]
pub enum StatedOf {
    /// A file that was taken.
    Upload {
        /// The upload.
        upload: UploadId,
        /// Whose.
        client: AccountId,
    },
    /// A result that was published.
    Result {
        /// The result.
        result: ResultId,
        /// Its batch.
        batch: BatchId,
        /// The revision it was computed from.
        revision: u32,
    },
    /// A result that a member said it has.
    Delivery {
        /// The result.
        result: ResultId,
        /// Who has it.
        member: AccountId,
    },
}
