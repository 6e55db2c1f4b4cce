//! Pools, their members and their windows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{CloseReason, OpenWindows, PolicyCopied, PoolState};
use crate::id::{AccountId, BatchId, PoolId, TokenId};
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
    /// Whether it takes files and closes windows.
    #[serde(default)]
    pub state: PoolState,
    /// What it holds and what the caller does, where it has a quota; of one pool only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// `POST /v1/pools/{pool}/archive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchivePool {
    /// What becomes of what is not done yet.
    pub open_windows: OpenWindows,
}

/// `PUT /v1/pools/{pool}/owner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveAway {
    /// A member, who is an owner from then on.
    pub account: AccountId,
}

/// `GET` and `PUT /v1/pools/{pool}/policy`: the newest version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyView {
    /// Counted from 1; as a quoted string it is the `ETag`.
    pub version: u32,
    /// Files of this time and later are grouped by it. What files are taken and how batches are
    /// worked on it rules at once.
    pub effective_from: EffectiveAt,
    /// The version that files before are grouped by, if there are such files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// The rules.
    pub policy: Box<Policy>,
}

impl From<&PolicyCopied> for PolicyView {
    fn from(copy: &PolicyCopied) -> Self {
        Self {
            version: copy.version,
            effective_from: copy.effective_from,
            before: copy.before.as_ref().map(|before| before.version),
            policy: copy.policy.clone(),
        }
    }
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
    /// Whether it is suspended, and may do nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
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
    /// What it is called: no secret.
    pub id: TokenId,
    /// What they become.
    pub roles: RoleSet,
    /// How often it may be redeemed.
    pub uses_max: u32,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<LogTime>,
}

/// A join token, without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// What it is called.
    pub id: TokenId,
    /// What those who redeem it become.
    pub roles: RoleSet,
    /// Uses left.
    pub uses_left: u32,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<LogTime>,
    /// Whether it was revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

/// `POST /v1/pools/{pool}/devices`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinDevice {
    /// The join token.
    pub token: String,
    /// A free name. Default: a random one.
    #[serde(default)]
    pub user_name: Option<UserName>,
    /// 8 to 256 characters. Default: a random one, shown this once. A device that chooses both can
    /// repeat the request.
    #[serde(default)]
    pub password: Option<String>,
}

/// A device has an account, belongs to the pool, and is signed in.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct JoinedDevice {
    /// The account.
    pub user_id: AccountId,
    /// Its name.
    pub user_name: UserName,
    /// Its password, where none was sent: to sign in with again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// Its life in seconds.
    pub expires_in: u64,
    /// Good once, at `/auth/token`, for another token of the same session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// What it is in the pool.
    pub roles: RoleSet,
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

impl std::fmt::Debug for JoinDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinDevice { .. }")
    }
}

impl std::fmt::Debug for JoinedDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinedDevice { .. }")
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
    /// A group of files near each other that has no window yet: others may join it.
    Gathering,
    /// It does.
    Open,
    /// It is a batch.
    Closed,
    /// It did not have what the pool asks for, and its files went into the next window.
    Carried,
    /// It did not have what the pool asks for, and makes no batch.
    Skipped,
    /// It was cancelled when the pool was archived.
    Cancelled,
}

/// One part of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowView {
    /// The window.
    pub window: Window,
    /// Counted from 1.
    pub part: u32,
    /// The batch it is, or will be; none while its files gather.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The version of the policy whose rules it has.
    #[serde(default = "one")]
    pub policy_version: u32,
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
    /// While open: the next moment at which it closes, if nothing closes it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_next: Option<NextClose>,
}

/// A moment at which an open part closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextClose {
    /// When, by the log's clock.
    pub at: LogTime,
    /// Why it will: with `window-end` only if the clients have come so far by then.
    pub because: CloseReason,
}
