//! Clients of earlier systems: the same uploads under other names.

use schemas::event::Event;

use super::updates::{BOUNDARY, Part, form};
use super::uploads::Scene;
use super::*;

const ROUTES: [&str; 2] = ["/file/upload", "/api/upload"];

struct Sending {
    route: &'static str,
    query: &'static str,
    kind: String,
    body: Vec<u8>,
}

impl Sending {
    fn file(route: &'static str, query: &'static str) -> Self {
        Self { route, query, kind: "text/plain".into(), body: b"hello".into() }
    }

    fn form(route: &'static str, query: &'static str, parts: &[Part]) -> Self {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        Self { route, query, kind, body: form(parts) }
    }

    async fn by(self, scene: &Scene, user: &User, key: &str) -> Told {
        let request = Request::post(format!("{}{}", self.route, self.query))
            .header(AUTHORIZATION, format!("Bearer {}", user.token))
            .header(CONTENT_TYPE, self.kind)
            .header(CONTENT_LENGTH, self.body.len())
            .header("idempotency-key", key);
        scene.here.send(request.body(self.body.into()).unwrap()).await
    }
}

#[tokio::test]
async fn a_file_comes_as_the_body_or_in_a_form_and_is_the_same_upload() {
    let scene = Scene::plain().await;
    let parts = || vec![Part::file("hello").named("a.txt", "text/plain")];
    for (route, key) in ROUTES.into_iter().zip(["one", "two"]) {
        let query = "?name=a.txt&observed_at=2026-11-21T10:29:00Z";
        let told = Sending::file(route, query).by(&scene, &scene.sender, key).await;
        assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
        let upload = told.body["upload"].as_str().unwrap().to_owned();
        assert!(told.header("location").ends_with(&format!("/north-sea/uploads/{upload}")));
        assert!(told.header("sluice-position").starts_with("north-sea:"));
        let again = Sending::form(route, "?pool=north-sea", &parts());
        let again = again.by(&scene, &scene.sender, key).await;
        assert_eq!((again.status, &again.body["upload"]), (StatusCode::OK, &upload.into()));
    }
    let alone = Sending::form("/file/upload", "", &parts()).by(&scene, &scene.sender, "3").await;
    assert_eq!(alone.status, StatusCode::CREATED, "{alone:?}");
    let named = Sending::form("/file/upload", "?name=b.txt", &parts());
    named.by(&scene, &scene.sender, "4").await;
    let files = scene.files().await;
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a.txt", "a.txt", "a.txt", "b.txt"]);
    assert_eq!(files[0].effective_at.millis(), NOW - 60_000);
    assert!(files.iter().all(|file| file.size_bytes == 5));
}

#[tokio::test]
async fn whoever_sends_to_no_pool_or_to_several_must_say_more() {
    let scene = Scene::plain().await;
    let send =
        async |user: &User, query| Sending::file("/file/upload", query).by(&scene, user, "k").await;
    let told = send(&scene.owner, "?name=a.txt").await;
    assert_eq!(told.refused(), (404, "not-found"), "an owner that contributes nothing");
    let told = send(&scene.owner, "?name=a.txt&pool=north-sea").await;
    assert_eq!(told.refused(), (403, "forbidden"));
    let stranger = scene.here.user("stranger").await;
    assert_eq!(send(&stranger, "?name=a.txt&pool=north-sea").await.refused(), (404, "not-found"));
    let (other, owner) = scene.here.pool("south-sea", json!({})).await;
    scene.here.member(&other, &owner, "buoy", "contributor").await;
    let told = send(&scene.sender, "?name=a.txt").await;
    assert_eq!(told.refused(), (422, "invalid-field"));
    assert_eq!(told.body["errors"][0]["pointer"], "/pool");
    let told = send(&scene.sender, "?name=a.txt&pool=south-sea").await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert!(scene.files().await.is_empty());
}

#[tokio::test]
async fn what_is_no_file_is_refused_and_leaves_nothing() {
    let scene = Scene::new(Limits::default(), json!({ "file_bytes_max": 1_000 }), None).await;
    let long = "x".repeat(1_001);
    let very_long = "x".repeat(100_000);
    let file = |content: &str| Part::file(content).named("a.txt", "text/plain");
    let mut nameless = file("hello");
    nameless.head = "Content-Disposition: form-data; name=\"file\"".into();
    let mut other = file("hello");
    other.head = "Content-Disposition: form-data; name=\"data\"; filename=\"a.txt\"".into();
    let of = |parts: &[Part]| Sending::form("/file/upload", "", parts);
    let mut cut = of(&[file("hello")]);
    cut.body.truncate(cut.body.len() - 12);
    let large = of(&[file(&long)]);
    let larger = of(&[file(&very_long)]);
    for (n, (sending, expected)) in [
        (Sending::file("/api/upload", ""), (422, "invalid-file-name")),
        (of(&[nameless]), (422, "invalid-file-name")),
        (of(&[other]), (400, "malformed-multipart")),
        (of(&[]), (400, "malformed-multipart")),
        (of(&[file("")]), (422, "empty-file")),
        (of(&[file("#!/bin/sh\n")]), (415, "forbidden-file-type")),
        (cut, (400, "malformed-multipart")),
        (large, (413, "file-too-large")),
        (larger, (413, "file-too-large")),
        (
            Sending { kind: "multipart/form-data".into(), ..of(&[file("x")]) },
            (400, "malformed-multipart"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let told = sending.by(&scene, &scene.sender, &format!("k-{n}")).await;
        assert_eq!(told.refused(), expected, "{n}: {told:?}");
        assert_eq!(scene.objects().await, 0, "{n} left something");
    }
    assert!(
        !scene
            .world
            .events(&scene.pool)
            .await
            .iter()
            .any(|event| matches!(event, Event::UploadReceived(_)))
    );
}
