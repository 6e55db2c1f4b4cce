//! Windows that open, close by each trigger, and say why.

use super::{BASE, Telling, policy};
use schemas::event::{Event, Timer, TimerDue};
use schemas::time::LogTime;

#[test]
fn a_window_closes_once_all_active_clients_have_passed_its_end_and_grace() {
    let mut pool = Telling::new(2, policy(|_| ()));
    pool.at(5_000);
    assert_eq!(pool.file(1, 1, 1_000), ["opened 0.1", "file 1 in 0.1 r1"]);
    assert_eq!(pool.file(2, 2, 59_999), ["file 2 in 0.1 r1"]);
    pool.at(75_000);
    assert_eq!(pool.file(3, 1, 70_000), ["opened 1.1", "file 3 in 1.1 r1"]);
    assert_eq!(
        pool.file(4, 2, 70_001),
        ["file 4 in 1.1 r1", "page 1 of 0.1: 1,2", "ready 0.1 r1 files 2 because window-end"]
    );
}

#[test]
fn a_silent_client_stalls_nothing_and_is_named() {
    let mut pool = Telling::new(3, policy(|_| ()));
    pool.at(5_000);
    pool.file(1, 2, 5_000);
    pool.file(2, 1, 4_000);
    pool.at(129_999);
    assert_eq!(pool.file(3, 1, 129_999), ["opened 2.1", "file 3 in 2.1 r1"]);
    assert_eq!(
        pool.timer(),
        ["page 1 of 0.1: 2,1", "ready 0.1 r1 files 2 because max-wait missing 3"]
    );
    assert_eq!(pool.clock, 130_000, "window end, grace and the longest wait");
}

#[test]
fn clients_ahead_of_the_logs_clock_close_nothing_early() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(50_000);
    pool.file(1, 1, 50_000);
    assert_eq!(pool.file(2, 1, 100_000), ["opened 1.1", "file 2 in 1.1 r1"]);
    assert_eq!(pool.timer(), ["page 1 of 0.1: 1", "ready 0.1 r1 files 1 because window-end"]);
    assert_eq!(pool.clock, 70_000, "the end and the grace, by the log's clock");
}

#[test]
fn a_timer_from_a_fast_clock_does_nothing() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(50_000);
    pool.file(1, 1, 50_000);
    pool.file(2, 1, 100_000);
    let (due, timer) = pool.state.due().unwrap();
    assert_eq!(timer, Timer::WindowEnd(super::window(0)));
    pool.at(69_999);
    assert_eq!(pool.say(TimerDue { timer, due }), [""; 0], "the record came too early");
    let other = LogTime::from_millis(BASE + 60_000);
    assert_eq!(pool.say(TimerDue { timer, due: other }), [""; 0], "armed for another moment");
    pool.at(70_000);
    assert_eq!(pool.say(TimerDue { timer, due }).len(), 2);
    assert_eq!(pool.say(TimerDue { timer, due }), [""; 0], "a second one does nothing");
}

#[test]
fn a_count_closes_a_part_and_the_next_files_are_the_next_part() {
    let mut pool = Telling::new(3, policy(|ask| ask.count = Some(2)));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    assert_eq!(
        pool.file(2, 2, 2_000),
        ["file 2 in 0.1 r1", "page 1 of 0.1: 1,2", "ready 0.1 r1 files 2 because count missing 3"]
    );
    assert_eq!(pool.file(3, 3, 3_000), ["opened 0.2", "file 3 in 0.2 r1"]);
    pool.at(200_000);
    assert_eq!(
        pool.file(4, 1, 190_000)[..2],
        ["page 1 of 0.2: 3", "ready 0.2 r1 files 1 because max-wait missing 1,2"]
    );
}

#[test]
fn a_window_that_ends_after_a_full_part_makes_no_empty_batch() {
    let mut pool = Telling::new(1, policy(|ask| ask.part_files_max = Some(1)));
    pool.at(1_000);
    assert_eq!(pool.file(1, 1, 1_000)[3], "ready 0.1 r1 files 1 because part-full");
    pool.at(200_000);
    assert_eq!(pool.file(2, 1, 200_000)[..2], ["opened 3.1", "file 2 in 3.1 r1"]);
    assert_eq!(pool.file(3, 1, 30_000)[0], "file 3 in 0.2 r1 late", "the last part is full");
}

#[test]
fn an_admin_closes_what_is_open() {
    let mut pool = Telling::new(1, policy(|_| ()));
    assert_eq!(pool.close(), ["refused: NoOpenWindow"]);
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    assert_eq!(pool.close(), ["page 1 of 0.1: 1", "ready 0.1 r1 files 1 because asked"]);
    assert_eq!(pool.close(), ["refused: NoOpenWindow"], "the next part is empty");
    assert_eq!(pool.file(2, 1, 2_000), ["opened 0.2", "file 2 in 0.2 r1"]);
}

#[test]
fn pages_go_out_as_they_fill_and_are_in_order_within() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(59_000);
    let mut pages = Vec::new();
    for upload in 1..=1_000 {
        let said = pool.file(upload, 1, 59_000 - i64::try_from(upload).unwrap());
        pages.extend(said.into_iter().filter(|line| line.starts_with("page")));
    }
    pages.extend(pool.close().into_iter().filter(|line| line.starts_with("page")));
    assert!(pages.len() > 1, "a page is at most 512 KiB");
    let mut all = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let (head, files) = page.split_once(": ").unwrap();
        assert_eq!(head, format!("page {} of 0.1", number + 1));
        let files: Vec<u128> = files.split(',').map(|id| id.parse().unwrap()).collect();
        assert!(files.is_sorted_by(|a, b| a > b), "later uploads are earlier files here");
        all.extend(files);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=1_000).collect::<Vec<_>>());
}

#[test]
fn rules_can_only_be_raised() {
    let mut pool = Telling::new(1, policy(|_| ()));
    let raised = Event::SemanticsRaised(schemas::event::SemanticsRaised { semantics: 2 });
    assert_eq!(pool.say(raised), [""; 0]);
    assert_eq!(pool.state.semantics(), 2);
    let lower = Event::SemanticsRaised(schemas::event::SemanticsRaised { semantics: 1 });
    assert_eq!((pool.say(lower).len(), pool.state.semantics()), (0, 2));
}
