//! Forms that are none, too large, repeated, cut short or in pieces.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use schemas::digest::Digest;

use super::doors::Mood;
use super::updates::*;
use super::uploads::Scene;
use super::*;

#[tokio::test]
async fn a_form_that_is_none_is_refused_and_leaves_nothing() {
    let scene =
        Scene::new(Limits { json_bytes_max: 2_000, ..Limits::default() }, json!({}), None).await;
    let three = three();
    let two_files = |parts: &[Part]| form(&parts[..3]);
    let mut long_head = three.clone();
    long_head[2].head = format!("{}\r\nX-Long: {}", long_head[2].head, "x".repeat(100_000));
    let mut other_name = three.clone();
    other_name[2] = Part::file("two").named("c.txt", "text/plain");
    let mut other_field = three.clone();
    other_field[2].head = "Content-Disposition: form-data; name=\"data\"".into();
    let mut encoded = three.clone();
    encoded[2].head.push_str("\r\nContent-Transfer-Encoding: base64");
    let mut four = three.clone();
    four.push(Part::file("four"));
    let mut twice = three.clone();
    twice.insert(1, three[0].clone());
    let mut late = three.clone();
    late.swap(0, 1);
    let whole = form(&three);
    let cut = whole[..whole.len() - 30].to_vec();
    let preamble = [vec![b'x'; 200_000], whole.clone()].concat();
    let malformed = (400, "malformed-multipart");
    let large = json!({ "items": manifest(&["x"; 40])["items"] });
    let bad: Vec<(Sending, (u16, &str))> = vec![
        (Sending::body(two_files(&three)), malformed),
        (Sending::of(&four), malformed),
        (Sending::body(in_pieces(&form(&long_head))), malformed),
        (Sending::of(&other_name), malformed),
        (Sending::of(&other_field), malformed),
        (Sending::of(&encoded), malformed),
        (Sending::of(&twice), malformed),
        (Sending::of(&late), malformed),
        (Sending::of(&three[1..]), malformed),
        (Sending::body(cut), malformed),
        (Sending::body(in_pieces(&preamble)), malformed),
        (Sending::body(""), malformed),
        (Sending::body(format!("--{BOUNDARY}--\r\n")), malformed),
        (Sending { content_type: "multipart/form-data".into(), ..Sending::of(&three) }, malformed),
        (
            Sending {
                content_type: format!("multipart/form-data; boundary={}", "x".repeat(71)),
                ..Sending::of(&three)
            },
            malformed,
        ),
        (
            Sending { content_type: "application/json".into(), ..Sending::of(&three) },
            (415, "unsupported-media-type"),
        ),
        (Sending { query: "?on_invalid=perhaps", ..Sending::of(&three) }, (400, "invalid-request")),
        (Sending::of(&[Part::manifest(&json!({ "items": [{}] }))]), (400, "invalid-json")),
        (Sending::of(&[Part::manifest(&json!({ "items": [] }))]), (422, "update-invalid")),
        (Sending::of(&[Part::manifest(&large)]), (413, "update-too-large")),
    ];
    for (n, (sending, expected)) in bad.into_iter().enumerate() {
        let told = scene.update(sending).await;
        assert_eq!(told.refused(), expected, "{n}: {told:?}");
        assert_eq!(scene.objects().await, 0, "{n} left something");
    }
    assert!(scene.updates().await.is_empty());
    assert_eq!(scene.update(Sending::of(&three)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_update_that_is_too_large_is_refused_and_leaves_nothing() {
    let limits = Limits { update_files_max: 2, update_bytes_max: 5_000, ..Limits::default() };
    let scene = Scene::new(limits, json!({}), None).await;
    let large = (413, "update-too-large");
    assert_eq!(scene.update(Sending::of(&three())).await.refused(), large, "files");
    let two = |content: &str| {
        [Part::manifest(&manifest(&["a", "b"])), Part::file("x"), Part::file(content)]
    };
    let told = scene.update(Sending::of(&two(&"x".repeat(5_000)))).await;
    assert_eq!(told.refused(), large, "bytes, as they come");
    let mut request = Request::post("/v1/pools/north-sea/updates")
        .header(AUTHORIZATION, format!("Bearer {}", scene.sender.token))
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"));
    request = request.header(CONTENT_LENGTH, 5_001);
    let told = scene.here.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(told.refused(), large, "bytes, as declared");
    assert_eq!((scene.objects().await, scene.updates().await.len()), (0, 0));
    assert_eq!(scene.update(Sending::of(&two("x"))).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn references_fill_one_record_and_no_more() {
    let scene = Scene::plain().await;
    let name = "x".repeat(200);
    let of = |count: usize| {
        let mut parts = vec![Part::manifest(&manifest(&vec![name.as_str(); count]))];
        parts.extend((0..count).map(|n| Part::file(&n.to_string())));
        Sending::of(&parts)
    };
    let told = scene.update(of(780)).await;
    assert_eq!(told.refused(), (413, "update-too-large"));
    assert!(scene.world.blobs.puts.load(Ordering::Relaxed) > 600, "told as it came");
    assert_eq!(scene.objects().await, 0);
    assert_eq!(scene.update(of(700)).await.status, StatusCode::CREATED);
    assert_eq!(scene.updates().await[0].items.len(), 700);
}

#[tokio::test]
async fn a_repeated_update_gets_the_same_receipts_here_and_there() {
    let scene = Scene::plain().await;
    let there = scene.world.instance().await;
    let first = scene.update(Sending::of(&three()).key("k")).await;
    let files = scene.files().await;
    scene.world.tables.tell(|rows| {
        rows.uploads = files.into_iter().map(|file| (file.upload, file)).collect();
    });
    for instance in [&scene.here, &there] {
        let again = scene.update_by(instance, &scene.sender, Sending::of(&three()).key("k")).await;
        assert_eq!(again.status, StatusCode::OK, "{again:?}");
        assert_eq!(again.body["update"], first.body["update"]);
        for n in 0..3 {
            let [once, twice] = [&first, &again].map(|told| told.body["items"][n].clone());
            assert_eq!((&twice["repeated"], &once["upload"]), (&true.into(), &twice["upload"]));
            assert_eq!(once["received_at"], twice["received_at"]);
        }
        let mut other = three();
        other[3] = Part::file("another");
        let told = scene.update_by(instance, &scene.sender, Sending::of(&other).key("k")).await;
        assert_eq!(told.refused(), (422, "idempotency-key-reused"));
    }
    assert_eq!((scene.objects().await, scene.updates().await.len()), (3, 1));
    scene.world.tables.tell(|rows| rows.away = true);
    let told = scene.update_by(&there, &scene.sender, Sending::of(&three()).key("k")).await;
    assert_eq!(told.refused(), (503, "unavailable"));
}

#[tokio::test]
async fn a_door_that_fails_takes_the_whole_update_back() {
    let scene = Scene::plain().await;
    let check = async |expected: (u16, &str), objects: usize, updates: usize| {
        let told = scene.update(Sending::of(&three())).await;
        assert_eq!(told.refused(), expected, "{told:?}");
        assert_eq!((scene.objects().await, scene.updates().await.len()), (objects, updates));
    };
    for (mood, expected) in [
        (Mood::Refuses, (503, "unavailable")),
        (Mood::Full, (507, "storage-full")),
        (Mood::Forgets, (503, "unavailable")),
    ] {
        scene.world.blobs.mood(mood);
        check(expected, 0, 0).await;
    }
    scene.world.blobs.mood(Mood::Well);
    scene.here.append.mood(Mood::Refuses, ".events");
    check((503, "unavailable"), 0, 0).await;
    scene.here.append.mood(Mood::Forgets, ".events");
    check((503, "outcome-unknown"), 3, 1).await;
}

#[tokio::test]
async fn an_update_that_breaks_off_or_pauses_leaves_nothing() {
    let limits = Limits { body_pause_ms_max: 60, ..Limits::default() };
    let scene = Scene::new(limits, json!({}), None).await;
    let whole = form(&three());
    // In the manifest, in a head, in the last file.
    for at in [100, whole.len() - 250, whole.len() - 30] {
        let first = Bytes::copy_from_slice(&whole[..at]);
        let broken = [Ok(first.clone()), Err(io::Error::from(io::ErrorKind::BrokenPipe))];
        let told = scene.update(Sending::body(Body::from_stream(stream::iter(broken)))).await;
        assert_eq!(told.refused(), (400, "length-mismatch"), "{at} {told:?}");
        let silent = stream::once(async { io::Result::Ok(first) }).chain(stream::pending());
        let told = scene.update(Sending::body(Body::from_stream(silent))).await;
        assert_eq!(told.refused(), (408, "slow-body"), "{at} {told:?}");
        assert_eq!(scene.objects().await, 0, "{at}");
    }
    assert!(scene.updates().await.is_empty());
}

use futures_util::StreamExt as _;

#[tokio::test]
async fn however_its_pieces_fall_an_update_is_the_same() {
    let scene = Scene::plain().await;
    let whole = form(&three());
    for size in [1, 2, 3, 7, 64, 1_000] {
        let pieces: Vec<io::Result<Bytes>> =
            whole.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let body = Body::from_stream(stream::iter(pieces));
        let told = scene.update(Sending::body(body)).await;
        assert_eq!(told.status, StatusCode::CREATED, "{size}: {told:?}");
        assert_eq!(told.body["items"][2]["sha256"], json!(Digest::of(b"three")));
    }
}

#[tokio::test]
async fn an_update_goes_through_piece_by_piece() {
    const PIECE: usize = 64 * 1024;
    let scene = Scene::new(Limits::default(), json!({}), Some(Sink::default())).await;
    // Many small files in front of a large one: none of them may have the large one read ahead.
    let names: Vec<String> = (0..201).map(|n| format!("{n}.txt")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut parts = vec![Part::manifest(&manifest(&names))];
    parts.extend((0..200).map(|_| Part::file("small")));
    parts.push(Part::file(&"x".repeat(20 * 1024 * 1024)));
    let whole = Bytes::from(form(&parts));
    let (given, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (blobs, counting, ahead) = (scene.world.blobs.clone(), given.clone(), most.clone());
    let small = whole.len() - 20 * 1024 * 1024;
    let pieces = stream::iter(0..whole.len().div_ceil(PIECE)).map(move |n| {
        let piece = whole.slice(n * PIECE..whole.len().min((n + 1) * PIECE));
        let stored = blobs.sink.as_ref().unwrap().bytes.load(Ordering::Relaxed);
        let now = counting.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        ahead.fetch_max(now.saturating_sub(stored), Ordering::Relaxed);
        io::Result::Ok(piece)
    });
    let told = scene.update(Sending::body(Body::from_stream(pieces))).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    // Manifest and heads are never stored: they count as held, and are no more than that.
    let most = most.load(Ordering::Relaxed);
    assert!(most <= small + 3 * PIECE, "{most} bytes were in memory at once");
}
