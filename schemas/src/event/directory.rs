//! What every instance must know to let a request in. No password, token or address, ever.
//!
//! Records ending in `copied` are copies of a pool's derived records, made by its owner; `as_of`
//! is the event they follow from, and the greater one counts, whichever comes last.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PoolState;
use super::pool::PolicyBefore;
use crate::digest::Digest;
use crate::id::{AccountId, PoolId, SessionId, TokenId};
use crate::name::{ObjectKey, PoolName, UserName};
use crate::policy::Policy;
use crate::role::RoleSet;
use crate::time::{EffectiveAt, LogTime, Wall, Window};

/// Where a pool's topics are. Data, never derived by readers, so that pools can move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolLocated {
    /// The pool's name. That it is located does not mean that it exists.
    pub name: PoolName,
    /// Topic of its events.
    pub events: Box<str>,
    /// Topic of what follows from them.
    pub batches: Box<str>,
    /// Topic of its deliveries.
    pub deliveries: Box<str>,
}

/// A pool's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyCopied {
    /// The pool.
    pub pool: PoolName,
    /// Its id.
    pub id: PoolId,
    /// Counted from 1.
    pub version: u32,
    /// The rules.
    pub policy: Box<Policy>,
    /// Files of this time and later are grouped by them.
    #[serde(default)]
    pub effective_from: EffectiveAt,
    /// The rules by which files before those are grouped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<PolicyBefore>,
    /// The event it follows from.
    pub as_of: u64,
}

impl PolicyCopied {
    /// The rules by which files of this moment are grouped, and the window it falls into.
    pub fn grouping(&self, at: EffectiveAt) -> (&Policy, Window) {
        let before = self.before.as_ref().filter(|_| at < self.effective_from);
        match before {
            Some(before) => {
                let span = (before.effective_from, Some(self.effective_from));
                (&before.policy, before.policy.windows.of_within(at, span))
            }
            None => (&self.policy, self.policy.windows.of_within(at, (self.effective_from, None))),
        }
    }
}

/// A membership; without roles it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MembershipCopied {
    /// The pool.
    pub pool: PoolName,
    /// The member.
    pub account: AccountId,
    /// As what.
    pub roles: RoleSet,
    /// Whether it is suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// The event it follows from.
    pub as_of: u64,
}

/// Whether a pool takes files and closes windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolStateCopied {
    /// The pool.
    pub pool: PoolName,
    /// Whether it does.
    pub state: PoolState,
    /// The event it follows from.
    pub as_of: u64,
}

/// A join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenCopied {
    /// The pool.
    pub pool: PoolName,
    /// The token, named by a digest of its secret.
    pub token: TokenId,
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
    /// The event it follows from.
    pub as_of: u64,
}

/// An account exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountCreated {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: UserName,
    /// Whether it is a platform admin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub platform_admin: bool,
    /// Whose it is, where it is that of a service: an API client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
}

/// An account is dead: no token of it is good, and nobody signs in to it. An API client of it is
/// dead with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountDisabled {
    /// The account.
    pub account: AccountId,
    /// Who said so.
    pub by: AccountId,
}

/// An account that was disabled is alive again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountEnabled {
    /// The account.
    pub account: AccountId,
    /// Who said so.
    pub by: AccountId,
}

/// A session has been signed out: its tokens are dead everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRevoked {
    /// The session.
    pub session: SessionId,
    /// No token of it lives longer: this record may be forgotten then.
    pub until: Wall,
}

/// A snapshot of a pool's fold lies in the blob store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotTaken {
    /// The pool.
    pub pool: PoolName,
    /// Where.
    pub object: ObjectKey,
    /// Its digest.
    pub sha256: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// The first event it does not cover.
    pub next: u64,
}
