//! Results that did not stay as they were: corrected, withdrawn, delivered once more.

use schemas::digest::Digest;
use schemas::event::{
    Backlog, Derived, RedeliveryRequested, ResultCorrected, ResultPublished,
    ResultWithdrawRequested,
};
use schemas::id::{AccountId, ResultId};
use schemas::role::Role;
use schemas::time::StoredAt;

use super::{BASE, OWNER, Telling, batch, policy};

impl Telling {
    /// Corrects the result of revision 1 of a minute's batch, or what came of correcting it so often,
    /// with these bytes.
    pub(super) fn correct(&mut self, minute: i64, after: u32, bytes: u8) -> Vec<String> {
        let batch = batch(minute, 1);
        self.say(ResultCorrected {
            of: ResultId::corrected(batch, 1, after),
            batch,
            by: AccountId::from_bits(OWNER),
            name: "r".parse().unwrap(),
            media_type: "text/plain".parse().unwrap(),
            object: "c".parse().unwrap(),
            sha256: Digest::of(&[bytes]),
            size_bytes: 1,
            stored_at: StoredAt::from_millis(BASE),
        })
    }

    pub(super) fn withdraw(&mut self, minute: i64, after: u32) -> Vec<String> {
        let (batch, by) = (batch(minute, 1), AccountId::from_bits(OWNER));
        let result = ResultId::corrected(batch, 1, after);
        self.say(ResultWithdrawRequested { result, batch, by })
    }

    /// What a listener that joins now gets of the results before it.
    fn backlog_of(&mut self, account: u128) -> Backlog {
        self.add(account, &[Role::Listener]);
        match &self.outputs.last().unwrap().body {
            Derived::MemberAdded(added) => added.backlog,
            other => panic!("{other:?}"),
        }
    }

    fn last_published(&self) -> &ResultPublished {
        let published = self.outputs.iter().rev().find_map(|output| match &output.body {
            Derived::ResultPublished(published) => Some(published),
            _ => None,
        });
        published.unwrap()
    }
}

/// A pool with results of minute 0 and minute 1, both of them `[1]`.
fn two_results() -> Telling {
    let mut pool = Telling::new(1, policy(|ask| ask.lease_ms = Some(60_000)));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.file(2, 1, 61_000);
    pool.at(300_000);
    pool.file(3, 1, 300_000);
    pool.offer(1, 1, None);
    pool.offer(0, 1, None);
    pool
}

fn id(minute: i64, correction: u32) -> ResultId {
    ResultId::corrected(batch(minute, 1), 1, correction)
}

#[test]
fn a_correction_takes_the_place_of_the_newest_result_by_name() {
    let mut pool = two_results();
    assert_eq!(pool.correct(1, 0, 7), ["result of 1.1 r1 correction 1 superseding"]);
    let published = pool.last_published();
    assert_eq!((published.result, published.supersedes), (id(1, 1), Some(id(1, 0))));
    assert_eq!(published.worker, AccountId::from_bits(OWNER));
    assert_eq!(pool.correct(1, 0, 7), ["result refused: HasResult, a repeat"]);
    assert_eq!(pool.correct(1, 0, 8), ["result refused: Superseded"]);
    assert_eq!(pool.correct(1, 1, 7), ["result refused: HasResult, a repeat"], "the same bytes");
    assert_eq!(pool.correct(1, 1, 8), ["result of 1.1 r1 correction 2 superseding"]);
    assert_eq!(pool.last_published().supersedes, Some(id(1, 1)));
    assert_eq!(pool.backlog_of(5), Backlog::Latest(id(1, 2)));
}

#[test]
fn a_correction_of_an_older_window_is_not_the_latest() {
    let mut pool = two_results();
    pool.correct(0, 0, 7);
    assert_eq!(pool.backlog_of(5), Backlog::Latest(id(1, 0)));
}

#[test]
fn a_later_revision_takes_the_place_of_a_correction_and_is_corrected_itself() {
    let mut pool = two_results();
    pool.correct(1, 0, 7);
    pool.file(4, 1, 62_000);
    while !pool.timer().iter().any(|line| line.starts_with("amended 1.1 r2")) {}
    assert_eq!(pool.correct(1, 1, 9), ["result of 1.1 r1 correction 2 superseding"], "still first");
    assert_eq!(pool.offer(1, 2, None), ["result of 1.1 r2 superseding"]);
    assert_eq!(pool.last_published().supersedes, Some(id(1, 2)));
    assert_eq!(pool.correct(1, 2, 10), ["result refused: Superseded"]);
    assert_eq!(pool.offer(1, 1, None), ["result refused: HasResult"]);
}

#[test]
fn what_is_past_or_has_no_result_is_not_corrected() {
    let mut pool = two_results();
    assert_eq!(pool.correct(9, 0, 7), ["result refused: Settled"], "no such batch");
    pool.at(32 * 86_400_000);
    pool.file(9, 1, 32 * 86_400_000);
    assert_eq!(pool.correct(1, 0, 7), ["result refused: Settled"]);
    assert_eq!(pool.withdraw(1, 0), ["withdrawn of 1.1"], "but withdrawn");
}

#[test]
fn a_withdrawn_latest_is_nobodys_backlog_and_nothing_before_it_comes_back() {
    let mut pool = two_results();
    assert_eq!(pool.backlog_of(5), Backlog::Latest(id(1, 0)));
    assert_eq!(pool.withdraw(1, 0), ["withdrawn of 1.1"]);
    assert_eq!(pool.withdraw(1, 0), ["withdrawn of 1.1"], "a repeat says the same");
    assert_eq!(pool.backlog_of(6), Backlog::None, "not that of minute 0");
    assert_eq!(pool.correct(1, 0, 1), ["result of 1.1 r1 correction 1 superseding"], "put back");
    assert_eq!(pool.backlog_of(7), Backlog::Latest(id(1, 1)));
    pool.withdraw(0, 0);
    assert_eq!(pool.backlog_of(8), Backlog::Latest(id(1, 1)), "another is withdrawn");
}

#[test]
fn results_are_delivered_once_more_to_members_only() {
    let mut pool = two_results();
    let by = AccountId::from_bits(OWNER);
    let mut ask = |member: Option<u128>| {
        let member = member.map(AccountId::from_bits);
        pool.say(RedeliveryRequested { by, member, from_seq: 3 })
    };
    assert_eq!(ask(None), ["again from 3 for None"]);
    assert_eq!(ask(Some(1)), ["again from 3 for Some(1)"]);
    assert_eq!(ask(Some(77)), ["refused: NoMember"]);
}
