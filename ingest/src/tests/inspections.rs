//! Inspections: every way in is inspected, whoever began it and wherever it ended; and attempts.

use std::pin::Pin;

use infra::blobs::{Blobs as _, Stale};
use infra::clock::Clock as _;
use schemas::event::{FaultCode, Stage, UploadAttemptFailed, UploadReceived};
use schemas::file::FileRef;
use schemas::id::UploadId;
use tokio_util::sync::CancellationToken;

use super::doors::Mood;
use super::updates::{self, Part};
use super::uploads::{Scene, Sending};
use super::*;

const CSV: &str = "n\n1\n2\n";

async fn scene() -> Scene {
    let column = json!({ "name": "n", "type": "integer", "required": true });
    let policy = json!({ "inspections": [{ "kind": "csv", "columns": [column] }] });
    Scene::new(Limits::default(), policy, None).await
}

impl Scene {
    /// Has an instance inspect, until dropped.
    fn inspect(&self, here: &Instance) -> Pin<Box<dyn Future<Output = ()>>> {
        let token = CancellationToken::new();
        let inspecting = crate::inspect(here.state.clone(), self.world.log.clone(), token);
        Box::pin(async { inspecting.await.unwrap() })
    }

    /// The events of the pool, once so many are meant.
    async fn until(&self, count: usize, meant: fn(&Event) -> bool) -> Vec<Event> {
        loop {
            let events = self.world.events(&self.pool).await;
            if events.iter().filter(|event| meant(event)).count() >= count {
                return events;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Has the tables know of all that came and is to be inspected.
    async fn found_in_tables(&self) {
        let mut waiting = came(&self.world.events(&self.pool).await);
        waiting.retain(|file| !file.inspections.is_empty());
        self.world.tables.tell(|rows| rows.inspecting = waiting);
    }

    /// What an instance that inspects says, once there are so many verdicts.
    async fn verdicts(&self, count: usize) -> Vec<Event> {
        let is_verdict =
            |event: &Event| matches!(event, Event::UploadAccepted(_) | Event::UploadRejected(_));
        tokio::select! {
            () = self.inspect(&self.here) => panic!("it has ended"),
            events = self.until(count, is_verdict) => events,
        }
    }

    async fn send_csv(&self, bytes: &str) -> UploadId {
        let told = self.send(Sending::of(bytes).header("content-type", "text/csv")).await;
        assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
        assert_eq!(told.body["inspections"], json!(["csv"]));
        told.body["upload"].as_str().unwrap().parse().unwrap()
    }
}

/// Every file that came, alone or in an update.
fn came(events: &[Event]) -> Vec<FileRef> {
    let files = events.iter().flat_map(|event| match event {
        Event::UploadReceived(UploadReceived { file, .. }) => vec![file.clone()],
        Event::UpdateReceived(update) => update.items.clone(),
        _ => Vec::new(),
    });
    files.collect()
}

#[tokio::test]
async fn every_way_in_leads_through_the_inspections() {
    let scene = scene().await;
    scene.send_csv(CSV).await;
    let alias = Request::post("/file/upload?name=b.csv")
        .header(AUTHORIZATION, format!("Bearer {}", scene.sender.token))
        .header(CONTENT_TYPE, "text/csv")
        .header(CONTENT_LENGTH, "4")
        .body("n\nx\n".into());
    assert_eq!(scene.here.send(alias.unwrap()).await.status, StatusCode::CREATED);
    let form = updates::form(&[Part::file("n\n3\n").named("c.csv", "text/csv")]);
    let form = Request::post("/api/upload")
        .header(AUTHORIZATION, format!("Bearer {}", scene.sender.token))
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={}", updates::BOUNDARY))
        .body(form.into());
    assert_eq!(scene.here.send(form.unwrap()).await.status, StatusCode::CREATED);
    let mut manifest = updates::manifest(&["d.csv", "e.csv", "f.txt"]);
    for index in 0..2 {
        manifest["items"][index]["media_type"] = json!("text/csv");
    }
    let mut parts = vec![Part::manifest(&manifest)];
    parts.extend(["n\n4\n", "m\n", "n\nx\n"].map(Part::file));
    let told = scene.update(updates::Sending::of(&parts)).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert_eq!(told.body["items"][1]["inspections"], json!(["csv"]));

    scene.found_in_tables().await;
    let events = scene.verdicts(5).await;
    let files = came(&events);
    let named = |name: &str| files.iter().find(|file| file.name.as_str() == name).unwrap();
    assert!(named("f.txt").inspections.is_empty(), "no rule is for it");
    for (name, good) in
        [("a.txt", true), ("b.csv", false), ("c.csv", true), ("d.csv", true), ("e.csv", false)]
    {
        let upload = named(name).upload;
        let verdicts = events.iter().filter_map(|event| match event {
            Event::UploadAccepted(it) if it.upload == upload => Some(true),
            Event::UploadRejected(it) if it.upload == upload => {
                assert_eq!(it.rejection.code, FaultCode::CsvInvalid);
                Some(false)
            }
            _ => None,
        });
        assert_eq!(verdicts.collect::<Vec<_>>(), [good], "{name}");
    }
    let announced = events.iter().filter(|it| matches!(it, Event::UploadInspectionStarted(_)));
    assert_eq!(announced.count(), 5, "each run, and no other");
}

#[tokio::test]
async fn what_nobody_inspected_is_found_in_the_tables_however_many_look() {
    let scene = scene().await;
    for n in 0..3 {
        scene.send_csv(&format!("n\n{n}\n")).await;
    }
    scene.found_in_tables().await;
    let other = scene.world.instance().await;
    let events = tokio::select! {
        () = scene.inspect(&other) => panic!("it has ended"),
        events = scene.verdicts(3) => events,
    };
    assert_eq!(came(&events).len(), 3);
}

#[tokio::test]
async fn what_the_pool_asks_for_no_longer_is_passed() {
    let scene = scene().await;
    let upload = scene.send_csv("m\n").await;
    scene.found_in_tables().await;
    let path = format!("/v1/pools/{}/policy", scene.pool);
    let mut change = json_request(Method::PUT, &path, &scene.owner, &json!({}));
    change.headers_mut().insert("if-match", http::HeaderValue::from_static("\"1\""));
    let told = scene.here.send(change).await;
    assert!(told.status.is_success(), "{told:?}");
    let events = scene.verdicts(1).await;
    assert!(events.iter().any(|it| matches!(it, Event::UploadAccepted(ok) if ok.upload == upload)));
}

#[tokio::test]
async fn bytes_that_cannot_be_read_are_no_verdict() {
    let scene = scene().await;
    scene.send_csv(CSV).await;
    scene.found_in_tables().await;
    let object = scene.world.blobs.objects().await.pop().unwrap();
    let put_at = scene.world.clock.now();
    scene.world.blobs.remove(Stale::Object { key: object.clone(), put_at }).await.unwrap();
    let is_failure = |event: &Event| matches!(event, Event::UploadAttemptFailed(_));
    let events = tokio::select! {
        () = scene.inspect(&scene.here) => panic!("it has ended"),
        events = scene.until(1, is_failure) => events,
    };
    let Some(Event::UploadAttemptFailed(failed)) = events.last() else { panic!("{events:?}") };
    assert_eq!((failed.stage, failed.run.is_some()), (Stage::Inspection, true));
    // Others in their place are none either.
    let other: infra::blobs::Body = Box::pin(futures_util::stream::iter([Ok("n\n9\n8\n".into())]));
    scene.world.blobs.put(&object, Some(6), other).await.unwrap();
    tokio::select! {
        () = scene.inspect(&scene.here) => panic!("it has ended"),
        _ = scene.until(2, is_failure) => {}
    }
}

#[tokio::test]
async fn attempts_that_fail_are_said_where_there_may_be_another() {
    let scene = Scene::plain().await;
    let wrong = || {
        Sending::of("x")
            .header("repr-digest", infra::http::digest::value(&schemas::digest::Digest::of(b"y")))
    };
    assert_eq!(scene.send(wrong()).await.refused(), (400, "digest-mismatch"));
    assert!(scene.world.events(&scene.pool).await.is_empty(), "its key was made here");
    assert_eq!(scene.send(wrong().key("k")).await.refused(), (400, "digest-mismatch"));
    scene.world.blobs.mood(Mood::Refuses);
    assert_eq!(scene.send(Sending::of("x").key("k")).await.refused(), (503, "unavailable"));
    scene.world.blobs.mood(Mood::Well);
    let short = Sending::of("x").key("k").header("content-length", "2");
    assert_eq!(scene.send(short).await.refused(), (400, "length-mismatch"));
    let mut manifest = updates::manifest(&["a.txt", "b.txt"]);
    for index in 0..2 {
        manifest["items"][index]["sha256"] = json!(schemas::digest::Digest::of(b"other"));
    }
    let parts = [Part::manifest(&manifest), Part::file("x"), Part::file("y")];
    let told = scene.update(updates::Sending::of(&parts).key("u")).await;
    assert_eq!(told.refused(), (422, "update-invalid"));
    let stages = scene.world.events(&scene.pool).await.into_iter().map(|event| match event {
        Event::UploadAttemptFailed(UploadAttemptFailed { stage, run: None, .. }) => stage,
        other => panic!("{other:?}"),
    });
    // A cut is none, and of an update the first stands for all.
    let expected = [Stage::Digest, Stage::Store, Stage::Digest];
    assert_eq!(stages.collect::<Vec<_>>(), expected);
}
