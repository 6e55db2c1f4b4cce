//! Blobs that fail as planned.

use std::io;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use schemas::name::ObjectKey;
use schemas::time::Wall;

use super::{Blobs, Body, Error, Multipart, Part, Result, Stale, Stat, Verb};
use crate::faulty::{Fate, Fault, Faulty, REASON};

impl Fault for Error {
    fn refused() -> Self {
        Self::Refused { reason: REASON.to_owned(), retry_after: Duration::ZERO }
    }

    fn unknown() -> Self {
        Self::Unknown(REASON.to_owned())
    }
}

#[async_trait]
impl Blobs for Faulty<dyn Blobs> {
    async fn put(&self, key: &ObjectKey, size_bytes: Option<u64>, body: Body) -> Result<()> {
        self.faults.write(self.inner.put(key, size_bytes, body)).await
    }

    async fn begin(&self, key: &ObjectKey) -> Result<Multipart> {
        self.faults.write(self.inner.begin(key)).await
    }

    async fn part(&self, of: &Multipart, number: u16, bytes: Vec<Bytes>) -> Result<Part> {
        self.faults.write(self.inner.part(of, number, bytes)).await
    }

    async fn finish(&self, of: &Multipart, parts: &[Part]) -> Result<()> {
        self.faults.write(self.inner.finish(of, parts)).await
    }

    /// One whose outcome is not told breaks off after its first piece.
    async fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Body> {
        match self.faults.fate().await {
            Fate::Made => self.inner.get(key, range).await,
            Fate::Refused => Err(Error::refused()),
            Fate::MadeUnknown | Fate::NotMadeUnknown => {
                let body = self.inner.get(key, range).await?;
                let broken = stream::once(async { Err(io::Error::other(REASON)) });
                Ok(body.take(1).chain(broken).boxed())
            }
        }
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>> {
        self.faults.read(self.inner.stat(key)).await
    }

    async fn stale(&self, before: Wall) -> Result<BoxStream<'static, Result<Stale>>> {
        self.faults.read(self.inner.stale(before)).await
    }

    async fn remove(&self, stale: Stale) -> Result<()> {
        self.faults.write(self.inner.remove(stale)).await
    }

    fn presign(&self, key: &ObjectKey, verb: Verb, ttl: Duration) -> Option<String> {
        self.inner.presign(key, verb, ttl)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::TryStreamExt;

    use super::*;
    use crate::blobs::Folder;
    use crate::faulty::Plan;

    fn body() -> Body {
        let pieces = [Ok(Bytes::from(vec![b'x'; 50_000])), Ok(Bytes::from(vec![b'y'; 50_000]))];
        stream::iter(pieces).boxed()
    }

    #[tokio::test]
    async fn what_is_told_is_true_and_the_unknown_may_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let inner = Arc::new(Folder::open(folder.path()).await.unwrap());
        let plan = Plan { seed: 1, refused_percent: 20, unknown_percent: 40, ..Plan::default() };
        let blobs = Faulty::<dyn Blobs>::new(inner.clone(), plan);
        let mut unknown = [0, 0];
        for n in 0..100 {
            let key: ObjectKey = format!("k/{n}").parse().unwrap();
            let told = blobs.put(&key, Some(100_000), body()).await;
            let there = inner.stat(&key).await.unwrap().is_some();
            match told {
                Ok(()) => assert!(there),
                Err(Error::Refused { .. }) => assert!(!there),
                Err(Error::Unknown(_)) => unknown[usize::from(there)] += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(unknown[0] > 5 && unknown[1] > 5, "{unknown:?}");
        // A read is refused, breaks off, or is whole.
        let key = "k/whole".parse().unwrap();
        inner.put(&key, None, body()).await.unwrap();
        let mut seen = [0; 3];
        for _ in 0..100 {
            let Ok(body) = blobs.get(&key, 0..u64::MAX).await else {
                seen[0] += 1;
                continue;
            };
            match body.try_collect::<Vec<_>>().await {
                Err(_) => seen[1] += 1,
                Ok(pieces) => {
                    assert_eq!(pieces.concat().len(), 100_000);
                    seen[2] += 1;
                }
            }
        }
        assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
    }
}
