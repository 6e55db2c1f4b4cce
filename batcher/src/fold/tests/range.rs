//! Ranges of time that someone asks for: batches beside the windows.

use schemas::event::{BatchRequested, Derived, OpenWindows, RangeListed};
use schemas::id::{AccountId, BatchId, PoolId, RequestId};
use schemas::time::EffectiveAt;

use super::{BASE, OWNER, Telling, file, offer, policy};

impl Telling {
    /// Asks for the files of a range, in milliseconds after `BASE`.
    pub(super) fn ask_for(&mut self, request: u128, from: i64, to: i64) -> Vec<String> {
        let [from, to] = [from, to].map(|at| EffectiveAt::from_millis(BASE + at));
        let (request, by) = (RequestId::from_bits(request), AccountId::from_bits(OWNER));
        self.say(BatchRequested { request, by, from, to })
    }

    /// A page of its files: (upload, client, effective time) each.
    pub(super) fn list(
        &mut self,
        request: u128,
        (page, pages): (u32, u32),
        files: &[(u128, u128, i64)],
    ) -> Vec<String> {
        let request = RequestId::from_bits(request);
        let files = files.iter().map(|(upload, client, at)| file(*upload, *client, *at)).collect();
        self.say(RangeListed { request, page, pages, clients: 2, files })
    }
}

fn id(request: u128) -> BatchId {
    BatchId::requested(PoolId::from_bits(7), RequestId::from_bits(request))
}

/// A pool with two files in an open window, both listed for request 1.
fn asked() -> Telling {
    let mut pool = Telling::new(2, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.file(2, 2, 2_000);
    assert_eq!(pool.ask_for(1, 0, 60_000), ["range open before 6, 0 pages"]);
    pool
}

#[test]
fn a_range_becomes_a_batch_and_takes_nothing_from_the_windows() {
    let mut pool = asked();
    let told = pool.list(1, (1, 1), &[(1, 1, 1_000), (2, 2, 2_000)]);
    let name = id(1).to_string();
    assert_eq!(told[0], format!("page 1 of {name}: 1,2"));
    assert_eq!(told[1], format!("ready {name} r1 files 2 because requested"));
    assert_eq!(pool.close()[0], "page 1 of 0.1: 1,2", "the window has them too");
    assert_eq!(pool.claim(5), [format!("leased {name} r1 epoch 1 attempt 1")]);
    let manifest = pool.manifest(id(1), 1);
    let told = pool.say(offer(id(1), 1, Some(1), manifest));
    assert_eq!(told, [format!("result of {name} r1")]);
    assert_eq!(pool.state.latest, None, "what was asked for is never the latest");
}

#[test]
fn a_repeat_asks_for_the_same_batch() {
    let mut pool = asked();
    pool.file(3, 1, 3_000);
    assert_eq!(pool.ask_for(1, 0, 60_000), ["range open before 6, 0 pages"], "as first asked");
    assert_eq!(pool.ask_for(1, 0, 50_000), ["refused: RequestReused"]);
    assert_eq!(pool.list(1, (1, 2), &[(1, 1, 1_000)]).len(), 1);
    assert_eq!(pool.list(1, (1, 2), &[(1, 1, 1_000)]), [""; 0], "known");
    assert_eq!(pool.ask_for(1, 0, 60_000), ["range open before 6, 1 pages"]);
    assert_eq!(pool.list(1, (2, 2), &[(2, 2, 2_000)]).len(), 2);
    assert_eq!(pool.ask_for(1, 0, 60_000), ["range open before 6, 2 pages, ready"]);
    assert_eq!(pool.list(1, (2, 2), &[(2, 2, 2_000)]), [""; 0]);
    assert_eq!(pool.list(1, (3, 3), &[(2, 2, 2_000)]), ["refused: RangeUnknown"]);
    assert_eq!(pool.list(2, (1, 1), &[(2, 2, 2_000)]), ["refused: RangeUnknown"], "never asked");
    assert_eq!(pool.list(1, (4, 4), &[]), ["refused: RangeUnknown"], "a page is missing");
}

#[test]
fn an_archived_pool_makes_no_more_of_it() {
    let mut pool = asked();
    pool.archive(OpenWindows::Close);
    assert_eq!(pool.list(1, (1, 1), &[(1, 1, 1_000)]), ["refused: PoolArchived"]);
    assert_eq!(pool.ask_for(2, 0, 60_000), ["refused: PoolArchived"]);
}

#[test]
fn few_ranges_are_remembered_and_not_for_ever() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.ask_for(1, 0, 60_000);
    pool.list(1, (1, 1), &[(1, 1, 1_000)]);
    for request in 2..=1_000 {
        pool.ask_for(request, 0, 60_000);
    }
    let told = pool.ask_for(1_001, 0, 60_000);
    assert_eq!(told, [format!("failed {}", id(1)), "range open before 1004, 0 pages".to_owned()]);
    assert_eq!(pool.claim(5), ["claim refused: NothingToClaim"]);
    pool.at(31 * 86_400_000 + 1);
    pool.close();
    assert!(pool.state.ranges.is_empty() && pool.state.batches.is_empty());
}

#[test]
fn a_range_that_is_worked_on_is_not_forgotten() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.ask_for(1, 0, 60_000);
    pool.list(1, (1, 1), &[(1, 1, 1_000)]);
    pool.claim(5);
    for request in 2..=1_001 {
        pool.ask_for(request, 0, 60_000);
    }
    let failed = |output: &&crate::fold::Output| matches!(output.body, Derived::BatchFailed(_));
    assert_eq!(pool.outputs.iter().filter(failed).count(), 0);
    assert!(pool.state.batches.contains_key(&id(1)));
    assert!(!pool.state.batches.contains_key(&id(2)), "the oldest that nobody works on");
}

#[test]
fn no_more_ranges_than_may_be_worked_on() {
    let mut pool = Telling::new(1, policy(|_| ()));
    for request in 1..=1_000 {
        pool.ask_for(request, 0, 60_000);
        pool.list(request, (1, 1), &[(1, 1, 1_000)]);
        pool.claim(request);
    }
    assert_eq!(pool.ask_for(1_001, 0, 60_000), ["refused: RangesFull"]);
}
