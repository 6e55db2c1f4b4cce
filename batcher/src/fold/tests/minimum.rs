//! Windows that stay below their minimum: they close with what they have, go over into the next, or
//! are skipped.

use schemas::policy::{BelowMinimum, PolicyAsk};

use super::{Telling, policy};

/// A pool of two clients whose windows must have so many files, at 1 s.
fn pool(files: u32, then: BelowMinimum, change: impl FnOnce(&mut PolicyAsk)) -> Telling {
    let rules = policy(|ask| {
        (ask.min_files, ask.min_wait_ms, ask.min_then) = (Some(files), Some(0), Some(then));
        change(ask);
    });
    let mut pool = Telling::new(2, rules);
    pool.at(1_000);
    pool
}

fn idle(pool: &mut Telling) -> Vec<String> {
    let mut said = Vec::new();
    while pool.state.due().is_some() {
        said.extend(pool.timer());
    }
    said
}

#[test]
fn a_window_is_skipped_and_says_what_it_lacked() {
    let more = |ask: &mut PolicyAsk| {
        (ask.min_clients, ask.min_wait_ms) = (Some(2), Some(300_000));
    };
    let mut pool = pool(3, BelowMinimum::Skip, more);
    pool.file(1, 1, 1_000);
    assert_eq!(pool.timer(), [""; 0], "the longest wait is over, and it is held back");
    assert_eq!(pool.timer(), ["skipped 0.1, 2 files and 1 clients missing"]);
    assert_eq!(pool.clock, 430_000);
    assert_eq!(pool.claim(1), ["claim refused: NothingToClaim"]);
    assert_eq!(pool.file(2, 2, 2_000), ["file 2 in 0.2 r1 late"], "no batch has the name again");
    assert_eq!(idle(&mut pool)[1], "ready 0.2 r1 files 1 because late");
}

#[test]
fn files_are_carried_into_the_next_window_that_has_any() {
    let mut pool = pool(2, BelowMinimum::Carry, |_| ());
    pool.file(1, 1, 1_000);
    assert_eq!(idle(&mut pool), [""; 0], "nothing to be carried into, and nothing to wait for");
    pool.at(400_000);
    let said = pool.file(2, 2, 400_000);
    let expected = ["opened 6.1", "file 2 in 6.1 r1", "grouped 1 in 6.1 from 0.1"];
    assert_eq!(said, expected);
    let said = idle(&mut pool);
    assert_eq!(said, ["page 1 of 6.1: 1,2", "ready 6.1 r1 files 2 because max-wait"]);
    assert_eq!(pool.file(3, 1, 2_000), ["file 3 in 0.2 r1 late"]);
}

#[test]
fn a_window_that_waits_to_be_carried_still_takes_files() {
    let mut pool = pool(2, BelowMinimum::Carry, |_| ());
    pool.file(1, 1, 1_000);
    pool.at(400_000);
    let said = pool.file(2, 2, 2_000);
    assert_eq!(said[0], "file 2 in 0.1 r1", "not late");
    assert_eq!(said[2], "ready 0.1 r1 files 2 because max-wait");
}

#[test]
fn what_was_carried_is_carried_on() {
    let mut pool = pool(3, BelowMinimum::Carry, |_| ());
    pool.file(1, 1, 1_000);
    pool.at(400_000);
    pool.file(2, 2, 400_000);
    idle(&mut pool);
    pool.at(800_000);
    let said = pool.file(3, 1, 800_000);
    assert_eq!(said.last().unwrap(), "grouped 1,2 in 13.1 from 6.1");
    assert_eq!(idle(&mut pool).last().unwrap(), "ready 13.1 r1 files 3 because max-wait");
}

#[test]
fn carrying_may_close_what_it_is_carried_into() {
    let more = |ask: &mut PolicyAsk| (ask.count, ask.min_files) = (Some(3), Some(4));
    let mut pool = pool(4, BelowMinimum::Carry, more);
    pool.file(1, 1, 1_000);
    pool.file(2, 1, 2_000);
    pool.at(400_000);
    let said = pool.file(3, 2, 400_000);
    assert_eq!(said.last().unwrap(), "ready 6.1 r1 files 3 because count");
}

#[test]
fn more_than_a_page_is_not_carried() {
    let more = |ask: &mut PolicyAsk| (ask.min_files, ask.min_clients) = (None, Some(2));
    let mut pool = pool(1, BelowMinimum::Carry, more);
    for upload in 1..=2_000 {
        pool.file(upload, 1, 1_000);
    }
    let said = idle(&mut pool);
    assert_eq!(said.last().unwrap(), "ready 0.1 r1 files 2000 because below-minimum missing 2");
}

#[test]
fn a_part_that_would_be_too_full_is_not_carried_into() {
    let more = |ask: &mut PolicyAsk| {
        (ask.min_files, ask.min_clients, ask.part_files_max) = (None, Some(2), Some(3));
    };
    let mut pool = pool(1, BelowMinimum::Carry, more);
    pool.file(1, 1, 1_000);
    pool.file(2, 1, 1_000);
    pool.at(400_000);
    pool.update(2, &[(3, 400_000), (4, 400_001)]);
    assert!(pool.outputs.iter().all(|output| !super::told(output).starts_with("grouped")));
    pool.at(800_000);
    let said = pool.file(5, 2, 800_000);
    assert!(said.contains(&"grouped 1,2 in 13.1 from 0.1".to_owned()), "{said:?}");
}
