//! A disk that is low takes nothing new, and says so before a byte is read.

use std::io;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use futures_util::stream;

use super::updates::{Part, form, manifest};
use super::uploads::{Scene, Sending};
use super::*;

/// A body that tells whether it was read.
fn watched(read: &Arc<AtomicBool>, bytes: Vec<u8>) -> Body {
    let read = Arc::clone(read);
    Body::from_stream(stream::once(async move {
        read.store(true, Ordering::Relaxed);
        io::Result::Ok(Bytes::from(bytes))
    }))
}

fn limits() -> Limits {
    Limits { disk_free_bytes_min: 1_000, ..Limits::default() }
}

fn with_free(scene: &Scene, free_bytes: u64) {
    scene.world.free_bytes.store(free_bytes, Ordering::Relaxed);
    scene.world.clock.advance(scene.world.limits.disk_look_ms);
}

#[tokio::test]
async fn a_low_disk_refuses_before_the_first_byte_and_goes_on_when_there_is_room() {
    let scene = Scene::new(limits(), json!({}), None).await;
    with_free(&scene, 1_009);
    let read = Arc::new(AtomicBool::new(false));
    let ten = |read: &Arc<AtomicBool>| {
        Sending::of("").body(watched(read, b"0123456789".into())).header("content-length", "10")
    };
    let told = scene.send(ten(&read)).await;
    assert_eq!(told.refused(), (507, "storage-full"), "{told:?}");
    assert_eq!(told.header("retry-after"), "1");
    assert!(!read.load(Ordering::Relaxed), "no byte of it was read");
    assert_eq!((scene.objects().await, scene.files().await.len()), (0, 0));
    with_free(&scene, 1_010);
    let told = scene.send(ten(&read)).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert!(read.load(Ordering::Relaxed));
    // What has come is promised no longer, what failed neither.
    with_free(&scene, 1_010);
    let short = Sending::of("012345678").header("content-length", "10");
    assert_eq!(scene.send(short).await.refused(), (400, "length-mismatch"));
    with_free(&scene, 1_010);
    assert_eq!(scene.send(Sending::of("9876543210")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_was_taken_before_needs_no_room() {
    let scene = Scene::new(limits(), json!({}), None).await;
    let sending = || Sending::of("0123456789").header("idempotency-key", "k");
    assert_eq!(scene.send(sending()).await.status, StatusCode::CREATED);
    with_free(&scene, 0);
    assert_eq!(scene.send(sending()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_update_needs_room_for_all_of_it() {
    let scene = Scene::new(limits(), json!({}), None).await;
    let parts = [Part::manifest(&manifest(&["a.txt"])), Part::file("abc")];
    let form = form(&parts);
    let length = form.len() as u64;
    let send = async |read: &Arc<AtomicBool>| {
        let body = watched(read, form.clone());
        let request = Request::post(format!("/v1/pools/{}/updates", scene.pool))
            .header(AUTHORIZATION, format!("Bearer {}", scene.sender.token))
            .header(CONTENT_TYPE, updates::Sending::of(&[]).content_type)
            .header(CONTENT_LENGTH, length)
            .body(body);
        scene.here.send(request.unwrap()).await
    };
    let read = Arc::new(AtomicBool::new(false));
    with_free(&scene, 1_000 + length - 1);
    assert_eq!(send(&read).await.refused(), (507, "storage-full"));
    assert!(!read.load(Ordering::Relaxed) && scene.objects().await == 0);
    with_free(&scene, 1_000 + length);
    assert_eq!(send(&read).await.status, StatusCode::CREATED);
}
