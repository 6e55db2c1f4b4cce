//! Examples about people, and about the life of a pool.

use super::{client, contributor, id, parsed, policy, pool, result, token};
use crate::event::{
    Backlog, Derived, Event, JoinTokenIssueRequested, JoinTokenIssued, JoinTokenRevokeRequested,
    JoinTokenRevoked, MemberAddRequested, MemberAdded, MemberJoinRequested, MemberRemoveRequested,
    MemberRemoved, MemberResumeRequested, MemberResumed, MemberRoleChanged, MemberSuspendRequested,
    MemberSuspended, OpenWindows, OwnerTransferRequested, PolicyChangeRequested, PolicyChanged,
    PoolArchiveRequested, PoolArchived, PoolPauseRequested, PoolPaused, PoolResumeRequested,
    PoolResumed, Refusal, RequestRefused, TokenUsed,
};
use crate::id::AccountId;
use crate::role::{Role, RoleSet};
use crate::time::EffectiveAt;

fn admin() -> AccountId {
    AccountId::from_bits(id(7))
}

/// What is asked.
pub(super) fn events() -> Vec<Event> {
    let (by, account, token, roles) = (admin(), client(), token(), contributor());
    let open_windows = OpenWindows::Close;
    vec![
        PolicyChangeRequested { by, if_version: Some(1), policy: policy() }.into(),
        MemberAddRequested { by, account, roles }.into(),
        MemberJoinRequested { account, token }.into(),
        MemberRemoveRequested { by, account }.into(),
        MemberSuspendRequested { by, account }.into(),
        MemberResumeRequested { by, account }.into(),
        OwnerTransferRequested { by, to: account }.into(),
        JoinTokenIssueRequested { by, token, roles, uses_max: 1, expires_at: None }.into(),
        JoinTokenRevokeRequested { by, token }.into(),
        PoolPauseRequested { by }.into(),
        PoolResumeRequested { by }.into(),
        PoolArchiveRequested { by, open_windows }.into(),
    ]
}

/// What follows.
pub(super) fn derived() -> Vec<Derived> {
    let name = parsed("north-sea-buoys");
    let effective_from = EffectiveAt::default();
    let (by, account, token, roles) = (admin(), client(), token(), contributor());
    let (uses_left, expires_at) = (0, None);
    let used = TokenUsed { token, roles, uses_left, expires_at };
    let analyst = RoleSet::of(&[Role::Analyst]);
    let backlog = Backlog::Latest(result());
    let open_windows = OpenWindows::Close;
    vec![
        PolicyChanged {
            pool: pool(),
            name,
            version: 1,
            effective_from,
            policy: policy(),
            before: None,
        }
        .into(),
        RequestRefused { reason: Refusal::TokenUsedUp }.into(),
        MemberAdded { account, roles, backlog, token: Some(used) }.into(),
        MemberRoleChanged { account, roles: analyst, token: None, suspended: false }.into(),
        MemberSuspended { account, roles: analyst }.into(),
        MemberResumed { account, roles: analyst }.into(),
        MemberRemoved { account }.into(),
        JoinTokenIssued { token, roles, uses_max: 1, expires_at }.into(),
        JoinTokenRevoked { token, roles, uses_left, expires_at }.into(),
        PoolPaused { by }.into(),
        PoolResumed { by }.into(),
        PoolArchived { by, open_windows }.into(),
    ]
}
