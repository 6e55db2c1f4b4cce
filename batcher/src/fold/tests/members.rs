//! Members, join tokens, and the pool's name.

use schemas::event::{
    JoinTokenIssueRequested, JoinTokenRevokeRequested, MemberJoinRequested, MemberRemoveRequested,
    MemberResumeRequested, MemberSuspendRequested, OwnerTransferRequested, PoolCreated,
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

fn suspend(pool: &mut Telling, account: u128) -> Vec<String> {
    let account = AccountId::from_bits(account);
    pool.say(MemberSuspendRequested { by: AccountId::from_bits(OWNER), account })
}

fn resume(pool: &mut Telling, account: u128) -> Vec<String> {
    let account = AccountId::from_bits(account);
    pool.say(MemberResumeRequested { by: AccountId::from_bits(OWNER), account })
}

fn transfer(pool: &mut Telling, by: u128, to: u128) -> Vec<String> {
    let [by, to] = [by, to].map(AccountId::from_bits);
    pool.say(OwnerTransferRequested { by, to })
}

#[test]
fn files_of_a_suspended_member_are_held_and_nobody_waits_for_it() {
    let mut pool = Telling::new(2, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    assert_eq!(suspend(&mut pool, 2), ["member 2 suspended"]);
    assert_eq!(suspend(&mut pool, 2), ["member 2 suspended"], "a repeat");
    assert_eq!(pool.file(2, 2, 1_000), ["file 2 held: suspended"]);
    let said = pool.close();
    assert_eq!(said.last().unwrap(), "ready 0.1 r1 files 1 because asked", "2 is not missing");
    assert_eq!(resume(&mut pool, 2), ["member 2 resumed"]);
    assert_eq!(pool.file(3, 2, 2_000).last().unwrap(), "file 3 in 0.2 r1");
    assert_eq!(pool.release((2, 2, 1_000), None), ["released 2 in 0.2 r1"]);
    assert_eq!(suspend(&mut pool, 9), ["refused: NoMember"]);
    assert_eq!(resume(&mut pool, 9), ["refused: NoMember"]);
}

#[test]
fn a_suspended_worker_gets_no_work_and_its_result_is_not_taken() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.close();
    pool.claim(1);
    suspend(&mut pool, super::WORKER);
    assert_eq!(pool.claim(2), ["claim refused: NotAProcessor"]);
    assert_eq!(pool.offer(0, 1, Some(1)), ["result refused: NotAProcessor"]);
    resume(&mut pool, super::WORKER);
    assert_eq!(pool.offer(0, 1, Some(1)), ["result of 0.1 r1"]);
}

#[test]
fn nobody_gets_round_being_suspended() {
    let mut pool = Telling::new(1, policy(|_| ()));
    issue(&mut pool, 5, 9, None);
    suspend(&mut pool, 1);
    assert_eq!(join(&mut pool, 1, 5), ["refused: Suspended"]);
    pool.add(1, &[Role::Contributor, Role::Analyst]);
    assert_eq!(pool.file(1, 1, 0), ["file 1 held: suspended"], "other roles change nothing");
}

#[test]
fn a_pool_is_given_away_and_never_without_an_owner() {
    let mut pool = Telling::new(2, policy(|_| ()));
    assert_eq!(suspend(&mut pool, OWNER), ["refused: LastOwner"]);
    assert_eq!(transfer(&mut pool, 1, 2), ["refused: NotAnOwner"]);
    assert_eq!(transfer(&mut pool, OWNER, 9), ["refused: NoMember"]);
    let said = transfer(&mut pool, OWNER, 1);
    assert_eq!(said, ["member 1 is now owner+contributor", "member 1000 is now admin"]);
    assert_eq!(transfer(&mut pool, OWNER, 2), ["refused: NotAnOwner"], "any more");
    assert_eq!(transfer(&mut pool, 1, 1), ["member 1 is now owner+contributor"]);
    assert_eq!(remove(&mut pool, OWNER), ["member 1000 removed"]);
    suspend(&mut pool, 2);
    assert_eq!(transfer(&mut pool, 1, 2), ["refused: NoMember"], "it rests");
    pool.add(2, &[Role::Owner]);
    assert_eq!(remove(&mut pool, 1), ["refused: LastOwner"], "a suspended owner is none");
}

#[test]
fn a_revoked_token_lets_nobody_in() {
    let mut pool = Telling::new(0, policy(|_| ()));
    issue(&mut pool, 5, 9, None);
    assert_eq!(join(&mut pool, 1, 5), ["member 1 is contributor"]);
    let mut revoke = |token| {
        let by = AccountId::from_bits(OWNER);
        pool.say(JoinTokenRevokeRequested { by, token: TokenId::from_bits(token) })
    };
    assert_eq!(revoke(5), ["token 5 revoked"]);
    assert_eq!(revoke(5), ["token 5 revoked"], "a repeat");
    assert_eq!(revoke(6), ["refused: NoToken"]);
    assert_eq!(join(&mut pool, 2, 5), ["refused: TokenRevoked"]);
    assert_eq!(join(&mut pool, 1, 5), ["member 1 is now contributor"], "who is in stays in");
}
