//! What matters for security, as it was done, asked or denied.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ObjectId};
use crate::name::PoolName;

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It is in the pool's log, and was not decided on while its answer waited.
    Asked,
    /// It was not allowed.
    Denied,
    /// It may have been done: its answer was lost, or nobody waited for it.
    Unknown,
}

/// Something that matters for security was done, asked or denied. Ids and names of pools only:
/// never what somebody typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecorded {
    /// Who, as far as it was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<AccountId>,
    /// What: the name of its route.
    pub act: Box<str>,
    /// In which pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// On what: an account, a join token, an upload, whatever the act is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// Why it was denied: a problem code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Whether the actor could do it as a platform admin only, being no member of the pool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub platform_admin: bool,
    /// How many such acts this record stands for: those of strangers are counted together.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_once(times: &u32) -> bool {
    *times == 1
}
