//! What is known after which records, in any order.

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
    MembershipCopied { pool, account, roles, suspended: false, as_of }.into()
}

fn policy(name: &str, version: u32, as_of: u64) -> Record {
    let policy = PolicyAsk::default().resolve(&Limits::default()).unwrap();
    let id = PoolId::from_bits(1);
    PolicyCopied {
        pool: pool(name),
        id,
        version,
        policy: Box::new(policy),
        effective_from: EffectiveAt::default(),
        before: None,
        as_of,
    }
    .into()
}

fn located(name: &str) -> Record {
    let [events, batches, deliveries] = ["e", "b", "d"].map(Box::from);
    PoolLocated { name: pool(name), events, batches, deliveries }.into()
}

fn token(uses_left: u32, as_of: u64) -> Record {
    let (pool, token) = (pool("one"), TokenId::from_bits(5));
    let (roles, expires_at, revoked) = (RoleSet::default(), None, false);
    TokenCopied { pool, token, roles, uses_left, expires_at, revoked, as_of }.into()
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
        page.into_iter().map(|member| member.account.bits()).collect()
    };
    assert_eq!((page(None, 9), page(None, 1), page(Some(1), 9)), (vec![1, 3], vec![1], vec![3]));
    assert!(fold.members(&pool("two"), None, 9).is_empty());
    assert!(fold.has_membership(&pool("one"), account(2), 2));
    assert!(!fold.has_membership(&pool("one"), account(2), 3));
}

#[test]
fn accounts_and_sessions() {
    let name: UserName = "ann".parse().unwrap();
    let created = AccountCreated { account: account(1), name, platform_admin: true, owner: None };
    let mut fold = fold([created.into(), revoked(4, 1_000), revoked(5, 2_000)]);
    assert_eq!(fold.account(account(1)).unwrap().name.as_str(), "ann");
    assert!(fold.has_admin() && fold.accounts() == 1 && fold.account(account(2)).is_none());

    let sessions = |fold: &Fold| [4, 5, 6].map(|bits| fold.is_revoked(SessionId::from_bits(bits)));
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

#[test]
fn a_suspended_member_is_one_that_counts_as_none() {
    let said = |suspended, as_of| {
        let (pool, account, roles) = (pool("one"), account(7), RoleSet::of(&[Role::Admin]));
        Record::from(MembershipCopied { pool, account, roles, suspended, as_of })
    };
    let mut fold = fold([said(false, 1), said(true, 2)]);
    let known = |fold: &Fold| {
        let member = fold.member_of(&pool("one"), account(7)).unwrap();
        (fold.membership(&pool("one"), account(7)).is_some(), member.suspended)
    };
    assert_eq!(known(&fold), (false, true));
    assert_eq!(fold.pool(&pool("one")).unwrap().members, 1);
    assert_eq!(fold.pools_of(account(7)).count(), 1);
    fold.apply(said(false, 1));
    assert_eq!(known(&fold), (false, true), "a late copy");
    fold.apply(said(false, 3));
    assert_eq!(known(&fold), (true, false));
}

#[test]
fn a_pools_state_never_goes_back() {
    let said = |state, as_of| Record::from(PoolStateCopied { pool: pool("one"), state, as_of });
    let fold = fold([said(PoolState::Archived, 9), said(PoolState::Paused, 3)]);
    assert_eq!(fold.pool(&pool("one")).unwrap().state, PoolState::Archived);
}

#[test]
fn an_api_client_is_as_dead_as_its_owner() {
    let name = |text: &str| text.parse::<UserName>().unwrap();
    let of = |bits, text, owner| {
        let (account, owner) = (account(bits), owner);
        Record::from(AccountCreated { account, name: name(text), platform_admin: false, owner })
    };
    let mut fold = fold([of(1, "ada", None), of(2, "ada-worker", Some(account(1)))]);
    let dead = |fold: &Fold| [1, 2, 3].map(|bits| fold.is_disabled(account(bits)));
    assert_eq!(dead(&fold), [false; 3]);
    assert_eq!(fold.clients_of(account(1)).collect::<Vec<_>>(), [account(2)]);
    let by = account(9);
    fold.apply(AccountDisabled { account: account(2), by }.into());
    assert_eq!(dead(&fold), [false, true, false]);
    fold.apply(AccountDisabled { account: account(1), by }.into());
    fold.apply(AccountEnabled { account: account(2), by }.into());
    assert_eq!(dead(&fold), [true, true, false], "with its owner");
    fold.apply(AccountEnabled { account: account(1), by }.into());
    assert_eq!(dead(&fold), [false; 3]);
}
