//! Members, and since when: what a member is entitled to follows from it.

use infra::row;
use infra::table::{Field as _, Row as _};
use infra::views::{View, Writes};
use schemas::event::{Backlog, Derived};
use schemas::id::{AccountId, ResultId};
use schemas::name::PoolName;
use schemas::role::RoleSet;
use schemas::time::LogTime;
use schemas::topic::Offset;

use super::{Projection, Said, Seen, Source};

row! {
    /// A member, since when it belongs.
    MemberRow in "member" (pool: PoolName; account: AccountId = Asc) {
        since_seq: u64,
        since: LogTime,
        latest: Option<ResultId>,
        all: bool,
    }
}

row! {
    /// What a member is.
    MemberRolesRow in "member_roles" (pool: PoolName; account: AccountId = Asc) {
        roles: Box<str>,
    }
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "members", version: 1 },
    source: Source::Batches,
    tables: &[MemberRow::TABLE, MemberRolesRow::TABLE],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(said) = seen.said else { return };
    let pool = || seen.pool.clone();
    match said {
        Derived::MemberAdded(added) => {
            let (account, since_seq, since) = (added.account, seen.offset, seen.at);
            let (latest, all) = match added.backlog {
                Backlog::None => (None, false),
                Backlog::Latest(result) => (Some(result), false),
                Backlog::All => (None, true),
            };
            let row = MemberRow { pool: pool(), account, since_seq, since, latest, all };
            writes.upsert(row, seen.stamp_us);
            roles(seen, account, added.roles, writes);
        }
        Derived::MemberRoleChanged(changed) => {
            roles(seen, changed.account, changed.roles, writes);
        }
        Derived::MemberRemoved(removed) => {
            let key = || [pool().cell(), removed.account.cell()];
            writes.delete::<MemberRow>(key(), seen.stamp_us);
            writes.delete::<MemberRolesRow>(key(), seen.stamp_us);
        }
        _ => (),
    }
}

fn roles(seen: &Seen<'_>, account: AccountId, roles: RoleSet, writes: &mut Writes) {
    let names: Vec<_> = roles.iter().map(|role| role.to_string()).collect();
    let row = MemberRolesRow { pool: seen.pool.clone(), account, roles: names.join(",").into() };
    writes.upsert(row, seen.stamp_us);
}

impl MemberRow {
    /// Whether the member gets this result.
    pub fn is_entitled(&self, result: ResultId, seq: Offset) -> bool {
        self.all || seq > self.since_seq || self.latest == Some(result)
    }
}

/// The roles a row names.
pub(crate) fn role_set(text: &str) -> RoleSet {
    let roles: Vec<_> = text.split(',').filter_map(|role| role.parse().ok()).collect();
    RoleSet::of(&roles)
}
