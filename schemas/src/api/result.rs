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
    /// How often the revision's result was corrected, this time counted; 0: a worker computed it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub correction: u32,
    /// The result it takes the place of: of an earlier revision, or the one it corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<ResultId>,
    /// The correction that took its place: whoever has not got it yet gets that instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_by: Option<ResultId>,
    /// When an admin withdrew it: nobody gets its bytes any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<LogTime>,
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

impl ResultView {
    /// Whether members that have not got it are to get it.
    pub fn is_owed(&self) -> bool {
        self.corrected_by.is_none() && self.withdrawn_at.is_none() && self.content == Content::Kept
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `POST /v1/pools/{pool}/redeliveries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redeliver {
    /// To whom; to all members when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<AccountId>,
    /// Results from this sequence number on, up to now.
    pub from_seq: u64,
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
    /// Says the same in a form that can be shown to anyone: a JWS that `sluice receipt verify`
    /// checks. Left out when the tables could not tell where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<str>>,
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
    /// Says that it is acknowledged in a form that can be shown to anyone: a JWS that
    /// `sluice receipt verify` checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<str>>,
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
    /// The member had not got it when a correction took its place.
    Superseded,
    /// The member had not got it when it was withdrawn.
    Withdrawn,
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
    /// Whether an admin asked for it to be delivered once more, and the member has not acknowledged
    /// it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
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
