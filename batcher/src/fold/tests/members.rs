//! Members, join tokens, and the pool's name.

use schemas::event::{
    JoinTokenIssueRequested, MemberJoinRequested, MemberRemoveRequested, PoolCreated,
};
use schemas::id::{AccountId, PoolId, TokenId};
use schemas::role::{Role, RoleSet};
use schemas::time::LogTime;

use super::{BASE, OWNER, Telling, policy};

fn issue(pool: &mut Telling, token: u128, uses_max: u32, expires_at: Option<i64>) -> Vec<String> {
    pool.say(JoinTokenIssueRequested {
        by: AccountId::from_bits(OWNER),
        token: TokenId::from_bits(token),
        roles: RoleSet::of(&[Role::Contributor]),
        uses_max,
        expires_at: expires_at.map(|at| LogTime::from_millis(BASE + at)),
    })
}

fn join(pool: &mut Telling, account: u128, token: u128) -> Vec<String> {
    let (account, token) = (AccountId::from_bits(account), TokenId::from_bits(token));
    pool.say(MemberJoinRequested { account, token })
}

fn remove(pool: &mut Telling, account: u128) -> Vec<String> {
    let account = AccountId::from_bits(account);
    pool.say(MemberRemoveRequested { by: AccountId::from_bits(OWNER), account })
}

#[test]
fn a_one_use_token_is_redeemed_once() {
    let mut pool = Telling::new(0, policy(|_| ()));
    assert_eq!(issue(&mut pool, 5, 1, None), ["token 5 issued"]);
    assert_eq!(join(&mut pool, 1, 5), ["member 1 is contributor"]);
    assert_eq!(join(&mut pool, 2, 5), ["refused: TokenUsedUp"]);
    assert_eq!(join(&mut pool, 1, 5), ["member 1 is now contributor"], "a repeat of a join");
    assert_eq!(join(&mut pool, 1, 6), ["refused: NoToken"]);
}

#[test]
fn a_token_runs_out() {
    let mut pool = Telling::new(0, policy(|_| ()));
    issue(&mut pool, 5, 9, Some(60_000));
    pool.at(59_999);
    assert_eq!(join(&mut pool, 1, 5), ["member 1 is contributor"]);
    pool.at(60_000);
    assert_eq!(join(&mut pool, 2, 5), ["refused: TokenExpired"]);
}

#[test]
fn joining_adds_to_the_roles_one_has() {
    let mut pool = Telling::new(0, policy(|_| ()));
    issue(&mut pool, 5, 9, None);
    pool.add(1, &[Role::Analyst]);
    assert_eq!(join(&mut pool, 1, 5), ["member 1 is now contributor+analyst"]);
}

#[test]
fn the_last_owner_stays() {
    let mut pool = Telling::new(0, policy(|_| ()));
    assert_eq!(remove(&mut pool, OWNER), ["refused: LastOwner"]);
    assert_eq!(pool.add(OWNER, &[Role::Admin]), ["refused: LastOwner"]);
    assert_eq!(pool.add(1, &[Role::Owner]), ["member 1 is owner"]);
    assert_eq!(remove(&mut pool, OWNER), ["member 1000 removed"]);
    assert_eq!(remove(&mut pool, OWNER), ["refused: NoMember"]);
}

#[test]
fn a_pools_name_belongs_to_the_first() {
    let mut pool = Telling::new(0, policy(|_| ()));
    let second = PoolCreated {
        pool: PoolId::from_bits(8),
        name: "tests".parse().unwrap(),
        owner: AccountId::from_bits(1),
        semantics: 1,
        policy: Box::new(policy(|_| ())),
    };
    assert_eq!(pool.say(second), ["refused: PoolNameTaken"]);
    assert_eq!(pool.state.pool_id(), Some(PoolId::from_bits(7)));
}
