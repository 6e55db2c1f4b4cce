//! Doors that can be told to fail, and count.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use infra::blobs::{self, Blobs, Body, Folder, Multipart, Part, Stale, Stat, Verb};
use infra::known::{Known, KnownDelivery, KnownPart, KnownResult, KnownUpload};
use infra::log::{self, Append, Appended, Draft, SqliteLog};
use infra::views;
use schemas::digest::Digest;
use schemas::event::Sent;
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId, ResultId, UploadId};
use schemas::name::{ObjectKey, PoolName};
use schemas::time::{EffectiveAt, LogTime, Wall, Window};
use schemas::topic::{Offset, Topic};

/// What a door does instead of what it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// As asked.
    #[default]
    Well,
    /// It refuses, and does nothing.
    Refuses,
    /// It does as asked and says that it does not know.
    Forgets,
    /// It does nothing and says that it does not know.
    Loses,
    /// It has no room.
    Full,
}

const WHY: &str = "in a mood";
const AGAIN: Duration = Duration::from_secs(7);

/// Blobs in a folder, watched.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Folder,
    mood: Mutex<Mood>,
    /// Puts that were begun.
    pub(super) puts: AtomicUsize,
    /// Takes bodies in and forgets them, but for their length.
    pub(super) sink: Option<Sink>,
}

/// What went down a sink.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) bytes: AtomicUsize,
    pub(super) largest_piece: AtomicUsize,
}

impl Watched {
    pub(super) fn new(inner: Folder, sink: Option<Sink>) -> Arc<Self> {
        let (mood, puts) = (Mutex::default(), AtomicUsize::new(0));
        Arc::new(Self { inner, mood, puts, sink })
    }

    pub(super) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Keys of the objects there are.
    pub(super) async fn objects(&self) -> Vec<ObjectKey> {
        let all = self.inner.stale(Wall::from_millis(i64::MAX)).await.unwrap();
        let key = |stale| match stale {
            Stale::Object { key, .. } => key,
            Stale::Multipart { .. } => panic!("nothing is put in parts"),
        };
        all.map_ok(key).try_collect().await.unwrap()
    }

    pub(super) async fn read(&self, key: &ObjectKey) -> Vec<u8> {
        let body = self.inner.get(key, 0..u64::MAX).await.unwrap();
        body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }
}

#[async_trait]
impl Blobs for Watched {
    async fn put(&self, key: &ObjectKey, size: Option<u64>, mut body: Body) -> blobs::Result<()> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        if let Some(sink) = &self.sink {
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(blobs::Error::Body)?;
                sink.bytes.fetch_add(piece.len(), Ordering::Relaxed);
                sink.largest_piece.fetch_max(piece.len(), Ordering::Relaxed);
            }
            return Ok(());
        }
        let mood = *self.mood.lock().unwrap();
        let unknown = Err(blobs::Error::Unknown(WHY.into()));
        match mood {
            Mood::Well => self.inner.put(key, size, body).await,
            Mood::Forgets => self.inner.put(key, size, body).await.and(unknown),
            Mood::Loses => unknown,
            Mood::Refuses => Err(blobs::Error::Refused { reason: WHY.into(), retry_after: AGAIN }),
            Mood::Full => Err(blobs::Error::Full),
        }
    }

    async fn begin(&self, _: &ObjectKey) -> blobs::Result<Multipart> {
        panic!("nothing is put in parts")
    }

    async fn part(&self, _: &Multipart, _: u16, _: Vec<Bytes>) -> blobs::Result<Part> {
        panic!("nothing is put in parts")
    }

    async fn finish(&self, _: &Multipart, _: &[Part]) -> blobs::Result<()> {
        panic!("nothing is put in parts")
    }

    async fn get(&self, key: &ObjectKey, range: Range<u64>) -> blobs::Result<Body> {
        self.inner.get(key, range).await
    }

    async fn stat(&self, key: &ObjectKey) -> blobs::Result<Option<Stat>> {
        self.inner.stat(key).await
    }

    async fn stale(&self, before: Wall) -> blobs::Result<BoxStream<'static, blobs::Result<Stale>>> {
        self.inner.stale(before).await
    }

    async fn remove(&self, stale: Stale) -> blobs::Result<()> {
        self.inner.remove(stale).await
    }

    fn presign(&self, _: &ObjectKey, _: Verb, _: Duration) -> Option<String> {
        None
    }
}

/// The writing half of a log, in a mood about one kind of topic.
#[derive(Debug)]
pub(super) struct Moody {
    inner: Arc<SqliteLog>,
    mood: Mutex<(Mood, &'static str)>,
}

impl Moody {
    pub(super) fn new(inner: Arc<SqliteLog>) -> Arc<Self> {
        Arc::new(Self { inner, mood: Mutex::new((Mood::Well, "")) })
    }

    /// In this mood about topics whose names end so.
    pub(super) fn mood(&self, mood: Mood, about: &'static str) {
        *self.mood.lock().unwrap() = (mood, about);
    }
}

#[async_trait]
impl Append for Moody {
    async fn append(&self, to: &Topic, drafts: Vec<Draft>) -> log::Result<Appended> {
        let (mood, about) = *self.mood.lock().unwrap();
        let mood = if to.name().ends_with(about) { mood } else { Mood::Well };
        let unknown = Err(log::Error::Unknown(WHY.into()));
        match mood {
            Mood::Well => self.inner.append(to, drafts).await,
            Mood::Forgets => self.inner.append(to, drafts).await.and(unknown),
            Mood::Loses => unknown,
            Mood::Refuses | Mood::Full => {
                Err(log::Error::Refused { reason: WHY.into(), retry_after: AGAIN })
            }
        }
    }

    async fn ensure(&self, topic: &Topic) -> log::Result<()> {
        self.inner.ensure(topic).await
    }
}

/// What the tables know, as the tests tell them.
#[derive(Debug, Default)]
pub(super) struct Tables(Mutex<Rows>);

#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Whether they cannot be asked.
    pub(super) away: bool,
    pub(super) uploads: HashMap<UploadId, FileRef>,
    /// Where their events are.
    pub(super) offsets: HashMap<UploadId, Offset>,
    pub(super) parts: HashMap<Window, KnownPart>,
    pub(super) results: HashMap<ResultId, (Offset, Digest)>,
    pub(super) acknowledged: HashMap<(ResultId, AccountId), KnownDelivery>,
    /// The redelivery that asks for every result.
    pub(super) again: Option<Offset>,
    pub(super) claimable: bool,
    /// Files that wait for a verdict.
    pub(super) inspecting: Vec<FileRef>,
    /// What the pool and whoever asks hold.
    pub(super) held: Sent,
    /// Whether they have what follows from every event.
    pub(super) caught_up: bool,
    /// How often uploads were looked up.
    pub(super) looks: usize,
}

impl Rows {
    fn result(&self, result: ResultId) -> Option<KnownResult> {
        let (seq, sha256) = *self.results.get(&result)?;
        let (batch, revision) = (BatchId::from_bits(1), 1);
        Some(KnownResult { batch, revision, seq, sha256, at: LogTime::from_millis(super::NOW) })
    }
}

impl Tables {
    pub(super) fn tell(&self, tell: impl FnOnce(&mut Rows)) {
        tell(&mut self.0.lock().unwrap());
    }

    fn ask<T>(&self, ask: impl FnOnce(&mut Rows) -> T) -> views::Result<T> {
        let mut rows = self.0.lock().unwrap();
        if rows.away {
            return Err(views::Error::Refused { reason: WHY.into(), retry_after: AGAIN });
        }
        Ok(ask(&mut rows))
    }

    pub(super) fn looks(&self) -> usize {
        self.0.lock().unwrap().looks
    }
}

#[async_trait]
impl Known for Tables {
    async fn upload(&self, _: &PoolName, upload: UploadId) -> views::Result<Option<KnownUpload>> {
        self.ask(|rows| {
            rows.looks += 1;
            let file = rows.uploads.get(&upload).cloned()?;
            Some(KnownUpload { file, offset: rows.offsets.get(&upload).copied() })
        })
    }

    async fn inspecting(
        &self,
        _: &PoolName,
        _: Offset,
        files_max: usize,
    ) -> views::Result<Option<Vec<FileRef>>> {
        self.ask(|rows| Some(rows.inspecting.iter().take(files_max).cloned().collect()))
    }

    async fn held(&self, _: &PoolName, _: AccountId) -> views::Result<Sent> {
        self.ask(|rows| rows.held)
    }

    async fn has(&self, _: &PoolName, _: Offset) -> bool {
        self.ask(|rows| rows.caught_up).unwrap_or(false)
    }

    async fn part(&self, _: &PoolName, window: &Window) -> views::Result<Option<KnownPart>> {
        self.ask(|rows| rows.parts.get(window).copied())
    }

    async fn result(
        &self,
        _: &PoolName,
        result: ResultId,
        _: AccountId,
    ) -> views::Result<Option<KnownResult>> {
        self.ask(|rows| rows.result(result))
    }

    async fn published(
        &self,
        _: &PoolName,
        result: ResultId,
        _: Offset,
    ) -> views::Result<Option<KnownResult>> {
        self.ask(|rows| rows.result(result))
    }

    async fn acknowledged(
        &self,
        result: ResultId,
        member: AccountId,
    ) -> views::Result<Option<KnownDelivery>> {
        self.ask(|rows| rows.acknowledged.get(&(result, member)).copied())
    }

    async fn asked_again(
        &self,
        _: &PoolName,
        _: &KnownResult,
        _: AccountId,
    ) -> views::Result<Option<Offset>> {
        self.ask(|rows| rows.again)
    }

    async fn range(
        &self,
        _: &PoolName,
        _: (EffectiveAt, EffectiveAt),
        _: Offset,
        _: usize,
    ) -> views::Result<Option<Vec<FileRef>>> {
        self.ask(|_| Some(Vec::new()))
    }

    async fn claimable(&self, _: &PoolName, _: Offset) -> views::Result<bool> {
        self.ask(|rows| rows.claimable)
    }
}
