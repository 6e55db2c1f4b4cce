//! The fold of the directory's topic: records in, what is known out. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use schemas::event::{
    AccountCreated, Directory as Record, MembershipCopied, PolicyCopied, PoolLocated,
    SessionRevoked, SnapshotTaken, TokenCopied,
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
    /// Members now.
    pub members: usize,
}

/// What is known of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// Whether it is a platform admin.
    pub platform_admin: bool,
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
    as_of: u64,
}

#[derive(Debug, Default)]
struct Entry {
    pool: Pool,
    members: BTreeMap<AccountId, Membership>,
    tokens: HashMap<TokenId, Arc<TokenCopied>>,
    changed: u64,
}

/// What follows from the records read so far.
#[derive(Debug, Default)]
pub struct Fold {
    version: u64,
    pools: BTreeMap<PoolName, Entry>,
    by_change: BTreeMap<u64, PoolName>,
    accounts: HashMap<AccountId, Account>,
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
            Record::AccountCreated(AccountCreated { account, name, platform_admin }) => {
                self.accounts.insert(account, Account { name, platform_admin });
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
        let new = Membership { roles: body.roles, as_of: body.as_of };
        let known = entry.members.insert(body.account, new);
        if let Some(known) = known.filter(|known| known.as_of > body.as_of) {
            entry.members.insert(body.account, known);
            return;
        }
        let was = known.is_some_and(|known| !known.roles.is_empty());
        let is = !body.roles.is_empty();
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

    /// What the account is in the pool; `None` when it is no member.
    pub fn membership(&self, pool: &PoolName, account: AccountId) -> Option<RoleSet> {
        let membership = self.pools.get(pool)?.members.get(&account)?;
        Some(membership.roles).filter(|roles| !roles.is_empty())
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
    ) -> Vec<(AccountId, RoleSet)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = self.pools.get(pool).into_iter();
        members
            .flat_map(|entry| entry.members.range((from, Bound::Unbounded)))
            .filter(|(_, membership)| !membership.roles.is_empty())
            .map(|(account, membership)| (*account, membership.roles))
            .take(rows_max)
            .collect()
    }

    /// A join token as it was copied last: it may have run out or have no uses left.
    pub fn token(&self, pool: &PoolName, token: TokenId) -> Option<&Arc<TokenCopied>> {
        self.pools.get(pool)?.tokens.get(&token)
    }

    /// The account with this id.
    pub fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.get(&account)
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
mod tests {
    use super::*;
    use schemas::digest::Digest;
    use schemas::id::PoolId;
    use schemas::limit::Limits;
    use schemas::policy::PolicyAsk;
    use schemas::role::Role;
    use schemas::time::EffectiveAt;

    fn pool(name: &str) -> PoolName {
        name.parse().unwrap()
    }

    fn account(bits: u128) -> AccountId {
        AccountId::from_bits(bits)
    }

    fn member(name: &str, bits: u128, roles: &[Role], as_of: u64) -> Record {
        let (pool, account, roles) = (pool(name), account(bits), RoleSet::of(roles));
        MembershipCopied { pool, account, roles, as_of }.into()
    }

    fn policy(name: &str, version: u32, as_of: u64) -> Record {
        let policy = Box::new(PolicyAsk::default().resolve(&Limits::default()).unwrap());
        let (pool, id) = (pool(name), PoolId::from_bits(1));
        let (effective_from, before) = (EffectiveAt::default(), None);
        PolicyCopied { pool, id, version, policy, effective_from, before, as_of }.into()
    }

    fn located(name: &str) -> Record {
        let [events, batches, deliveries] = ["e", "b", "d"].map(Box::from);
        PoolLocated { name: pool(name), events, batches, deliveries }.into()
    }

    fn token(uses_left: u32, as_of: u64) -> Record {
        let (pool, token) = (pool("one"), TokenId::from_bits(5));
        TokenCopied { pool, token, roles: RoleSet::default(), uses_left, expires_at: None, as_of }
            .into()
    }

    fn snapshot(next: u64) -> Record {
        let (pool, object) = (pool("one"), "s/1".parse().unwrap());
        SnapshotTaken { pool, object, sha256: Digest::of(b""), size_bytes: 0, next }.into()
    }

    fn revoked(bits: u128, until: i64) -> Record {
        let (session, until) = (SessionId::from_bits(bits), Wall::from_millis(until));
        SessionRevoked { session, until }.into()
    }

    fn fold(records: impl IntoIterator<Item = Record>) -> Fold {
        let mut fold = Fold::default();
        records.into_iter().for_each(|record| fold.apply(record));
        fold
    }

    #[test]
    fn the_greater_as_of_counts_whichever_comes_last() {
        use Role::{Admin, Listener};
        let check = |case: &str, records: &[Record], roles: Option<&[Role]>| {
            let fold = fold(records.iter().cloned());
            let found = fold.membership(&pool("one"), account(7));
            assert_eq!(found, roles.map(RoleSet::of), "{case}");
            let count = usize::from(roles.is_some());
            assert_eq!(fold.pool(&pool("one")).unwrap().members, count, "{case}");
            assert_eq!(fold.pools_of(account(7)).count(), count, "{case}");
        };
        let said = |roles: &[Role], as_of| member("one", 7, roles, as_of);
        let (listener, admin): (&[Role], &[Role]) = (&[Listener], &[Admin]);
        check("joined", &[said(listener, 1)], Some(listener));
        check("raised", &[said(listener, 1), said(admin, 2)], Some(admin));
        check("a late copy", &[said(admin, 2), said(listener, 1)], Some(admin));
        check("left", &[said(listener, 1), said(&[], 2)], None);
        check("left, and a late copy", &[said(&[], 2), said(admin, 1)], None);
        check("back again", &[said(listener, 1), said(&[], 2), said(admin, 3)], Some(admin));
        check("the same copy twice", &[said(admin, 2), said(admin, 2)], Some(admin));
    }

    #[test]
    fn policies_tokens_and_snapshots_never_go_back() {
        let fold = fold([
            policy("one", 2, 9),
            policy("one", 1, 3),
            token(1, 8),
            token(2, 4),
            snapshot(20),
            snapshot(10),
        ]);
        let known = fold.pool(&pool("one")).unwrap();
        assert_eq!(known.policy.as_ref().unwrap().version, 2);
        assert_eq!(known.snapshot.as_ref().unwrap().next, 20);
        assert_eq!(fold.token(&pool("one"), TokenId::from_bits(5)).unwrap().uses_left, 1);
        assert!(fold.token(&pool("two"), TokenId::from_bits(5)).is_none(), "of another pool");
    }

    #[test]
    fn members_are_listed_by_page() {
        let all = [3, 1, 2].map(|bits| member("one", bits, &[Role::Listener], 1));
        let fold = fold(all.into_iter().chain([member("one", 2, &[], 2)]));
        let page = |after: Option<u128>, rows| -> Vec<u128> {
            let page = fold.members(&pool("one"), after.map(account), rows);
            page.into_iter().map(|(account, _)| account.bits()).collect()
        };
        assert_eq!(
            (page(None, 9), page(None, 1), page(Some(1), 9)),
            (vec![1, 3], vec![1], vec![3])
        );
        assert!(fold.members(&pool("two"), None, 9).is_empty());
        assert!(fold.has_membership(&pool("one"), account(2), 2));
        assert!(!fold.has_membership(&pool("one"), account(2), 3));
    }

    #[test]
    fn accounts_and_sessions() {
        let name: UserName = "ann".parse().unwrap();
        let created = AccountCreated { account: account(1), name, platform_admin: true };
        let mut fold = fold([created.into(), revoked(4, 1_000), revoked(5, 2_000)]);
        assert_eq!(fold.account(account(1)).unwrap().name.as_str(), "ann");
        assert!(fold.has_admin() && fold.accounts() == 1 && fold.account(account(2)).is_none());

        let sessions =
            |fold: &Fold| [4, 5, 6].map(|bits| fold.is_revoked(SessionId::from_bits(bits)));
        let past = |until: i64| Wall::from_millis(until).plus(REVOKED_KEPT_MS);
        assert!(!fold.has_to_forget(past(1_000)));
        fold.forget(past(1_000));
        assert_eq!(sessions(&fold), [true, true, false]);
        assert!(fold.has_to_forget(past(1_001)));
        fold.forget(past(1_001));
        assert_eq!(sessions(&fold), [false, true, false]);
        fold.apply(revoked(5, 500));
        fold.forget(past(1_999));
        assert_eq!(sessions(&fold), [false, true, false], "a revocation is never shortened");
    }

    #[test]
    fn changes_name_each_pool_once_in_order() {
        let mut fold = fold([located("one"), located("two"), member("one", 1, &[], 1)]);
        let changes = fold.changes_since(0);
        assert_eq!((changes.pools, changes.upto), (vec![pool("two"), pool("one")], 3));
        assert_eq!(fold.changes_since(2).pools, [pool("one")]);
        fold.apply(revoked(1, 1));
        assert_eq!(fold.changes_since(3), Changes { pools: vec![], upto: 4 });
        assert!(fold.pool(&pool("two")).unwrap().policy.is_none(), "located, but not there yet");
        assert_eq!(fold.pools().count(), 2);
    }
}
