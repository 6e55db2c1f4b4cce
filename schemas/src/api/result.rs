//! Results and their deliveries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::upload::Content;
use crate::digest::Digest;
use crate::id::{AccountId, BatchId, ResultId};
use crate::name::{FileName, MediaType, UserName};
use crate::time::{LogTime, Window};

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultView {
    /// The result.
    pub result: ResultId,
    /// Its sequence number in the pool: results are read in its order, `after` one of them.
    pub seq: u64,
    /// The batch.
    pub batch: BatchId,
    /// Its window.
    pub window: Window,
    /// Its part.
    pub part: u32,
    /// The revision it was computed from.
    pub revision: u32,
    /// The result it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<ResultId>,
    /// What the worker calls it.
    pub name: FileName,
    /// What it is.
    pub media_type: MediaType,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// When it was published.
    pub published_at: LogTime,
    /// Whether its bytes can still be had.
    #[serde(default, skip_serializing_if = "Content::is_kept")]
    pub content: Content,
}

/// `201`: the result is published. `200`: it was already, with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultReceipt {
    /// The result.
    pub result: ResultId,
    /// The batch.
    pub batch: BatchId,
    /// The revision it was computed from.
    pub revision: u32,
    /// Its sequence number in the pool; left out of the answer to a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The result it takes the place of; left out of the answer to a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<ResultId>,
    /// What the worker calls it.
    pub name: FileName,
    /// What it is.
    pub media_type: MediaType,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Whether this is the answer to a repeat.
    pub repeated: bool,
}

/// `POST /v1/pools/{pool}/results/{result}/ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// The digest the member found. Another than the result's is recorded as a failed delivery.
    pub sha256: Digest,
}

/// `200`: recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The result.
    pub result: ResultId,
    /// Who has it.
    pub member: AccountId,
    /// What was recorded: acknowledged, or failed for a wrong digest.
    pub state: DeliveryState,
}

/// How far a result has come to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Nothing is known of it.
    Pending,
    /// The member found another digest.
    Failed,
    /// The whole body was served.
    Fetched,
    /// The member has it and has checked its digest.
    Acknowledged,
}

/// One member and one result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Who.
    pub member: AccountId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// How far.
    pub state: DeliveryState,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<LogTime>,
}

/// Who has a result, and who has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveriesView {
    /// The result.
    pub result: ResultId,
    /// Members entitled to it.
    pub entitled: u64,
    /// Of those, the ones that acknowledged it.
    pub acknowledged: u64,
    /// Each of them; with `?missing=true` those only that have not acknowledged.
    pub items: Vec<DeliveryView>,
    /// Send it back as `cursor` for what follows; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
