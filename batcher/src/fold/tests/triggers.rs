//! Parts that close before their window ends, each saying why and who is missing.

use proptest::prelude::*;
use schemas::event::{Derived, MemberRemoveRequested};
use schemas::id::AccountId;
use schemas::policy::{PolicyAsk, QuorumOf, WindowsAsk};
use schemas::role::Role;
use schemas::time::WindowKind;

use super::{OWNER, Telling, policy};

fn pool(clients: u128, change: impl FnOnce(&mut PolicyAsk)) -> Telling {
    let mut pool = Telling::new(clients, policy(change));
    pool.at(1_000);
    pool
}

fn quorum(permille: u32, of: QuorumOf) -> impl FnOnce(&mut PolicyAsk) {
    move |ask| (ask.quorum_permille, ask.quorum_of) = (Some(permille), Some(of))
}

#[test]
fn bytes_close_a_part_and_the_next_files_are_the_next_part() {
    let mut pool = pool(2, |ask| ask.bytes = Some(20));
    assert_eq!(pool.file(1, 1, 1_000), ["opened 0.1", "file 1 in 0.1 r1"]);
    let said = pool.file(2, 1, 2_000);
    assert_eq!(said[2], "ready 0.1 r1 files 2 because bytes missing 2", "ten bytes each");
    assert_eq!(pool.file(3, 2, 3_000), ["opened 0.2", "file 3 in 0.2 r1"]);
    assert_eq!(pool.file(4, 2, 4_000)[2], "ready 0.2 r1 files 2 because bytes missing 1");
}

#[test]
fn a_quorum_of_the_expected_closes_a_part_and_arms_again() {
    let mut pool = pool(4, quorum(500, QuorumOf::Expected));
    pool.file(1, 1, 1_000);
    assert_eq!(pool.file(2, 1, 2_000), ["file 2 in 0.1 r1"], "one client however often");
    assert_eq!(pool.file(3, 3, 3_000)[2], "ready 0.1 r1 files 3 because quorum missing 2,4");
    assert_eq!(pool.file(4, 3, 4_000), ["opened 0.2", "file 4 in 0.2 r1"]);
    assert_eq!(pool.file(5, 4, 5_000)[2], "ready 0.2 r1 files 2 because quorum missing 1,2");
}

#[test]
fn a_quorum_of_the_active_does_not_ask_for_the_silent() {
    let mut pool = pool(4, quorum(1_000, QuorumOf::Active));
    let said = pool.file(1, 1, 1_000);
    assert_eq!(said[3], "ready 0.1 r1 files 1 because quorum missing 2,3,4", "all that is active");
    assert_eq!(pool.file(2, 2, 2_000), ["opened 0.2", "file 2 in 0.2 r1"], "one of two");
    assert_eq!(pool.file(3, 1, 3_000)[2], "ready 0.2 r1 files 2 because quorum missing 3,4");
}

#[test]
fn all_files_of_an_update_count_before_a_quorum_closes() {
    let mut pool = pool(1, quorum(1_000, QuorumOf::Expected));
    let said = pool.update(1, &[(1, 1_000), (2, 2_000), (3, 61_000)]);
    let ready: Vec<_> = said.iter().filter(|line| line.starts_with("ready")).collect();
    assert_eq!(
        ready,
        ["ready 0.1 r1 files 2 because quorum", "ready 1.1 r1 files 1 because quorum"]
    );
}

#[test]
fn those_who_leave_are_not_waited_for_and_do_not_count() {
    let mut pool = pool(4, quorum(750, QuorumOf::Expected));
    let leave = |pool: &mut Telling, client| {
        let (by, account) = (AccountId::from_bits(OWNER), AccountId::from_bits(client));
        pool.say(MemberRemoveRequested { by, account })
    };
    pool.file(1, 1, 1_000);
    pool.file(2, 2, 2_000);
    assert_eq!(leave(&mut pool, 2), ["member 2 removed"], "one of three, three are asked for");
    assert_eq!(leave(&mut pool, 3), ["member 3 removed"], "one of two, two are asked for");
    let said = leave(&mut pool, 4);
    assert_eq!(said[2], "ready 0.1 r1 files 2 because quorum", "one of one");
    pool.add(5, &[Role::Contributor]);
    assert_eq!(pool.file(3, 1, 3_000), ["opened 0.2", "file 3 in 0.2 r1"]);
}

#[test]
fn a_window_below_its_minimum_is_held_back_and_still_takes_files() {
    let mut pool = pool(2, |ask| {
        (ask.min_files, ask.min_clients) = (Some(2), Some(2));
        ask.min_wait_ms = Some(300_000);
    });
    pool.file(1, 1, 1_000);
    pool.file(2, 1, 2_000);
    pool.at(200_000);
    assert_eq!(
        pool.file(3, 1, 200_000),
        ["opened 3.1", "file 3 in 3.1 r1"],
        "it would have closed"
    );
    let said = pool.file(4, 2, 3_000);
    assert_eq!(said[0], "file 4 in 0.1 r1", "not late");
    assert_eq!(said[2], "ready 0.1 r1 files 3 because window-end");
}

#[test]
fn what_stays_below_its_minimum_closes_in_the_end() {
    let mut pool = pool(2, |ask| (ask.min_files, ask.min_wait_ms) = (Some(2), Some(300_000)));
    pool.file(1, 1, 1_000);
    assert_eq!(pool.timer(), [""; 0], "the longest wait is over, and it is held back");
    assert_eq!(pool.clock, 130_000);
    assert_eq!(pool.timer()[1], "ready 0.1 r1 files 1 because below-minimum missing 2");
    assert_eq!(pool.clock, 430_000);
    assert_eq!(pool.file(2, 2, 2_000), ["file 2 in 0.1 r2 late"], "it has closed");
}

#[test]
fn no_more_than_a_hundred_windows_are_held_back() {
    let mut pool = pool(1, |ask| (ask.min_files, ask.min_wait_ms) = (Some(2), Some(86_400_000)));
    let closed = |said: Vec<String>| said.iter().any(|line| line.contains("below-minimum"));
    for minute in 0..150_i64 {
        let at = minute * 60_000 + 1_000;
        pool.at(at);
        let closes = closed(pool.file(u128::try_from(minute).unwrap() + 1, 1, at));
        // The newest two are not over yet.
        assert_eq!(closes, minute > 101, "minute {minute}");
    }
}

#[test]
fn a_schedule_closes_what_is_open_by_the_clock_of_its_zone() {
    // BASE is 10:00 UTC, 15:30 in Kolkata.
    let mut pool = pool(2, |ask| {
        ask.schedule = Some("31,41 15 * * *".into());
        ask.schedule_zone = Some("Asia/Kolkata".into());
        ask.windows = Some(WindowsAsk::Days { zone: None });
    });
    assert_eq!(pool.state.due(), None, "nothing to close, nothing to wait for");
    pool.file(1, 1, 1_000);
    let said = pool.timer();
    assert!(said[1].ends_with("r1 files 1 because schedule missing 2"), "{said:?}");
    assert_eq!(pool.clock, 60_000);
    assert!(pool.file(2, 2, 2_000)[0].starts_with("opened"), "the next part");
    let said = pool.timer();
    assert!(said[1].ends_with("r1 files 1 because schedule missing 1"), "{said:?}");
    assert_eq!(pool.clock, 660_000);
}

#[test]
fn a_calendar_day_is_as_long_as_its_clocks_make_it() {
    let mut pool = Telling::new(
        1,
        policy(|ask| ask.windows = Some(WindowsAsk::Days { zone: Some("Europe/Berlin".into()) })),
    );
    // BASE is 2026-11-21T10:00Z: the day began 11 hours before.
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    let window = pool.outputs.iter().find_map(|output| match &output.body {
        Derived::WindowOpened(opened) => Some(opened.window),
        _ => None,
    });
    let window = window.unwrap();
    assert_eq!(window.start.to_string(), "2026-11-20T23:00:00.000Z");
    assert_eq!(
        (window.end.to_string().as_str(), window.kind),
        ("2026-11-21T23:00:00.000Z", WindowKind::Days)
    );
}

proptest! {
    /// A part that a quorum closed has files of that many, and would not have had one file less.
    #[test]
    fn a_quorum_is_exact(
        files in prop::collection::vec((1..6_u128, 0..60_000_i64), 1..80),
        permille in 1..1_001_u32,
    ) {
        let mut pool = pool(5, quorum(permille, QuorumOf::Expected));
        let asked = (5 * permille).div_ceil(1_000) as usize;
        let mut reported = std::collections::BTreeSet::new();
        for (upload, (client, at)) in (1..).zip(files) {
            reported.insert(client);
            let said = pool.file(upload, client, at);
            let closed = said.iter().any(|line| line.contains("because quorum"));
            prop_assert_eq!(closed, reported.len() >= asked);
            if closed {
                reported.clear();
            }
        }
    }
}
