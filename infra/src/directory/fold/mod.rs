//! The fold of the directory's topic: records in, what is known out. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use schemas::event::{
    AccountCreated, AccountDisabled, AccountEnabled, Directory as Record, MembershipCopied,
    PolicyCopied, PoolLocated, PoolState, PoolStateCopied, SessionRevoked, SnapshotTaken,
    TokenCopied,
};
use schemas::id::{AccountId, SessionId, TokenId};
use schemas::name::{PoolName, UserName};
use schemas::role::RoleSet;
use schemas::time::Wall;

/// A revoked session is remembered for this long after its last token has died, in milliseconds:
/// a clock that is set back must not bring it to life again.
const REVOKED_KEPT_MS: u64 = 3_600_000;

/// What is known of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Where its topics are. That it is located does not mean that it exists.
    pub located: Option<Arc<PoolLocated>>,
    /// Its newest policy; a pool exists once it has one.
    pub policy: Option<Arc<PolicyCopied>>,
    /// The newest snapshot of its fold.
    pub snapshot: Option<Arc<SnapshotTaken>>,
    /// Members now, those suspended counted.
    pub members: usize,
    /// Whether it takes files and closes windows.
    pub state: PoolState,
    /// The event that follows from; `None` while nothing was said of it.
    pub state_as_of: Option<u64>,
}

/// One member of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub account: AccountId,
    /// As what.
    pub roles: RoleSet,
    /// Whether it is suspended, and may do nothing.
    pub suspended: bool,
}

/// What is known of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// Whether it is a platform admin.
    pub platform_admin: bool,
    /// Whose it is, where it is an API client.
    pub owner: Option<AccountId>,
}

/// Which pools have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each once, the one that changed last at the end.
    pub pools: Vec<PoolName>,
    /// Ask from here next time.
    pub upto: u64,
}

#[derive(Clone, Copy, Debug)]
struct Membership {
    /// Empty once it has ended: it is kept so that an older copy that comes late changes nothing.
    roles: RoleSet,
    suspended: bool,
    as_of: u64,
}

impl Membership {
    fn is_there(&self) -> bool {
        !self.roles.is_empty()
    }
}

#[derive(Debug, Default)]
struct Entry {
    pool: Pool,
    members: BTreeMap<AccountId, Membership>,
    tokens: BTreeMap<TokenId, Arc<TokenCopied>>,
    changed: u64,
}

/// What follows from the records read so far.
#[derive(Debug, Default)]
pub struct Fold {
    version: u64,
    pools: BTreeMap<PoolName, Entry>,
    by_change: BTreeMap<u64, PoolName>,
    accounts: HashMap<AccountId, Account>,
    clients_of: HashMap<AccountId, BTreeSet<AccountId>>,
    disabled: HashSet<AccountId>,
    pools_of: HashMap<AccountId, BTreeSet<PoolName>>,
    revoked: HashMap<SessionId, Wall>,
    revoked_by_end: BTreeSet<(Wall, SessionId)>,
}

impl Fold {
    /// Takes one record in. Of copies about one thing the greater `as_of` counts, whichever comes
    /// last.
    pub fn apply(&mut self, record: Record) {
        self.version += 1;
        match record {
            Record::PoolLocated(body) => {
                let entry = self.touch(&body.name);
                entry.pool.located = Some(Arc::new(body));
            }
            Record::PolicyCopied(body) => {
                let entry = self.touch(&body.pool);
                if entry.pool.policy.as_ref().is_none_or(|known| known.as_of <= body.as_of) {
                    entry.pool.policy = Some(Arc::new(body));
                }
            }
            Record::MembershipCopied(body) => self.member(&body),
            Record::TokenCopied(body) => {
                let entry = self.touch(&body.pool);
                if entry.tokens.get(&body.token).is_none_or(|known| known.as_of <= body.as_of) {
                    entry.tokens.insert(body.token, Arc::new(body));
                }
            }
            Record::PoolStateCopied(PoolStateCopied { pool, state, as_of }) => {
                let entry = self.touch(&pool);
                if entry.pool.state_as_of <= Some(as_of) {
                    (entry.pool.state, entry.pool.state_as_of) = (state, Some(as_of));
                }
            }
            Record::AccountCreated(AccountCreated { account, name, platform_admin, owner }) => {
                if let Some(owner) = owner {
                    self.clients_of.entry(owner).or_default().insert(account);
                }
                self.accounts.insert(account, Account { name, platform_admin, owner });
            }
            Record::AccountDisabled(AccountDisabled { account, .. }) => {
                self.disabled.insert(account);
            }
            Record::AccountEnabled(AccountEnabled { account, .. }) => {
                self.disabled.remove(&account);
            }
            Record::SessionRevoked(SessionRevoked { session, until }) => {
                let until = until.max(self.revoked.get(&session).copied().unwrap_or_default());
                if let Some(earlier) = self.revoked.insert(session, until) {
                    self.revoked_by_end.remove(&(earlier, session));
                }
                self.revoked_by_end.insert((until, session));
            }
            Record::SnapshotTaken(body) => {
                let entry = self.touch(&body.pool);
                if entry.pool.snapshot.as_ref().is_none_or(|known| known.next <= body.next) {
                    entry.pool.snapshot = Some(Arc::new(body));
                }
            }
        }
    }

    /// Forgets sessions whose tokens have long been dead.
    pub fn forget(&mut self, now: Wall) {
        while let Some((until, session)) = self.revoked_by_end.first().copied()
            && until.plus(REVOKED_KEPT_MS) < now
        {
            self.revoked_by_end.remove(&(until, session));
            self.revoked.remove(&session);
        }
    }

    /// Whether [`forget`](Self::forget) has anything to do.
    pub fn has_to_forget(&self, now: Wall) -> bool {
        self.revoked_by_end.first().is_some_and(|(until, _)| until.plus(REVOKED_KEPT_MS) < now)
    }

    fn touch(&mut self, pool: &PoolName) -> &mut Entry {
        if !self.pools.contains_key(pool) {
            self.pools.insert(pool.clone(), Entry::default());
        }
        let entry = self.pools.get_mut(pool).expect("it was just put there");
        self.by_change.remove(&entry.changed);
        self.by_change.insert(self.version, pool.clone());
        entry.changed = self.version;
        entry
    }

    fn member(&mut self, body: &MembershipCopied) {
        let entry = self.touch(&body.pool);
        let MembershipCopied { roles, suspended, as_of, .. } = *body;
        let new = Membership { roles, suspended, as_of };
        let known = entry.members.insert(body.account, new);
        if let Some(known) = known.filter(|known| known.as_of > body.as_of) {
            entry.members.insert(body.account, known);
            return;
        }
        let was = known.is_some_and(|known| known.is_there());
        let is = new.is_there();
        entry.pool.members += usize::from(is);
        entry.pool.members -= usize::from(was);
        let pools = self.pools_of.entry(body.account).or_default();
        if is {
            pools.insert(body.pool.clone());
        } else {
            pools.remove(&body.pool);
        }
    }
}

/// What can be asked.
impl Fold {
    /// Grows with every record.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The pool of this name.
    pub fn pool(&self, name: &PoolName) -> Option<&Pool> {
        self.pools.get(name).map(|entry| &entry.pool)
    }

    /// All pools, by name.
    pub fn pools(&self) -> impl Iterator<Item = (&PoolName, &Pool)> {
        self.pools.iter().map(|(name, entry)| (name, &entry.pool))
    }

    /// What the account is in the pool now; `None` when it is no member, or a suspended one.
    pub fn membership(&self, pool: &PoolName, account: AccountId) -> Option<RoleSet> {
        let member = self.member_of(pool, account)?;
        Some(member.roles).filter(|_| !member.suspended)
    }

    /// The account as a member of the pool, suspended or not.
    pub fn member_of(&self, pool: &PoolName, account: AccountId) -> Option<Member> {
        let known = self.pools.get(pool)?.members.get(&account)?;
        let Membership { roles, suspended, .. } = *known;
        known.is_there().then_some(Member { account, roles, suspended })
    }

    /// Whether what event `as_of` of the pool said of this membership, or something later, is in.
    pub fn has_membership(&self, pool: &PoolName, account: AccountId, as_of: u64) -> bool {
        let membership = self.pools.get(pool).and_then(|entry| entry.members.get(&account));
        membership.is_some_and(|known| known.as_of >= as_of)
    }

    /// The first `rows_max` members after `after`, by id.
    pub fn members(
        &self,
        pool: &PoolName,
        after: Option<AccountId>,
        rows_max: usize,
    ) -> Vec<Member> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = self.pools.get(pool).into_iter();
        members
            .flat_map(|entry| entry.members.range((from, Bound::Unbounded)))
            .filter(|(_, membership)| membership.is_there())
            .map(|(account, known)| {
                let Membership { roles, suspended, .. } = *known;
                Member { account: *account, roles, suspended }
            })
            .take(rows_max)
            .collect()
    }

    /// The first `rows_max` join tokens after `after`, by id, whether they are good or not.
    pub fn tokens(
        &self,
        pool: &PoolName,
        after: Option<TokenId>,
        rows_max: usize,
    ) -> Vec<Arc<TokenCopied>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entry = self.pools.get(pool).into_iter();
        let tokens = entry.flat_map(|entry| entry.tokens.range((from, Bound::Unbounded)));
        tokens.map(|(_, token)| Arc::clone(token)).take(rows_max).collect()
    }

    /// A join token as it was copied last: it may have run out or have no uses left.
    pub fn token(&self, pool: &PoolName, token: TokenId) -> Option<&Arc<TokenCopied>> {
        self.pools.get(pool)?.tokens.get(&token)
    }

    /// The account with this id.
    pub fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.get(&account)
    }

    /// Whether an account, or the owner of an API client, is disabled.
    pub fn is_disabled(&self, account: AccountId) -> bool {
        let owner = || self.accounts.get(&account).and_then(|account| account.owner);
        self.disabled.contains(&account)
            || owner().is_some_and(|owner| self.disabled.contains(&owner))
    }

    /// The API clients of an account, by id.
    pub fn clients_of(&self, owner: AccountId) -> impl Iterator<Item = AccountId> {
        self.clients_of.get(&owner).into_iter().flatten().copied()
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Whether any account is a platform admin.
    pub fn has_admin(&self) -> bool {
        self.accounts.values().any(|account| account.platform_admin)
    }

    /// The pools the account is a member of, by name.
    pub fn pools_of(&self, account: AccountId) -> impl Iterator<Item = &PoolName> {
        self.pools_of.get(&account).into_iter().flatten()
    }

    /// Whether the session has been signed out.
    pub fn is_revoked(&self, session: SessionId) -> bool {
        self.revoked.contains_key(&session)
    }

    /// The pools with a record after `version`; all of them after 0.
    pub fn changes_since(&self, version: u64) -> Changes {
        let later = self.by_change.range((Bound::Excluded(version), Bound::Unbounded));
        Changes { pools: later.map(|(_, pool)| pool.clone()).collect(), upto: self.version }
    }
}

#[cfg(test)]
mod tests;
