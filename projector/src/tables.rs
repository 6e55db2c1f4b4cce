//! Rows of the tables, typed.

use std::sync::Arc;

use infra::table::{Cell, Row, Scan, Table};
use infra::views::{Error, Result, Views};

use crate::cursor::Cursor;
use crate::project;

/// Reads the tables.
#[derive(Clone, Debug)]
pub struct Tables {
    views: Arc<dyn Views>,
}

/// Rows of a list, and where it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) next: Option<Cursor>,
}

/// The view a table belongs to.
fn view_of(table: &'static Table) -> Result<&'static str> {
    let owner = project::ALL.iter().find(|projection| projection.tables.contains(&table));
    owner.map(|owner| owner.view.name).ok_or_else(|| Error::NoTable(table.name.into()))
}

impl Tables {
    /// The tables behind this door.
    pub fn new(views: Arc<dyn Views>) -> Self {
        Self { views }
    }

    /// The row with this whole key.
    pub(crate) async fn one<R: Row>(
        &self,
        key: impl IntoIterator<Item = Cell>,
    ) -> Result<Option<R>> {
        let page = self.views.page(view_of(R::TABLE)?, Scan::of::<R>(key).limit(1)).await?;
        Ok(page.rows()?.pop())
    }

    /// The first rows whose key begins so, in order, after a row; and whether there are more.
    pub(crate) async fn some<R: Row>(
        &self,
        key: impl IntoIterator<Item = Cell>,
        after: Option<Vec<Cell>>,
        limit: usize,
    ) -> Result<(Vec<R>, bool)> {
        let scan = Scan::of::<R>(key).after(after).limit(limit);
        let page = self.views.page(view_of(R::TABLE)?, scan).await?;
        let more = page.more;
        Ok((page.rows()?, more))
    }

    /// Rows of a list whose partitions are buckets (weeks or blocks), in the order of `buckets`.
    /// A cursor is the bucket and the clustering columns of the last row given.
    pub(crate) async fn listed<R: Row>(
        &self,
        buckets: &[i64],
        key: impl Fn(i64) -> Vec<Cell>,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Listed<R>> {
        let view = view_of(R::TABLE)?;
        let width = R::TABLE.columns.len();
        let mut cells: Vec<Cell> = Vec::new();
        let mut after = None;
        let mut from = 0;
        if let Some(cursor) = cursor {
            from = buckets.iter().position(|b| *b == cursor.bucket).unwrap_or(buckets.len());
            after = Some(cursor.after);
        }
        let mut next = None;
        for bucket in buckets.iter().skip(from) {
            let left = limit - cells.len() / width;
            let scan = Scan::of::<R>(key(*bucket)).after(after.take()).limit(left);
            let page = self.views.page(view, scan).await?;
            let more = page.more;
            cells.extend(page.cells);
            if more || cells.len() / width >= limit {
                next = last_of::<R>(&cells).map(|after| Cursor { bucket: *bucket, after });
                break;
            }
        }
        let page = infra::table::Page { cells, more: next.is_some() };
        Ok(Listed { rows: page.rows()?, next })
    }
}

/// The clustering columns of the last row.
fn last_of<R: Row>(cells: &[Cell]) -> Option<Vec<Cell>> {
    let row = cells.rchunks_exact(R::TABLE.columns.len()).next()?;
    row.get(R::TABLE.partition..R::TABLE.key_len()).map(<[Cell]>::to_vec)
}
