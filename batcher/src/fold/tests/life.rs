//! Pools that are paused, resumed and archived.

use schemas::event::{OpenWindows, PoolArchiveRequested, PoolPauseRequested, PoolResumeRequested};
use schemas::id::AccountId;
use schemas::policy::LateMode;

use super::{OWNER, Telling, policy};

impl Telling {
    pub(super) fn pause(&mut self) -> Vec<String> {
        self.say(PoolPauseRequested { by: AccountId::from_bits(OWNER) })
    }

    pub(super) fn resume(&mut self) -> Vec<String> {
        self.say(PoolResumeRequested { by: AccountId::from_bits(OWNER) })
    }

    pub(super) fn archive(&mut self, open_windows: OpenWindows) -> Vec<String> {
        self.say(PoolArchiveRequested { by: AccountId::from_bits(OWNER), open_windows })
    }
}

#[test]
fn a_paused_pool_takes_files_and_closes_nothing() {
    let mut pool = Telling::new(1, policy(|ask| ask.count = Some(2)));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    assert_eq!(pool.pause(), ["paused"]);
    assert_eq!(pool.pause(), ["paused"], "a repeat");
    assert_eq!(pool.file(2, 1, 2_000), ["file 2 in 0.1 r1"], "two would close it");
    assert_eq!(pool.close(), ["refused: PoolPaused"]);
    pool.at(300_000);
    assert_eq!(pool.file(3, 1, 300_000), ["opened 5.1", "file 3 in 5.1 r1"]);
    let said = pool.resume();
    let expected = ["resumed", "page 1 of 0.1: 1,2", "ready 0.1 r1 files 2 because count"];
    assert_eq!(said, expected, "it was full before its end came");
    assert_eq!(pool.resume(), ["resumed"], "a repeat");
    let said = pool.file(4, 1, 301_000);
    assert_eq!(said.last().unwrap(), "ready 5.1 r1 files 2 because count");
}

#[test]
fn a_part_that_was_full_while_paused_closes_when_resumed() {
    let mut pool = Telling::new(1, policy(|ask| ask.count = Some(2)));
    pool.at(1_000);
    pool.pause();
    pool.file(1, 1, 1_000);
    pool.file(2, 1, 2_000);
    pool.file(3, 1, 61_000);
    let expected = ["resumed", "page 1 of 0.1: 1,2", "ready 0.1 r1 files 2 because count"];
    assert_eq!(pool.resume(), expected);
}

#[test]
fn timers_that_came_while_paused_are_not_lost() {
    let mut pool = Telling::new(1, policy(|ask| ask.late = Some(LateMode::Amend)));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.at(300_000);
    pool.file(2, 1, 300_000);
    pool.file(3, 1, 2_000);
    pool.pause();
    let mut said = Vec::new();
    while pool.state.due().is_some() {
        said.extend(pool.timer());
    }
    assert!(said.is_empty(), "{said:?}");
    let said = pool.resume();
    assert_eq!(said.last().unwrap(), "ready 5.1 r1 files 1 because max-wait");
    assert_eq!(pool.timer(), ["page 2 of 0.1: 3", "amended 0.1 r2 files 2 because late"]);
}

#[test]
fn a_paused_pool_closes_on_no_schedule() {
    let mut pool = Telling::new(1, policy(|ask| ask.schedule = Some("*/5 * * * *".into())));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.pause();
    while let Some((due, _)) = pool.state.due()
        && due.millis() <= super::BASE + 600_000
    {
        assert!(pool.timer().is_empty());
    }
    pool.at(700_000);
    assert_eq!(pool.resume().last().unwrap(), "ready 0.1 r1 files 1 because max-wait");
}

/// Minute 0 has a result, and a late file is being gathered for it; minute 5 is being worked on;
/// minute 6 is open.
fn at_work() -> Telling {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.close();
    pool.claim(1);
    pool.offer(0, 1, Some(1));
    pool.at(300_000);
    pool.file(2, 1, 300_000);
    pool.file(3, 1, 2_000);
    pool.close();
    pool.claim(2);
    pool.at(360_000);
    pool.file(4, 1, 360_000);
    pool
}

#[test]
fn archiving_closes_what_is_open_and_lets_it_be_worked_on() {
    let mut pool = at_work();
    let said = pool.archive(OpenWindows::Close);
    let expected = [
        "lease 5.1 ended: Archived",
        "page 1 of 6.1: 4",
        "ready 6.1 r1 files 1 because archived",
        "page 2 of 0.1: 3",
        "amended 0.1 r2 files 2 because late",
        "archived",
    ];
    assert_eq!(said, expected);
    assert_eq!(pool.claim(3), ["leased 5.1 r1 epoch 2 attempt 1"]);
    assert_eq!(pool.claim(4), ["leased 6.1 r1 epoch 1 attempt 1"]);
    assert_eq!(pool.offer(6, 1, Some(1)), ["result of 6.1 r1"]);
    assert_eq!(pool.file(5, 1, 361_000), ["file 5 held: archived"]);
    assert_eq!(pool.release((5, 1, 361_000), None), ["refused: PoolArchived"]);
    assert_eq!(pool.pause(), ["refused: PoolArchived"]);
    assert_eq!(pool.resume(), ["refused: PoolArchived"]);
    assert_eq!(pool.close(), ["refused: PoolArchived"]);
    assert_eq!(pool.archive(OpenWindows::Cancel), ["archived"], "a repeat changes nothing");
    assert_eq!(pool.offer(5, 1, Some(2)), ["result of 5.1 r1"]);
}

#[test]
fn archiving_cancels_what_is_not_done() {
    let mut pool = at_work();
    let said = pool.archive(OpenWindows::Cancel);
    let mut cancelled: Vec<&str> = said.iter().map(String::as_str).collect();
    cancelled.sort_unstable();
    let expected = [
        "archived",
        "cancelled 0.1 from r2",
        "cancelled 5.1 from r1",
        "cancelled 6.1 from r1",
        "lease 5.1 ended: Archived",
    ];
    assert_eq!(cancelled, expected);
    assert_eq!(pool.claim(3), ["claim refused: NothingToClaim"]);
    assert_eq!(pool.offer(5, 1, Some(1)), ["result refused: NoBatch"]);
    while pool.state.due().is_some() {
        assert!(pool.timer().is_empty());
    }
}

#[test]
fn what_is_paused_can_be_archived() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.pause();
    let said = pool.archive(OpenWindows::Close);
    let expected = ["page 1 of 0.1: 1", "ready 0.1 r1 files 1 because archived", "archived"];
    assert_eq!(said, expected);
}
