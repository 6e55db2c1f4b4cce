//! What the directory must know of a pool's outputs, so that requests are let in by it. Pure.

use schemas::event::{
    Derived, Directory, MembershipCopied, PolicyCopied, PoolState, PoolStateCopied, TokenCopied,
    TokenUsed,
};
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::role::RoleSet;
use schemas::topic::Offset;

/// The copies of one output of the event at `as_of`: none for most.
pub(crate) fn copies(pool: &PoolName, body: &Derived, as_of: Offset) -> Vec<Directory> {
    let of = Copying { pool, as_of };
    match body {
        Derived::PolicyChanged(changed) => vec![
            PolicyCopied {
                pool: pool.clone(),
                id: changed.pool,
                version: changed.version,
                policy: changed.policy.clone(),
                effective_from: changed.effective_from,
                before: changed.before.clone(),
                as_of,
            }
            .into(),
        ],
        Derived::MemberAdded(added) => {
            of.member(added.account, added.roles, false, added.token.as_ref())
        }
        Derived::MemberRoleChanged(changed) => {
            of.member(changed.account, changed.roles, changed.suspended, changed.token.as_ref())
        }
        Derived::MemberSuspended(rests) => of.member(rests.account, rests.roles, true, None),
        Derived::MemberResumed(resumed) => of.member(resumed.account, resumed.roles, false, None),
        Derived::MemberRemoved(removed) => {
            of.member(removed.account, RoleSet::default(), false, None)
        }
        Derived::PoolPaused(_) => vec![of.state(PoolState::Paused)],
        Derived::PoolResumed(_) => vec![of.state(PoolState::Open)],
        Derived::PoolArchived(_) => vec![of.state(PoolState::Archived)],
        Derived::JoinTokenIssued(issued) => vec![
            TokenCopied {
                pool: pool.clone(),
                token: issued.token,
                roles: issued.roles,
                uses_left: issued.uses_max,
                expires_at: issued.expires_at,
                revoked: false,
                as_of,
            }
            .into(),
        ],
        Derived::JoinTokenRevoked(revoked) => vec![
            TokenCopied {
                pool: pool.clone(),
                token: revoked.token,
                roles: revoked.roles,
                uses_left: revoked.uses_left,
                expires_at: revoked.expires_at,
                revoked: true,
                as_of,
            }
            .into(),
        ],
        _ => Vec::new(),
    }
}

struct Copying<'a> {
    pool: &'a PoolName,
    as_of: Offset,
}

impl Copying<'_> {
    fn state(&self, state: PoolState) -> Directory {
        PoolStateCopied { pool: self.pool.clone(), state, as_of: self.as_of }.into()
    }

    fn member(
        &self,
        account: AccountId,
        roles: RoleSet,
        suspended: bool,
        token: Option<&TokenUsed>,
    ) -> Vec<Directory> {
        let (pool, as_of) = (self.pool.clone(), self.as_of);
        let membership = MembershipCopied { pool, account, roles, suspended, as_of }.into();
        let token = token.map(|used| {
            let TokenUsed { token, roles, uses_left, expires_at } = *used;
            let pool = self.pool.clone();
            TokenCopied { pool, token, roles, uses_left, expires_at, revoked: false, as_of }.into()
        });
        std::iter::once(membership).chain(token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::example;

    #[test]
    fn members_policies_and_tokens_are_copied_and_nothing_else() {
        let pool = "north-sea-buoys".parse().unwrap();
        let mut keys = Vec::new();
        for body in example::derived() {
            keys.extend(copies(&pool, &body, 5).iter().map(Directory::key));
        }
        let member = "member/north-sea-buoys/0199f3a2-5c1e-7d53-b0a4-000000000002";
        let token = "token/north-sea-buoys/0199f3a2-5c1e-7d53-b0a4-000000000004";
        let policy = "policy/north-sea-buoys";
        let state = "state/north-sea-buoys";
        let members = [member, token, member, member, member, member];
        let rest = [token, token, state, state, state];
        assert_eq!(keys, [&[policy][..], &members, &rest].concat());
    }
}
