//! Who belongs to a pool.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ResultId, TokenId};
use crate::role::RoleSet;
use crate::time::LogTime;

/// An admin asks that an account belong with these roles; a member's roles are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberAddRequested {
    /// Who asks.
    pub by: AccountId,
    /// Who is to belong.
    pub account: AccountId,
    /// As what.
    pub roles: RoleSet,
}

/// An account redeems a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberJoinRequested {
    /// Who joins.
    pub account: AccountId,
    /// The token, named by a digest of its secret.
    pub token: TokenId,
}

/// Someone asks that an account belong no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRemoveRequested {
    /// Who asks.
    pub by: AccountId,
    /// Who is to go.
    pub account: AccountId,
}

/// An admin asks that a member rest: it keeps its place and its roles, and may do nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberSuspendRequested {
    /// Who asks.
    pub by: AccountId,
    /// Who is to rest.
    pub account: AccountId,
}

/// An admin asks that a suspended member go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberResumeRequested {
    /// Who asks.
    pub by: AccountId,
    /// Who is to go on.
    pub account: AccountId,
}

/// An owner gives the pool to another member, and is an admin from then on. One record, so that no
/// pool is ever without an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerTransferRequested {
    /// Who gives it.
    pub by: AccountId,
    /// Who gets it.
    pub to: AccountId,
}

/// An admin asks that a join token be good no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinTokenRevokeRequested {
    /// Who asks.
    pub by: AccountId,
    /// The token, named by a digest of its secret.
    pub token: TokenId,
}

/// An admin asks for a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinTokenIssueRequested {
    /// Who asks.
    pub by: AccountId,
    /// The token, named by a digest of its secret.
    pub token: TokenId,
    /// What those who redeem it become.
    pub roles: RoleSet,
    /// How often it may be redeemed.
    pub uses_max: u32,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<LogTime>,
}

/// Which of the results published before it came a member gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backlog {
    /// None of them.
    None,
    /// The latest: that of the greatest (window, part, revision).
    Latest(ResultId),
    /// All of them.
    All,
}

/// An account belongs from here on, with these roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberAdded {
    /// Who.
    pub account: AccountId,
    /// As what.
    pub roles: RoleSet,
    /// Which earlier results it gets; later ones it gets all.
    pub backlog: Backlog,
    /// The token it redeemed, and what is left of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenUsed>,
}

/// A member has these roles from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRoleChanged {
    /// Who.
    pub account: AccountId,
    /// As what.
    pub roles: RoleSet,
    /// The token it redeemed, and what is left of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenUsed>,
    /// Whether it is suspended all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// A join token after one more use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenUsed {
    /// The token.
    pub token: TokenId,
    /// What those who redeem it become.
    pub roles: RoleSet,
    /// Uses left.
    pub uses_left: u32,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<LogTime>,
}

/// An account belongs no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRemoved {
    /// Who.
    pub account: AccountId,
}

/// A member rests from here on: it may do nothing, and files that come from it are held. Its place,
/// its roles and what waits for it stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberSuspended {
    /// Who.
    pub account: AccountId,
    /// What it is when it goes on.
    pub roles: RoleSet,
}

/// A suspended member goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberResumed {
    /// Who.
    pub account: AccountId,
    /// As what.
    pub roles: RoleSet,
}

/// A join token can be redeemed no longer. Who has joined by it stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinTokenRevoked {
    /// The token.
    pub token: TokenId,
    /// What those who redeemed it became.
    pub roles: RoleSet,
    /// Uses that were left.
    pub uses_left: u32,
    /// Until when it would have been good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<LogTime>,
}

/// A join token can be redeemed from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinTokenIssued {
    /// The token, named by a digest of its secret.
    pub token: TokenId,
    /// What those who redeem it become.
    pub roles: RoleSet,
    /// How often it may be redeemed.
    pub uses_max: u32,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<LogTime>,
}
