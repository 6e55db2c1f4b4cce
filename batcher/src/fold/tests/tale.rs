//! What a pool may be told: anything that can be said, at random.

use proptest::prelude::*;
use schemas::digest::Digest;
use schemas::event::{
    Closed, Derived, MemberRemoveRequested, Placement, PolicyChangeRequested, TimerDue,
};
use schemas::id::AccountId;
use schemas::policy::{BelowMinimum, Gap, LateMode, Policy, QuorumOf, Windows, WindowsAsk};
use schemas::role::Role;
use schemas::time::EffectiveAt;

use super::replay::closed;
use super::{BASE, OWNER, Telling, offer, policy};
use crate::fold::Output;

/// One thing said: which, how long after the one before, and three numbers that say the rest.
type Said = (u8, u16, u8, u8, u16);

/// What is said, and to a pool of which rules.
pub(super) type Tale = (u8, Vec<Said>);

pub(super) fn said() -> impl Strategy<Value = Tale> {
    let one = (0..33_u8, 0..20_000_u16, 0..6_u8, any::<u8>(), any::<u16>());
    (0..RULES, prop::collection::vec(one, 1..150))
}

/// How many rules there are.
const RULES: u8 = 15;

/// Rules by their number: each trigger and each mode is in one of them.
fn rules(number: u8) -> Policy {
    policy(|ask| {
        ask.part_files_max = Some(5);
        ask.lease_ms = Some(60_000);
        ask.late_debounce_ms = Some(20_000);
        match number {
            1 => ask.bytes = Some(35),
            2 => (ask.quorum_permille, ask.quorum_of) = (Some(600), Some(QuorumOf::Active)),
            4 => ask.late = Some(LateMode::Next),
            5 => ask.late = Some(LateMode::Hold),
            9 => ask.windows = Some(gaps(20_000, 90_000)),
            10 => (ask.windows, ask.late) = (Some(gaps(5_000, 60_000)), Some(LateMode::Next)),
            11 => {
                (ask.windows, ask.count) = (Some(gaps(40_000, 60_000)), Some(4));
                (ask.min_files, ask.quorum_permille) = (Some(2), Some(700));
            }
            8 => (ask.min_files, ask.min_clients) = (Some(3), Some(2)),
            12 => (ask.min_files, ask.min_then) = (Some(3), Some(BelowMinimum::Skip)),
            13 => {
                (ask.min_clients, ask.min_then) = (Some(2), Some(BelowMinimum::Carry));
                ask.min_wait_ms = Some(0);
            }
            14 => {
                (ask.min_files, ask.min_then) = (Some(3), Some(BelowMinimum::Carry));
                ask.windows = Some(gaps(10_000, 60_000));
            }
            6 => ask.schedule = Some("*/2 * * * *".into()),
            7 => ask.windows = Some(WindowsAsk::Days { zone: Some("Asia/Kolkata".into()) }),
            3 => (ask.quorum_permille, ask.count) = (Some(500), Some(4)),
            _ => (),
        }
    })
}

fn gaps(gap_ms: u64, max_span_ms: u64) -> WindowsAsk {
    WindowsAsk::Gap { gap_ms: Some(gap_ms), max_span_ms: Some(max_span_ms) }
}

/// Rules that a pool is changed to: other triggers and modes, and windows of other lengths.
fn changed_rules(a: u8, b: u16) -> Policy {
    let mut policy = rules(a % RULES);
    if !matches!(policy.windows, Windows::Days { .. }) {
        let minutes = u64::from(b % 4) + 1;
        policy.windows = match b % 5 {
            3 => Windows::Gap(Gap { gap_ms: minutes * 10_000, max_span_ms: 75_000 }),
            4 => policy.windows,
            0 => Windows::Grid { period_ms: minutes * 60_000 },
            _ => Windows::Tumbling { period_ms: minutes * 60_000, origin: EffectiveAt::default() },
        };
    }
    policy.close.max_wait_ms += u64::from(b % 5) * 30_000;
    policy.watermark.disorder_ms = u64::from(b % 7) * 5_000;
    policy
}

/// Tells a pool all of it, then lets every timer fire; gives all outputs.
pub(super) fn tell((number, all): &Tale) -> (Telling, Vec<Output>) {
    let mut pool = Telling::new(4, rules(*number));
    let mut upload = 0;
    for (index, (kind, after, client, a, b)) in all.iter().enumerate() {
        pool.clock += i64::from(*after);
        let client = u128::from(*client) + 1;
        let at = pool.clock + 30_000 - i64::from(*b) * 5;
        let number = u128::try_from(index).unwrap() + 100;
        let epoch = u64::from(a % 4);
        let minute = at / 60_000;
        match kind {
            0..=7 => {
                upload += 1;
                pool.file(upload, client, at);
            }
            8 => {
                let again = (u128::from(*a) % upload.max(1)).max(1);
                pool.file(again, client, at);
            }
            9 | 10 => {
                let items: Vec<_> = (0..=i64::from(a % 6)).map(|n| (0, at - n * 40_000)).collect();
                let items: Vec<_> = items
                    .into_iter()
                    .map(|(_, at)| {
                        upload += 1;
                        (upload, at)
                    })
                    .collect();
                pool.update(client, &items);
            }
            11 => drop(pool.close()),
            12 | 13 => drop(pool.claim(number)),
            14 => drop(pool.renew(minute, epoch)),
            15 => drop(pool.give_up(minute, epoch)),
            16 => drop(offer_of_some_batch(&mut pool, *a, *b)),
            17 => {
                let account = AccountId::from_bits(client);
                pool.say(MemberRemoveRequested { by: AccountId::from_bits(OWNER), account });
            }
            18 => drop(pool.add(client, &[Role::Contributor])),
            22 => drop(ask_for_some_range(&mut pool, *a, *b)),
            21 => {
                let (by, if_version) = (AccountId::from_bits(OWNER), None);
                let policy = Box::new(changed_rules(*a, *b));
                pool.say(PolicyChangeRequested { by, if_version, policy });
            }
            24 => drop(pool.retry(minute)),
            25 => drop(pool.correct(minute, u32::from(a % 3), *a)),
            26 => drop(pool.withdraw(minute, u32::from(a % 3))),
            19 | 20 => drop(decide_on_some_held_file(&mut pool, *a, *b)),
            27 | 28 => {
                upload += 1;
                pool.inspected(upload, client, at);
            }
            29..=31 => drop(decide_on_some_inspected_file(&mut pool, *a, *b)),
            _ => {
                if let Some((due, timer)) = pool.state.due() {
                    pool.say(TimerDue { timer, due });
                }
            }
        }
    }
    while pool.state.due().is_some() {
        pool.timer();
    }
    let outputs = pool.outputs.clone();
    (pool, outputs)
}

/// Offers a result of some batch that is out, right or wrong.
fn offer_of_some_batch(pool: &mut Telling, a: u8, b: u16) -> Vec<String> {
    let ready: Vec<&Closed> = pool.outputs.iter().filter_map(|o| closed(&o.body)).collect();
    let Some(ready) = ready.get(usize::from(b) % ready.len().max(1)) else { return Vec::new() };
    let epoch = (!a.is_multiple_of(3)).then(|| u64::from(a % 5));
    let manifest = if a > 200 { Digest::of(b"wrong") } else { ready.manifest_sha256 };
    pool.say(offer(ready.batch, ready.revision, epoch, manifest))
}

/// Asks for a range, lists a page of it, or both; files are as ingest would find them.
fn ask_for_some_range(pool: &mut Telling, a: u8, b: u16) -> Vec<String> {
    let (request, from) = (u128::from(b % 5), pool.clock - i64::from(a % 4) * 60_000);
    let mut told = if a < 200 { pool.ask_for(request, from, from + 60_000) } else { Vec::new() };
    let placed = pool.outputs.iter().filter_map(|output| match &output.body {
        Derived::FilePlaced(said) => Some(&said.file),
        _ => None,
    });
    let files: Vec<_> = placed
        .take(3)
        .map(|f| (f.upload.bits(), f.client.bits(), f.effective_at.millis() - BASE))
        .collect();
    let page = u32::from(a % 3) + 1;
    told.extend(pool.list(request, (page, u32::from(b % 3) + 1), &files));
    told
}

/// Says anything of some file that was inspected, or never was.
fn decide_on_some_inspected_file(pool: &mut Telling, a: u8, b: u16) -> Vec<String> {
    let inspected = pool.outputs.iter().filter_map(|output| match &output.body {
        Derived::FilePlaced(said) => (!said.file.inspections.is_empty()).then_some(&said.file),
        _ => None,
    });
    let all: Vec<_> = inspected.map(|file| file.upload.bits()).collect();
    let upload = all.get(usize::from(b) % all.len().max(1)).copied().unwrap_or(1);
    let run = u128::from(a % 2);
    match a % 9 {
        0..=2 => pool.accepted(upload),
        3 => pool.rejected(upload),
        4 | 5 => pool.inspection_starts(upload, run),
        6 | 7 => pool.inspection_breaks(upload, run),
        _ => pool.retry_upload(upload, a.is_multiple_of(2)),
    }
}

/// Releases or discards some file that was held, once or again.
fn decide_on_some_held_file(pool: &mut Telling, a: u8, b: u16) -> Vec<String> {
    let held = pool.outputs.iter().filter_map(|output| match &output.body {
        Derived::FilePlaced(said) if matches!(said.placed, Placement::Held { .. }) => {
            Some(&said.file)
        }
        Derived::FileAccepted(said) if matches!(said.placed, Placement::Held { .. }) => {
            Some(&said.file)
        }
        _ => None,
    });
    let held: Vec<_> = held.collect();
    let Some(file) = held.get(usize::from(b) % held.len().max(1)) else { return Vec::new() };
    let (upload, client, at) = (file.upload.bits(), file.client.bits(), file.effective_at);
    match a % 3 {
        0 => pool.discard(upload),
        1 => pool.release((upload, client, at.millis() - BASE), None),
        _ => pool.release((upload, client, at.millis() - BASE), Some(pool.clock)),
    }
}
