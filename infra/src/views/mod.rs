//! Door: views. Tables that can be thrown away and rebuilt from the log.
//!
//! What every back end promises, and [`suite`] checks:
//! * Writes are upserts stamped with the log's clock; an older stamp never overwrites a newer one,
//!   so any range of the log may be applied again.
//! * The checkpoint is never ahead of its rows.
//! * A view is a name and a version: a rebuild fills a new version beside the one being read.

#[cfg(any(test, feature = "suites"))]
mod faulty;
mod sqlite;
#[cfg(any(test, doc, feature = "suites"))]
pub mod suite;

pub use sqlite::{SqliteViews, TableDifference, differences, reached};

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use schemas::topic::{Offset, Topic};

use crate::log::Position;
use crate::table::{Cell, Page, Row, Scan, Table};

/// Why the store did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, or is overloaded; asking again later may help.
    #[error("the tables cannot be reached: {reason}")]
    Refused {
        /// What stood in the way.
        reason: String,
        /// When asking again may help.
        retry_after: Duration,
    },
    /// There is no such view or table: `create` it first.
    #[error("no table {0}")]
    NoTable(String),
    /// A row is not as declared.
    #[error(transparent)]
    BadRow(#[from] crate::table::BadRow),
    /// There is no room.
    #[error("no room left")]
    Full,
}

impl Error {
    /// Whether the same call may succeed later. Every call of this door may be repeated.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Full)
    }
}

/// What the door answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One version of one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// Its name: `[a-z_]`.
    pub name: &'static str,
    /// Counted from 1.
    pub version: u32,
}

/// How far a view has got in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The topic.
    pub topic: Topic,
    /// Where to read on.
    pub position: Position,
    /// The greatest (cause, index) applied, for topics of derived records.
    pub pair: Option<(Offset, u32)>,
    /// The last stamp given, in microseconds of the log's clock.
    pub stamp_us: i64,
}

/// What is known of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewState {
    /// The version being read; `None` when there is none yet.
    pub active: Option<u32>,
    /// How far the version asked for has got in the topic asked for.
    pub checkpoint: Option<Checkpoint>,
}

/// What is done to one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// The table.
    pub table: &'static Table,
    /// Microseconds of the log's clock.
    pub stamp_us: i64,
    /// Where its cells end in [`Writes::cells`]; they begin where the last op's end.
    pub cells_end: usize,
    /// Whether the row is deleted: then the cells are its key only.
    pub delete: bool,
}

/// Many writes, flat: no allocation per row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// The cells of all ops.
    pub cells: Vec<Cell>,
    /// The ops, in order.
    pub ops: Vec<Op>,
}

impl Writes {
    /// Adds or replaces a row.
    pub fn upsert<R: Row>(&mut self, row: R, stamp_us: i64) {
        row.put(&mut self.cells);
        let cells_end = self.cells.len();
        self.ops.push(Op { table: R::TABLE, stamp_us, cells_end, delete: false });
    }

    /// Deletes the row with this key.
    pub fn delete<R: Row>(&mut self, key: impl IntoIterator<Item = Cell>, stamp_us: i64) {
        self.cells.extend(key);
        let cells_end = self.cells.len();
        self.ops.push(Op { table: R::TABLE, stamp_us, cells_end, delete: true });
    }

    /// Each op with its cells.
    pub fn iter(&self) -> impl Iterator<Item = (&Op, &[Cell])> {
        let mut start = 0;
        self.ops.iter().map(move |op| {
            let cells = self.cells.get(start..op.cells_end).unwrap_or_default();
            start = op.cells_end;
            (op, cells)
        })
    }
}

/// The tables.
#[async_trait]
pub trait Views: Debug + Send + Sync {
    /// Makes the tables of this version of a view, unless they are there.
    async fn create(&self, view: View, tables: &[&'static Table]) -> Result<()>;

    /// Applies the writes in order, then the checkpoints, one per topic they came from. MAY be
    /// repeated from any earlier checkpoint: a write with a stamp older than its row's does nothing.
    /// A deleted row may have no stamp any more: a repeat that goes back before its delete must go on
    /// past it.
    async fn apply(&self, view: View, writes: Writes, upto: Vec<Checkpoint>) -> Result<()>;

    /// What is known of a view: which version is read, and how far this version has got.
    async fn state(&self, view: View, topic: &Topic) -> Result<ViewState>;

    /// Reads rows of the version being read.
    async fn page(&self, view: &'static str, scan: Scan) -> Result<Page>;

    /// From now on this version is read.
    async fn activate(&self, view: View) -> Result<()>;

    /// Throws a version away that is not being read.
    async fn discard(&self, view: View) -> Result<()>;
}
