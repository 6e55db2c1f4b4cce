//! The oracle is asked about histories that were tampered with: it must see each lie.

use std::collections::BTreeMap;

use schemas::api::{BatchView, DeliveryState, RevisionView, UploadState, UploadView};
use schemas::digest::Digest;
use schemas::event::{BatchReady, Closed, Derived, Event, ResultPublished, example};
use schemas::file::{FileRef, manifest_digest};
use schemas::id::ResultId;
use schemas::time::Window;

use super::super::history::{Acked, History, Latest, Offered, Received};
use super::{Dump, judge};

/// The first example of a kind.
macro_rules! example {
    ($all:expr, $kind:path) => {
        $all.into_iter()
            .find_map(|body| if let $kind(kind) = body { Some(kind) } else { None })
            .expect("there is an example of each kind")
    };
}

/// What a client's history says of a file in a batch.
fn batched(file: &FileRef, closed: &Closed) -> UploadView {
    UploadView {
        upload: file.upload,
        pool: "tests".parse().unwrap(),
        client: file.client,
        update: None,
        name: file.name.clone(),
        size_bytes: file.size_bytes,
        sha256: file.sha256,
        media_type: file.media_type.clone(),
        observed_at: file.observed_at,
        received_at: file.received_at,
        effective_at: file.effective_at,
        state: UploadState::Batched,
        window: closed.window,
        late: false,
        batch: Some(closed.batch),
        revision: Some(1),
        offset: None,
        content: schemas::api::Content::Kept,
        held_because: None,
        rejection: None,
        attempts: 0,
        attempt_failed_because: None,
    }
}

/// A batch of one file that has its result.
fn finished(closed: Closed, result: ResultId) -> BatchView {
    BatchView {
        batch: closed.batch,
        window: closed.window,
        part: 1,
        revision: 1,
        files: 1,
        bytes: 5,
        result_revision: Some(1),
        lease: None,
        failed: false,
        cancelled: false,
        revisions: vec![RevisionView { closed, result: Some(result) }],
    }
}

/// One upload in one batch with one result that one member has: all is well.
fn well() -> (History, Dump) {
    let page = example!(example::derived(), Derived::ManifestPage);
    let BatchReady { mut closed } = example!(example::derived(), Derived::BatchReady);
    let result = example!(example::derived(), Derived::ResultPublished);
    let leased = example!(example::derived(), Derived::BatchLeased);
    let offer = example!(example::events(), Event::ResultOffered);
    let file = (*page.added[0]).clone();
    closed.manifest_sha256 = manifest_digest(None, [&file].into_iter());
    let view = batched(&file, &closed);
    let batch = finished(closed, result.result);
    let member = file.client;
    let acked = Acked {
        upload: file.upload,
        client: file.client,
        sha256: file.sha256,
        size_bytes: file.size_bytes,
        effective_at: file.effective_at,
    };
    let history = History {
        acked: vec![acked],
        attempted: [file.sha256].into(),
        offered: vec![Offered { batch: result.batch, revision: 1, sha256: result.sha256 }],
        received: vec![Received { member, result: result.result, sha256: result.sha256 }],
        latest: Vec::new(),
        wrong: Vec::new(),
    };
    let dump = Dump {
        histories: [(file.client, vec![view])].into(),
        batches: vec![(batch, [(1, vec![file.clone()])].into())],
        deliveries: [(result.result, [(member, DeliveryState::Acknowledged)].into())].into(),
        members: [member].into(),
        contents: [(file.upload, file.sha256)].into(),
        derived: vec![(5, leased.into()), (6, result.into())],
        offers: [(6, offer)].into(),
        replay_differs: None,
        tables_differ: None,
    };
    (history, dump)
}

/// Tampers with what is well: the oracle must speak of this promise.
fn check(lie: &str, promise: u8, tamper: impl FnOnce(&mut History, &mut Dump)) {
    let (mut history, mut dump) = well();
    tamper(&mut history, &mut dump);
    let broken: Vec<_> = judge(&history, &dump).iter().map(ToString::to_string).collect();
    let told = format!("promise {promise}:");
    assert!(broken.iter().any(|text| text.starts_with(&told)), "{lie}: only {broken:?}");
}

fn view(dump: &mut Dump) -> &mut UploadView {
    &mut dump.histories.values_mut().next().unwrap()[0]
}

fn published(dump: &mut Dump) -> &mut ResultPublished {
    let Derived::ResultPublished(result) = &mut dump.derived[1].1 else { unreachable!() };
    result
}

#[test]
fn what_is_well_is_called_well() {
    let (history, dump) = well();
    assert_eq!(judge(&history, &dump), []);
}

#[test]
fn every_lie_about_an_upload_is_seen() {
    let other = Digest::of(b"other");
    check("lost", 1, |_, dump| dump.histories = BTreeMap::new());
    check("doubled", 1, |_, dump| {
        let again = view(dump).clone();
        dump.histories.values_mut().next().unwrap().push(again);
    });
    check("never sent", 1, |history, _| history.attempted.clear());
    check("other digest", 1, |_, dump| view(dump).sha256 = other);
    check("other size", 1, |_, dump| view(dump).size_bytes += 1);
    check("other time", 1, |history, _| {
        history.acked[0].effective_at = history.acked[0].effective_at.plus(1);
    });
    check("other bytes", 2, |_, dump| dump.contents.values_mut().for_each(|d| *d = other));
    check("no bytes", 2, |_, dump| dump.contents.clear());
    check("another's history", 6, |_, dump| {
        view(dump).client = schemas::id::AccountId::from_bits(9);
    });
}

#[test]
fn every_lie_about_a_batch_is_seen() {
    check("in no batch", 1, |_, dump| {
        dump.batches[0].1.clear();
    });
    check("in two batches", 1, |_, dump| {
        let again = dump.batches[0].clone();
        dump.batches.push(again);
    });
    check("twice in one", 1, |_, dump| {
        let page = dump.batches[0].1.get_mut(&1).unwrap();
        page.push(page[0].clone());
    });
    check("still waiting", 1, |_, dump| view(dump).state = UploadState::Accepted);
    check("under inspection", 1, |_, dump| view(dump).state = UploadState::Inspecting);
    check("rejected and batched", 1, |_, dump| view(dump).state = UploadState::Rejected);
    check("held and batched", 1, |_, dump| view(dump).state = UploadState::Held);
    check("foreign window", 1, |_, dump| {
        let Window { start, end, kind } = dump.batches[0].0.window;
        dump.batches[0].0.window =
            Window { start: start.plus(1 << 40), end: end.plus(1 << 40), kind };
    });
    check("other manifest", 3, |_, dump| {
        dump.batches[0].0.revisions[0].closed.manifest_sha256 = Digest::of(b"other");
    });
    check("replay", 3, |_, dump| dump.replay_differs = Some("so".into()));
    check("tables", 3, |_, dump| dump.tables_differ = Some("so".into()));
}

#[test]
fn every_lie_about_a_result_is_seen() {
    check("two results", 4, |_, dump| {
        let again = dump.derived[1].clone();
        dump.derived.push(again);
    });
    check("another result", 4, |_, dump| published(dump).sha256 = Digest::of(b"other"));
    check("no result", 0, |_, dump| dump.batches[0].0.result_revision = None);
    check("stale worker", 4, |_, dump| {
        dump.offers.values_mut().for_each(|offer| offer.epoch = Some(0));
    });
    check("an epoch comes back", 4, |_, dump| {
        let (_, mut leased) = dump.derived[0].clone();
        if let Derived::BatchLeased(leased) = &mut leased {
            leased.epoch = 0;
        }
        dump.derived.push((7, leased));
    });
    check("never received", 5, |history, _| history.received.clear());
    check("received other bytes", 5, |history, _| {
        history.received[0].sha256 = Digest::of(b"other");
    });
    check("no receipt", 5, |_, dump| dump.deliveries.clear());
    check("latest goes back", 5, |history, dump| {
        let result = published(dump).clone();
        let latest = Latest { window: result.window, part: 2, revision: 1 };
        let member = history.received[0].member;
        history.latest = vec![(member, latest), (member, Latest { part: 1, ..latest })];
    });
}
