//! The same upload once more: on one instance and on two, at once and later, with and without the
//! tables.

use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream;
use infra::fresh;
use infra::http::digest;
use schemas::api::StatedOf;
use schemas::digest::Digest;
use schemas::event::Derived;
use tokio::sync::{mpsc, oneshot};

use super::doors::Mood;
use super::uploads::{Scene, Sending};
use super::*;

const TOPIC: &str = "sluice.pool.north-sea.events";

/// What must be the same in the receipt of a repeat.
fn essence(told: &Told) -> Value {
    let mut body = told.body.clone();
    let varies = ["repeated", "landing", "next_upload_after"];
    body.as_object_mut().unwrap().retain(|name, _| !varies.contains(&name.as_str()));
    body
}

impl Scene {
    /// Has the tables know what is in the log.
    async fn catch_tables_up(&self) {
        let files = self.files().await;
        let all: Vec<Event> = self.world.said(&Topic::events(&self.pool)).await;
        let offsets = (0..).zip(all).filter_map(|(offset, event)| match event {
            Event::UploadReceived(received) => Some((received.file.upload, offset)),
            _ => None,
        });
        self.world.tables.tell(|rows| {
            rows.offsets = offsets.collect();
            rows.uploads = files.into_iter().rev().map(|file| (file.upload, file)).collect();
        });
    }

    async fn send_to(&self, instance: &Instance, sending: Sending) -> Told {
        instance.send(sending.request(&self.pool, &self.sender)).await
    }
}

/// A body nobody may read.
fn unread() -> Body {
    Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<io::Result<Bytes>>> {
        panic!("the body is read")
    }))
}

#[tokio::test]
async fn a_retry_gets_the_same_receipt_here_and_there() {
    let scene = Scene::plain().await;
    let there = scene.world.instance().await;
    let hello = || Sending::of("hello").key("k").query("name=a&observed_at=2026-11-21T10:00:00Z");
    let first = scene.send(hello()).await;
    assert_eq!((first.status, &first.body["repeated"]), (StatusCode::CREATED, &false.into()));
    // Here at once, before the tables know.
    let again = scene.send(hello()).await;
    assert_eq!((again.status, &again.body["repeated"]), (StatusCode::OK, &true.into()));
    assert_eq!(essence(&again), essence(&first));
    let stated = first.stated(&scene.here);
    let upload = first.body["upload"].as_str().unwrap().parse().unwrap();
    assert_eq!(stated.of, StatedOf::Upload { upload, client: scene.sender.account });
    assert_eq!((stated.sha256, stated.size_bytes), (Digest::of(b"hello"), Some(5)));
    let position = format!("{}:{}", stated.pool, stated.offset);
    assert_eq!((position.as_str(), &*stated.topic), (first.header("sluice-position"), TOPIC));
    assert_eq!(json!(stated.at), first.body["received_at"]);
    assert_eq!(again.header("sluice-position"), first.header("sluice-position"));
    assert_eq!(again.header("location"), first.header("location"));
    // There once they do, whatever else the request says.
    scene.catch_tables_up().await;
    scene.world.clock.advance(50_000);
    let later = scene.send_to(&there, Sending::of("hello").key("k").query("name=b")).await;
    assert_eq!((later.status, &later.body["repeated"]), (StatusCode::OK, &true.into()));
    assert_eq!(essence(&later), essence(&first));
    assert_eq!((scene.objects().await, scene.files().await.len()), (1, 1));
    assert_eq!(scene.world.blobs.puts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn other_content_under_a_key_is_refused() {
    let scene = Scene::plain().await;
    let there = scene.world.instance().await;
    scene.send(Sending::of("hello").key("k")).await;
    scene.catch_tables_up().await;
    for instance in [&scene.here, &there] {
        for other in ["hallo", "hello!", "h"] {
            let told = scene.send_to(instance, Sending::of(other).key("k")).await;
            assert_eq!(told.refused(), (422, "idempotency-key-reused"), "{other}");
        }
    }
    assert_eq!((scene.objects().await, scene.files().await.len()), (1, 1));
    // Another client's key is another key, and so is one in another pool.
    let other = scene.here.member(&scene.pool, &scene.owner, "other", "contributor").await;
    let told = scene.here.send(Sending::of("hallo").key("k").request(&scene.pool, &other)).await;
    assert_eq!(told.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_declared_digest_answers_a_retry_without_its_body() {
    let scene = Scene::plain().await;
    let hello = Digest::of(b"hello");
    scene.send(Sending::of("hello").key("k")).await;
    let retry = |length: &str, digest: &Digest| {
        let digest = digest::value(digest);
        let sending = Sending::of("").key("k").header("content-digest", digest);
        sending.header("content-length", length).body(unread())
    };
    assert_eq!(scene.send(retry("5", &hello)).await.status, StatusCode::OK);
    let reused = (422, "idempotency-key-reused");
    assert_eq!(scene.send(retry("5", &Digest::of(b"x"))).await.refused(), reused);
    assert_eq!(scene.send(retry("6", &hello)).await.refused(), reused);
    let longer = Sending::of("").key("k").header("content-length", "6").body(unread());
    assert_eq!(scene.send(longer).await.refused(), reused, "another length tells as much");
}

#[tokio::test]
async fn a_key_that_was_refused_can_be_used() {
    let scene = Scene::plain().await;
    let wrong =
        Sending::of("hello").key("k").header("repr-digest", digest::value(&Digest::of(b"")));
    assert_eq!(scene.send(wrong).await.refused(), (400, "digest-mismatch"));
    assert_eq!(scene.send(Sending::of("hello").key("k")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_retry_after_an_unknown_outcome_counts_once() {
    for mood in [Mood::Forgets, Mood::Loses] {
        let scene = Scene::plain().await;
        scene.here.append.mood(mood, ".events");
        let told = scene.send(Sending::of("hello").key("k")).await;
        assert_eq!(told.refused(), (503, "outcome-unknown"));
        assert_eq!(scene.objects().await, 1, "the event may be there: its bytes stay");
        scene.here.append.mood(Mood::Well, "");
        let again = scene.send(Sending::of("hello").key("k")).await;
        assert_eq!(again.status, StatusCode::CREATED);
        let mut files = scene.files().await;
        files.dedup_by_key(|file| file.upload);
        assert_eq!(files.len(), 1, "one upload, however many records");
    }
}

#[tokio::test]
async fn without_the_tables_only_young_keys_are_taken() {
    let scene = Scene::plain().await;
    let now = Wall::from_millis(NOW);
    scene.world.tables.tell(|rows| rows.away = true);
    let send = async |key: &str| scene.send(Sending::of("hello").key(key)).await;
    for key in [fresh::uuid(now), fresh::uuid(now.minus(80_000_000))] {
        assert_eq!(send(&key.to_string()).await.status, StatusCode::CREATED);
    }
    assert_eq!(scene.send(Sending::of("hello")).await.status, StatusCode::CREATED, "made by us");
    for key in [fresh::uuid(now.minus(86_400_000)).to_string(), "my-key".to_owned()] {
        let told = send(&key).await;
        assert_eq!(told.refused(), (503, "unavailable"), "{key}");
        assert!(told.body["detail"].as_str().unwrap().contains("UUIDv7"));
    }
    assert_eq!(scene.objects().await, 3);
    scene.world.tables.tell(|rows| rows.away = false);
    assert_eq!(send("my-key").await.status, StatusCode::CREATED);
    assert_eq!(scene.world.tables.looks(), 1, "a key made by us is not looked up");
}

/// A body that tells when it is read, and ends when told to.
fn paused(first: &'static str) -> (Body, oneshot::Receiver<()>, mpsc::UnboundedSender<Bytes>) {
    let (begun, begins) = oneshot::channel();
    let (more, mut rest) = mpsc::unbounded_channel();
    let (mut begun, mut first) = (Some(begun), Some(Bytes::from_static(first.as_bytes())));
    let body = stream::poll_fn(move |cx| {
        if let Some(begun) = begun.take() {
            begun.send(()).unwrap();
        }
        match first.take() {
            Some(first) => std::task::Poll::Ready(Some(first)),
            None => rest.poll_recv(cx),
        }
    });
    (Body::from_stream(body.map(io::Result::Ok)), begins, more)
}

use futures_util::StreamExt as _;

#[tokio::test]
async fn one_request_at_a_time_works_on_an_upload() {
    let scene = Scene::plain().await;
    let (body, begun, rest) = paused("hel");
    let slow = Sending::of("").key("k").header("content-length", "5").body(body);
    let mut slow = pin!(scene.send(slow));
    tokio::select! {
        told = &mut slow => panic!("{told:?}"),
        begun = begun => begun.unwrap(),
    }
    let told = scene.send(Sending::of("hello").key("k")).await;
    assert_eq!(told.refused(), (409, "upload-in-progress"));
    assert_eq!(told.header("retry-after"), "1");
    assert_eq!(scene.send(Sending::of("hello").key("j")).await.status, StatusCode::CREATED);
    rest.send("lo".into()).unwrap();
    drop(rest);
    assert_eq!(slow.await.status, StatusCode::CREATED);
    assert_eq!(scene.send(Sending::of("hello").key("k")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_is_dropped_leaves_its_key_free_and_nothing_behind() {
    let scene = Scene::plain().await;
    {
        let (body, begun, _rest) = paused("hel");
        let slow = Sending::of("").key("k").header("content-length", "5").body(body);
        let mut slow = pin!(scene.send(slow));
        tokio::select! {
            told = &mut slow => panic!("{told:?}"),
            begun = begun => begun.unwrap(),
        }
    }
    assert_eq!(scene.objects().await, 0);
    assert_eq!(scene.send(Sending::of("hello").key("k")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn two_instances_at_once_make_one_upload() {
    let scene = Scene::plain().await;
    let there = scene.world.instance().await;
    for round in 0..10 {
        let key = format!("k-{round}");
        let (a, b) = tokio::join!(
            scene.send(Sending::of("hello").key(&key)),
            scene.send_to(&there, Sending::of("hello").key(&key)),
        );
        assert!(a.status.is_success() && b.status.is_success(), "{a:?} {b:?}");
        assert_eq!(a.body["upload"], b.body["upload"]);
    }
    // Each attempt has an object of its own; the first event of an upload is the one that counts.
    let files = scene.files().await;
    let uploads: std::collections::BTreeSet<_> = files.iter().map(|file| file.upload).collect();
    let objects: std::collections::BTreeSet<_> = files.iter().map(|file| &file.object).collect();
    assert_eq!((uploads.len(), objects.len(), files.len()), (10, 20, 20));
    let close = format!("/v1/pools/{}/windows/close", scene.pool);
    scene.here.post(&close, &scene.owner, json!({})).await;
    let derived: Vec<Derived> = scene.world.said(&Topic::batches(&scene.pool)).await;
    let placed = derived.iter().filter(|body| matches!(body, Derived::FilePlaced(_))).count();
    assert_eq!(placed, 10, "once each");
}
