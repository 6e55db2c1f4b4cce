//! Claims, leases, results: one worker at a time, one result per revision.

use schemas::digest::Digest;
use schemas::event::{
    Backlog, ClaimRequested, Derived, MemberRemoveRequested, OpenWindows, PoolArchiveRequested,
    Timer, TimerDue,
};
use schemas::id::{AccountId, ClaimId, ResultId};
use schemas::role::Role;
use schemas::time::LogTime;

use super::{BASE, OWNER, Telling, WORKER, batch, offer, policy, window};

/// A pool with batches of minute 0 and minute 1, at minute 5.
fn two_batches() -> Telling {
    let mut pool = Telling::new(1, policy(|ask| ask.lease_ms = Some(60_000)));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.file(2, 1, 61_000);
    pool.at(300_000);
    pool.file(3, 1, 300_000);
    pool
}

#[test]
fn the_oldest_batch_is_leased_first_and_to_one_worker() {
    let mut pool = two_batches();
    assert_eq!(pool.claim(1), ["leased 0.1 r1 epoch 1 attempt 1"]);
    assert_eq!(pool.claim(1), ["leased 0.1 r1 epoch 1 attempt 1"], "a repeat gives the same");
    assert_eq!(pool.claim(2), ["leased 1.1 r1 epoch 1 attempt 1"]);
    assert_eq!(pool.claim(3), ["claim refused: NothingToClaim"]);
}

#[test]
fn a_claim_recorded_after_its_deadline_is_refused() {
    let mut pool = two_batches();
    let deadline = LogTime::from_millis(BASE + 299_999);
    let (claim, worker) = (ClaimId::from_bits(1), AccountId::from_bits(WORKER));
    let late = ClaimRequested { claim, worker, deadline };
    assert_eq!(pool.say(late), ["claim refused: DeadlinePassed"]);
    let stranger = ClaimRequested { claim, worker: AccountId::from_bits(1), deadline };
    assert_eq!(pool.say(stranger), ["claim refused: NotAProcessor"]);
}

#[test]
fn an_unconfirmed_lease_goes_back_and_does_not_count() {
    let mut pool = two_batches();
    pool.claim(1);
    assert_eq!(pool.timer(), ["lease 0.1 ended: Unconfirmed"]);
    assert_eq!(pool.clock, 315_000);
    assert_eq!(pool.claim(2), ["leased 0.1 r1 epoch 2 attempt 1"]);
    assert_eq!(pool.renew(0, 1), ["claim refused: StaleEpoch"]);
    assert_eq!(pool.renew(0, 2), ["leased 0.1 r1 epoch 2 attempt 1"]);
    assert_eq!(pool.timer(), ["lease 0.1 ended: Expired"]);
    assert_eq!(pool.clock, 375_000, "a minute after the renewal");
    assert_eq!(pool.claim(3), ["leased 0.1 r1 epoch 3 attempt 2"]);
}

#[test]
fn a_lease_is_not_ended_early_by_an_owner_with_a_fast_clock() {
    let mut pool = two_batches();
    pool.claim(1);
    let (due, timer) = pool.state.due().unwrap();
    pool.at(314_999);
    assert_eq!(pool.say(TimerDue { timer, due }), [""; 0]);
    assert_eq!(pool.renew(0, 1), ["leased 0.1 r1 epoch 1 attempt 1"]);
}

#[test]
fn after_three_attempts_a_batch_is_given_up_until_it_is_amended() {
    let mut pool = two_batches();
    for epoch in 1..=3 {
        pool.claim(u128::from(epoch));
        let said = pool.give_up(0, epoch);
        assert_eq!(said[0], "lease 0.1 ended: Failed");
        assert_eq!(said.len() == 2, epoch == 3, "{said:?}");
    }
    assert_eq!(pool.claim(9), ["leased 1.1 r1 epoch 1 attempt 1"], "the other one goes on");
    pool.file(4, 1, 2_000);
    while !pool.timer().iter().any(|line| line.starts_with("amended 0.1 r2")) {}
    let said: Vec<_> = (10..12).flat_map(|claim| pool.claim(claim)).collect();
    assert!(said.contains(&"leased 0.1 r2 epoch 4 attempt 1".to_owned()), "{said:?}");
}

#[test]
fn a_batch_that_was_given_up_is_retried_with_all_its_attempts_and_epochs_that_go_on() {
    let mut pool = two_batches();
    assert_eq!(pool.retry(0), ["refused: NotFailed"], "it can be claimed");
    for epoch in 1..=3 {
        pool.claim(u128::from(epoch));
        pool.give_up(0, epoch);
    }
    assert_eq!(pool.retry(0), ["retried 0.1 r1"]);
    assert_eq!(pool.retry(0), ["refused: NotFailed"], "a repeat changes nothing");
    assert_eq!(pool.offer(0, 1, Some(2)), ["result refused: StaleEpoch"]);
    for epoch in 4..=6 {
        let attempt = epoch - 3;
        let leased = format!("leased 0.1 r1 epoch {epoch} attempt {attempt}");
        assert_eq!(pool.claim(u128::from(epoch)), [leased], "it is the oldest");
        assert_eq!(pool.give_up(0, epoch).len() == 2, epoch == 6, "given up again");
    }
    assert_eq!(pool.retry(0), ["retried 0.1 r1"]);
    assert_eq!(pool.claim(7), ["leased 0.1 r1 epoch 7 attempt 1"]);
    assert_eq!(pool.offer(0, 1, Some(7)), ["result of 0.1 r1"]);
    assert_eq!(pool.retry(0), ["refused: NotFailed"], "it has its result");
    assert_eq!(pool.retry(9), ["refused: NotFailed"], "there is no such batch");
}

#[test]
fn a_batch_that_was_cancelled_is_not_retried() {
    let mut pool = two_batches();
    pool.claim(1);
    let by = AccountId::from_bits(OWNER);
    pool.say(PoolArchiveRequested { by, open_windows: OpenWindows::Cancel });
    assert_eq!(pool.retry(0), ["refused: NotFailed"]);
    assert_eq!(pool.claim(2), ["claim refused: NothingToClaim"]);
}

#[test]
fn one_result_per_revision_and_repeats_are_known() {
    let mut pool = two_batches();
    pool.claim(1);
    assert_eq!(pool.offer(0, 1, Some(1)), ["result of 0.1 r1"]);
    assert_eq!(pool.offer(0, 1, Some(1)), ["result refused: HasResult, a repeat"]);
    let manifest = pool.manifest(batch(0, 1), 1);
    let mut other = offer(batch(0, 1), 1, Some(1), manifest);
    other.sha256 = Digest::of(b"other");
    assert_eq!(pool.say(other), ["result refused: HasResult"]);
    let (_, timer) = pool.state.due().unwrap();
    assert_eq!(timer, Timer::MaxWait(window(5)), "the lease's timers are gone");
    assert_eq!(pool.claim(2), ["leased 1.1 r1 epoch 1 attempt 1"]);
}

#[test]
fn a_stale_worker_is_fenced() {
    let mut pool = two_batches();
    pool.claim(1);
    pool.timer();
    assert_eq!(pool.claim(2), ["leased 0.1 r1 epoch 2 attempt 1"]);
    assert_eq!(pool.offer(0, 1, Some(1)), ["result refused: StaleEpoch"]);
    assert_eq!(pool.offer(0, 1, Some(2)), ["result of 0.1 r1"]);
}

#[test]
fn a_result_after_its_lease_counts_until_the_next_lease() {
    let mut pool = two_batches();
    pool.claim(1);
    pool.timer();
    assert_eq!(pool.offer(0, 1, Some(1)), ["result of 0.1 r1"]);
    assert_eq!(pool.claim(2), ["leased 1.1 r1 epoch 1 attempt 1"], "0.1 is done");
}

#[test]
fn a_server_without_a_lease_is_taken_if_it_is_the_first() {
    let mut pool = two_batches();
    assert_eq!(pool.offer(0, 1, None), ["result of 0.1 r1"]);
    assert_eq!(pool.offer(0, 1, None), ["result refused: HasResult, a repeat"]);
    assert_eq!(pool.offer(0, 2, None), ["result refused: NoBatch"]);
    let wrong = offer(batch(1, 1), 1, None, Digest::of(b"wrong"));
    assert_eq!(pool.say(wrong), ["result refused: OtherManifest"]);
}

#[test]
fn a_revision_that_comes_while_another_is_worked_on_waits() {
    let mut pool = two_batches();
    pool.claim(1);
    pool.renew(0, 1);
    pool.file(4, 1, 2_000);
    let said = pool.timer();
    assert_eq!(said[1], "amended 0.1 r2 files 2 because late");
    assert_eq!(pool.claim(2), ["leased 1.1 r1 epoch 1 attempt 1"], "0.1 is still worked on");
    assert_eq!(pool.offer(0, 1, Some(1)), ["result of 0.1 r1"]);
    assert_eq!(pool.claim(3), ["leased 0.1 r2 epoch 2 attempt 1"]);
    assert_eq!(pool.offer(0, 1, Some(2)), ["result refused: HasResult, a repeat"]);
    assert_eq!(pool.offer(0, 2, Some(2)), ["result of 0.1 r2 superseding"]);
}

#[test]
fn a_later_revision_without_a_lease_shuts_the_door_on_older_ones() {
    let mut pool = two_batches();
    pool.file(4, 1, 2_000);
    pool.timer();
    assert_eq!(pool.offer(0, 2, None), ["result of 0.1 r2"]);
    assert_eq!(pool.offer(0, 1, None), ["result refused: HasResult"]);
}

#[test]
fn a_removed_workers_result_is_not_taken() {
    let mut pool = two_batches();
    pool.claim(1);
    let by = AccountId::from_bits(OWNER);
    pool.say(MemberRemoveRequested { by, account: AccountId::from_bits(WORKER) });
    assert_eq!(pool.offer(0, 1, Some(1)), ["result refused: NotAProcessor"]);
}

#[test]
fn the_latest_result_is_that_of_the_greatest_window_not_the_last_to_come() {
    let mut pool = two_batches();
    pool.offer(1, 1, None);
    pool.offer(0, 1, None);
    pool.add(5, &[Role::Listener]);
    let added = pool.outputs.last().unwrap();
    let Derived::MemberAdded(added) = &added.body else { panic!("{added:?}") };
    assert_eq!(added.backlog, Backlog::Latest(ResultId::of(batch(1, 1), 1)));
}
