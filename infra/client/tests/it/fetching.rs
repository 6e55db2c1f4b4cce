//! Downloads that are cut, wrong, or begun by someone else.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemas::api::ResultView;
use schemas::digest::Digest;
use schemas::problem::Code;
use serde_json::json;

use crate::fake::{Asked, Script, cut, refused};
use client::{Error, Progress};

const CONTENT: &[u8] = b"0123456789";
const ID: &str = "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11";

fn result() -> ResultView {
    let at = "2026-11-21T10:30:00.000Z";
    let value = json!({
        "result": ID, "seq": 1, "batch": ID, "part": 1, "revision": 1, "name": "mean.csv",
        "window": {"start": at, "end": at, "kind": "grid"}, "media_type": "text/csv",
        "size_bytes": CONTENT.len(), "sha256": Digest::of(CONTENT), "published_at": at,
    });
    serde_json::from_value(value).unwrap()
}

/// What a fetch gives and leaves in its folder, and the ranges it asked for.
struct Outcome {
    fetched: client::Result<()>,
    left: Vec<String>,
    ranges: Vec<String>,
    folder: tempfile::TempDir,
}

async fn fetched(
    folder: tempfile::TempDir,
    answers: impl Fn(usize, &Asked) -> Response + Send + Sync + 'static,
) -> Outcome {
    let script = Script::new(answers);
    let server = script.serve().await;
    let (pool, to) = ("north".parse().unwrap(), folder.path().join("mean.csv"));
    let fetched = server.client().fetch_result(&pool, &result(), &to, &Progress::none()).await;
    let mut left: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let ranges = script.asked().iter().map(|asked| asked.header("range").to_owned()).collect();
    Outcome { fetched, left, ranges, folder }
}

fn empty() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A folder in which an earlier process left these bytes.
fn with_part(bytes: &[u8]) -> tempfile::TempDir {
    let folder = empty();
    let whose = Digest::of(&[&Digest::of(CONTENT).bytes()[..], &b"mean.csv"[..]].concat());
    let digits: String = whose.to_string().chars().take(32).collect();
    std::fs::write(folder.path().join(format!(".{digits}.part")), bytes).unwrap();
    folder
}

fn whole() -> Response {
    CONTENT.into_response()
}

fn rest(from: usize) -> Response {
    let range = format!("bytes {from}-9/10");
    (StatusCode::PARTIAL_CONTENT, [("content-range", range)], &CONTENT[from..]).into_response()
}

fn cut_rest(from: usize, sent: &'static [u8]) -> Response {
    let mut answer = cut(206, sent, 10 - from);
    let range = format!("bytes {from}-9/10").parse().unwrap();
    answer.headers_mut().insert("content-range", range);
    answer
}

fn check_whole(outcome: &Outcome, ranges: &[&str]) {
    assert!(outcome.fetched.is_ok(), "{:?}", outcome.fetched);
    assert_eq!(outcome.left, ["mean.csv"], "nothing beside it");
    assert_eq!(std::fs::read(outcome.folder.path().join("mean.csv")).unwrap(), CONTENT);
    assert_eq!(outcome.ranges, ranges);
}

#[tokio::test]
async fn a_fetch_goes_on_where_it_was_cut() {
    let outcome = fetched(empty(), |n, _| match n {
        0 => cut(200, b"0123", 10),
        1 => cut_rest(4, b""),
        _ => rest(4),
    });
    check_whole(&outcome.await, &["", "bytes=4-", "bytes=4-"]);
}

#[tokio::test]
async fn tries_count_anew_whenever_it_gets_on() {
    let outcome = fetched(empty(), |n, _| match n {
        0 => cut(200, b"0", 10),
        n @ 1..=8 => cut_rest(n, &CONTENT[n..=n]),
        _ => rest(9),
    })
    .await;
    assert!(outcome.fetched.is_ok() && outcome.ranges.len() == 10, "{:?}", outcome.fetched);
}

#[tokio::test]
async fn a_server_without_ranges_begins_again() {
    let outcome = fetched(empty(), |n, _| if n == 0 { cut(200, b"0123", 10) } else { whole() });
    check_whole(&outcome.await, &["", "bytes=4-"]);
    let other_range = |n, _: &Asked| match n {
        0 => cut(200, b"0123", 10),
        1 => rest(7),
        _ => whole(),
    };
    check_whole(&fetched(empty(), other_range).await, &["", "bytes=4-", ""]);
}

#[tokio::test]
async fn what_a_killed_process_left_is_gone_on_with() {
    check_whole(&fetched(with_part(b"0123456"), |_, _| rest(7)).await, &["bytes=7-"]);
    check_whole(&fetched(with_part(CONTENT), |_, _| whole()).await, &[]);
    // What it left is not what it should be: all of it comes anew.
    let wrong = fetched(with_part(b"xxx"), |n, _| if n == 0 { rest(3) } else { whole() });
    check_whole(&wrong.await, &["bytes=3-", ""]);
    check_whole(&fetched(with_part(b"0123456789 and more"), |_, _| whole()).await, &[""]);
    let refused = |n, _: &Asked| match n {
        0 => refused(Code::RangeNotSatisfiable),
        _ => whole(),
    };
    check_whole(&fetched(with_part(b"012"), refused).await, &["bytes=3-", ""]);
}

#[tokio::test]
async fn other_bytes_are_refused_and_nothing_is_left() {
    for wrong in [&b"012345678x"[..], b"0123456789 and more"] {
        let outcome = fetched(empty(), move |_, _| wrong.into_response()).await;
        let error = outcome.fetched.unwrap_err();
        assert!(matches!(error, Error::OtherBytes { .. }), "{error:?}");
        assert_eq!((outcome.left.len(), outcome.ranges.len()), (0, 1));
    }
}

#[tokio::test]
async fn what_cannot_be_fetched_now_can_be_gone_on_with_later() {
    let outcome =
        fetched(
            empty(),
            |n, _| if n == 0 { cut(200, b"0123", 10) } else { refused(Code::NotFound) },
        )
        .await;
    assert_eq!(outcome.fetched.unwrap_err().code(), Some(Code::NotFound));
    assert_eq!(outcome.left.len(), 1, "the part, and no file: {:?}", outcome.left);
    check_whole(&fetched(outcome.folder, |_, _| rest(4)).await, &["bytes=4-"]);
}

#[tokio::test]
async fn two_processes_do_not_write_to_one_part() {
    let folder = with_part(b"");
    let part = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let lock = std::fs::File::open(part).unwrap();
    lock.lock().unwrap();
    let outcome = fetched(folder, |_, _| whole()).await;
    assert!(matches!(outcome.fetched, Err(Error::Local { .. })) && outcome.ranges.is_empty());
}

#[tokio::test]
async fn the_same_bytes_for_two_files_come_at_once() {
    let (folder, script) = (empty(), Script::new(|_, _| whole()));
    let server = script.serve().await;
    let (client, pool) = (server.client(), "north".parse().unwrap());
    let fetch = |name: &str| {
        let (client, to) = (client.clone(), folder.path().join(name));
        let pool = &pool;
        async move { client.fetch_result(pool, &result(), &to, &Progress::none()).await }
    };
    let (one, other) = tokio::join!(fetch("one.csv"), fetch("other.csv"));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
}
