//! Who has which result.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{AccountId, ResultId};

/// The whole body was served. Whether it arrived, only the member can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryFetched {
    /// The result.
    pub result: ResultId,
    /// Its sequence number in the pool.
    pub seq: u64,
    /// Who fetched it.
    pub member: AccountId,
}

/// A member has the result and has checked its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryAcknowledged {
    /// The result.
    pub result: ResultId,
    /// Its sequence number in the pool.
    pub seq: u64,
    /// Who has it.
    pub member: AccountId,
    /// The digest the member found.
    pub sha256: Digest,
    /// The redelivery that it acknowledges too, where one asked for the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redelivery: Option<u64>,
}

/// A member found another digest than the result's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryFailed {
    /// The result.
    pub result: ResultId,
    /// Its sequence number in the pool.
    pub seq: u64,
    /// Who.
    pub member: AccountId,
    /// The digest the member found.
    pub sha256: Digest,
}
