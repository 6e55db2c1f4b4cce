//! Door: kept. The little that cannot be rebuilt from the log: accounts and credentials, upload
//! sessions, idempotency answers, quota reservations.
//!
//! Small, backed up, in a file or keyspace of its own. A write that returned is durable.

#[cfg(any(test, feature = "suites"))]
mod faulty;
mod sqlite;
#[cfg(any(test, doc, feature = "suites"))]
pub mod suite;

pub use sqlite::SqliteKept;

use std::fmt::Debug;

use async_trait::async_trait;

pub use crate::views::{Error, Result};

use crate::table::{Cell, Page, Row, Scan, Table};

/// One row with its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    /// The table.
    pub table: &'static Table,
    /// Its cells, in the table's order.
    pub cells: Vec<Cell>,
}

impl Cells {
    /// The cells of a row.
    pub fn of<R: Row>(row: R) -> Self {
        let mut cells = Vec::with_capacity(R::TABLE.columns.len());
        row.put(&mut cells);
        Self { table: R::TABLE, cells }
    }
}

/// What is kept.
#[async_trait]
pub trait Kept: Debug + Send + Sync {
    /// Makes the tables, unless they are there.
    async fn create(&self, tables: &[&'static Table]) -> Result<()>;

    /// Puts a row unless one with its key is there; tells whether it did. The only conditional
    /// write there is: for the unique user name. After an error the row may be there: whoever
    /// repeats it and is told false looks whose it is.
    async fn insert_new(&self, row: Cells) -> Result<bool>;

    /// Puts or replaces a row.
    async fn put(&self, row: Cells) -> Result<()>;

    /// Deletes the row with this key; nothing happens when it is gone already.
    async fn delete(&self, table: &'static Table, key: Vec<Cell>) -> Result<()>;

    /// Reads rows.
    async fn page(&self, scan: Scan) -> Result<Page>;
}
