//! What the directory is told of the answers of the batcher of a few rules.

use schemas::event::{
    Derived, Directory, JoinTokenIssued, MembershipCopied, PolicyCopied, TokenCopied, TokenUsed,
};
use schemas::name::PoolName;
use schemas::role::RoleSet;
use schemas::topic::Offset;

/// What the directory is told of an answer.
pub(super) fn copies(pool: &PoolName, body: &Derived, as_of: Offset) -> Vec<Directory> {
    let pool = pool.clone();
    let member = |account, roles| MembershipCopied {
        pool: pool.clone(),
        account,
        roles,
        suspended: false,
        as_of,
    };
    let token = |used: &TokenUsed| {
        let TokenUsed { token, roles, uses_left, expires_at } = *used;
        TokenCopied {
            pool: pool.clone(),
            token,
            roles,
            uses_left,
            expires_at,
            revoked: false,
            as_of,
        }
        .into()
    };
    match body {
        Derived::PolicyChanged(body) => {
            let (id, version, policy) = (body.pool, body.version, body.policy.clone());
            let (effective_from, before) = (body.effective_from, body.before.clone());
            vec![PolicyCopied { pool, id, version, policy, effective_from, before, as_of }.into()]
        }
        Derived::MemberAdded(body) => {
            let copy = member(body.account, body.roles).into();
            std::iter::once(copy).chain(body.token.iter().map(token)).collect()
        }
        Derived::MemberRoleChanged(body) => vec![member(body.account, body.roles).into()],
        Derived::MemberRemoved(body) => vec![member(body.account, RoleSet::default()).into()],
        Derived::JoinTokenIssued(body) => {
            let JoinTokenIssued { token, roles, uses_max: uses_left, expires_at } = *body;
            vec![
                TokenCopied { pool, token, roles, uses_left, expires_at, revoked: false, as_of }
                    .into(),
            ]
        }
        _ => Vec::new(),
    }
}
