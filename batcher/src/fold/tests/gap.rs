//! Pools that group files by distance.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use schemas::event::{Derived, OpenWindows, PolicyChangeRequested, Timer};
use schemas::id::{AccountId, BatchId, UploadId};
use schemas::policy::{Gap, LateMode, PolicyAsk, WindowsAsk};
use schemas::time::{EffectiveAt, Window};

use super::replay::closed;
use super::{BASE, OWNER, Telling, policy};

/// Ten seconds from file to file, a minute in all; grace 10 s, longest wait 60 s.
const GAP: Gap = Gap { gap_ms: 10_000, max_span_ms: 60_000 };

fn gaps(ask: &mut PolicyAsk) {
    let Gap { gap_ms, max_span_ms } = GAP;
    let (gap_ms, max_span_ms) = (Some(gap_ms), Some(max_span_ms));
    ask.windows = Some(WindowsAsk::Gap { gap_ms, max_span_ms });
}

/// A pool of so many clients that groups by distance, at 1 s.
fn pool(clients: u128, change: impl FnOnce(&mut PolicyAsk)) -> Telling {
    let mut pool = Telling::new(
        clients,
        policy(|ask| {
            gaps(ask);
            change(ask);
        }),
    );
    pool.at(1_000);
    pool
}

impl Telling {
    /// What was said of batches since: first and last moment of the window, part, revision,
    /// reason, files.
    fn batches_since(&self, outputs: usize) -> Vec<String> {
        let closed = self.outputs[outputs..].iter().filter_map(|output| closed(&output.body));
        let told = closed.map(|c| {
            let Window { start, end, .. } = c.window;
            let [start, end] = [start, end].map(|at| at.millis() - BASE);
            let reason = serde_json::to_string(&c.reason).unwrap();
            let reason = reason.trim_matches('"');
            format!("{start} to {end} part {} r{}: {} {reason}", c.part, c.revision, c.files)
        });
        told.collect()
    }

    /// What was said of batches from the beginning.
    fn batches(&self) -> Vec<String> {
        self.batches_since(0)
    }

    /// Lets every timer fire.
    fn idle(&mut self) {
        while self.state.due().is_some() {
            self.timer();
        }
    }
}

#[test]
fn files_gather_until_no_other_may_come_near_them() {
    let mut pool = pool(1, |_| ());
    assert_eq!(pool.file(1, 1, 1_000), ["file 1 gathers with 0"]);
    pool.at(9_000);
    assert_eq!(pool.file(2, 1, 9_000), ["file 2 gathers with 1"]);
    pool.at(25_000);
    let said = pool.file(3, 1, 25_000);
    assert_eq!(said, ["file 3 gathers with 0"], "the grace of those before it is not over");
    let said = pool.timer();
    assert_eq!(
        pool.clock,
        29_001 + 60_000,
        "end, grace and the longest wait: the client is at 25 s"
    );
    assert_eq!(said[0], "opened -9000 to 19001, part 1");
    assert!(said[1].starts_with("grouped 1,2 in "), "{said:?}");
    assert!(said[2].starts_with("page 1 of "), "{said:?}");
    assert_eq!(pool.batches(), ["-9000 to 19001 part 1 r1: 2 max-wait"]);
}

#[test]
fn a_group_closes_once_the_clients_are_beyond_it() {
    let mut pool = pool(1, |_| ());
    pool.file(1, 1, 1_000);
    pool.at(40_000);
    pool.file(2, 1, 40_000);
    assert_eq!(pool.batches(), ["-9000 to 11001 part 1 r1: 1 window-end"]);
}

#[test]
fn a_group_goes_on_no_longer_than_it_may() {
    let mut pool = pool(1, |_| ());
    for second in 1..=100 {
        pool.at(second * 1_000);
        pool.file(u128::try_from(second).unwrap(), 1, second * 1_000);
    }
    pool.idle();
    let expected =
        ["1000 to 61001 part 1 r1: 61 window-end", "61001 to 110001 part 1 r1: 39 max-wait"];
    assert_eq!(pool.batches(), expected);
}

#[test]
fn late_files_join_the_window_of_their_time_or_get_one_of_their_own() {
    let mut pool = pool(1, |_| ());
    pool.file(1, 1, 1_000);
    pool.at(100_000);
    pool.file(2, 1, 100_000);
    assert_eq!(pool.batches(), ["-9000 to 11001 part 1 r1: 1 max-wait"]);
    let said = pool.file(3, 1, 11_000);
    assert!(said[0].ends_with("r2 late"), "within ten seconds after: {said:?}");
    let said = pool.file(4, 1, 30_000);
    assert!(said[0].ends_with("r1 late"), "of its own: {said:?}");
    let said = pool.file(5, 1, 22_000);
    assert!(said[0].ends_with("r1 late"), "near that: {said:?}");
    let before = pool.outputs.len();
    pool.idle();
    let expected = [
        "-9000 to 11001 part 1 r2: 2 late",
        "20000 to 40001 part 1 r1: 2 late",
        "90000 to 110001 part 1 r1: 1 max-wait",
    ];
    assert_eq!(pool.batches_since(before), expected);
}

#[test]
fn late_files_gather_anew_where_the_pool_says_next() {
    let mut pool = pool(1, |ask| ask.late = Some(LateMode::Next));
    pool.file(1, 1, 1_000);
    pool.at(100_000);
    pool.file(2, 1, 100_000);
    let said = pool.file(3, 1, 2_000);
    assert_eq!(said, ["file 3 gathers with 1 late from its window"], "at the watermark");
    pool.idle();
    let batches = pool.batches();
    assert_eq!(batches[1..], ["80000 to 110001 part 1 r1: 2 max-wait"]);
}

#[test]
fn a_count_closes_a_group_and_the_next_files_near_it_are_its_next_part() {
    let mut pool = pool(1, |ask| ask.count = Some(2));
    pool.file(1, 1, 1_000);
    let said = pool.file(2, 1, 2_000);
    assert_eq!(said[..2], ["file 2 gathers with 1", "opened -9000 to 12001, part 1"]);
    assert_eq!(pool.file(3, 1, 3_000)[0], "opened -9000 to 12001, part 2");
    assert_eq!(pool.file(4, 1, 30_000), ["file 4 gathers with 0"]);
    pool.file(5, 1, 4_000);
    pool.idle();
    let expected = [
        "-9000 to 12001 part 1 r1: 2 count",
        "-9000 to 12001 part 2 r1: 2 count",
        "20000 to 40001 part 1 r1: 1 max-wait",
    ];
    assert_eq!(pool.batches(), expected);
}

#[test]
fn bytes_quorum_schedules_and_admins_close_groups() {
    let check = |clients, change: fn(&mut PolicyAsk), expected: &str| {
        let mut pool = pool(clients, change);
        pool.file(1, 1, 1_000);
        pool.file(2, 2, 2_000);
        if expected.ends_with("asked") {
            pool.close();
        } else if expected.ends_with("schedule") {
            pool.timer();
        }
        assert_eq!(pool.batches(), [expected]);
    };
    check(2, |ask| ask.bytes = Some(15), "-9000 to 12001 part 1 r1: 2 bytes");
    check(3, |ask| ask.quorum_permille = Some(600), "-9000 to 12001 part 1 r1: 2 quorum");
    check(2, |_| (), "-9000 to 12001 part 1 r1: 2 asked");
    check(2, |ask| ask.schedule = Some("* * * * *".into()), "-9000 to 12001 part 1 r1: 2 schedule");
}

#[test]
fn a_full_part_closes_while_the_pool_is_paused_and_all_else_waits() {
    let mut pool = pool(1, |ask| ask.part_files_max = Some(3));
    pool.pause();
    for (upload, at) in [(1, 1_000), (2, 2_000), (3, 2_000), (4, 30_000)] {
        pool.file(upload, 1, at);
    }
    assert_eq!(pool.batches(), ["-9000 to 12001 part 1 r1: 3 part-full"]);
    pool.idle();
    pool.at(500_000);
    assert_eq!(pool.file(5, 1, 31_000), ["file 5 gathers with 1"], "not late: nothing has closed");
    let before = pool.outputs.len();
    pool.resume();
    assert_eq!(pool.batches_since(before), ["20000 to 41001 part 1 r1: 2 max-wait"]);
}

#[test]
fn a_window_below_its_minimum_is_held_back_with_its_name() {
    let mut pool = pool(2, |ask| (ask.min_files, ask.min_wait_ms) = (Some(2), Some(300_000)));
    pool.file(1, 1, 1_000);
    pool.at(100_000);
    assert_eq!(pool.file(2, 1, 100_000)[0], "opened -9000 to 11001, part 1");
    assert_eq!(pool.batches(), [""; 0]);
    pool.file(3, 2, 5_000);
    assert_eq!(pool.batches(), ["-9000 to 11001 part 1 r1: 2 window-end"]);
}

#[test]
fn archiving_closes_or_cancels_what_gathers() {
    let mut pool = pool(1, |_| ());
    pool.file(1, 1, 1_000);
    pool.file(2, 1, 30_000);
    let mut other = Telling { state: pool.state.clone(), ..Telling::new(0, policy(gaps)) };
    pool.archive(OpenWindows::Close);
    let expected = ["-9000 to 11001 part 1 r1: 1 archived", "20000 to 40001 part 1 r1: 1 archived"];
    assert_eq!(pool.batches(), expected);
    assert_eq!(pool.state.due(), None);
    other.outputs.clear();
    let said = other.archive(OpenWindows::Cancel);
    assert_eq!(said.iter().filter(|line| line.starts_with("grouped")).count(), 2);
    assert_eq!(said.iter().filter(|line| line.starts_with("cancelled")).count(), 2);
    assert_eq!(other.state.due(), None);
}

#[test]
fn groups_end_where_another_version_begins() {
    let mut pool = pool(1, |_| ());
    pool.file(1, 1, 1_000);
    let (by, policy) = (AccountId::from_bits(OWNER), Box::new(policy(|_| ())));
    pool.say(PolicyChangeRequested { by, if_version: None, policy });
    let from = pool.outputs.iter().rev().find_map(|output| match &output.body {
        Derived::PolicyChanged(changed) => Some(changed.effective_from.millis() - BASE),
        _ => None,
    });
    assert_eq!(from, Some(61_001), "the group that has begun is not cut");
    pool.at(58_000);
    pool.file(2, 1, 58_000);
    pool.at(62_000);
    let said = pool.file(3, 1, 62_000);
    assert!(said.last().unwrap().starts_with("file 3 in "), "{said:?}");
    pool.idle();
    let batches = pool.batches();
    let expected =
        ["-9000 to 11001 part 1 r1: 1 window-end", "48000 to 61001 part 1 r1: 1 max-wait"];
    assert_eq!(batches[..2], expected);
    assert_eq!(batches[2], "61001 to 120000 part 1 r1: 1 max-wait");
}

#[test]
fn no_id_comes_twice_when_a_window_is_forgotten() {
    let mut pool = pool(1, |ask| ask.late_allowed_ms = Some(100_000));
    pool.file(1, 1, 1_000);
    pool.at(111_001);
    pool.file(2, 1, 111_000);
    assert_eq!(pool.batches(), ["-9000 to 11001 part 1 r1: 1 max-wait"]);
    pool.at(111_002);
    assert_eq!(pool.file(3, 1, 10_500).last().unwrap(), "file 3 held: too late", "it is forgotten");
    let said = pool.file(4, 1, 11_500);
    assert!(said[0].ends_with("r1 late"), "{said:?}");
    let before = pool.outputs.len();
    pool.idle();
    assert_eq!(pool.batches_since(before)[0], "11001 to 21501 part 1 r1: 1 late", "beside it");
}

#[test]
fn files_that_gather_are_bounded() {
    let mut pool = pool(1, |ask| ask.max_wait_ms = Some(1_000_000_000));
    for upload in 1..=20_001_u32 {
        pool.file(u128::from(upload), 1, 1_000_000_000 - i64::from(upload) * 20_000);
    }
    assert_eq!(pool.state.groups.files(), 20_000);
    let opened = pool.outputs.iter().filter(|o| matches!(o.body, Derived::WindowOpened(_)));
    assert_eq!(opened.count(), 1, "the oldest has its window, and may still take files");
    assert_eq!(pool.batches(), [""; 0]);
    let armed = pool.state.timers.iter().filter(|(_, timer)| *timer == Timer::Group);
    assert_eq!(armed.count(), 1);
}

proptest! {
    /// Files come in any order within the disorder the pool allows: the batches are those of
    /// sorting all files by time and cutting them from the oldest on.
    #[test]
    fn any_arrival_order_gives_the_groups_of_all_files_sorted_and_cut(
        files in prop::collection::vec((0..600_000_i64, 1..5_u128, 0..30_000_i64), 1..120),
        gap_ms in 1..20_000_u64,
        more_ms in 0..60_000_u64,
    ) {
        let gap = Gap { gap_ms, max_span_ms: (gap_ms + more_ms).max(60_000) };
        let mut pool = Telling::new(4, policy(|ask| {
            ask.windows = Some(WindowsAsk::Gap {
                gap_ms: Some(gap.gap_ms),
                max_span_ms: Some(gap.max_span_ms),
            });
            ask.disorder_ms = Some(30_000);
            ask.quantile_permille = Some(1);
        }));
        let mut arrivals: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(index, (at, client, delay))| (at + delay, *at, *client, index as u128 + 1))
            .collect();
        arrivals.sort_unstable();
        for (arrival, at, client, upload) in &arrivals {
            pool.at(*arrival);
            pool.file(*upload, *client, *at);
        }
        pool.idle();
        let mut sorted: Vec<_> = arrivals.iter().map(|(_, at, _, upload)| (*at, *upload)).collect();
        sorted.sort_unstable();
        let times = sorted.iter().map(|(at, _)| EffectiveAt::from_millis(BASE + at));
        let mut rest = sorted.iter().map(|(_, upload)| UploadId::from_bits(*upload));
        let naive: BTreeSet<BTreeSet<UploadId>> =
            gap.cut(times).into_iter().map(|count| rest.by_ref().take(count).collect()).collect();
        let mut told: BTreeMap<BatchId, BTreeSet<UploadId>> = BTreeMap::new();
        for output in &pool.outputs {
            if let Derived::ManifestPage(page) = &output.body {
                told.entry(page.batch).or_default().extend(page.added.iter().map(|f| f.upload));
            }
        }
        prop_assert_eq!(told.into_values().collect::<BTreeSet<_>>(), naive);
        prop_assert!(pool.outputs.iter().all(|o| !matches!(o.body, Derived::BatchAmended(_))));
    }
}
