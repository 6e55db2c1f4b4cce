//! The file: which tables it has, how records are numbered in them, how they are read back.
//!
//! A record's id is its topic's number and its offset in one integer, so that a topic's records lie
//! beside each other and a read is one seek and a walk. Anyone can look at it with `sqlite3`:
//! `SELECT id & 0xffffffffff AS offset, at, value FROM records WHERE id >> 40 = 1`.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use schemas::time::LogTime;
use schemas::topic::{Cleanup, Offset, Topic};
use uuid::Uuid;

use crate::log::Record;
use crate::sqlite::Failure;

const OFFSET_BITS: u32 = 40;

/// Topics there can be; they are numbered from 1.
const TOPICS_MAX: i64 = (1 << (63 - OFFSET_BITS)) - 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS topics (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, id BLOB NOT NULL, cleanup TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS records (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, key TEXT, value BLOB NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS records_by_key ON records (key, id) WHERE key IS NOT NULL;
";

/// A topic as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredTopic {
    pub(super) number: i64,
    pub(super) name: Topic,
    pub(super) id: Uuid,
    pub(super) cleanup: Cleanup,
    /// Its oldest record; the end when it has none.
    pub(super) start: Offset,
    /// Where its next record goes.
    pub(super) end: Offset,
    /// The time of its last record.
    pub(super) last_at: LogTime,
}

/// Makes the tables, unless they are there.
pub(super) fn make(connection: &Connection) -> Result<(), Failure> {
    Ok(connection.execute_batch(TABLES)?)
}

/// The id of a topic's record. An offset past the last possible one is cut to it.
fn id(number: i64, offset: Offset) -> i64 {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX).min((1 << OFFSET_BITS) - 1);
    (number << OFFSET_BITS) | offset
}

fn offset(id: i64) -> Offset {
    (id & ((1 << OFFSET_BITS) - 1)).cast_unsigned()
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<LogTime> {
    Ok(LogTime::from_millis(row.get(at)?))
}

/// All topics, each with its ends.
pub(super) fn topics(connection: &Connection) -> Result<Vec<StoredTopic>, Failure> {
    let mut all = connection.prepare_cached("SELECT number, name, id, cleanup FROM topics")?;
    let rows = all.query_map([], |row| {
        let (number, name): (_, String) = (row.get(0)?, row.get(1)?);
        let (id, cleanup): (_, String) = (Uuid::from_bytes(row.get(2)?), row.get(3)?);
        Ok((number, name, id, cleanup))
    })?;
    let mut topics = Vec::new();
    for row in rows {
        let (number, name, id, cleanup) = row?;
        let cleanup = if cleanup == "compact" { Cleanup::Compact } else { Cleanup::Keep };
        let last = last(connection, number)?;
        let (end, last_at) = last.map_or((0, LogTime::default()), |(last, at)| (last + 1, at));
        let start = first(connection, number, 0)?.unwrap_or(end);
        let name = Topic::named(&name);
        topics.push(StoredTopic { number, name, id, cleanup, start, end, last_at });
    }
    Ok(topics)
}

fn last(connection: &Connection, number: i64) -> Result<Option<(Offset, LogTime)>, Failure> {
    let mut last = connection.prepare_cached(
        "SELECT id, at FROM records WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1",
    )?;
    let ends = params![id(number, 0), id(number, Offset::MAX)];
    Ok(last.query_row(ends, |row| Ok((offset(row.get(0)?), time(row, 1)?))).optional()?)
}

/// The offset of the first record at `from` or later.
pub(super) fn first(
    connection: &Connection,
    number: i64,
    from: Offset,
) -> Result<Option<Offset>, Failure> {
    Ok(at_or_after(connection, number, from)?.map(|(first, _)| first))
}

fn at_or_after(
    connection: &Connection,
    number: i64,
    from: Offset,
) -> Result<Option<(Offset, LogTime)>, Failure> {
    let mut first = connection.prepare_cached(
        "SELECT id, at FROM records WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT 1",
    )?;
    let ends = params![id(number, from), id(number, Offset::MAX)];
    Ok(first.query_row(ends, |row| Ok((offset(row.get(0)?), time(row, 1)?))).optional()?)
}

/// The first record in `within` appended at `time` or later, else its end: times never run
/// backwards, so it is found by halving.
pub(super) fn first_since(
    connection: &Connection,
    number: i64,
    within: Range<Offset>,
    time: LogTime,
) -> Result<Offset, Failure> {
    // Every record before `low` is too early; the one at `high`, or the end, is not.
    let Range { start: mut low, end: mut high } = within;
    let end = high;
    while low < high {
        let middle = low + (high - low) / 2;
        match at_or_after(connection, number, middle)? {
            Some((found, at)) if at < time => low = found + 1,
            // Found beyond the middle: the offsets between were compacted away.
            _ => high = middle,
        }
    }
    Ok(first(connection, number, low)?.map_or(end, |found| found.min(end)))
}

/// The bounds of one read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// Bytes of values; one record may be larger.
    pub(super) bytes_max: usize,
    /// Records.
    pub(super) records_max: usize,
}

/// Records of a topic in `within`, in order, as many as the bound allows, in one buffer.
pub(super) fn records(
    connection: &Connection,
    number: i64,
    within: Range<Offset>,
    bound: Bound,
) -> Result<Vec<Record>, Failure> {
    let mut select = connection.prepare_cached(
        "SELECT id, at, value FROM records WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
    )?;
    let limit = i64::try_from(bound.records_max).unwrap_or(i64::MAX);
    let mut rows =
        select.query(params![id(number, within.start), id(number, within.end), limit])?;
    let mut buffer = BytesMut::new();
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        let value = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        if !places.is_empty() && buffer.len() + value.len() > bound.bytes_max {
            break;
        }
        let start = buffer.len();
        buffer.extend_from_slice(value);
        places.push((offset(row.get(0)?), time(row, 1)?, start..buffer.len()));
    }
    Ok(sliced(buffer.freeze(), places))
}

/// Records as slices of one buffer.
pub(super) fn sliced(buffer: Bytes, places: Vec<(Offset, LogTime, Range<usize>)>) -> Vec<Record> {
    let record = |(offset, at, place)| Record { offset, at, value: buffer.slice(place) };
    places.into_iter().map(record).collect()
}

/// Inserts a topic under the next number.
pub(super) fn insert_topic(
    connection: &Connection,
    name: &Topic,
    id: Uuid,
) -> Result<i64, Failure> {
    let next: i64 =
        connection
            .query_row("SELECT coalesce(max(number), 0) + 1 FROM topics", [], |row| row.get(0))?;
    if next > TOPICS_MAX {
        return Err(Failure::Broken("no topic number is left".to_owned()));
    }
    let cleanup = if name.cleanup() == Cleanup::Compact { "compact" } else { "keep" };
    connection.execute(
        "INSERT INTO topics (number, name, id, cleanup) VALUES (?1, ?2, ?3, ?4)",
        params![next, name.name(), id.as_bytes(), cleanup],
    )?;
    Ok(next)
}

/// Inserts records of one transaction.
pub(super) struct Insert<'a> {
    connection: &'a Connection,
    insert: CachedStatement<'a>,
}

impl<'a> Insert<'a> {
    pub(super) fn new(connection: &'a Connection) -> Result<Self, Failure> {
        let insert = connection
            .prepare_cached("INSERT INTO records (id, at, key, value) VALUES (?1, ?2, ?3, ?4)")?;
        Ok(Self { connection, insert })
    }

    /// Inserts a record. With a key, the older record of that key in the topic goes.
    pub(super) fn record(
        &mut self,
        number: i64,
        offset: Offset,
        at: LogTime,
        (key, value): (Option<&str>, &[u8]),
    ) -> Result<(), Failure> {
        if let Some(key) = key {
            let mut delete = self
                .connection
                .prepare_cached("DELETE FROM records WHERE key = ?1 AND id >= ?2 AND id <= ?3")?;
            delete.execute(params![key, id(number, 0), id(number, Offset::MAX)])?;
        }
        self.insert.execute(params![id(number, offset), at.millis(), key, value])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_by_topic_then_offset() {
        assert_eq!((id(1, 0), offset(id(7, 9))), (1 << 40, 9));
        assert!(id(1, Offset::MAX) < id(2, 0) && id(TOPICS_MAX, Offset::MAX) > 0);
    }

    #[test]
    fn a_time_is_found_by_halving_over_what_compaction_left() {
        let connection = Connection::open_in_memory().unwrap();
        make(&connection).unwrap();
        let put = |number, offset, at| {
            let at = LogTime::from_millis(at);
            let mut insert = Insert::new(&connection).unwrap();
            insert.record(number, offset, at, (None, b"x")).unwrap();
        };
        for (offset, at) in [(2, 10), (3, 10), (7, 20), (8, 20), (9, 30)] {
            put(2, offset, at);
        }
        put(1, 5, 1);
        put(3, 0, 99);
        let find = |at| first_since(&connection, 2, 0..10, LogTime::from_millis(at)).unwrap();
        for (at, expected) in [(0, 2), (10, 2), (11, 7), (20, 7), (21, 9), (30, 9), (31, 10)] {
            assert_eq!(find(at), expected, "at {at}");
        }
    }

    #[test]
    fn compaction_uses_its_index() {
        let connection = Connection::open_in_memory().unwrap();
        make(&connection).unwrap();
        let plan: String = connection
            .query_row(
                "EXPLAIN QUERY PLAN DELETE FROM records WHERE key = ?1 AND id >= ?2 AND id <= ?3",
                params!["a", 1, 2],
                |row| row.get(3),
            )
            .unwrap();
        assert!(plan.contains("INDEX records_by_key (key=? AND id>? AND id<?)"), "{plan}");
    }
}
