//! Who may do what: one table that drives the code, the docs and the authorization test.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a member is in a pool. A member may be several.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Made the pool, or was given it; at least one always.
    Owner,
    /// Sets its rules and its people.
    Admin,
    /// Sends files.
    Contributor,
    /// Receives results and sends nothing.
    Listener,
    /// Works on batches and gives results: the external server.
    Processor,
    /// Reads what happened, not the files themselves.
    Analyst,
}

/// The roles, in the table's column order.
pub const ROLES: [Role; 6] =
    [Role::Owner, Role::Admin, Role::Contributor, Role::Listener, Role::Processor, Role::Analyst];

/// The text was no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is owner, admin, contributor, listener, processor or analyst")]
pub struct NotARole;

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Contributor => "contributor",
            Self::Listener => "listener",
            Self::Processor => "processor",
            Self::Analyst => "analyst",
        })
    }
}

impl FromStr for Role {
    type Err = NotARole;
    fn from_str(text: &str) -> Result<Self, NotARole> {
        ROLES.into_iter().find(|role| role.to_string() == text).ok_or(NotARole)
    }
}

/// A set of roles; in JSON a list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<Role>", into = "Vec<Role>")]
#[schemars(with = "Vec<Role>")]
pub struct RoleSet(u8);

impl RoleSet {
    const fn bit(role: Role) -> u8 {
        1 << role as u8
    }

    /// The set of these.
    pub const fn of(roles: &[Role]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while let Some((_, rest)) = roles.split_at_checked(at)
            && let Some(role) = rest.first()
        {
            bits |= Self::bit(*role);
            at += 1;
        }
        Self(bits)
    }

    /// Whether `role` is in it.
    pub const fn has(self, role: Role) -> bool {
        self.0 & Self::bit(role) != 0
    }

    /// Whether any of `other` is in it.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// It and `other` together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// It without those of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        ROLES.into_iter().filter(move |role| self.has(*role))
    }
}

impl From<Vec<Role>> for RoleSet {
    fn from(roles: Vec<Role>) -> Self {
        Self::of(&roles)
    }
}

impl From<RoleSet> for Vec<Role> {
    fn from(set: RoleSet) -> Self {
        set.iter().collect()
    }
}

/// One thing that can be asked of a pool, or of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Anyone, signed in or not: sign up, sign in, health, docs.
    Anyone,
    /// Anyone signed in, on what is their own.
    SignedIn,
    /// Run the installation: its accounts.
    Platform,
    /// Make a pool.
    CreatePool,
    /// Use a join token; whoever holds one may.
    Join,
    /// See a pool's settings and windows.
    ReadPool,
    /// See who belongs to it.
    ReadMembers,
    /// Add or remove members, issue join tokens.
    ManageMembers,
    /// Change the policy.
    ChangePolicy,
    /// Join by a token without an account: it makes one.
    JoinDevice,
    /// Give the pool to another member.
    GiveAway,
    /// Have windows close no more for a while.
    Pause,
    /// Have the pool take nothing more.
    Archive,
    /// Close a window now.
    CloseWindow,
    /// Ask for a batch of a range of time.
    RequestBatch,
    /// Release or discard held files.
    DecideHeld,
    /// Have an upload that failed inspected again.
    RetryUpload,
    /// Send files.
    Upload,
    /// See an upload's status.
    ReadUpload,
    /// Fetch an upload's bytes.
    FetchUpload,
    /// See a client's history.
    ReadHistory,
    /// See batches and their manifests.
    ReadBatches,
    /// Fetch the files of a batch.
    FetchBatchFiles,
    /// Claim batches, renew, fail, offer results.
    Work,
    /// Have a batch that was given up be worked on again.
    RetryBatch,
    /// Correct or withdraw results, or have them delivered once more.
    DecideResults,
    /// See and fetch results.
    ReadResults,
    /// Say that a result has arrived.
    Acknowledge,
    /// See who has a result and who has not.
    ReadDeliveries,
    /// Hear notices as they come.
    Listen,
    /// See what the audit log has of it.
    ReadAudit,
    /// Have notices sent to targets.
    ManageWebhooks,
}

impl Act {
    /// Whether it takes an access token at all.
    pub const fn needs_token(self) -> bool {
        !matches!(self, Self::Anyone | Self::JoinDevice)
    }
}

/// One row of the table: which roles may, which may only on what is their own, whether a
/// platform admin who is no member may.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The act.
    pub act: Act,
    /// Roles that may, on anything in the pool.
    pub roles: RoleSet,
    /// Roles that may, on their own.
    pub own_only: RoleSet,
    /// Whether platform admins may without being members.
    pub platform_admin: bool,
}

const OWNER: Role = Role::Owner;
const ADMIN: Role = Role::Admin;
const CONTRIBUTOR: Role = Role::Contributor;
const PROCESSOR: Role = Role::Processor;
const ANALYST: Role = Role::Analyst;
const ALL: RoleSet = RoleSet::of(&ROLES);
const NONE: RoleSet = RoleSet::of(&[]);

const fn rule(act: Act, roles: RoleSet, own_only: RoleSet, platform_admin: bool) -> Rule {
    Rule { act, roles, own_only, platform_admin }
}

/// The acts within a pool. Acts without a row need no membership.
pub const RULES: &[Rule] = &[
    rule(Act::ReadPool, ALL, NONE, true),
    rule(Act::ReadMembers, RoleSet::of(&[OWNER, ADMIN, PROCESSOR, ANALYST]), NONE, true),
    rule(Act::ManageMembers, RoleSet::of(&[OWNER, ADMIN]), NONE, true),
    rule(Act::ChangePolicy, RoleSet::of(&[OWNER, ADMIN]), NONE, true),
    rule(Act::GiveAway, RoleSet::of(&[OWNER]), NONE, false),
    rule(Act::Pause, RoleSet::of(&[OWNER, ADMIN]), NONE, true),
    rule(Act::Archive, RoleSet::of(&[OWNER]), NONE, true),
    rule(Act::CloseWindow, RoleSet::of(&[OWNER, ADMIN, PROCESSOR]), NONE, false),
    rule(Act::RequestBatch, RoleSet::of(&[OWNER, ADMIN, PROCESSOR]), NONE, false),
    rule(Act::DecideHeld, RoleSet::of(&[OWNER, ADMIN]), NONE, false),
    rule(Act::RetryUpload, RoleSet::of(&[OWNER, ADMIN]), RoleSet::of(&[CONTRIBUTOR]), false),
    rule(Act::Upload, RoleSet::of(&[CONTRIBUTOR]), NONE, false),
    rule(Act::ReadUpload, RoleSet::of(&[OWNER, ADMIN, PROCESSOR, ANALYST]), ALL, true),
    rule(Act::FetchUpload, RoleSet::of(&[OWNER, ADMIN]), ALL, true),
    rule(Act::ReadHistory, RoleSet::of(&[OWNER, ADMIN, ANALYST]), ALL, true),
    rule(Act::ReadBatches, ALL, NONE, true),
    rule(Act::FetchBatchFiles, RoleSet::of(&[OWNER, ADMIN, PROCESSOR]), NONE, true),
    rule(Act::DecideResults, RoleSet::of(&[OWNER, ADMIN]), NONE, false),
    rule(Act::RetryBatch, RoleSet::of(&[OWNER, ADMIN]), NONE, false),
    rule(Act::Work, RoleSet::of(&[PROCESSOR]), NONE, false),
    rule(Act::ReadResults, ALL, NONE, true),
    rule(Act::Acknowledge, ALL, NONE, false),
    rule(Act::ReadDeliveries, RoleSet::of(&[OWNER, ADMIN, PROCESSOR, ANALYST]), NONE, true),
    rule(Act::Listen, ALL, NONE, false),
    rule(Act::ReadAudit, RoleSet::of(&[OWNER, ADMIN]), NONE, true),
    rule(Act::ManageWebhooks, RoleSet::of(&[OWNER, ADMIN]), NONE, false),
];

/// What the table says of one caller and one act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Yes,
    /// Allowed on what is the caller's own.
    OwnOnly,
    /// A member without the role: 403.
    Forbidden,
    /// No member: the pool does not exist for this caller, 404.
    Hidden,
}

/// Whether someone with these roles in the pool (none when no member) may do `act` there.
pub fn judge(act: Act, member: Option<RoleSet>, platform_admin: bool) -> Verdict {
    let Some(rule) = RULES.iter().find(|rule| rule.act == act) else { return Verdict::Hidden };
    if platform_admin && rule.platform_admin {
        return Verdict::Yes;
    }
    match member {
        Some(roles) if roles.meets(rule.roles) => Verdict::Yes,
        Some(roles) if roles.meets(rule.own_only) => Verdict::OwnOnly,
        Some(_) => Verdict::Forbidden,
        None if platform_admin => Verdict::Forbidden,
        None => Verdict::Hidden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let set = RoleSet::of(&[Role::Listener, Role::Owner]);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["owner","listener"]"#);
        assert_eq!(serde_json::from_str::<RoleSet>(r#"["listener","owner"]"#).unwrap(), set);
        assert!(set.has(Role::Owner) && !set.has(Role::Admin) && !set.is_empty());
        assert_eq!("owner".parse(), Ok(Role::Owner));
        assert_eq!("king".parse::<Role>(), Err(NotARole));
    }

    #[test]
    fn verdicts() {
        let check = |act, roles: Option<&[Role]>, platform_admin, expected| {
            let member = roles.map(RoleSet::of);
            assert_eq!(judge(act, member, platform_admin), expected, "{act:?} {roles:?}");
        };
        check(Act::Upload, Some(&[Role::Contributor]), false, Verdict::Yes);
        check(Act::Upload, Some(&[Role::Listener]), false, Verdict::Forbidden);
        check(Act::Upload, None, false, Verdict::Hidden);
        check(Act::Upload, None, true, Verdict::Forbidden);
        check(Act::ReadHistory, Some(&[Role::Contributor]), false, Verdict::OwnOnly);
        check(Act::ReadHistory, None, true, Verdict::Yes);
        check(Act::Work, Some(&[Role::Listener, Role::Processor]), false, Verdict::Yes);
        check(Act::SignedIn, Some(&[Role::Owner]), true, Verdict::Hidden);
    }
}
