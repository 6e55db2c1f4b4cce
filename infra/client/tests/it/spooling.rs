//! The spool, with a server that is slow, forgetful, picky or away, and kills in between.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use schemas::api::UpdateManifest;
use schemas::digest::Digest;
use schemas::problem::{Code, FieldError, Problem};
use serde_json::json;
use tokio::sync::Notify;

use crate::fake::{Asked, Fake, Script, json, problem, refused};
use client::spool::{Bounds, Error, Flushed, Item, ItemFacts, Spool};
use client::{Client, Patience, Progress};

const ID: &str = "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11";

fn manifest(asked: &Asked) -> UpdateManifest {
    let body = String::from_utf8_lossy(&asked.body);
    let (_, rest) = body.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(rest.split_once("\r\n--").unwrap().0).unwrap()
}

fn names(asked: &Asked) -> Vec<String> {
    manifest(asked).items.into_iter().map(|item| item.name).collect()
}

/// The receipt for these of the files asked about.
fn receipt(asked: &Asked, skipped: &[usize]) -> Response {
    let at = "2026-11-21T10:30:00.000Z";
    let items = manifest(asked).items;
    let taken = items.iter().enumerate().filter(|(n, _)| !skipped.contains(n));
    let receipts = taken.map(|(_, item)| {
        json!({
            "upload": ID, "idempotency_key": "k", "size_bytes": item.size_bytes,
            "sha256": item.sha256, "media_type": "text/plain", "repeated": false,
            "received_at": at, "effective_at": at, "clamped": false, "quarantined": false,
            "next_upload_after": at,
            "landing": {
                "window": {"start": at, "end": at, "kind": "grid"},
            "closes_at": at, "closes_at_latest": at,
                "late": false,
            },
        })
    });
    let receipts: Vec<_> = receipts.collect();
    let skipped: Vec<_> = skipped
        .iter()
        .map(|n| json!({"pointer": format!("/items/{n}"), "detail": "the file is empty"}))
        .collect();
    json(json!({"update": ID, "idempotency_key": "k", "items": receipts, "skipped": skipped}))
}

async fn add(spool: &Spool, name: &str) -> Item {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, name).unwrap();
    let facts = ItemFacts {
        pool: "north".parse().unwrap(),
        name: name.parse().unwrap(),
        observed_at: "2026-11-21T10:30:00Z".parse().unwrap(),
        media_type: "text/plain".parse().unwrap(),
    };
    spool.add(&path, facts).await.unwrap()
}

async fn flush(spool: &Spool, server: &Fake) -> Result<Flushed, Error> {
    spool.flush(&server.client(), &"north".parse().unwrap(), &Progress::none()).await
}

fn spool_in(folder: &Path) -> Spool {
    Spool::open(folder, Bounds::default()).unwrap()
}

/// Names of what lies in the spool's folder.
fn left(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name != ".lock" && name != "refused").collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_waits_is_sent_as_one_update_and_then_gone() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    let script = Script::new(|_, asked| receipt(asked, &[]));
    let server = script.serve().await;
    assert_eq!(flush(&spool, &server).await.unwrap().sent, 0);
    for name in ["a", "b", "c"] {
        let item = add(&spool, name).await;
        assert_eq!((item.sha256, item.size_bytes), (Digest::of(name.as_bytes()), 1));
    }
    assert_eq!(left(folder.path()).len(), 6);
    let items = spool.items().unwrap();
    assert_eq!(items[2].facts.name.as_str(), "c", "oldest first");

    let flushed = flush(&spool, &server).await.unwrap();
    assert_eq!((flushed.sent, flushed.receipts.len()), (3, 1));
    assert!(flushed.left.is_none() && flushed.refused.is_empty());
    assert_eq!(left(folder.path()), Vec::<String>::new());
    let asked = script.asked();
    assert_eq!((asked.len(), names(&asked[0])), (1, vec!["a".into(), "b".into(), "c".into()]));
}

#[tokio::test]
async fn killed_before_the_receipt_it_sends_the_very_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    add(&spool, "a").await;
    // The server takes the update, and the process dies before it hears of that.
    let (script, taken) = (Script::new(|_, asked| receipt(asked, &[])), Arc::new(Notify::new()));
    let swallowing = {
        let (script, taken) = (script.clone(), Arc::clone(&taken));
        Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            _ = script.answer(Asked { uri, headers, body });
            taken.notify_one();
            std::future::pending::<()>().await;
        })
    };
    let server = Fake::serve(swallowing).await;
    tokio::select! {
        _ = flush(&spool, &server) => panic!("no answer ever comes"),
        () = taken.notified() => {}
    }
    add(&spool_in(folder.path()), "b").await;

    let server = script.serve().await;
    let flushed = flush(&spool_in(folder.path()), &server).await.unwrap();
    assert_eq!((flushed.sent, left(folder.path()).len()), (2, 0));
    let asked = script.asked();
    let mut by_key: BTreeMap<&str, Vec<UpdateManifest>> = BTreeMap::new();
    for asked in &asked {
        by_key.entry(asked.header("idempotency-key")).or_default().push(manifest(asked));
    }
    assert_eq!((asked.len(), by_key.len()), (3, 2));
    let repeated = by_key.values().find(|sent| sent.len() == 2).unwrap();
    assert_eq!(repeated[0], repeated[1], "its times and files are the same");
    assert_eq!(names(&asked[2]), ["b"], "what came later is another update");
}

#[tokio::test]
async fn killed_after_the_receipt_it_sends_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    let script = Script::new(|_, asked| receipt(asked, &[]));
    let server = script.serve().await;
    for (n, removed) in [&[][..], &["json"], &["json", "data"]].into_iter().enumerate() {
        let items = [add(&spool, "a").await, add(&spool, "b").await];
        // What a process leaves that is killed right after it wrote down the receipt.
        let record = json!({
            "key": "k", "sent_at": "2026-11-21T10:30:00Z", "received": [],
            "items": items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(),
        });
        std::fs::write(folder.path().join("north.flush.json"), record.to_string()).unwrap();
        for extension in removed {
            std::fs::remove_file(folder.path().join(format!("{}.{extension}", items[0].key)))
                .unwrap();
        }
        let flushed = flush(&spool_in(folder.path()), &server).await.unwrap();
        assert_eq!((flushed.sent, left(folder.path()).len()), (2, 0), "case {n}");
    }
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn while_the_server_is_away_all_stays_and_later_goes_together() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    add(&spool, "a").await;
    let away = Client::new("http://127.0.0.1:1").unwrap().patience(Patience::none());
    let pool = "north".parse().unwrap();
    let flushed = spool.flush(&away, &pool, &Progress::none()).await.unwrap();
    assert!(flushed.sent == 0 && flushed.left.is_some_and(|error| error.retryable()));
    add(&spool, "b").await;
    let script = Script::new(|_, asked| receipt(asked, &[]));
    let server = script.serve().await;
    assert_eq!(flush(&spool, &server).await.unwrap().sent, 2);
    assert_eq!(names(&script.asked()[0]), ["a", "b"]);
}

#[tokio::test]
async fn what_the_server_will_not_take_is_put_aside_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    for name in ["a", "b", "c", "d"] {
        add(&spool, name).await;
    }
    let script = Script::new(|n, asked| match n {
        0 => {
            let fault = |n: usize| FieldError {
                pointer: format!("/items/{n}/name"),
                detail: "no".into(),
                code: None,
            };
            problem(&Problem::new(Code::UpdateInvalid).errors(vec![fault(0)]))
        }
        _ => receipt(asked, &[1]),
    });
    let server = script.serve().await;
    let flushed = flush(&spool, &server).await.unwrap();
    assert_eq!((flushed.sent, flushed.refused.len()), (2, 2));
    assert_eq!(left(folder.path()).len(), 0);
    let aside = left(&folder.path().join("refused"));
    assert_eq!(aside.len(), 6, "{aside:?}");
    let why = format!("{}.why.json", flushed.refused[1].key);
    let why = std::fs::read_to_string(folder.path().join("refused").join(why)).unwrap();
    assert!(why.contains("the file is empty"), "{why}");
    let data = folder.path().join("refused").join(format!("{}.data", flushed.refused[1].key));
    assert_eq!(std::fs::read(data).unwrap(), b"c");
}

#[tokio::test]
async fn an_update_that_is_too_large_goes_in_halves() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    for name in ["a", "b", "huge", "d", "e"] {
        add(&spool, name).await;
    }
    let script = Script::new(|_, asked| {
        let names = names(asked);
        let too_large = names.len() > 2 || names.contains(&"huge".into());
        if too_large { refused(Code::UpdateTooLarge) } else { receipt(asked, &[]) }
    });
    let server = script.serve().await;
    let flushed = flush(&spool, &server).await.unwrap();
    assert_eq!((flushed.sent, flushed.refused.len()), (4, 1));
    assert_eq!(left(folder.path()).len(), 0);
    let keys: std::collections::BTreeSet<_> =
        script.asked().iter().map(|asked| asked.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys.len(), script.asked().len(), "other content, another key");
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_files_leaves_them() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    add(&spool, "a").await;
    let script = Script::new(|n, asked| match n {
        0 | 2 => refused(Code::InvalidToken),
        1 => (StatusCode::BAD_GATEWAY, "gone").into_response(),
        _ => receipt(asked, &[]),
    });
    let server = script.serve().await;
    let flushed = flush(&spool, &server).await.unwrap();
    assert!(flushed.left.unwrap().is_signed_out());
    assert_eq!(left(folder.path()).len(), 2, "nothing was sent: no record");
    // An answer was lost, then the token ran out: the update may have been taken.
    let flushed = flush(&spool, &server).await.unwrap();
    assert!(flushed.left.unwrap().may_be_done());
    assert_eq!(left(folder.path()).len(), 3);
    assert_eq!(flush(&spool, &server).await.unwrap().sent, 1);
    let asked = script.asked();
    let keys: Vec<&str> = asked.iter().map(|asked| asked.header("idempotency-key")).collect();
    assert!(keys[1] == keys[2] && keys[2] == keys[3] && keys[0] != keys[1]);
}

#[tokio::test]
async fn it_is_bounded_and_has_one_flusher() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { files_max: 1, bytes_max: 100 };
    let spool = Spool::open(folder.path(), bounds).unwrap();
    let item = add(&spool, "a").await;
    let again = spool.add(&spool.data_path(&item.key), item.facts.clone()).await;
    assert!(matches!(again, Err(Error::Full { files: 1, bytes: 1 })), "{again:?}");
    let lock = std::fs::File::create(folder.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    let server = Script::new(|_, asked| receipt(asked, &[])).serve().await;
    assert!(matches!(flush(&spool, &server).await, Err(Error::Busy)));
    drop(lock);

    std::fs::remove_file(spool.data_path(&item.key)).unwrap();
    let flushed = flush(&spool, &server).await.unwrap();
    assert!(matches!(flushed.left, Some(client::Error::Local { .. })), "{flushed:?}");
}
