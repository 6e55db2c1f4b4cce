//! One file: what is taken, what is refused, and that nothing is left behind.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream;
use http::header::HeaderName;
use infra::http::digest;
use infra::known::KnownPart;
use schemas::digest::Digest;
use schemas::event::Event;
use schemas::file::{FileRef, TimeSource};
use schemas::policy::PolicyAsk;
use schemas::time::{EffectiveAt, SentAt};

use super::doors::Mood;
use super::*;

/// A pool with someone who sends.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) here: Instance,
    pub(super) pool: PoolName,
    pub(super) owner: User,
    pub(super) sender: User,
}

impl Scene {
    pub(super) async fn new(limits: Limits, policy: Value, sink: Option<Sink>) -> Self {
        Self::on(World::with(limits, sink).await, policy).await
    }

    pub(super) async fn on(world: World, policy: Value) -> Self {
        let here = world.instance().await;
        let (pool, owner) = here.pool("north-sea", policy).await;
        let sender = here.member(&pool, &owner, "buoy", "contributor").await;
        Self { world, here, pool, owner, sender }
    }

    pub(super) async fn plain() -> Self {
        Self::new(Limits::default(), json!({}), None).await
    }

    pub(super) async fn send(&self, sending: Sending) -> Told {
        self.here.send(sending.request(&self.pool, &self.sender)).await
    }

    pub(super) async fn objects(&self) -> usize {
        self.world.blobs.objects().await.len()
    }

    /// The files in the log, alone and in updates.
    pub(super) async fn files(&self) -> Vec<FileRef> {
        let files = self.world.events(&self.pool).await.into_iter().flat_map(|event| match event {
            Event::UploadReceived(received) => vec![received.file],
            Event::UpdateReceived(received) => received.items,
            other => panic!("{other:?}"),
        });
        files.collect()
    }
}

/// A request that sends a file; good unless made bad.
#[derive(Default)]
pub(super) struct Sending {
    query: Option<String>,
    headers: Vec<(&'static str, String)>,
    without: Option<&'static str>,
    body: Option<Body>,
    bytes: Vec<u8>,
}

impl Sending {
    /// This file, named `a.txt`.
    pub(super) fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self { bytes: bytes.as_ref().to_vec(), ..Self::default() }
    }

    pub(super) fn query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.without = Some(name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.without = Some(name);
        self
    }

    pub(super) fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn request(self, pool: &PoolName, by: &User) -> Request<Body> {
        let query = self.query.unwrap_or_else(|| "name=a.txt".into());
        let mut request =
            Request::post(format!("/v1/pools/{pool}/uploads?{query}")).body(Body::empty()).unwrap();
        let usual = [
            ("authorization", format!("Bearer {}", by.token)),
            ("content-type", "text/plain".into()),
            ("content-length", self.bytes.len().to_string()),
        ];
        let usual = usual.into_iter().filter(|(name, _)| Some(*name) != self.without);
        for (name, value) in usual.chain(self.headers) {
            request.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
        }
        *request.body_mut() = self.body.unwrap_or_else(|| self.bytes.into());
        request
    }
}

pub(super) async fn send(
    here: &Instance,
    pool: &PoolName,
    by: &User,
    name: &str,
    content: &str,
) -> Told {
    let sending = Sending::of(content).query(&format!("name={name}"));
    let told = here.send(sending.request(pool, by)).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    told
}

/// A body in these pieces.
fn pieces(pieces: &[&'static [u8]]) -> Body {
    let pieces: Vec<io::Result<Bytes>> =
        pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn a_file_is_stored_said_and_answered() {
    let scene = Scene::plain().await;
    let query = "name=a%20b.txt&observed_at=2026-11-21T10:29:00Z&sent_at=2026-11-21T10:29:59Z";
    let told = scene.send(Sending::of("hello").query(query).key("k-1")).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    let files = scene.files().await;
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(file.client, scene.sender.account);
    assert_eq!((file.name.as_str(), file.media_type.as_str()), ("a b.txt", "text/plain"));
    assert_eq!((file.size_bytes, file.sha256), (5, Digest::of(b"hello")));
    assert_eq!(file.sent_at, Some(SentAt::from_millis(NOW - 1_000)));
    assert_eq!(file.effective_at, EffectiveAt::from_millis(NOW - 60_000));
    assert_eq!(
        (file.time_source, file.clamped, file.quarantined),
        (TimeSource::Client, false, false)
    );
    assert_eq!(scene.world.blobs.read(&file.object).await, b"hello");
    assert!(file.object.as_str().starts_with(&format!("u/north-sea/{}/", file.upload)));

    assert_eq!(told.header("location"), format!("/v1/pools/north-sea/uploads/{}", file.upload));
    assert_eq!(told.header("repr-digest"), digest::value(&file.sha256));
    assert_eq!(told.header("sluice-position"), "north-sea:2");
    let body = &told.body;
    assert_eq!((&body["upload"], &body["idempotency_key"]), (&json!(file.upload), &"k-1".into()));
    assert_eq!((&body["size_bytes"], &body["sha256"]), (&5.into(), &json!(file.sha256)));
    assert_eq!(
        (&body["repeated"], &body["clamped"], &body["quarantined"]),
        (&false.into(), &false.into(), &false.into())
    );
    assert_eq!(body["received_at"], "2026-11-21T10:30:00.000Z");
}

#[tokio::test]
async fn times_ahead_are_cut_back_or_quarantined_and_told_so() {
    let scene = Scene::plain().await;
    for (observed, effective, clamped, quarantined) in [
        ("2026-11-21T10:31:00Z", "2026-11-21T10:31:00.000Z", false, false),
        ("2026-11-21T11:00:00Z", "2026-11-21T10:30:00.000Z", true, false),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000Z", false, true),
    ] {
        let sending = Sending::of("x").query(&format!("name=a&observed_at={observed}"));
        let body = scene.send(sending).await.body;
        assert_eq!(body["effective_at"], effective, "{observed}");
        assert_eq!(
            (&body["clamped"], &body["quarantined"]),
            (&clamped.into(), &quarantined.into())
        );
    }
    let body = scene.send(Sending::of("x")).await.body;
    assert_eq!(body["effective_at"], "2026-11-21T10:30:00.000Z", "ours when none is given");
    assert_eq!(scene.files().await[3].time_source, TimeSource::Server);
}

#[tokio::test]
async fn a_receipt_tells_what_the_tables_know_of_the_window() {
    let policy = json!({ "update_every_ms": 60_000, "grace_ms": 10_000, "max_wait_ms": 60_000 });
    let scene = Scene::new(Limits::default(), policy, None).await;
    let landing = async || scene.send(Sending::of("x")).await.body["landing"].clone();
    let window = json!({
        "start": "2026-11-21T10:29:30.000Z", "end": "2026-11-21T10:30:30.000Z", "kind": "grid"
    });
    let latest = "2026-11-21T10:31:40.000Z";
    let expected = json!({ "window": window, "closes_at_latest": latest, "late": false });
    assert_eq!(landing().await, expected);
    let ask = PolicyAsk { update_every_ms: Some(60_000), ..PolicyAsk::default() };
    let windows = ask.resolve(&Limits::default()).unwrap().windows;
    let of = windows.of(EffectiveAt::from_millis(NOW));
    let tell = |files, closed| {
        scene.world.tables.tell(|rows| _ = rows.parts.insert(of, KnownPart { files, closed }));
    };
    tell(3, false);
    assert_eq!(landing().await["files_in_window"], 3);
    tell(3, true);
    let closed = landing().await;
    assert_eq!((&closed["late"], &closed["files_in_window"]), (&true.into(), &Value::Null));
    scene.world.tables.tell(|rows| rows.away = true);
    assert_eq!(landing().await, expected, "a key made here needs no tables");
}

#[tokio::test]
async fn who_may_not_send_is_told_no_more_than_that() {
    let scene = Scene::plain().await;
    let ear = scene.here.member(&scene.pool, &scene.owner, "ear", "listener").await;
    let eve = scene.here.user("eve").await;
    let nobody = User { token: "x".into(), ..eve.clone() };
    let elsewhere: PoolName = "no-such-pool".parse().unwrap();
    let hello = || Sending::of("hello");
    let check = async |request: Request<Body>, expected: (u16, &str)| {
        let told = scene.here.send(request).await;
        assert_eq!(told.refused(), expected);
    };
    check(hello().request(&scene.pool, &ear), (403, "forbidden")).await;
    check(hello().request(&scene.pool, &eve), (404, "not-found")).await;
    check(hello().request(&elsewhere, &scene.sender), (404, "not-found")).await;
    check(hello().request(&scene.pool, &nobody), (401, "invalid-token")).await;
    let unsigned = hello().without("authorization").request(&scene.pool, &eve);
    check(unsigned, (401, "not-signed-in")).await;
    assert_eq!((scene.objects().await, scene.files().await.len()), (0, 0));
    assert_eq!(scene.world.blobs.puts.load(Ordering::Relaxed), 0);
}

const MB: &[u8] = &[b'x'; 1_000_000];

#[tokio::test]
async fn every_bad_file_is_refused_and_leaves_nothing() {
    let limits = Limits { file_bytes_max: 1_000_000, body_pause_ms_max: 60, ..Limits::default() };
    let scene = Scene::new(limits, json!({}), None).await;
    let length = |bytes: &str| Sending::of("").header("content-length", bytes);
    let digest = |of: &[u8]| digest::value(&Digest::of(of));
    let bad: Vec<(Sending, (u16, &str))> = vec![
        (Sending::of("x").query(""), (400, "invalid-request")),
        (Sending::of("x").query("name=a&observed-at=1"), (400, "invalid-request")),
        (Sending::of("x").query("name=a&observed_at=now"), (400, "invalid-request")),
        (Sending::of("x").query("name=..%2Fa"), (422, "invalid-file-name")),
        (Sending::of("x").query("name="), (422, "invalid-file-name")),
        (Sending::of("x").key("a b"), (400, "invalid-request")),
        (Sending::of("x").without("content-length"), (411, "length-required")),
        (length("1000001"), (413, "file-too-large")),
        (length("0"), (422, "empty-file")),
        (Sending::of("x").without("content-type"), (415, "unsupported-media-type")),
        (Sending::of("x").header("content-encoding", "gzip"), (415, "unsupported-media-type")),
        (
            Sending::of("x").header("content-type", "multipart/form-data; boundary=x"),
            (415, "unsupported-media-type"),
        ),
        (Sending::of("x").query("name=a.exe"), (415, "forbidden-file-type")),
        (Sending::of("x").header("content-type", "text/html"), (415, "forbidden-file-type")),
        (Sending::of("MZ\0\0program"), (415, "forbidden-file-type")),
        (Sending::of("#!/bin/sh\nrm -rf /"), (415, "forbidden-file-type")),
        (Sending::of(" <!-- x --><svg onload=x()>"), (415, "forbidden-file-type")),
        (Sending::of("x").header("content-type", "image/png"), (422, "type-mismatch")),
        (Sending::of("a\0b"), (422, "type-mismatch")),
        (Sending::of("x").header("content-digest", "md5=:AAAA:"), (400, "unsupported-digest")),
        (Sending::of("x").header("content-digest", digest(b"y")), (400, "digest-mismatch")),
        (Sending::of("x").header("repr-digest", digest(b"y")), (400, "digest-mismatch")),
        (
            Sending::of(MB).body(pieces(&[MB])).header("repr-digest", digest(b"y")),
            (400, "digest-mismatch"),
        ),
        (length("1000000").body(pieces(&[&MB[1..]])), (400, "length-mismatch")),
        (length("10").body(pieces(&[b"short"])), (400, "length-mismatch")),
        (length("10").body(pieces(&[b"longer than", b" that"])), (400, "length-mismatch")),
        (length("10").body(cut(b"short")), (400, "length-mismatch")),
        (length("100000").body(cut(&MB[..50_000])), (400, "length-mismatch")),
        (length("10").body(silent(b"short")), (408, "slow-body")),
        (length("100000").body(silent(&MB[..50_000])), (408, "slow-body")),
    ];
    for (n, (sending, expected)) in bad.into_iter().enumerate() {
        let told = scene.send(sending).await;
        assert_eq!(told.refused(), expected, "{n}: {told:?}");
        assert_eq!(scene.objects().await, 0, "{n} left something");
    }
    assert!(scene.files().await.is_empty());
    let good = Sending::of(MB).body(pieces(&[MB])).header("repr-digest", digest(MB));
    assert_eq!(scene.send(good).await.status, StatusCode::CREATED);
    assert_eq!(scene.objects().await, 1);
}

/// A body of which this much comes before the connection breaks.
fn cut(piece: &'static [u8]) -> Body {
    let pieces = [Ok(Bytes::from_static(piece)), Err(io::Error::from(io::ErrorKind::BrokenPipe))];
    Body::from_stream(stream::iter(pieces))
}

/// A body of which this much comes and then nothing.
fn silent(piece: &'static [u8]) -> Body {
    use futures_util::StreamExt;
    let first = stream::once(async move { io::Result::Ok(Bytes::from_static(piece)) });
    Body::from_stream(first.chain(stream::pending()))
}

#[tokio::test]
async fn a_pool_takes_the_types_it_names_and_files_up_to_its_size() {
    let policy = json!({ "media_types": ["image/png", "text/csv"], "file_bytes_max": 10 });
    let scene = Scene::new(Limits::default(), policy, None).await;
    let csv = || Sending::of("0123456789").header("content-type", "text/csv; charset=utf-8");
    assert_eq!(scene.send(csv()).await.status, StatusCode::CREATED);
    let told = scene.send(Sending::of("x")).await;
    assert_eq!(told.refused(), (415, "forbidden-file-type"));
    assert!(told.body["detail"].as_str().unwrap().contains("image/png, text/csv"));
    let large = Sending::of("0123456789+").header("content-type", "text/csv");
    assert_eq!(scene.send(large).await.refused(), (413, "file-too-large"));
    assert_eq!(scene.objects().await, 1);
}

#[tokio::test]
async fn a_door_that_fails_leaves_no_object_that_is_not_said_to_be_there() {
    let scene = Scene::plain().await;
    let (blobs, log) = (&scene.world.blobs, &scene.here.append);
    let check = async |expected: (u16, &str), objects: usize, files: usize| {
        let told = scene.send(Sending::of("hello")).await;
        assert_eq!(told.refused(), expected, "{told:?}");
        if expected.0 == 503 {
            assert!(!told.header("retry-after").is_empty(), "{told:?}");
        }
        assert_eq!((scene.objects().await, scene.files().await.len()), (objects, files));
    };
    for (mood, expected) in [
        (Mood::Refuses, (503, "unavailable")),
        (Mood::Full, (507, "storage-full")),
        (Mood::Loses, (503, "unavailable")),
        (Mood::Forgets, (503, "unavailable")),
    ] {
        blobs.mood(mood);
        check(expected, 0, 0).await;
    }
    blobs.mood(Mood::Well);
    log.mood(Mood::Refuses, ".events");
    check((503, "unavailable"), 0, 0).await;
    log.mood(Mood::Loses, ".events");
    check((503, "outcome-unknown"), 1, 0).await;
    log.mood(Mood::Forgets, ".events");
    check((503, "outcome-unknown"), 2, 1).await;
}

#[tokio::test]
async fn a_large_file_goes_through_piece_by_piece() {
    const PIECE: usize = 64 * 1024;
    const BYTES: usize = 50 * 1024 * 1024;
    let scene = Scene::new(Limits::default(), json!({}), Some(Sink::default())).await;
    // Each piece is made when it is asked for: what was asked for and not stored is in memory.
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (blobs, counting, ahead) = (scene.world.blobs.clone(), asked.clone(), most.clone());
    let all = stream::iter(0..BYTES / PIECE).map(move |_| {
        let sink = blobs.sink.as_ref().unwrap();
        let now = counting.fetch_add(PIECE, Ordering::Relaxed) + PIECE;
        ahead.fetch_max(now - sink.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        io::Result::Ok(Bytes::from(vec![b'x'; PIECE]))
    });
    let sending = Sending::of("").header("content-length", BYTES.to_string());
    let told = scene.send(sending.body(Body::from_stream(all))).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert_eq!(told.body["size_bytes"], BYTES);
    let sink = scene.world.blobs.sink.as_ref().unwrap();
    assert_eq!(sink.bytes.load(Ordering::Relaxed), BYTES);
    assert_eq!(
        sink.largest_piece.load(Ordering::Relaxed),
        PIECE,
        "pieces are passed on as they come"
    );
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 3 * PIECE, "{most} bytes were in memory at once");
}
use futures_util::StreamExt as _;
