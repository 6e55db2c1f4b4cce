//! Pools, their members and their windows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::CloseReason;
use crate::id::{AccountId, BatchId, PoolId};
use crate::name::{PoolName, UserName};
use crate::policy::{Policy, PolicyAsk};
use crate::role::RoleSet;
use crate::time::{EffectiveAt, LogTime, Window};

/// `POST /v1/pools`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePool {
    /// A name never used before.
    pub name: PoolName,
    /// Its rules; what is left out gets its default.
    #[serde(default)]
    pub policy: PolicyAsk,
}

/// A pool as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolView {
    /// Its id.
    pub id: PoolId,
    /// Its name.
    pub name: PoolName,
    /// The caller's roles; empty for a platform admin who is no member.
    pub roles: RoleSet,
    /// Counted from 1.
    pub policy_version: u32,
    /// Its rules.
    pub policy: Box<Policy>,
    /// Members, the caller counted.
    pub members: u64,
    /// What it holds and what the caller does, where it has a quota; of one pool only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// What a pool and one of its members hold, as far as the tables know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// The pool's files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The caller's files.
    pub own_files: u64,
    /// Their bytes.
    pub own_bytes: u64,
}

/// `PUT /v1/pools/{pool}/members/{account}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// At least one.
    pub roles: RoleSet,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// The account.
    pub account: AccountId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// What it is in the pool.
    pub roles: RoleSet,
}

/// `POST /v1/pools/{pool}/join-tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueToken {
    /// What those who redeem it become; at least one, neither owner nor admin.
    pub roles: RoleSet,
    /// How often it may be redeemed. Default 1.
    #[serde(default = "one")]
    pub uses_max: u32,
    /// Its life in seconds. Default: for ever.
    #[serde(default)]
    pub expires_in_s: Option<u64>,
}

fn one() -> u32 {
    1
}

/// A join token. The secret is shown this once and written down nowhere.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct IssuedToken {
    /// Give it to those who are to join.
    pub token: String,
    /// What they become.
    pub roles: RoleSet,
    /// How often it may be redeemed.
    pub uses_max: u32,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<LogTime>,
}

/// `POST /v1/pools/{pool}/join`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The join token.
    pub token: String,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IssuedToken { .. }")
    }
}

impl std::fmt::Debug for Join {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Join { .. }")
    }
}

/// `POST /v1/pools/{pool}/windows/close`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseWindow {
    /// Only the window of this moment.
    #[serde(default)]
    pub at: Option<EffectiveAt>,
}

/// Whether a part of a window still takes files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WindowState {
    /// It does.
    Open,
    /// It is a batch.
    Closed,
}

/// One part of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowView {
    /// The window.
    pub window: Window,
    /// Counted from 1.
    pub part: u32,
    /// The batch it is, or will be.
    pub batch: BatchId,
    /// Whether it still takes files.
    pub state: WindowState,
    /// Files in it.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Clients with a file in it.
    pub reported: u32,
    /// Contributors without one, the first 50 by id.
    pub missing: Vec<AccountId>,
    /// How many there are in all.
    pub missing_count: u32,
    /// While open: closes when the clients' watermark reaches this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<EffectiveAt>,
    /// While open: closes by then, whoever is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at_latest: Option<LogTime>,
    /// Once closed: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_because: Option<CloseReason>,
    /// While open: what closes it, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_when: Option<String>,
}
