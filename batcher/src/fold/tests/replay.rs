//! Whatever is said, in whatever order: nothing is lost or doubled, and a replay says the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use schemas::digest::Digest;
use schemas::event::{Closed, Derived, Placement};
use schemas::file::{REFERENCES_BYTES_MAX, manifest_digest};
use schemas::id::{BatchId, UploadId};
use schemas::policy::BelowMinimum;
use schemas::time::{EffectiveAt, Window, WindowKind};

use super::tale::{said, tell};
use super::{BASE, Telling, policy};
use crate::fold::{Output, State, step};

pub(super) fn closed(body: &Derived) -> Option<&Closed> {
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

/// The batches that were asked for: they take nothing from the windows.
fn ranges(outputs: &[Output]) -> BTreeSet<BatchId> {
    let opened = outputs.iter().filter_map(|output| match &output.body {
        Derived::RangeOpened(opened) => Some(opened.batch),
        _ => None,
    });
    opened.collect()
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Batch(BatchId),
    Gathering,
    Held,
    Inspected,
    Rejected,
    Failed,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_file_is_in_exactly_one_place(all in said()) {
        let (pool, outputs) = tell(&all);
        let mut placed: BTreeMap<UploadId, Place> = BTreeMap::new();
        for output in &outputs {
            let (file, place) = match &output.body {
                Derived::FilePlaced(said) => (&said.file, &said.placed),
                Derived::FileReleased(said) => {
                    let before = placed.remove(&said.file.upload);
                    prop_assert_eq!(before, Some(Place::Held), "it was held");
                    (&said.file, &said.placed)
                }
                Derived::FileAccepted(said) => {
                    let before = placed.remove(&said.file.upload);
                    prop_assert_eq!(before, Some(Place::Inspected), "it was inspected");
                    prop_assert!(said.file.inspections.is_empty(), "and is so no longer");
                    (&said.file, &said.placed)
                }
                Derived::FileRejected(said) => {
                    let before = placed.insert(said.upload, Place::Rejected);
                    prop_assert_eq!(before, Some(Place::Inspected));
                    continue;
                }
                Derived::FileFailed(said) => {
                    let before = placed.insert(said.upload, Place::Failed);
                    prop_assert_eq!(before, Some(Place::Inspected));
                    continue;
                }
                Derived::FileRetried(said) => {
                    let before = placed.insert(said.file.upload, Place::Inspected);
                    prop_assert_eq!(before, Some(Place::Failed));
                    continue;
                }
                Derived::FileDiscarded(said) => {
                    prop_assert_eq!(placed.get(&said.upload), Some(&Place::Held), "it was held");
                    continue;
                }
                Derived::WindowSkipped(said) => {
                    let before = placed.len();
                    placed.retain(|_, place| *place != Place::Batch(said.batch));
                    prop_assert_eq!(before - placed.len(), said.files as usize);
                    continue;
                }
                Derived::FilesGrouped(said) => {
                    for file in &said.files {
                        let before = placed.insert(file.upload, Place::Batch(said.batch));
                        let expected = said.carried_from.map_or(Place::Gathering, Place::Batch);
                        prop_assert_eq!(before, Some(expected), "it was there");
                    }
                    continue;
                }
                _ => continue,
            };
            let batch = match place {
                Placement::Window { batch, window, falls_in, .. } => {
                    let own = falls_in.unwrap_or(*window);
                    prop_assert!(own.contains(file.effective_at) && own <= *window);
                    Place::Batch(*batch)
                }
                Placement::Gathering { window, falls_in, .. } => {
                    let own = falls_in.unwrap_or(*window);
                    prop_assert!(own.contains(file.effective_at) && own <= *window);
                    Place::Gathering
                }
                Placement::Held { .. } => Place::Held,
                Placement::Inspecting { .. } => Place::Inspected,
            };
            prop_assert_eq!(placed.insert(file.upload, batch), None, "placed once");
        }
        let mut batched: BTreeMap<UploadId, BatchId> = BTreeMap::new();
        let ranges = ranges(&outputs);
        for (batch, files) in batches(&outputs) {
            for upload in files.into_iter().filter(|_| !ranges.contains(&batch)) {
                prop_assert_eq!(batched.insert(upload, batch), None, "in one batch, once");
            }
        }
        // What waits to be carried over waits for a file of a later window.
        for (window, part) in pool.state.open.iter().filter(|(_, part)| part.manifest.files > 0) {
            let minimum = pool.state.pool.as_ref().unwrap().rules(window).close.minimum;
            prop_assert_eq!(minimum.unwrap().then, BelowMinimum::Carry);
            let waiting = part.manifest.references().unwrap();
            batched.extend(waiting.iter().map(|file| (file.upload, part.batch)));
        }
        let gathers = placed.values().any(|place| *place == Place::Gathering);
        prop_assert!(!gathers, "every group gets its window");
        let batch = |(upload, place)| match place {
            Place::Batch(batch) => Some((upload, batch)),
            _ => None,
        };
        let placed: BTreeMap<_, _> = placed.into_iter().filter_map(batch).collect();
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
                body => match closed(body).filter(|c| c.window.kind != WindowKind::Range) {
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
                    let place = (result.revision, result.correction);
                    let before = newest.insert(result.batch, (place, result.result));
                    let (older, supersedes) = before.unzip();
                    prop_assert!(older < Some(place), "revisions and corrections only grow");
                    prop_assert_eq!(result.supersedes, supersedes, "by name");
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
