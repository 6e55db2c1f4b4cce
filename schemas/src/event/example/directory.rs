//! One example of each type of the directory.

use super::super::{
    AccountCreated, Directory, MembershipCopied, PolicyCopied, PoolLocated, SessionRevoked,
    SnapshotTaken, TokenCopied,
};
use super::{MOMENT, client, contributor, id, parsed, policy, pool, token};
use crate::digest::Digest;
use crate::id::SessionId;
use crate::time::{EffectiveAt, Wall};

/// One of each type of the directory.
pub fn directory() -> Vec<Directory> {
    let name = parsed("north-sea-buoys");
    let pool_name = || parsed("north-sea-buoys");
    vec![
        PoolLocated {
            events: crate::topic::Topic::events(&name).name().into(),
            batches: crate::topic::Topic::batches(&name).name().into(),
            deliveries: crate::topic::Topic::deliveries(&name).name().into(),
            name,
        }
        .into(),
        PolicyCopied {
            pool: pool_name(),
            id: pool(),
            version: 1,
            policy: policy(),
            effective_from: EffectiveAt::default(),
            before: None,
            as_of: 0,
        }
        .into(),
        MembershipCopied { pool: pool_name(), account: client(), roles: contributor(), as_of: 3 }
            .into(),
        TokenCopied {
            pool: pool_name(),
            token: token(),
            roles: contributor(),
            uses_left: 1,
            expires_at: None,
            as_of: 2,
        }
        .into(),
        AccountCreated { account: client(), name: parsed("buoy-17"), platform_admin: false }.into(),
        SessionRevoked {
            session: SessionId::from_bits(id(11)),
            until: Wall::from_millis(MOMENT + 3_600_000),
        }
        .into(),
        SnapshotTaken {
            pool: pool_name(),
            object: parsed("s/north-sea-buoys/10000"),
            sha256: Digest::of(b"snapshot"),
            size_bytes: 8,
            next: 10_000,
        }
        .into(),
    ]
}
