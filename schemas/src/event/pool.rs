//! A pool's beginning and its rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, PoolId};
use crate::name::PoolName;
use crate::policy::Policy;
use crate::time::EffectiveAt;

/// A pool was made. The first in its topic owns the name; the fold refuses any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolCreated {
    /// Its id.
    pub pool: PoolId,
    /// Its name.
    pub name: PoolName,
    /// Its first owner.
    pub owner: AccountId,
    /// The fold its log starts under.
    pub semantics: u32,
    /// Its rules, every default written out.
    pub policy: Box<Policy>,
}

/// Someone asks for other rules. They hold from the end of the windows that have begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChangeRequested {
    /// Who.
    pub by: AccountId,
    /// The version that is to be replaced; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u32>,
    /// The rules, every default written out.
    pub policy: Box<Policy>,
}

/// The rules of files before those of a newer version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyBefore {
    /// Their version.
    pub version: u32,
    /// They are for files of this time and later.
    pub effective_from: EffectiveAt,
    /// The rules.
    pub policy: Box<Policy>,
}

/// A policy holds from a moment of effective time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChanged {
    /// The pool.
    pub pool: PoolId,
    /// Its name.
    pub name: PoolName,
    /// Counted from 1.
    pub version: u32,
    /// Files of this time and later fall under it.
    pub effective_from: EffectiveAt,
    /// The rules.
    pub policy: Box<Policy>,
    /// The rules of the files before those; none when all files fall under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<PolicyBefore>,
}

/// Someone asks that no window close until the pool is resumed. Files are taken as ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolPauseRequested {
    /// Who.
    pub by: AccountId,
}

/// Someone asks that a paused pool go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolResumeRequested {
    /// Who.
    pub by: AccountId,
}

/// What archiving a pool does to what is not done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OpenWindows {
    /// Open windows become batches, and batches can be worked on until each has its result.
    Close,
    /// Open windows and batches without a result are cancelled.
    Cancel,
}

/// Someone asks that the pool take nothing more, for ever. What is there stays readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolArchiveRequested {
    /// Who.
    pub by: AccountId,
    /// What becomes of what is not done yet.
    pub open_windows: OpenWindows,
}

/// No window closes from here on, until the pool is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolPaused {
    /// Who asked.
    pub by: AccountId,
}

/// The pool goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolResumed {
    /// Who asked.
    pub by: AccountId,
}

/// The pool takes nothing more. Its windows have been closed or cancelled, its leases ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolArchived {
    /// Who asked.
    pub by: AccountId,
    /// What became of what was not done.
    pub open_windows: OpenWindows,
}

/// Whether a pool takes files and closes windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolState {
    /// Both.
    #[default]
    Open,
    /// It takes files; no window closes.
    Paused,
    /// Neither, for ever.
    Archived,
}

/// Why the fold refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Another pool has the name.
    PoolNameTaken,
    /// There is no pool yet.
    NoPool,
    /// No such member.
    NoMember,
    /// No such join token.
    NoToken,
    /// The token has been redeemed as often as it may be.
    TokenUsedUp,
    /// The token has run out.
    TokenExpired,
    /// The last owner cannot leave.
    LastOwner,
    /// The pool has as many members as it may have.
    MembersFull,
    /// The pool has as many join tokens as it may have.
    TokensFull,
    /// No window with files in it is open.
    NoOpenWindow,
    /// The policy has another version than the one to be replaced.
    PolicyStale,
    /// Too many versions of the policy still have windows that may take files.
    PoliciesFull,
    /// The request was used for another range.
    RequestReused,
    /// No such range was asked for, or it was forgotten, or pages of it are missing.
    RangeUnknown,
    /// Too many ranges are being worked on.
    RangesFull,
    /// No such upload is held, or it was released or discarded before.
    NotHeld,
    /// The member is suspended.
    Suspended,
    /// Only an owner can give the pool away.
    NotAnOwner,
    /// The join token was revoked.
    TokenRevoked,
    /// The pool is paused: no window closes.
    PoolPaused,
    /// The pool is archived, for ever.
    PoolArchived,
    /// No such upload is under inspection.
    NotUnderInspection,
    /// No such batch was given up, or it has a result, can be claimed, or is cancelled; no such
    /// upload has failed, or it failed too long ago.
    NotFailed,
    /// Its sender has had the upload retried as often as it may.
    RetriesUsedUp,
    /// Too many files are under inspection.
    InspectionsFull,
}

/// A request was refused; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestRefused {
    /// Why.
    pub reason: Refusal,
}
