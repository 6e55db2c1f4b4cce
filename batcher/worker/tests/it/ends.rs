//! How the work on a batch ends: published, given back, lost, or with the worker itself.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;

use schemas::id::ResultId;
use schemas::problem::Code;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fake::{Asked, BATCH, Server, hang, hasty, joined, lease, manifest_sha256, refuse};
use worker::client::Patience;
use worker::{Batch, Ended, Failed, Output};

const PUBLISHED: Ended =
    Ended::Published { batch: BATCH, revision: 2, result: ResultId::from_bits(0) };

/// Compares the kind of end and the batch; the reason is looked at where it matters.
fn check(ended: Option<Ended>, expected: &Ended) -> String {
    match (ended, expected) {
        (Some(Ended::Published { batch, revision, result }), Ended::Published { .. }) => {
            assert_eq!((batch, revision, result), (BATCH, 2, ResultId::of(BATCH, 2)));
            String::new()
        }
        (Some(Ended::Failed { reason, .. }), Ended::Failed { .. }) => reason,
        (ended, expected) => {
            assert_eq!(ended.as_ref(), Some(expected));
            String::new()
        }
    }
}

fn failed() -> Ended {
    Ended::Failed { batch: BATCH, revision: 2, reason: String::new() }
}

#[tokio::test]
async fn a_batch_is_claimed_renewed_gathered_and_its_result_published() {
    let server = Server::start(|_, _| None).await;
    let base = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = async |batch: Batch| {
        let mut names: Vec<_> = std::fs::read_dir(batch.inputs()).unwrap().collect();
        names.retain(Result::is_ok);
        seen.lock().unwrap().push((batch.files.len(), names.len(), batch.attempt));
        // The whole work may be done within the first renewal's way to the server and back.
        server.renewed().await;
        let path = batch.folder().join("result");
        std::fs::write(&path, "result")?;
        Ok(Output::file("r.txt".parse()?, "text/plain".parse()?, path))
    };
    let ended = server.worker().working_in(base.path()).next(handler).await.unwrap();
    check(ended, &PUBLISHED);
    assert_eq!(*seen.lock().unwrap(), [(2, 2, 1)]);
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0, "nothing is left");

    let [offer] = &server.asked("result")[..] else { panic!("one offer") };
    let manifest_sha256 = manifest_sha256();
    let query = format!("name=r.txt&revision=2&epoch=1&manifest_sha256={manifest_sha256}");
    assert_eq!(offer.uri.query(), Some(&*query));
    assert_eq!(offer.headers["content-type"], "text/plain");
    assert!(offer.headers.contains_key("idempotency-key"));
    assert_eq!(&offer.body[..], b"result");
    assert_eq!(server.asked("renew")[0].json(), json!({"epoch": 1}));
    assert_eq!(server.asked("claims")[0].json()["wait_ms"], 30_000);
}

impl Server {
    /// Waits until a renewal has come.
    async fn renewed(&self) {
        while self.asked("renew").is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_claim_whose_outcome_is_not_known_is_made_again() {
    let server = Server::start(|n, asked| match (&*asked.what, n) {
        ("claims", 0) => {
            let mut answer = refuse(Code::OutcomeUnknown);
            answer.headers_mut().insert("retry-after", 0.into());
            Some(answer)
        }
        ("claims", 1) => Some((StatusCode::BAD_GATEWAY, "gone").into_response()),
        ("claims", 2) => Some(StatusCode::NO_CONTENT.into_response()),
        _ => None,
    })
    .await;
    check(server.worker().next(joined).await.unwrap(), &PUBLISHED);
    let claims = server.asked("claims");
    let ids: Vec<String> = claims.iter().map(|asked| asked.json()["claim"].to_string()).collect();
    assert!(ids.len() == 4 && ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    assert_ne!(ids[2], ids[3], "that claim was answered");
    assert_eq!(&server.asked("result")[0].body[..], b"alphabeta");
}

#[tokio::test]
async fn a_lost_lease_drops_the_work() {
    let (started, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let is_started = Arc::clone(&started);
    let server = Server::start(move |n, asked| match (&*asked.what, n) {
        ("claims", 0) => Some(lease(1, 300)),
        ("renew", _) if is_started.swap(false, SeqCst) => Some(refuse(Code::StaleLease)),
        _ => None,
    })
    .await;
    let handler = async |_: Batch| {
        let _guard = OnDrop(Arc::clone(&dropped));
        started.store(true, SeqCst);
        std::future::pending().await
    };
    let ended = server.worker().next(handler).await.unwrap();
    check(ended, &Ended::Lost { batch: BATCH, revision: 2 });
    assert!(dropped.load(SeqCst));
    let counts = server.counts();
    assert!(!counts.contains_key("fail") && !counts.contains_key("result"), "{counts:?}");
    check(server.worker().next(joined).await.unwrap(), &PUBLISHED);
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[tokio::test]
async fn a_result_that_comes_too_late_is_dropped() {
    for code in [Code::StaleLease, Code::ResultExists, Code::OtherManifest] {
        let otherwise = move |_, asked: &Asked| (asked.what == "result").then(|| refuse(code));
        let server = Server::start(otherwise).await;
        let ended = server.worker().next(joined).await.unwrap();
        check(ended, &Ended::Lost { batch: BATCH, revision: 2 });
        assert!(server.asked("fail").is_empty(), "it is not ours to give back");
    }
}

#[tokio::test]
async fn a_result_is_offered_until_it_is_judged_and_always_as_the_same() {
    let server = Server::start(|n, asked| match (&*asked.what, n) {
        ("result", 0) => Some((StatusCode::BAD_GATEWAY, "gone").into_response()),
        ("result", 1) => Some(refuse(Code::UploadInProgress)),
        _ => None,
    })
    .await;
    check(server.worker().next(joined).await.unwrap(), &PUBLISHED);
    let offers = server.asked("result");
    let keys: BTreeSet<_> =
        offers.iter().map(|asked| asked.headers["idempotency-key"].clone()).collect();
    assert_eq!((offers.len(), keys.len()), (3, 1));
}

#[tokio::test]
async fn a_handler_that_fails_gives_the_batch_back_with_the_reason() {
    let give_back = async |handler: fn() -> Result<Output, Failed>| {
        let server = Server::start(|_, _| None).await;
        let ended = server.worker().next(async |_| handler()).await.unwrap();
        let reason = check(ended, &failed());
        assert!(server.asked("result").is_empty());
        let said = server.asked("fail")[0].json();
        assert_eq!((&said["epoch"], said["reason"].as_str()), (&json!(1), Some(&*reason)));
        (reason, said["retryable"] == true)
    };
    let error = || Err(std::io::Error::other("no model").into());
    assert_eq!(give_back(error).await, ("no model".into(), true));
    let for_good = || Err(Failed::for_good("not a CSV"));
    assert_eq!(give_back(for_good).await, ("not a CSV".into(), false));
    let panics = || panic!("index out of bounds");
    let reason = "the handler panicked: index out of bounds";
    assert_eq!(give_back(panics).await, (reason.into(), true));
    let nothing = || Ok(Output::file("a".parse()?, "text/plain".parse()?, "/nowhere/to/be/found"));
    let (reason, retryable) = give_back(nothing).await;
    assert!(retryable && reason.starts_with("no output: /nowhere"), "{reason}");
}

#[tokio::test]
async fn a_result_the_server_will_not_take_fails_for_good() {
    let server =
        Server::start(|_, asked| (asked.what == "result").then(|| refuse(Code::EmptyFile))).await;
    let reason = check(server.worker().next(joined).await.unwrap(), &failed());
    assert_eq!(reason, "the result was refused: the file is empty");
    assert_eq!(server.asked("fail")[0].json()["retryable"], false);
}

#[tokio::test]
async fn a_long_reason_is_cut_between_characters() {
    let server = Server::start(|_, _| None).await;
    let handler = async |_: Batch| Err(Failed::because("ä".repeat(300)));
    check(server.worker().next(handler).await.unwrap(), &failed());
    assert_eq!(server.asked("fail")[0].json()["reason"], "ä".repeat(250));
}

#[tokio::test]
async fn a_stopped_worker_finishes_what_it_has_and_claims_no_more() {
    let server = Server::start(|_, _| None).await;
    let stop = CancellationToken::new();
    let worker = server.worker().until(stop.clone());
    let handler = async |batch: Batch| {
        stop.cancel();
        joined(batch).await
    };
    worker.run(handler).await.unwrap();
    assert_eq!((server.asked("claims").len(), server.asked("result").len()), (1, 1));
}

#[tokio::test]
async fn a_stopped_worker_does_not_wait_for_a_batch() {
    let server = Server::start(|_, asked| (asked.what == "claims").then(hang)).await;
    let stop = CancellationToken::new();
    let worker = server.worker().until(stop.clone());
    let (ended, ()) = tokio::join!(worker.next(joined), async {
        server.held.notified().await;
        stop.cancel();
    });
    assert_eq!(ended.unwrap(), None);
}

#[tokio::test]
async fn a_lease_that_ends_while_the_result_is_taken_is_no_loss() {
    let taken = Arc::new(AtomicBool::new(false));
    let (is_taken, refusals) = (Arc::clone(&taken), Arc::new(Notify::new()));
    let refusal = Arc::clone(&refusals);
    let server = Server::start(move |n, asked| match (&*asked.what, n) {
        ("claims", 0) => Some(lease(1, 300)),
        ("renew", _) if is_taken.load(SeqCst) => {
            refusal.notify_one();
            Some(refuse(Code::StaleLease))
        }
        // Taken, but the answer is lost until a renewal has been refused.
        ("result", 0) => {
            is_taken.store(true, SeqCst);
            Some(hang())
        }
        _ => None,
    })
    .await;
    let bounds = Patience { silence_max: Duration::from_millis(400), ..hasty() };
    let ended = server.worker_with(bounds).next(joined).await.unwrap();
    check(ended, &PUBLISHED);
    refusals.notified().await;
    assert_eq!(server.asked("result").len(), 2);
}

#[tokio::test]
async fn who_is_no_processor_does_not_go_on() {
    for code in [Code::Forbidden, Code::InvalidToken, Code::NotFound] {
        let otherwise = move |_, asked: &Asked| (asked.what == "claims").then(|| refuse(code));
        let server = Server::start(otherwise).await;
        let error = server.worker().run(joined).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert_eq!(server.asked("claims").len(), 1);
    }
}
