//! Updates: all or none, in one event, in bounded memory.

use std::fmt::Write as _;
use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream;
use schemas::digest::Digest;
use schemas::event::{Event, UpdateReceived};
use schemas::time::EffectiveAt;

use super::uploads::Scene;
use super::*;

pub(super) const BOUNDARY: &str = "sluice-test-boundary";

/// One part of a form.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) head: String,
    pub(super) bytes: Vec<u8>,
}

impl Part {
    pub(super) fn manifest(manifest: &Value) -> Self {
        let head = "Content-Disposition: form-data; name=\"manifest\"";
        Self { head: head.into(), bytes: manifest.to_string().into() }
    }

    pub(super) fn file(content: &str) -> Self {
        let head = "Content-Disposition: form-data; name=\"file\"";
        Self { head: head.into(), bytes: content.into() }
    }

    pub(super) fn named(mut self, name: &str, kind: &str) -> Self {
        _ = write!(self.head, "; filename=\"{name}\"\r\nContent-Type: {kind}");
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let head = format!("--{BOUNDARY}\r\n{}\r\n\r\n", self.head);
        [head.as_bytes(), &self.bytes, b"\r\n"].concat()
    }
}

pub(super) fn form(parts: &[Part]) -> Vec<u8> {
    let mut all: Vec<u8> = parts.iter().flat_map(Part::bytes).collect();
    all.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    all
}

/// As it comes from a connection.
pub(super) fn in_pieces(whole: &[u8]) -> Body {
    let pieces: Vec<io::Result<Bytes>> =
        whole.chunks(8_192).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

/// A manifest of these files, each observed a minute after the one before.
pub(super) fn manifest(names: &[&str]) -> Value {
    let item = |(minutes, name): (u64, &&str)| {
        let observed_at = Wall::from_millis(NOW - 3_600_000).plus(minutes * 60_000);
        json!({ "name": name, "observed_at": observed_at, "media_type": "text/plain" })
    };
    let items: Vec<Value> = (0..).zip(names).map(item).collect();
    json!({ "sent_at": Wall::from_millis(NOW), "items": items })
}

/// A request to send an update.
pub(super) struct Sending {
    pub(super) query: &'static str,
    pub(super) key: Option<&'static str>,
    pub(super) content_type: String,
    pub(super) body: Body,
}

impl Sending {
    pub(super) fn of(parts: &[Part]) -> Self {
        Self::body(form(parts))
    }

    pub(super) fn body(body: impl Into<Body>) -> Self {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        Self { query: "", key: None, content_type, body: body.into() }
    }

    pub(super) fn skip(self) -> Self {
        Self { query: "?on_invalid=skip", ..self }
    }

    pub(super) fn key(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl Scene {
    pub(super) async fn update_by(&self, instance: &Instance, by: &User, sending: Sending) -> Told {
        let mut request =
            Request::post(format!("/v1/pools/{}/updates{}", self.pool, sending.query))
                .header(AUTHORIZATION, format!("Bearer {}", by.token))
                .header(CONTENT_TYPE, sending.content_type);
        if let Some(key) = sending.key {
            request = request.header("idempotency-key", key);
        }
        instance.send(request.body(sending.body).unwrap()).await
    }

    pub(super) async fn update(&self, sending: Sending) -> Told {
        self.update_by(&self.here, &self.sender, sending).await
    }

    pub(super) async fn updates(&self) -> Vec<UpdateReceived> {
        let events = self.world.events(&self.pool).await.into_iter();
        let update = |event| match event {
            Event::UpdateReceived(update) => Some(update),
            _ => None,
        };
        events.filter_map(update).collect()
    }
}

/// Sends an update of three files under this key.
pub(super) async fn send_three(scene: &Scene, key: &'static str) -> Told {
    scene.update(Sending::of(&three()).key(key)).await
}

pub(super) fn three() -> Vec<Part> {
    let files = ["a.txt", "b.txt", "c.txt"];
    let mut parts = vec![Part::manifest(&manifest(&files))];
    parts.extend(["one", "two", "three"].map(Part::file));
    parts
}

#[tokio::test]
async fn an_update_is_one_event_of_all_its_files() {
    let scene = Scene::plain().await;
    let told = scene.update(Sending::of(&three()).key("k")).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    let updates = scene.updates().await;
    let [update] = &updates[..] else { panic!("{updates:?}") };
    assert_eq!(told.body["update"], json!(update.update));
    assert_eq!(told.body["idempotency_key"], "k");
    assert_eq!(update.client, scene.sender.account);
    for (n, (file, content)) in update.items.iter().zip(["one", "two", "three"]).enumerate() {
        assert_eq!(file.sha256, Digest::of(content.as_bytes()));
        assert_eq!(scene.world.blobs.read(&file.object).await, content.as_bytes());
        let minutes = i64::try_from(n).unwrap() * 60_000;
        assert_eq!(file.effective_at, EffectiveAt::from_millis(NOW - 3_600_000 + minutes));
        assert_eq!(file.sent_at.unwrap().millis(), NOW);
        let receipt = &told.body["items"][n];
        assert_eq!(
            (&receipt["upload"], &receipt["repeated"]),
            (&json!(file.upload), &false.into())
        );
    }
    assert_eq!((update.items.len(), scene.objects().await), (3, 3));
    assert!(told.body.get("skipped").is_none());
    assert!(told.header("sluice-position").starts_with("north-sea:"));
}

#[tokio::test]
async fn what_curl_sends_is_understood() {
    let scene = Scene::plain().await;
    // As captured from curl 7.88.1: curl -F manifest=@m.json -F file=@a.jpg -F 'file=@b "x".jpg'
    let boundary = "------------------------d74496d66958873e";
    let items = json!([
        { "name": "a.jpg", "observed_at": "2026-11-21T10:00:00Z" },
        { "name": "b \"x\".jpg", "observed_at": "2026-11-21T10:01:00Z" },
    ]);
    let manifest = json!({ "items": items });
    let jpeg = "\u{0}";
    let body = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"manifest\"; filename=\"m.json\"\r\nContent-Type: application/octet-stream\r\n\r\n{manifest}\r\n"),
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"),
    ]
    .concat();
    let second = format!(
        "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b \\\"x\\\".jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
    );
    let end = format!("\r\n--{boundary}--\r\n");
    let magic: &[u8] = b"\xff\xd8\xff\xe0";
    let all = [body.as_bytes(), magic, jpeg.as_bytes(), second.as_bytes(), magic, end.as_bytes()];
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let told = scene.update(Sending { content_type, ..Sending::body(all.concat()) }).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert_eq!(told.body["items"][1]["media_type"], "image/jpeg");
    assert_eq!(told.body["items"][0]["size_bytes"], 5);
}

/// A bad item for every reason, between good ones.
pub(super) fn bad() -> (Vec<Part>, Vec<(&'static str, &'static str)>) {
    let names = ["a", "../b", "c.exe", "d", "e", "f", "g", "h", "i", "j", "k"];
    let mut manifest = manifest(&names);
    let items = manifest["items"].as_array_mut().unwrap();
    items[4]["sha256"] = json!(Digest::of(b"other"));
    items[5]["size_bytes"] = 3.into();
    items[6]["size_bytes"] = 9.into();
    items[7]["media_type"] = "image/png".into();
    items[8]["media_type"] = "multipart/mixed".into();
    let contents =
        ["fine", "x", "x", "", "x", "xxxxx", "x", "x", "x", "#!/bin/sh", "0123456789-0123456789-"];
    let mut parts = vec![Part::manifest(&manifest)];
    parts.extend(contents.map(Part::file));
    let faults = vec![
        ("/items/1", "invalid-file-name"),
        ("/items/2", "forbidden-file-type"),
        ("/items/3", "empty-file"),
        ("/items/4", "digest-mismatch"),
        ("/items/5", "length-mismatch"),
        ("/items/6", "length-mismatch"),
        ("/items/7", "type-mismatch"),
        ("/items/8", "unsupported-media-type"),
        ("/items/9", "forbidden-file-type"),
        ("/items/10", "file-too-large"),
    ];
    (parts, faults)
}

pub(super) fn told_faults(errors: &Value) -> Vec<(&str, &str)> {
    let mut told = Vec::new();
    for error in errors.as_array().unwrap() {
        told.push((error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()));
    }
    told
}

#[tokio::test]
async fn all_bad_files_are_told_and_none_is_kept() {
    let scene = Scene::new(Limits::default(), json!({ "file_bytes_max": 20 }), None).await;
    let (parts, faults) = bad();
    let told = scene.update(Sending::of(&parts)).await;
    assert_eq!(told.refused(), (422, "update-invalid"), "{told:?}");
    assert_eq!(told_faults(&told.body["errors"]), faults);
    assert_eq!((scene.objects().await, scene.updates().await.len()), (0, 0));
    assert_eq!(scene.world.blobs.puts.load(Ordering::Relaxed), 1, "none after the first bad one");
}

#[tokio::test]
async fn the_good_ones_are_taken_when_bad_ones_may_be_skipped() {
    let scene = Scene::new(Limits::default(), json!({ "file_bytes_max": 20 }), None).await;
    let (mut parts, faults) = bad();
    // One more good one behind all the bad ones.
    let names = ["a", "../b", "c.exe", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut wider: Value = serde_json::from_slice(&parts[0].bytes).unwrap();
    let last = manifest(&names)["items"][11].clone();
    wider["items"].as_array_mut().unwrap().push(last);
    parts[0] = Part::manifest(&wider);
    parts.push(Part::file("fine too"));
    let told = scene.update(Sending::of(&parts).skip().key("k")).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert_eq!(told_faults(&told.body["skipped"]), faults);
    let updates = scene.updates().await;
    let names: Vec<&str> = updates[0].items.iter().map(|file| file.name.as_str()).collect();
    assert_eq!((names, scene.objects().await), (vec!["a", "l"], 2));
    let again = scene.update(Sending::of(&parts).skip().key("k")).await;
    assert_eq!((again.status, scene.updates().await.len()), (StatusCode::OK, 1), "{again:?}");
    assert_eq!(told_faults(&again.body["skipped"]), faults);
    // With nothing left there is nothing to take.
    let only = [Part::manifest(&manifest(&["x.exe"])), Part::file("x")];
    let told = scene.update(Sending::of(&only).skip()).await;
    assert_eq!(told.refused(), (422, "update-invalid"));
    assert_eq!(scene.objects().await, 2);
}
