//! Duties of putting an object whole.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::poll;
use tokio::task::JoinSet;

use super::*;

pub(super) async fn what_was_put_is_read_back(rig: &mut dyn Rig) {
    for (seed, len) in [(1, 0), (2, 1), (3, 65_536), (4, 100_000), (5, 10_000_000)] {
        let bytes = bytes(seed, len);
        for size_bytes in [None, Some(len as u64)] {
            for piece in [1_000, 64 * 1024, 300_000] {
                let key = rig.fresh("put");
                expect_none(rig, &key).await;
                let body = body(&bytes, piece);
                soon(rig.blobs().put(&key, size_bytes, body)).await.unwrap();
                expect(rig, &key, &bytes).await;
            }
        }
    }
}

pub(super) async fn a_body_of_another_length_leaves_nothing(rig: &mut dyn Rig) {
    for said in [0, 99_999, 100_001, 1_000_000] {
        let key = rig.fresh("length");
        let put = rig.blobs().put(&key, Some(said), body(&bytes(said, 100_000), 7_000)).await;
        assert!(matches!(put, Err(Error::Body(_))), "{said}: {put:?}");
        expect_none(rig, &key).await;
    }
    for size_bytes in [None, Some(100_000)] {
        let key = rig.fresh("failing");
        let broken = stream::once(async { Err(io::Error::other("the client is gone")) });
        let body = body(&bytes(1, 99_000), 7_000).chain(broken).boxed();
        let put = rig.blobs().put(&key, size_bytes, body).await;
        let Err(Error::Body(error)) = put else { panic!("{put:?}") };
        assert_eq!(error.to_string(), "the client is gone");
        expect_none(rig, &key).await;
    }
}

pub(super) async fn a_put_that_is_dropped_leaves_nothing(rig: &mut dyn Rig) {
    // The client goes silent after so many bytes.
    for len in [0, 1_000, 64_000, 200_000] {
        let key = rig.fresh("silent");
        let taken = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&taken);
        let said = body(&bytes(1, len), 10_000).inspect_ok(move |piece| {
            told.fetch_add(piece.len(), Ordering::Relaxed);
        });
        let blobs = rig.blobs();
        let silent = said.chain(stream::pending()).boxed();
        let mut put = Box::pin(blobs.put(&key, Some(1_000_000), silent));
        soon(async {
            while poll!(&mut put).is_pending() && taken.load(Ordering::Relaxed) < len {
                tokio::task::yield_now().await;
            }
        })
        .await;
        drop(put);
        expect_none(rig, &key).await;
    }
    // It is dropped at some moment, also while it is being made durable.
    let mut keys = Vec::new();
    for polls in 0..40 {
        let key = rig.fresh("dropped");
        let blobs = rig.blobs();
        let bytes = bytes(polls, 150_000);
        let mut put = Box::pin(blobs.put(&key, Some(150_000), body(&bytes, 50_000)));
        let mut done = false;
        for _ in 0..polls {
            if let std::task::Poll::Ready(put) = poll!(&mut put) {
                put.unwrap();
                done = true;
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(put);
        if done {
            expect(rig, &key, &bytes).await;
        } else {
            keys.push(key);
        }
    }
    // What was under way at such a moment may take a little to be undone.
    let after = rig.fresh("after");
    put(rig, &after, 1, 1_000_000).await;
    for key in &keys {
        soon(async {
            while rig.blobs().stat(key).await.unwrap().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

pub(super) async fn many_puts_at_once_do_not_mix(rig: &mut dyn Rig) {
    let keys: Vec<_> = (0..64).map(|_| rig.fresh("many")).collect();
    let mut tasks = JoinSet::new();
    for (seed, key) in (0..).zip(keys.clone()) {
        let blobs = rig.blobs();
        tasks.spawn(async move {
            let bytes = bytes(seed, 200_000);
            blobs.put(&key, Some(200_000), body(&bytes, 9_999)).await.unwrap();
        });
    }
    soon(tasks.join_all()).await;
    for (seed, key) in (0..).zip(&keys) {
        expect(rig, key, &bytes(seed, 200_000)).await;
    }
}

pub(super) async fn what_was_put_survives(rig: &mut dyn Rig) {
    let (key, gone) = (rig.fresh("kept"), rig.fresh("gone"));
    let bytes = put(rig, &key, 1, 123_456).await;
    let before = rig.blobs().stat(&key).await.unwrap();
    rig.blobs().put(&gone, Some(2), body(&bytes, 1_000)).await.unwrap_err();
    rig.reopen().await;
    expect(rig, &key, &bytes).await;
    assert_eq!(rig.blobs().stat(&key).await.unwrap(), before);
    expect_none(rig, &gone).await;
}
