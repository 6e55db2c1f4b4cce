//! Whatever is said, in whatever order: nothing is lost or doubled, and a replay says the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use schemas::digest::Digest;
use schemas::event::{
    Closed, Derived, MemberRemoveRequested, Placement, PolicyChangeRequested, TimerDue,
};
use schemas::file::{REFERENCES_BYTES_MAX, manifest_digest};
use schemas::id::{AccountId, BatchId, UploadId};
use schemas::policy::{LateMode, Policy, QuorumOf, Windows, WindowsAsk};
use schemas::role::Role;
use schemas::time::{EffectiveAt, Window};

use super::{BASE, OWNER, Telling, offer, policy};
use crate::fold::{Output, State, step};

/// One thing said: which, how long after the one before, and three numbers that say the rest.
type Said = (u8, u16, u8, u8, u16);

/// What is said, and to a pool of which rules.
type Tale = (u8, Vec<Said>);

fn said() -> impl Strategy<Value = Tale> {
    let one = (0..23_u8, 0..20_000_u16, 0..6_u8, any::<u8>(), any::<u16>());
    (0..RULES, prop::collection::vec(one, 1..150))
}

/// How many rules there are.
const RULES: u8 = 9;

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
            8 => (ask.min_files, ask.min_clients) = (Some(3), Some(2)),
            6 => ask.schedule = Some("*/2 * * * *".into()),
            7 => ask.windows = Some(WindowsAsk::Days { zone: Some("Asia/Kolkata".into()) }),
            3 => (ask.quorum_permille, ask.count) = (Some(500), Some(4)),
            _ => (),
        }
    })
}

/// Rules that a pool is changed to: other triggers and modes, and windows of other lengths.
fn changed_rules(a: u8, b: u16) -> Policy {
    let mut policy = rules(a % RULES);
    if !matches!(policy.windows, Windows::Days { .. }) {
        let minutes = u64::from(b % 4) + 1;
        policy.windows = match b % 3 {
            0 => Windows::Grid { period_ms: minutes * 60_000 },
            _ => Windows::Tumbling { period_ms: minutes * 60_000, origin: EffectiveAt::default() },
        };
    }
    policy.close.max_wait_ms += u64::from(b % 5) * 30_000;
    policy.watermark.disorder_ms = u64::from(b % 7) * 5_000;
    policy
}

/// Tells a pool all of it, then lets every timer fire; gives all outputs.
fn tell((number, all): &Tale) -> (Telling, Vec<Output>) {
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
            21 => {
                let (by, if_version) = (AccountId::from_bits(OWNER), None);
                let policy = Box::new(changed_rules(*a, *b));
                pool.say(PolicyChangeRequested { by, if_version, policy });
            }
            19 | 20 => drop(decide_on_some_held_file(&mut pool, *a, *b)),
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

/// Releases or discards some file that was held, once or again.
fn decide_on_some_held_file(pool: &mut Telling, a: u8, b: u16) -> Vec<String> {
    let held = pool.outputs.iter().filter_map(|output| match &output.body {
        Derived::FilePlaced(said) if matches!(said.placed, Placement::Held { .. }) => {
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

fn closed(body: &Derived) -> Option<&Closed> {
    match body {
        Derived::BatchReady(ready) => Some(&ready.closed),
        Derived::BatchAmended(amended) => Some(&amended.closed),
        _ => None,
    }
}

fn fold(pool: &Telling) -> Vec<Output> {
    let (mut state, mut out) = (State::default(), Vec::new());
    for input in pool.inputs.iter().cloned() {
        step(&mut state, input, &mut out);
    }
    out
}

/// The files of each batch, as its pages say.
fn batches(outputs: &[Output]) -> BTreeMap<BatchId, Vec<UploadId>> {
    let mut batches: BTreeMap<BatchId, Vec<UploadId>> = BTreeMap::new();
    for output in outputs {
        if let Derived::ManifestPage(page) = &output.body {
            batches.entry(page.batch).or_default().extend(page.added.iter().map(|f| f.upload));
        }
    }
    batches
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_file_is_in_exactly_one_place(all in said()) {
        let (_, outputs) = tell(&all);
        let mut placed: BTreeMap<UploadId, Option<BatchId>> = BTreeMap::new();
        for output in &outputs {
            let (file, place) = match &output.body {
                Derived::FilePlaced(said) => (&said.file, &said.placed),
                Derived::FileReleased(said) => {
                    prop_assert_eq!(placed.remove(&said.file.upload), Some(None), "it was held");
                    (&said.file, &said.placed)
                }
                Derived::FileDiscarded(said) => {
                    prop_assert_eq!(placed.get(&said.upload), Some(&None), "it was held");
                    continue;
                }
                _ => continue,
            };
            let batch = match place {
                Placement::Window { batch, window, falls_in, .. } => {
                    let own = falls_in.unwrap_or(*window);
                    prop_assert!(own.contains(file.effective_at) && own <= *window);
                    Some(*batch)
                }
                Placement::Held { .. } => None,
            };
            prop_assert_eq!(placed.insert(file.upload, batch), None, "placed once");
        }
        let mut batched: BTreeMap<UploadId, BatchId> = BTreeMap::new();
        for (batch, files) in batches(&outputs) {
            for upload in files {
                prop_assert_eq!(batched.insert(upload, batch), None, "in one batch, once");
            }
        }
        placed.retain(|_, batch| batch.is_some());
        let placed: BTreeMap<_, _> = placed.into_iter().filter_map(|(u, b)| Some((u, b?))).collect();
        prop_assert_eq!(placed, batched, "all that was placed is in its batch when all is quiet");
    }

    #[test]
    fn a_batch_is_what_its_pages_say(all in said()) {
        let (_, outputs) = tell(&all);
        let mut pages: BTreeMap<BatchId, (u32, u32, u64, Option<Digest>)> = BTreeMap::new();
        let mut revisions: BTreeMap<BatchId, u32> = BTreeMap::new();
        for output in &outputs {
            if let Derived::ManifestPage(page) = &output.body {
                let so_far = pages.entry(page.batch).or_default();
                so_far.0 += 1;
                prop_assert_eq!(page.page, so_far.0, "pages are counted without a gap");
                so_far.1 += u32::try_from(page.added.len()).unwrap();
                so_far.2 += page.added.iter().map(|f| f.size_bytes).sum::<u64>();
                so_far.3 = Some(manifest_digest(so_far.3, page.added.iter().map(AsRef::as_ref)));
                prop_assert!(page.added.is_sorted_by_key(|file| file.order()));
                let bytes = serde_json::to_vec(&page.added).unwrap().len();
                prop_assert!(bytes <= REFERENCES_BYTES_MAX);
            }
            if let Some(closed) = closed(&output.body) {
                let revision = revisions.entry(closed.batch).or_default();
                *revision += 1;
                prop_assert_eq!(closed.revision, *revision, "revisions are counted without a gap");
                let told = (closed.pages, closed.files, closed.bytes, Some(closed.manifest_sha256));
                prop_assert_eq!(pages.get(&closed.batch), Some(&told));
                prop_assert!(closed.watermark.millis() <= closed.log_clock.millis());
            }
        }
    }

    /// Whatever becomes of a pool's rules: no two of its windows share a moment, each has the rules
    /// of its time, and all parts of one have the same.
    #[test]
    fn windows_never_overlap_and_keep_their_rules(all in said()) {
        let (_, outputs) = tell(&all);
        let mut versions: Vec<(EffectiveAt, u32)> = Vec::new();
        let mut windows: BTreeMap<Window, u32> = BTreeMap::new();
        for output in &outputs {
            let (window, version) = match &output.body {
                Derived::PolicyChanged(changed) => {
                    let from = changed.effective_from;
                    prop_assert!(versions.last().is_none_or(|(before, _)| *before <= from));
                    versions.retain(|(before, _)| *before < from);
                    versions.push((from, changed.version));
                    continue;
                }
                Derived::WindowOpened(opened) => (opened.window, opened.policy_version),
                body => match closed(body) {
                    Some(closed) => (closed.window, closed.policy_version),
                    None => continue,
                },
            };
            let before = windows.insert(window, version);
            prop_assert!(before.is_none_or(|before| before == version));
        }
        for pair in windows.keys().collect::<Vec<_>>().windows(2) {
            prop_assert!(pair[0].end <= pair[1].start, "{:?} and {:?}", pair[0], pair[1]);
        }
        for (window, version) in windows {
            let own = versions.iter().rev().find(|(from, _)| *from <= window.start);
            prop_assert_eq!(own.map(|(_, number)| *number), Some(version));
        }
    }

    #[test]
    fn one_result_per_revision_and_epochs_never_repeat(all in said()) {
        let (_, outputs) = tell(&all);
        let (mut results, mut epochs) = (BTreeSet::new(), BTreeMap::new());
        let mut newest = BTreeMap::new();
        for output in &outputs {
            match &output.body {
                Derived::ResultPublished(result) => {
                    prop_assert!(results.insert(result.result));
                    let before = newest.insert(result.batch, result.revision);
                    prop_assert!(before < Some(result.revision), "revisions only grow");
                }
                Derived::BatchLeased(leased) => {
                    let claim = epochs.insert((leased.batch, leased.epoch), leased.claim);
                    prop_assert!(claim.is_none_or(|claim| claim == leased.claim));
                }
                _ => (),
            }
        }
    }

    #[test]
    fn a_replay_says_the_same_from_any_snapshot(all in said(), cut in any::<prop::sample::Index>()) {
        let (pool, outputs) = tell(&all);
        prop_assert_eq!(&fold(&pool), &outputs);
        let (before, after) = pool.inputs.split_at(cut.index(pool.inputs.len()));
        let (mut state, mut out) = (State::default(), Vec::new());
        for input in before.iter().cloned() {
            step(&mut state, input, &mut out);
        }
        let bytes = rmp_serde::to_vec_named(&state).unwrap();
        let mut restored: State = rmp_serde::from_slice(&bytes).unwrap();
        prop_assert_eq!(&restored, &state);
        for input in after.iter().cloned() {
            step(&mut restored, input, &mut out);
        }
        prop_assert_eq!(out, outputs);
        prop_assert_eq!(restored, pool.state);
    }

    #[test]
    fn outputs_are_numbered_without_a_gap(all in said()) {
        let (_, outputs) = tell(&all);
        for pair in outputs.windows(2) {
            let [a, b] = [pair[0].cause, pair[1].cause];
            if a.last {
                prop_assert!(b.offset > a.offset && b.index == 0);
            } else {
                prop_assert_eq!((b.offset, b.index), (a.offset, a.index + 1));
            }
        }
    }

    /// Files of ten minutes come in any order within the disorder the pool allows: the batches
    /// are those of sorting all files and cutting them at the minutes.
    #[test]
    fn any_arrival_order_within_the_disorder_gives_the_same_batches(
        files in prop::collection::vec((0..600_000_i64, 1..5_u128, 0..30_000_i64), 1..120),
    ) {
        let mut pool = Telling::new(4, policy(|ask| {
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
        while pool.state.due().is_some() {
            pool.timer();
        }
        let outputs = &pool.outputs;
        let mut cut: BTreeMap<i64, BTreeSet<UploadId>> = BTreeMap::new();
        for (_, at, _, upload) in &arrivals {
            cut.entry(at / 60_000).or_default().insert(UploadId::from_bits(*upload));
        }
        let told: BTreeMap<BatchId, BTreeSet<UploadId>> =
            batches(outputs).into_iter().map(|(id, files)| (id, files.into_iter().collect())).collect();
        let naive: BTreeMap<BatchId, BTreeSet<UploadId>> =
            cut.into_iter().map(|(minute, files)| (super::batch(minute, 1), files)).collect();
        prop_assert_eq!(told, naive);
        prop_assert!(outputs.iter().all(|o| !matches!(o.body, Derived::BatchAmended(_))), "none late");
        prop_assert!(pool.state.clock().millis() >= BASE);
    }
}
