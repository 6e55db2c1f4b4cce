//! The audit log and the files of everyone, as they are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UploadState;
use crate::event::AuditOutcome;
use crate::id::{AccountId, EventId, ObjectId};
use crate::name::{PoolName, UserName};
use crate::time::LogTime;

/// Which records of the audit log, newest first.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only those about this pool; the path of a pool's own audit log says it.
    pub pool: Option<PoolName>,
    /// Only what this account did, or was denied.
    pub actor: Option<AccountId>,
    /// Only this act: the name of a route, such as `log-in`.
    pub act: Option<String>,
    /// Only those about this account, join token, upload or whatever else has an id.
    pub object: Option<ObjectId>,
    /// Only those with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Only those of this moment and later.
    pub from: Option<LogTime>,
    /// Only those before this moment.
    pub to: Option<LogTime>,
    /// `next_cursor` of the page before; the first page without it.
    pub cursor: Option<String>,
    /// Rows in the page, 100 by default and as many as `page_rows_max` at most.
    pub limit: Option<usize>,
}

/// Which files of everyone, newest first.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesQuery {
    /// Only those of this account.
    pub user: Option<AccountId>,
    /// Only those in this pool.
    pub pool: Option<PoolName>,
    /// Only those in this state.
    pub status: Option<UploadState>,
    /// Only those placed at this moment or later.
    pub from: Option<LogTime>,
    /// Only those placed before this moment.
    pub to: Option<LogTime>,
    /// `next_cursor` of the page before; the first page without it.
    pub cursor: Option<String>,
    /// Rows in the page, 100 by default and as many as `page_rows_max` at most.
    pub limit: Option<usize>,
}

/// One record of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditView {
    /// The record.
    pub id: EventId,
    /// When it was made.
    pub at: LogTime,
    /// Who, as far as it was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<AccountId>,
    /// The actor's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<UserName>,
    /// What: the name of a route.
    pub act: Box<str>,
    /// In which pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// On what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// Why it was denied: a problem code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Whether the actor could do it as a platform admin only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub platform_admin: bool,
    /// How many such acts it stands for.
    pub times: u32,
}
