//! Views in one SQLite file. A range of the log and its checkpoint are one transaction.
//!
//! Not synced at every commit (`synchronous=NORMAL`): what a machine loses with its power is a whole
//! number of the last transactions, and the checkpoint says which.

mod compare;
mod write;

#[cfg(test)]
#[cfg(feature = "faults")]
mod killed_tests;
#[cfg(test)]
mod tests;

pub use compare::{TableDifference, differences, reached};

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use schemas::topic::Topic;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::write::{Writer, table_name};
use super::{Checkpoint, Error, Result, View, ViewState, Views, Writes};
use crate::log::Position;
use crate::sqlite::{Bounds, Durable, Failure, Readers, Weigh, Worker, rows};
use crate::table::{Page, Scan, Table};

/// Connections that read at once.
const READERS_MAX: usize = 4;

/// Jobs that may wait; each is a transaction of its own.
const BOUNDS: Bounds = Bounds { waiting_max: 16, group_weight_max: 1 };

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Views in one file. Dropped, it does what waits and closes its file.
#[derive(Debug)]
pub struct SqliteViews {
    writer: Worker<Job>,
    readers: Arc<Readers>,
}

/// Something for the writer to do.
struct Job(Box<dyn FnOnce(&mut Writer) + Send>);

impl Weigh for Job {
    fn weight(&self) -> usize {
        1
    }
}

impl SqliteViews {
    /// Opens the views in this file, made if it is not there. Only one process may write it: the
    /// caller holds the lock of the data folder.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::open_as(path.to_owned(), Durable::Later).await
    }

    /// Opens the views in a file that is not there yet and that nobody reads while it is made:
    /// without a journal, so much faster. It counts once [`Self::finish`] has returned; after any
    /// failure the file is to be thrown away.
    pub async fn open_fresh(path: &Path) -> Result<Self> {
        let there = |error: io::Error| Error::Refused {
            reason: format!("{}: {error}", path.display()),
            retry_after: RETRY_AFTER,
        };
        File::create_new(path).map_err(there)?;
        Self::open_as(path.to_owned(), Durable::OnceClosed).await
    }

    /// Closes a file that was opened fresh; it is durable on return.
    pub async fn finish(self, path: &Path) -> Result<()> {
        self.close().await;
        let path = path.to_owned();
        let synced = tokio::task::spawn_blocking(move || {
            File::open(&path)?.sync_all()?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        });
        let synced = synced.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        synced.map_err(|error| Failure::Broken(error.to_string()).into())
    }

    async fn open_as(path: PathBuf, durable: Durable) -> Result<Self> {
        let opened = tokio::task::spawn_blocking(move || {
            let mut writer = Writer::open(&path, durable)?;
            let work = move |jobs: Vec<Job>| jobs.into_iter().for_each(|Job(job)| job(&mut writer));
            let writer = Worker::start("sluice-views", BOUNDS, work)
                .map_err(|error| Failure::Broken(format!("no thread: {error}")))?;
            Ok(Self { writer, readers: Readers::new(path, READERS_MAX) })
        });
        opened.await.unwrap_or_else(|e| Err(Failure::Broken(e.to_string()))).map_err(Error::from)
    }

    /// Takes no more writes, does what waits, and returns once the writer has closed the file.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    /// Has the writer do it.
    async fn write(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<(), Failure> + Send + 'static,
    ) -> Result<()> {
        let (tell, told) = oneshot::channel();
        let job = Job(Box::new(move |writer| _ = tell.send(write(writer))));
        let ended = || Error::Refused { reason: "it is closed".into(), retry_after: RETRY_AFTER };
        self.writer.give(job).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?.map_err(Error::from)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Full,
            Failure::NoTable(name) => Self::NoTable(name),
            Failure::BadRow(bad) => Self::BadRow(bad),
            Failure::Busy(_) | Failure::Broken(_) | Failure::Otherwise(_) => {
                Self::Refused { reason: failure.to_string(), retry_after: RETRY_AFTER }
            }
        }
    }
}

fn active(file: &Connection, view: &str) -> Result<Option<u32>, Failure> {
    let mut active = file.prepare_cached("SELECT version FROM sluice_active WHERE view = ?1")?;
    Ok(active.query_row([view], |row| row.get(0)).optional()?)
}

fn checkpoint(file: &Connection, view: View, topic: &Topic) -> Result<Option<Checkpoint>, Failure> {
    let mut select = file.prepare_cached(
        "SELECT topic_id, next, cause, cause_index, stamp_us FROM sluice_checkpoints
         WHERE view = ?1 AND version = ?2 AND topic = ?3",
    )?;
    let row = select.query_row(params![view.name, view.version, topic.name()], |row| {
        let (cause, index): (Option<i64>, Option<u32>) = (row.get(2)?, row.get(3)?);
        Ok(Checkpoint {
            topic: topic.clone(),
            position: Position {
                topic_id: Uuid::from_bytes(row.get(0)?),
                next: row.get::<_, i64>(1)?.cast_unsigned(),
            },
            pair: cause.map(i64::cast_unsigned).zip(index),
            stamp_us: row.get(4)?,
        })
    });
    Ok(row.optional()?)
}

#[async_trait]
impl Views for SqliteViews {
    async fn create(&self, view: View, tables: &[&'static Table]) -> Result<()> {
        let tables = tables.to_vec();
        self.write(move |writer| writer.create(view, &tables)).await
    }

    async fn apply(&self, view: View, writes: Writes, upto: Vec<Checkpoint>) -> Result<()> {
        self.write(move |writer| writer.apply(view, &writes, &upto)).await
    }

    async fn state(&self, view: View, topic: &Topic) -> Result<ViewState> {
        let topic = topic.clone();
        let read = self.readers.read(move |file| {
            let file = file.transaction()?;
            let active = active(&file, view.name)?;
            Ok(ViewState { active, checkpoint: checkpoint(&file, view, &topic)? })
        });
        Ok(read.await?)
    }

    async fn page(&self, view: &'static str, scan: Scan) -> Result<Page> {
        let read = self.readers.read(move |file| {
            // One transaction, so that a version is not thrown away between the two.
            let file = file.transaction()?;
            let version = active(&file, view)?.ok_or_else(|| Failure::NoTable(view.to_owned()))?;
            rows::page(&file, &table_name(scan.table, version), &scan)
        });
        Ok(read.await?)
    }

    async fn activate(&self, view: View) -> Result<()> {
        self.write(move |writer| writer.activate(view)).await
    }

    async fn discard(&self, view: View) -> Result<()> {
        self.write(move |writer| writer.discard(view)).await
    }
}
