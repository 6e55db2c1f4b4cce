//! The oracle: what the clients wrote down against what the system says when all is quiet. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemas::api::{BatchView, DeliveryState, UploadState, UploadView};
use schemas::digest::Digest;
use schemas::event::{BatchLeased, Derived, ResultOffered};
use schemas::file::{FileRef, manifest_digest};
use schemas::id::{AccountId, BatchId, ResultId, UploadId};
use schemas::topic::Offset;

use super::history::{History, Latest};

/// What the system says when all is quiet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    /// Each client's history.
    pub(crate) histories: BTreeMap<AccountId, Vec<UploadView>>,
    /// Each batch with the pages of its newest manifest.
    pub(crate) batches: Vec<(BatchView, BTreeMap<u32, Vec<FileRef>>)>,
    /// Who has which result, and how far.
    pub(crate) deliveries: BTreeMap<ResultId, BTreeMap<AccountId, DeliveryState>>,
    /// The members that are to have every result.
    pub(crate) members: BTreeSet<AccountId>,
    /// Digests of the bytes that were fetched back.
    pub(crate) contents: BTreeMap<UploadId, Digest>,
    /// The derived records, copies left out, with the events they follow from.
    pub(crate) derived: Vec<(Offset, Derived)>,
    /// Results that were offered, by the event that says so.
    pub(crate) offers: BTreeMap<Offset, ResultOffered>,
    /// What `replay --verify` found, if not that all is equal.
    pub(crate) replay_differs: Option<String>,
    /// What `rebuild` found, if not that all is equal.
    pub(crate) tables_differ: Option<String>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The promise of design.md, section 8; 0 for a system that does not come to rest.
    pub(crate) promise: u8,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {}: {}", self.promise, self.what)
    }
}

struct Verdict(Vec<Violation>);

impl Verdict {
    fn broken(&mut self, promise: u8, what: impl Into<String>) {
        self.0.push(Violation { promise, what: what.into() });
    }
}

/// All promises that were broken.
pub(crate) fn judge(history: &History, dump: &Dump) -> Vec<Violation> {
    let mut verdict = Verdict(Vec::new());
    for wrong in &history.wrong {
        verdict.broken(2, wrong.clone());
    }
    uploads(history, dump, &mut verdict);
    batches(dump, &mut verdict);
    results(history, dump, &mut verdict);
    leases(dump, &mut verdict);
    deliveries(history, dump, &mut verdict);
    latest(history, &mut verdict);
    if let Some(differs) = &dump.replay_differs {
        verdict.broken(3, format!("a replay differs: {differs}"));
    }
    if let Some(differs) = &dump.tables_differ {
        verdict.broken(3, format!("the tables differ from a rebuild: {differs}"));
    }
    verdict.0
}

/// Promise 1 and 2: what was acknowledged is once in its client's history, as it was sent, and
/// nothing is there that nobody sent.
fn uploads(history: &History, dump: &Dump, verdict: &mut Verdict) {
    let mut seen: BTreeMap<UploadId, &UploadView> = BTreeMap::new();
    for (client, uploads) in &dump.histories {
        for view in uploads {
            if seen.insert(view.upload, view).is_some() {
                verdict.broken(1, format!("upload {} is twice in a history", view.upload));
            }
            if view.client != *client {
                verdict.broken(6, format!("upload {} is in another's history", view.upload));
            }
            if !history.attempted.contains(&view.sha256) {
                verdict.broken(1, format!("upload {} was never sent", view.upload));
            }
            match dump.contents.get(&view.upload) {
                Some(digest) if *digest == view.sha256 => {}
                Some(_) => verdict.broken(2, format!("upload {} has other bytes", view.upload)),
                None => verdict.broken(2, format!("upload {} has no bytes", view.upload)),
            }
        }
    }
    for acked in &history.acked {
        let Some(view) = seen.get(&acked.upload) else {
            verdict.broken(1, format!("acknowledged upload {} is lost", acked.upload));
            continue;
        };
        let told = (acked.client, acked.sha256, acked.size_bytes, acked.effective_at);
        if (view.client, view.sha256, view.size_bytes, view.effective_at) != told {
            verdict.broken(1, format!("upload {} is not what was acknowledged", acked.upload));
        }
    }
}

/// Promise 1: every file is in exactly one visible place, and a batch is what its manifest says.
fn batches(dump: &Dump, verdict: &mut Verdict) {
    let mut placed: BTreeMap<UploadId, BatchId> = BTreeMap::new();
    for (batch, pages) in &dump.batches {
        let mut digest = None;
        let mut files = 0;
        for page in pages.values() {
            digest = Some(manifest_digest(digest, page.iter()));
            files += page.len();
            for file in page {
                if placed.insert(file.upload, batch.batch).is_some() {
                    verdict.broken(1, format!("upload {} is in batches twice", file.upload));
                }
                if !batch.window.contains(file.effective_at) {
                    verdict.broken(1, format!("upload {} is in a foreign window", file.upload));
                }
            }
        }
        let newest = batch.revisions.last().map(|revision| &revision.closed);
        let told = newest.map(|closed| (closed.files as usize, Some(closed.manifest_sha256)));
        if told != Some((files, digest)) {
            verdict.broken(3, format!("batch {} is not what its manifest says", batch.batch));
        }
    }
    for view in dump.histories.values().flatten() {
        let place = placed.remove(&view.upload);
        let is_bad = view.name.as_str() == super::load::BAD;
        let right = match view.state {
            UploadState::Batched => place.is_some() && place == view.batch && !is_bad,
            UploadState::Held
            | UploadState::Quarantined
            | UploadState::Discarded
            | UploadState::Skipped
            | UploadState::Failed => place.is_none(),
            // What is wrong is called so.
            UploadState::Rejected => place.is_none() && is_bad,
            // Its batch may never have been out.
            UploadState::Cancelled => place.is_none() || place == view.batch,
            UploadState::Accepted | UploadState::Gathering | UploadState::Inspecting => false,
        };
        if !right {
            let (upload, state) = (view.upload, view.state);
            verdict.broken(1, format!("upload {upload} is {state:?} and in {place:?}"));
        }
    }
    for upload in placed.keys() {
        verdict.broken(1, format!("upload {upload} is in a batch and in no history"));
    }
}

/// Promise 4: one result per revision at most, the one its worker was told was taken.
fn results(history: &History, dump: &Dump, verdict: &mut Verdict) {
    let mut published: BTreeMap<(BatchId, u32), Digest> = BTreeMap::new();
    for (_, body) in &dump.derived {
        if let Derived::ResultPublished(result) = body {
            let key = (result.batch, result.revision);
            if published.insert(key, result.sha256).is_some() {
                verdict.broken(4, format!("batch {} has two results of a revision", key.0));
            }
        }
    }
    for offered in &history.offered {
        let key = (offered.batch, offered.revision);
        if published.get(&key) != Some(&offered.sha256) {
            verdict.broken(4, format!("the result taken for {key:?} is not the one that stands"));
        }
    }
    for (batch, _) in &dump.batches {
        if batch.result_revision != Some(batch.revision) {
            verdict.broken(0, format!("batch {} has no result", batch.batch));
        }
    }
}

/// Promise 4: a result counts only under the newest lease of its batch.
fn leases(dump: &Dump, verdict: &mut Verdict) {
    let mut newest: BTreeMap<BatchId, &BatchLeased> = BTreeMap::new();
    for (cause, body) in &dump.derived {
        match body {
            Derived::BatchLeased(leased) => {
                let before = newest.insert(leased.batch, leased);
                if before.is_some_and(|before| before.epoch > leased.epoch) {
                    verdict.broken(4, format!("an epoch of batch {} came back", leased.batch));
                }
            }
            Derived::ResultPublished(result) => {
                let offered = dump.offers.get(cause).and_then(|offer| offer.epoch);
                let held = newest.get(&result.batch).map(|leased| leased.epoch);
                if offered.is_some() && offered != held {
                    let batch = result.batch;
                    verdict.broken(4, format!("a stale worker's result of {batch} was taken"));
                }
            }
            _ => {}
        }
    }
}

/// Promise 5: every member has every result, and a receipt for each.
fn deliveries(history: &History, dump: &Dump, verdict: &mut Verdict) {
    let received: BTreeMap<_, _> =
        history.received.iter().map(|got| ((got.member, got.result), got.sha256)).collect();
    for (_, body) in &dump.derived {
        let Derived::ResultPublished(published) = body else { continue };
        let result = published.result;
        for member in &dump.members {
            match received.get(&(*member, result)) {
                Some(digest) if *digest == published.sha256 => {}
                Some(_) => verdict.broken(5, format!("{member} got other bytes of {result}")),
                None => verdict.broken(5, format!("{member} never got {result}")),
            }
            let state = dump.deliveries.get(&result).and_then(|states| states.get(member));
            if state != Some(&DeliveryState::Acknowledged) {
                verdict.broken(5, format!("no receipt of {member} for {result}: {state:?}"));
            }
        }
    }
}

/// Promise 5: the latest never goes back.
fn latest(history: &History, verdict: &mut Verdict) {
    let mut seen: BTreeMap<AccountId, Latest> = BTreeMap::new();
    for (member, told) in &history.latest {
        if seen.insert(*member, *told).is_some_and(|before| before > *told) {
            verdict.broken(5, format!("the latest went back for {member}"));
        }
    }
}

#[cfg(test)]
mod doctored;
