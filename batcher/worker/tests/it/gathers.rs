//! Manifests and files that are late, wrong, cut or too much.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use schemas::file::FileRef;
use schemas::problem::Code;

use crate::fake::{Server, file, joined, page, refuse};
use worker::{Batch, Ended, Worker};

async fn given_back(server: &Server, worker: Worker) -> (String, bool) {
    let handler = async |_: Batch| panic!("nothing to work on");
    let ended = worker.next(handler).await.unwrap();
    let Some(Ended::Failed { reason, .. }) = ended else { panic!("{ended:?}") };
    assert!(server.asked("result").is_empty());
    (reason, server.asked("fail")[0].json()["retryable"] == true)
}

#[tokio::test]
async fn a_manifest_that_is_a_moment_late_is_waited_for() {
    let server = Server::start(|n, asked| match (&*asked.what, n) {
        ("manifest", 0) => Some(refuse(Code::NotFound)),
        // The first page of two is there, the second is not yet.
        ("manifest", 1) => Some(page(1, &file(b"alpha"), None)),
        _ => None,
    })
    .await;
    let ended = server.worker().next(joined).await.unwrap();
    assert!(matches!(ended, Some(Ended::Published { .. })), "{ended:?}");
    assert_eq!(server.asked("manifest").len(), 4);
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_not_worked_by() {
    let server = Server::start(|_, asked| {
        let tampered = FileRef { size_bytes: 6, ..file(b"beta") };
        let second = asked.what == "manifest" && asked.uri.query() != Some("revision=2");
        second.then(|| page(2, &tampered, None))
    })
    .await;
    let (reason, retryable) = given_back(&server, server.worker()).await;
    assert!(reason.starts_with("the manifest has 2 files and the digest "), "{reason}");
    assert!(retryable);
    let kinds: Vec<String> = server.counts().into_keys().collect();
    assert_eq!(kinds, ["claims", "fail", "manifest", "renew"], "no file was fetched");
}

#[tokio::test]
async fn a_file_of_other_bytes_is_not_worked_on() {
    let beta = file(b"beta").upload.to_string();
    let server =
        Server::start(move |_, asked| (asked.what == beta).then(|| b"bexa".into_response())).await;
    let (reason, retryable) = given_back(&server, server.worker()).await;
    assert!(reason.starts_with("reading.csv: the bytes have the digest "), "{reason}");
    assert!(retryable);
}

#[tokio::test]
async fn what_was_fetched_is_not_fetched_again() {
    let beta = file(b"beta").upload.to_string();
    let server = Server::start(move |n, asked| {
        (asked.what == beta && n < 4).then(|| (StatusCode::BAD_GATEWAY, "gone").into_response())
    })
    .await;
    let ended = server.worker().fetches_max(1).next(joined).await.unwrap();
    assert!(matches!(ended, Some(Ended::Published { .. })), "{ended:?}");
    let counts = server.counts();
    let fetched = |content| counts.get(&file(content).upload.to_string()).copied();
    assert_eq!((fetched(b"alpha"), fetched(b"beta")), (Some(1), Some(5)));
}

#[tokio::test]
async fn a_batch_that_is_too_much_is_given_back_for_good() {
    let server = Server::start(|_, _| None).await;
    let (reason, retryable) = given_back(&server, server.worker().input_bytes_max(8)).await;
    assert_eq!(reason, "the batch has 9 bytes, this worker takes 8");
    assert!(!retryable);
}

#[tokio::test]
async fn a_machine_without_room_is_the_end_of_the_worker_and_not_of_the_batch() {
    let server = Server::start(|_, _| None).await;
    let worker = server.worker().working_in("/nowhere/to/be/found");
    let error = worker.run(joined).await.unwrap_err();
    assert!(matches!(error, worker::Error::Local { .. }), "{error:?}");
    assert_eq!(server.asked("claims").len(), 1);
    assert_eq!(server.asked("fail")[0].json()["retryable"], true);
}
