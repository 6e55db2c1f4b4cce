//! What is counted for quotas, and what has been kept for long enough.

use schemas::event::{ContentErased, Derived, PolicyChangeRequested, Sent, Timer, TimerDue};
use schemas::id::AccountId;
use schemas::policy::LateMode;
use schemas::time::LogTime;

use super::{BASE, OWNER, Telling, policy};

fn sent(pool: &Telling) -> Vec<Option<Sent>> {
    let placed = |output: &super::Output| match &output.body {
        Derived::FilePlaced(placed) => Some(placed.sent),
        _ => None,
    };
    pool.outputs.iter().filter_map(placed).collect()
}

fn erased(pool: &Telling) -> Vec<ContentErased> {
    let erased = |output: &super::Output| match &output.body {
        Derived::ContentErased(erased) => Some(*erased),
        _ => None,
    };
    pool.outputs.iter().filter_map(erased).collect()
}

impl Telling {
    /// The owner says that the look at what was kept is due; gives when it was armed for.
    fn look(&mut self) -> i64 {
        let armed = |(_, timer): &&(LogTime, Timer)| *timer == Timer::Erase;
        let (due, timer) = *self.state.timers.iter().find(armed).expect("it is armed");
        let at = due.millis() - BASE;
        self.at(at);
        self.say(TimerDue { timer, due });
        at
    }
}

#[test]
fn files_are_counted_where_there_is_a_quota() {
    let mut pool = Telling::new(2, policy(|ask| ask.quota_files = Some(1)));
    for (upload, client) in [(1, 1), (2, 2), (3, 1)] {
        pool.at(1_000);
        pool.file(upload, client, 1_000);
    }
    // A repeat is no file, and one beyond the quota is not refused: it is here.
    pool.file(3, 1, 1_000);
    let counted = |files, client_files| {
        let (bytes, client_bytes) = (files * 10, client_files * 10);
        Some(Sent { files, bytes, client_files, client_bytes })
    };
    assert_eq!(sent(&pool), [counted(1, 1), counted(2, 1), counted(3, 2)]);
    let mut plain = Telling::new(1, policy(|_| {}));
    plain.at(1_000);
    plain.file(1, 1, 1_000);
    assert_eq!(sent(&plain), [None]);
    assert!(plain.state.timers.iter().all(|(_, timer)| *timer != Timer::Erase));
}

#[test]
fn what_was_kept_for_long_enough_is_erased_by_the_logs_clock() {
    let keep = |ask: &mut schemas::policy::PolicyAsk| {
        (ask.keep_inputs_ms, ask.keep_results_ms) = (Some(600_000), Some(6_000_000));
    };
    let mut pool = Telling::new(1, policy(keep));
    assert_eq!(pool.look(), 60_000);
    let before = |at: i64, kept_ms| Some(LogTime::from_millis(BASE + at).minus(kept_ms));
    let expected = |at| ContentErased {
        inputs_before: before(at, 600_000),
        results_before: before(at, 6_000_000),
    };
    assert_eq!(erased(&pool), [expected(60_000)]);
    assert_eq!(pool.look(), 120_000, "it is looked at again and again");
    // Who says so too early, or twice, changes nothing.
    let due = LogTime::from_millis(BASE + 180_000);
    pool.say(TimerDue { timer: Timer::Erase, due });
    pool.at(180_000);
    pool.say(TimerDue { timer: Timer::Erase, due });
    pool.say(TimerDue { timer: Timer::Erase, due });
    assert_eq!(erased(&pool), [60_000, 120_000, 180_000].map(expected));
}

#[test]
fn what_is_to_be_kept_for_less_is_looked_at_soon() {
    let keep = |kept_ms: u64| policy(move |ask| ask.keep_inputs_ms = Some(kept_ms));
    let mut pool = Telling::new(1, keep(2_592_000_000));
    pool.at(1_000);
    let (by, policy) = (AccountId::from_bits(OWNER), Box::new(keep(600_000)));
    pool.say(PolicyChangeRequested { by, if_version: None, policy });
    assert_eq!(pool.look(), 61_000, "not a day later");
}

#[test]
fn a_held_file_that_is_erased_cannot_be_released() {
    let keep = |ask: &mut schemas::policy::PolicyAsk| {
        (ask.late, ask.keep_inputs_ms) = (Some(LateMode::Hold), Some(600_000));
    };
    let mut pool = Telling::new(1, policy(keep));
    pool.at(300_000);
    assert_eq!(pool.file(1, 1, 1_000), ["file 1 held: late"]);
    pool.at(301_000);
    pool.file(2, 1, 2_000);
    while pool.look() <= 901_000 {}
    assert_eq!(pool.release((1, 1, 1_000), None), ["refused: NotHeld"]);
    assert_eq!(pool.release((2, 1, 2_000), None), ["refused: NotHeld"]);
    pool.file(3, 1, 3_000);
    assert_eq!(pool.release((3, 1, 3_000), None)[0], "released 3 in 0.1 r1 late");
}
