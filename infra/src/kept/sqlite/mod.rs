//! What is kept, in one SQLite file: durable when a write returns.
//!
//! Writes that come while a commit is under way share the next one.

mod write;

#[cfg(test)]
#[cfg(feature = "faults")]
mod killed_tests;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::write::{Job, Write, Writer};
use super::{Cells, Error, Kept, Result};
use crate::sqlite::{Bounds, Failure, Readers, Worker, rows};
use crate::table::{Cell, Page, Scan, Table};

/// Connections that read at once.
const READERS_MAX: usize = 2;

/// Writes that may wait, and share a commit.
const BOUNDS: Bounds = Bounds { waiting_max: 1_024, group_weight_max: 256 };

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is kept, in one file. Dropped, it writes what waits and closes its file.
#[derive(Debug)]
pub struct SqliteKept {
    writer: Worker<Job>,
    readers: Arc<Readers>,
}

impl SqliteKept {
    /// Opens what is kept in this file, made if it is not there. Only one process may write it: the
    /// caller holds the lock of the data folder.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let mut writer = Writer::open(&path)?;
            let writer = Worker::start("sluice-kept", BOUNDS, move |jobs| writer.write(jobs))
                .map_err(|error| Failure::Broken(format!("no thread: {error}")))?;
            Ok(Self { writer, readers: Readers::new(path, READERS_MAX) })
        });
        opened.await.unwrap_or_else(|e| Err(Failure::Broken(e.to_string()))).map_err(Error::from)
    }

    /// Takes no more writes, writes what waits, and returns once the writer has closed the file.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    /// Writes; tells whether anything changed.
    async fn write(&self, write: Write) -> Result<bool> {
        let (answer, answered) = oneshot::channel();
        let ended = || Error::Refused { reason: "it is closed".into(), retry_after: RETRY_AFTER };
        self.writer.give(Job { write, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?.map_err(Error::from)
    }
}

#[async_trait]
impl Kept for SqliteKept {
    async fn create(&self, tables: &[&'static Table]) -> Result<()> {
        self.write(Write::Create(tables.to_vec())).await.map(drop)
    }

    async fn insert_new(&self, row: Cells) -> Result<bool> {
        rows::check_row(row.table, &row.cells)?;
        self.write(Write::InsertNew(row)).await
    }

    async fn put(&self, row: Cells) -> Result<()> {
        rows::check_row(row.table, &row.cells)?;
        self.write(Write::Put(row)).await.map(drop)
    }

    async fn delete(&self, table: &'static Table, key: Vec<Cell>) -> Result<()> {
        rows::check_key(table, &key)?;
        self.write(Write::Delete(table, key)).await.map(drop)
    }

    async fn page(&self, scan: Scan) -> Result<Page> {
        Ok(self.readers.read(move |file| rows::page(file, scan.table.name, &scan)).await?)
    }
}
