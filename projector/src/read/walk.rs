//! Long lists by the hour, newest first, of which a request may want few: each request looks at a
//! bounded number of rows, and says where the next one goes on.

use infra::table::{Cell, Row};
use infra::views::Result;
use schemas::limit::Limits;
use schemas::time::LogTime;
use uuid::Uuid;

use crate::Tables;
use crate::cursor::Cursor;
use crate::project::{
    AuditHourRow, AuditRow, ClientFileHourRow, ClientFileRow, PlacedFileRow, PlacedHourRow,
    PoolAuditHourRow, PoolAuditRow, hour_of,
};

/// Hours that one request looks at.
const HOURS_MAX: usize = 2_000;
/// Rows read at once.
const CHUNK_ROWS: usize = 200;

/// A row of a table whose partition key ends with an hour, and which is sorted by time and id.
pub(super) trait ByHour: Row {
    /// A row of the table that lists the hours: its partition key is this one's without the hour.
    type Index: Row;
    /// The hour listed.
    fn hour(index: &Self::Index) -> i64;
    /// Where the row stands in its hour.
    fn place(&self) -> (LogTime, Uuid);
}

macro_rules! by_hour {
    ($($row:ident $index:ident $id:ident;)*) => {$(
        impl ByHour for $row {
            type Index = $index;
            fn hour(index: &$index) -> i64 {
                index.hour
            }
            fn place(&self) -> (LogTime, Uuid) {
                (self.at, self.$id.uuid())
            }
        }
    )*};
}

by_hour! {
    AuditRow AuditHourRow id;
    PoolAuditRow PoolAuditHourRow id;
    PlacedFileRow PlacedHourRow upload;
    ClientFileRow ClientFileHourRow upload;
}

/// Which part of such a list is asked for.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// What the partition keys begin with.
    pub(super) key: Vec<Cell>,
    /// Rows of this moment and later.
    pub(super) from: Option<LogTime>,
    /// Rows before this moment.
    pub(super) to: Option<LogTime>,
    /// Where the request before ended.
    pub(super) cursor: Option<Cursor>,
    /// Rows wanted.
    pub(super) limit: usize,
}

/// On its way through such a list.
pub(super) struct Walker<'a, R, V> {
    tables: &'a Tables,
    walk: Walk,
    hours: Vec<i64>,
    /// The hour after those, which is the next request's.
    more: Option<i64>,
    next: Option<Cursor>,
    looks_left: usize,
    /// The rows that are being looked at.
    places: Vec<(LogTime, Uuid)>,
    is_done: bool,
    /// What was found.
    pub(super) items: Vec<V>,
    rows: std::marker::PhantomData<fn() -> R>,
}

/// The place of a row; of the greatest id, one above all rows of a later moment.
fn place(at: LogTime, id: Uuid) -> Cursor {
    Cursor { bucket: hour_of(at), after: vec![Cell::Time(at.millis()), Cell::Id(id)] }
}

/// The place above all rows of an hour.
fn top(hour: i64) -> Cursor {
    Cursor { bucket: hour, after: vec![Cell::Time(i64::MAX), Cell::Id(Uuid::nil())] }
}

impl<'a, R: ByHour, V> Walker<'a, R, V> {
    /// Finds the hours to look at.
    pub(super) async fn new(tables: &'a Tables, limits: &Limits, walk: Walk) -> Result<Self> {
        let begin = match (&walk.cursor, walk.to) {
            (Some(cursor), _) => Some(cursor.clone()),
            // A row of that very moment is not before it.
            (None, to) => to.map(|to| place(to, Uuid::max())),
        };
        let after = begin.as_ref().map(|begin| vec![Cell::Int(begin.bucket.saturating_add(1))]);
        let (rows, _) =
            tables.some::<R::Index>(walk.key.clone(), after, HOURS_MAX.saturating_add(1)).await?;
        let last = walk.from.map_or(i64::MIN, hour_of);
        let mut hours: Vec<i64> = rows.iter().map(R::hour).filter(|it| *it >= last).collect();
        let more = hours.get(HOURS_MAX).copied();
        hours.truncate(HOURS_MAX);
        let next = begin.filter(|begin| hours.first() == Some(&begin.bucket));
        let looks_left = usize::try_from(limits.walk_rows_max).unwrap_or(usize::MAX).max(1);
        let (items, places, rows) = (Vec::new(), Vec::new(), std::marker::PhantomData);
        Ok(Self {
            tables,
            walk,
            hours,
            more,
            next,
            looks_left,
            places,
            is_done: false,
            items,
            rows,
        })
    }

    /// The next rows to look at; none when enough was found, or enough was looked at. What was
    /// found is then to be [taken](Self::take).
    pub(super) async fn look(&mut self) -> Result<Option<Vec<R>>> {
        if self.is_done {
            return Ok(None);
        }
        let chunk = self.walk.limit.clamp(1, CHUNK_ROWS).min(self.looks_left);
        let key = |hour: i64| [&self.walk.key[..], &[Cell::Int(hour)]].concat();
        let listed = self.tables.listed::<R>(&self.hours, key, self.next.take(), chunk).await?;
        let mut rows = listed.rows;
        let old = |row: &R| self.walk.from.is_some_and(|from| row.place().0 < from);
        if rows.last().is_some_and(old) {
            rows.retain(|row| !old(row));
            self.is_done = true;
        } else {
            self.next = listed.next;
            if self.next.is_none() {
                self.next = self.more.map(top);
                self.is_done = true;
            }
        }
        self.looks_left -= rows.len().min(self.looks_left);
        self.is_done |= self.looks_left == 0;
        self.places = rows.iter().map(R::place).collect();
        Ok(Some(rows))
    }

    /// Takes what was found for each of the rows that were looked at, until there is enough.
    pub(super) fn take(&mut self, found: impl IntoIterator<Item = Option<V>>) {
        for (found, (at, id)) in found.into_iter().zip(std::mem::take(&mut self.places)) {
            self.items.extend(found);
            if self.items.len() >= self.walk.limit {
                self.next = Some(place(at, id));
                self.is_done = true;
                return;
            }
        }
    }

    /// What was found, and where it goes on.
    pub(super) fn end(self) -> (Vec<V>, Option<String>) {
        (self.items, self.next.map(|cursor| cursor.to_string()))
    }
}
