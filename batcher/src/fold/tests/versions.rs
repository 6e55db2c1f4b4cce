//! Policies that change: from which window on, and whose rules a window has.

use schemas::event::{Derived, PolicyChangeRequested, PolicyChanged};
use schemas::id::AccountId;
use schemas::policy::{LateMode, Policy, PolicyAsk, WindowsAsk};

use super::{BASE, OWNER, Telling, policy};

/// Asks for other rules; gives what was said, and the version that stands if there is one.
fn change(
    pool: &mut Telling,
    if_version: Option<u32>,
    policy: Policy,
) -> (Vec<String>, Option<PolicyChanged>) {
    let (by, policy) = (AccountId::from_bits(OWNER), Box::new(policy));
    let told = pool.say(PolicyChangeRequested { by, if_version, policy });
    let changed = pool.outputs.iter().rev().find_map(|output| match &output.body {
        Derived::PolicyChanged(changed) => Some(changed.clone()),
        _ => None,
    });
    (told, changed)
}

/// From when the newest version holds, in milliseconds after `BASE`.
fn from(pool: &mut Telling, policy: Policy) -> i64 {
    change(pool, None, policy).1.unwrap().effective_from.millis() - BASE
}

fn minutes(count: u64) -> impl FnOnce(&mut PolicyAsk) {
    move |ask| {
        let period_ms = Some(count * 60_000);
        ask.windows = Some(WindowsAsk::Tumbling { period_ms, origin: None });
    }
}

#[test]
fn a_new_version_begins_where_the_windows_end_that_have_begun() {
    let mut pool = Telling::new(2, policy(|_| ()));
    pool.at(5_000);
    pool.file(1, 1, 1_000);
    assert_eq!(from(&mut pool, policy(|ask| ask.count = Some(1))), 60_000, "of the clock");
    pool.file(2, 1, 119_000);
    let from = from(&mut pool, policy(|ask| ask.count = Some(2)));
    assert_eq!(from, 120_000, "of a file that is ahead");
    assert_eq!(pool.file(3, 1, 2_000), ["file 3 in 0.1 r1"], "the first version counts nothing");
    let second = pool.file(4, 1, 118_000);
    assert_eq!(second.last().unwrap(), "ready 1.2 r1 files 1 because count missing 2");
    assert_eq!(pool.file(5, 1, 121_000), ["opened 2.1", "file 5 in 2.1 r1"]);
    let third = pool.file(6, 1, 122_000);
    assert_eq!(third.last().unwrap(), "ready 2.1 r1 files 2 because count missing 2");
}

#[test]
fn a_pool_without_files_changes_at_once() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(5_000);
    let (_, changed) = change(&mut pool, Some(1), policy(|ask| ask.count = Some(1)));
    let changed = changed.unwrap();
    assert_eq!((changed.version, changed.effective_from.millis(), changed.before), (2, 0, None));
    assert_eq!(pool.file(1, 1, 1_000).last().unwrap(), "ready 0.1 r1 files 1 because count");
}

#[test]
fn a_change_names_the_version_it_replaces() {
    let mut pool = Telling::new(1, policy(|_| ()));
    let once = || policy(|ask| ask.count = Some(1));
    assert_eq!(change(&mut pool, Some(1), once()).0, ["policy 2"]);
    assert_eq!(change(&mut pool, Some(1), once()).0, ["policy 2"], "a repeat changes nothing");
    let other = || policy(|ask| ask.count = Some(2));
    assert_eq!(change(&mut pool, Some(1), other()).0, ["refused: PolicyStale"]);
    assert_eq!(change(&mut pool, Some(2), other()).0, ["policy 3"]);
    assert_eq!(change(&mut pool, None, once()).0, ["policy 4"], "whichever it is");
}

#[test]
fn windows_are_cut_where_a_version_begins_and_close_by_their_own_rules() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(61_000);
    pool.file(1, 1, 61_000);
    let (_, changed) = change(&mut pool, None, policy(minutes(3)));
    let changed = changed.unwrap();
    assert_eq!(changed.effective_from.millis() - BASE, 120_000);
    let before = changed.before.unwrap();
    assert_eq!((before.version, before.effective_from.millis()), (1, 0));
    pool.at(121_000);
    pool.file(2, 1, 121_000);
    let opened = pool.outputs.iter().rev().find_map(|output| match &output.body {
        Derived::WindowOpened(opened) => Some(opened.clone()),
        _ => None,
    });
    let opened = opened.unwrap();
    let (start, end) = (opened.window.start.millis() - BASE, opened.window.end.millis() - BASE);
    assert_eq!((start, end, opened.policy_version), (120_000, 180_000, 2), "cut at its beginning");
    // The first version's longest wait ends before the second's.
    pool.at(125_000);
    change(&mut pool, None, policy(|ask| ask.max_wait_ms = Some(600_000)));
    pool.at(190_001);
    pool.file(3, 1, 124_000);
    let closed = pool.outputs.iter().filter_map(|output| match &output.body {
        Derived::BatchReady(ready) => Some(&ready.closed),
        _ => None,
    });
    let closed: Vec<_> = closed.map(|c| (c.policy_version, c.window.end.millis() - BASE)).collect();
    assert_eq!(closed, [(1, 120_000)]);
    while pool.state.due().is_some() {
        pool.timer();
    }
    assert_eq!(pool.clock, 250_000, "end, grace and longest wait of the second version");
}

#[test]
fn late_files_are_judged_by_the_version_of_their_time() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(5_000);
    pool.file(1, 1, 5_000);
    from(&mut pool, policy(|ask| ask.late = Some(LateMode::Hold)));
    pool.at(400_000);
    pool.file(2, 1, 400_000);
    assert_eq!(pool.file(3, 1, 6_000), ["file 3 in 0.1 r2 late"]);
    assert_eq!(pool.file(4, 1, 66_000), ["file 4 held: late"]);
}

#[test]
fn each_versions_schedule_closes_its_own_windows() {
    let schedule = |cron: &'static str| policy(move |ask| ask.schedule = Some(cron.into()));
    let mut pool = Telling::new(1, schedule("*/10 * * * *"));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    assert_eq!(from(&mut pool, schedule("* * * * *")), 60_000);
    pool.file(2, 1, 61_000);
    // The clock has not got there: only the schedules and the longest wait can close them.
    let first = pool.timer();
    assert_eq!(pool.clock, 60_000);
    assert_eq!(first.last().unwrap(), "ready 1.1 r1 files 1 because schedule");
}

#[test]
fn versions_are_forgotten_with_their_windows_and_few_are_kept() {
    let rules = |count: u32| {
        policy(move |ask| {
            (ask.count, ask.late_allowed_ms) = (Some(count), Some(300_000));
        })
    };
    let mut pool = Telling::new(1, rules(1_000));
    let mut refused = 0;
    for minute in 0..120 {
        pool.at(minute * 60_000);
        let upload = u128::try_from(minute).unwrap() + 1;
        pool.file(upload, 1, minute * 60_000);
        let told = change(&mut pool, None, rules(1_001 + u32::try_from(minute).unwrap())).0;
        refused += usize::from(told == ["refused: PoliciesFull"]);
    }
    assert_eq!(refused, 0, "the oldest are forgotten in time");
    assert_eq!(pool.file(1_000, 1, 60_000), ["file 1000 held: too late"]);

    let keeps = |count: u32| policy(move |ask| ask.count = Some(count));
    let mut pool = Telling::new(1, keeps(1_000));
    let mut told = Vec::new();
    for minute in 0..60 {
        pool.at(minute * 60_000);
        let upload = u128::try_from(minute).unwrap() + 1;
        pool.file(upload, 1, minute * 60_000);
        told = change(&mut pool, None, keeps(1_001 + u32::try_from(minute).unwrap())).0;
    }
    assert_eq!(told, ["refused: PoliciesFull"], "a month of late files may come");
}
