//! The duties of the blobs door as a suite: every back end runs it, and panics where it fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "a suite is a test that other crates can run; its files share one set of tools"
)]

mod finding;
mod parting;
mod putting;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use schemas::name::ObjectKey;

use super::{Blobs, Body, Error, Multipart, Part, Stale};

/// A back end under test.
#[async_trait]
pub trait Rig: Send {
    /// The store.
    fn blobs(&self) -> Arc<dyn Blobs>;

    /// A key no object has had, with `what` in it.
    fn fresh(&mut self, what: &str) -> ObjectKey;

    /// Ends it and begins anew on the same data, as after a restart.
    async fn reopen(&mut self);
}

/// Checks every duty. It takes some seconds and about 100 MB; no duty depends on another.
pub async fn run(rig: &mut dyn Rig) {
    putting::what_was_put_is_read_back(rig).await;
    putting::a_body_of_another_length_leaves_nothing(rig).await;
    putting::a_put_that_is_dropped_leaves_nothing(rig).await;
    putting::many_puts_at_once_do_not_mix(rig).await;
    putting::what_was_put_survives(rig).await;
    finding::ranges_are_cut_to_the_object(rig).await;
    finding::what_is_old_is_told_and_can_be_removed(rig).await;
    parting::parts_make_an_object(rig).await;
    parting::parts_survive_and_may_be_repeated(rig).await;
    parting::what_is_not_whole_is_not_made(rig).await;
}

/// So long may anything take. Only a failure waits for it.
const SOON: Duration = Duration::from_mins(2);

/// What comes of it, soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it takes too long")
}

/// Bytes that differ from those of another seed everywhere, and from place to place.
fn bytes(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = BytesMut::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.freeze()
}

/// A body of these bytes, in pieces.
fn body(bytes: &Bytes, piece: usize) -> Body {
    let bytes = bytes.clone();
    let starts = (0..bytes.len()).step_by(piece);
    let pieces = starts.map(move |at| Ok(bytes.slice(at..bytes.len().min(at + piece))));
    stream::iter(pieces.collect::<Vec<_>>()).boxed()
}

/// Puts an object of `len` bytes, of this seed.
async fn put(rig: &dyn Rig, key: &ObjectKey, seed: u64, len: usize) -> Bytes {
    let bytes = bytes(seed, len);
    let body = body(&bytes, 10_000);
    soon(rig.blobs().put(key, Some(len as u64), body)).await.unwrap();
    bytes
}

async fn get(rig: &dyn Rig, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, Error> {
    let pieces: Vec<Bytes> =
        soon(soon(rig.blobs().get(key, range)).await?.try_collect()).await.unwrap();
    assert!(pieces.iter().all(|piece| piece.len() <= 1 << 20), "streamed, not read whole");
    Ok(pieces.concat().into())
}

/// Checks that the object is there and has these bytes.
async fn expect(rig: &dyn Rig, key: &ObjectKey, bytes: &Bytes) {
    let stat = soon(rig.blobs().stat(key)).await.unwrap().expect("it is there");
    assert_eq!(stat.size_bytes, bytes.len() as u64);
    assert!(get(rig, key, 0..u64::MAX).await.unwrap() == *bytes, "{key} has other bytes");
}

/// Checks that there is no such object.
async fn expect_none(rig: &dyn Rig, key: &ObjectKey) {
    assert_eq!(soon(rig.blobs().stat(key)).await.unwrap(), None, "{key}");
    assert!(matches!(get(rig, key, 0..10).await, Err(Error::Absent)), "{key}");
}

/// All that is stale, of the keys that this run made.
async fn stale(rig: &dyn Rig, before: schemas::time::Wall, keys: &[&ObjectKey]) -> Vec<Stale> {
    let all: Vec<Stale> =
        soon(rig.blobs().stale(before).await.unwrap().try_collect()).await.unwrap();
    let key = |stale: &Stale| match stale {
        Stale::Object { key, .. } => key.clone(),
        Stale::Multipart { upload, .. } => upload.key.clone(),
    };
    all.into_iter().filter(|stale| keys.contains(&&key(stale))).collect()
}
