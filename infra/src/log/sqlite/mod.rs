//! The embedded log: one SQLite file, one thread that writes it, group commit.
//!
//! Durable when the append returns, as far as the disk keeps what it has synced
//! (`synchronous=FULL`). Appenders that come while a commit is under way share the next one, so the
//! price of a sync is shared by all that wait. Readers that keep up are fed from memory.

mod follow;
mod known;
mod recent;
mod stored;
mod tail;
mod writer;

#[cfg(test)]
#[cfg(feature = "faults")]
mod killed_tests;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rusqlite::Transaction;
use schemas::time::Wall;
use schemas::topic::{SHARDS, Topic};
use tokio::sync::{Semaphore, oneshot};

pub use follow::SqliteLogReader;

use self::known::Known;
use self::recent::Recent;
use self::tail::SqliteTail;
use self::writer::{Appending, Commit, Job, Writer};
use super::{Append, Appended, Draft, Error, Find, Group, Owned, Position, Read, Result, Tail};
use crate::clock::Clock;
use crate::sqlite::{Bounds, Durable, Failure, Readers, Worker, open_to_write};

/// Connections that read older records at once.
const READERS_MAX: usize = 4;

/// Appends that may wait; callers wait beyond that. A group of them takes some milliseconds.
const BOUNDS: Bounds = Bounds { waiting_max: 1_024, group_weight_max: 4 * 1024 * 1024 };

/// KiB of records that may wait to be written.
const WAITING_KIB_MAX: u32 = 64 * 1024;

/// When it may help to ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The bounds of an embedded log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Largest record.
    pub record_bytes_max: usize,
    /// Memory for the newest records, shared by all readers.
    pub recent_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { record_bytes_max: 900_000, recent_bytes_max: 32 * 1024 * 1024 }
    }
}

/// The embedded log. Dropped, it writes what waits and closes its file.
#[derive(Debug)]
pub struct SqliteLog {
    options: Options,
    known: Arc<Known>,
    writer: Worker<Job>,
    room: Arc<Semaphore>,
}

impl SqliteLog {
    /// Opens the log in this file, made if it is not there. Only one process may write a log: the
    /// caller holds the lock of the data folder.
    pub async fn open(path: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(
            path,
            options,
            clock,
            Box::new(|transaction: Transaction<'_>| transaction.commit()),
        )
        .await
    }

    async fn open_with(
        path: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
        commit: Commit,
    ) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let connection = open_to_write(&path, Durable::AtCommit)?;
            stored::make(&connection)?;
            let topics = stored::topics(&connection)?;
            let last_at = topics.iter().map(|topic| topic.last_at).max().unwrap_or_default();
            clock.raise(Wall::from_millis(last_at.millis()));
            let readers = Readers::new(path.clone(), READERS_MAX);
            let known = Known::new(topics, Recent::new(options.recent_bytes_max), readers);
            let connection = Some(connection);
            let mut writer =
                Writer { path, clock, known: Arc::clone(&known), connection, last_at, commit };
            let writer = Worker::start("sluice-log", BOUNDS, move |jobs| writer.write(jobs))
                .map_err(|error| Failure::Broken(format!("no thread: {error}")))?;
            let room = Arc::new(Semaphore::new(WAITING_KIB_MAX as usize));
            Ok(Self { options, known, writer, room })
        });
        let opened = opened.await.unwrap_or_else(|e| Err(Failure::Broken(e.to_string())));
        opened.map_err(|failure| refused(&failure))
    }

    /// Takes no more appends, writes what waits, and returns once the file is closed.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    async fn ask<T>(&self, job: Job, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        if self.writer.give(job).await.is_err() {
            return Err(Error::Refused { reason: "it is closed".into(), retry_after: RETRY_AFTER });
        }
        answer.await.unwrap_or_else(|_| Err(Error::Unknown("its writer ended".into())))
    }
}

fn refused(failure: &Failure) -> Error {
    Error::Refused { reason: failure.to_string(), retry_after: RETRY_AFTER }
}

#[async_trait]
impl Append for SqliteLog {
    async fn append(&self, to: &Topic, drafts: Vec<Draft>) -> Result<Appended> {
        let topic = self.known.topic(to).ok_or_else(|| Error::NoTopic(to.clone()))?;
        let sizes = || drafts.iter().map(|draft| draft.value.len());
        if let Some(size) = sizes().find(|size| *size > self.options.record_bytes_max) {
            return Err(Error::TooLarge(size));
        }
        if drafts.is_empty() {
            let reason = "there is nothing to append".to_owned();
            return Err(Error::Refused { reason, retry_after: RETRY_AFTER });
        }
        let kib = u32::try_from(sizes().sum::<usize>().div_ceil(1_024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib.clamp(1, WAITING_KIB_MAX)).await;
        let room = room.map_err(|_| Error::Unknown("never closed".into()))?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Append(Appending { to: topic, drafts, answer, room });
        self.ask(job, answered).await
    }

    async fn ensure(&self, topic: &Topic) -> Result<()> {
        if self.known.topic(topic).is_some() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Job::Ensure(topic.clone(), answer), answered).await
    }
}

#[async_trait]
impl Read for SqliteLog {
    async fn find(&self, topic: &Topic, at: Find) -> Result<Position> {
        if self.known.uncertain() {
            let (answer, answered) = oneshot::channel();
            self.ask(Job::Look(answer), answered).await?;
        }
        self.known.find(topic, at).await
    }

    async fn tail(&self, ahead_bytes_max: usize) -> Result<Box<dyn Tail>> {
        Ok(Box::new(SqliteTail::new(Arc::clone(&self.known), None, ahead_bytes_max)))
    }

    /// One process owns the file, so it owns every shard.
    async fn own(&self, _: Group) -> Result<BoxStream<'static, Result<Owned>>> {
        let all = stream::iter((0..SHARDS).map(|shard| Ok(Owned::Gained(shard))));
        Ok(all.chain(stream::pending()).boxed())
    }
}
