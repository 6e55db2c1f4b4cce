//! Two files of views compared, table by table: proof that a rebuild gives the same.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row};
use serde::Serialize;

use schemas::topic::{Offset, Topic};

use super::checkpoint;
use crate::sqlite::Failure;
use crate::views::{Result, View};

/// A table whose rows differ between two files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDifference {
    /// The table.
    pub table: String,
    /// Rows that only the first file has.
    pub only_first: u64,
    /// Rows that only the second file has.
    pub only_second: u64,
    /// One of them, for whoever looks.
    pub example: String,
}

/// The tables being read in either file whose rows differ; none when they are the same. Both must
/// be closed.
pub async fn differences(first: &Path, second: &Path) -> Result<Vec<TableDifference>> {
    let (first, second) = (first.to_owned(), second.to_owned());
    let compared = tokio::task::spawn_blocking(move || compare(&first, &second)).await;
    Ok(compared.unwrap_or_else(|error| Err(Failure::Broken(error.to_string())))?)
}

/// How far a view had got in a topic, in a file that is closed.
pub async fn reached(file: &Path, view: View, topic: &Topic) -> Result<Option<Offset>> {
    let (file, topic) = (file.to_owned(), topic.clone());
    let read = move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        checkpoint(&Connection::open_with_flags(file, flags)?, view, &topic)
    };
    let read = tokio::task::spawn_blocking(read).await;
    let checkpoint = read.unwrap_or_else(|error| Err(Failure::Broken(error.to_string())))?;
    Ok(checkpoint.map(|checkpoint| checkpoint.position.next))
}

fn compare(first: &Path, second: &Path) -> Result<Vec<TableDifference>, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(first, flags)?;
    file.execute("ATTACH ?1 AS second", [second.to_string_lossy()])?;
    let mut names = file.prepare(
        "SELECT DISTINCT name FROM (
             SELECT name FROM main.sluice_tables JOIN main.sluice_active USING (view, version)
             UNION SELECT name FROM second.sluice_tables JOIN second.sluice_active
             USING (view, version)) ORDER BY name",
    )?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut differences = Vec::new();
    for table in names {
        let (only_first, one) = only(&file, "main", "second", &table)?;
        let (only_second, other) = only(&file, "second", "main", &table)?;
        if let Some(example) = one.or(other) {
            differences.push(TableDifference { table, only_first, only_second, example });
        }
    }
    Ok(differences)
}

/// How many rows of a table one file has and the other has not, and the first of them.
fn only(
    file: &Connection,
    has: &str,
    lacks: &str,
    table: &str,
) -> Result<(u64, Option<String>), Failure> {
    let sql = format!("SELECT * FROM {has}.\"{table}\" EXCEPT SELECT * FROM {lacks}.\"{table}\"");
    let mut rows = file.prepare(&sql)?;
    let width = rows.column_count();
    let show = |row: &Row<'_>| {
        let cells = (0..width).map(|at| row.get(at).map(|cell: Value| format!("{cell:?}")));
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join(" | "))
    };
    let mut shown = rows.query_map([], show)?;
    let first = shown.next().transpose()?;
    let rest = shown.count() as u64;
    Ok((rest + u64::from(first.is_some()), first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Position;
    use crate::row;
    use crate::table::Row as _;
    use crate::views::{Checkpoint, SqliteViews, View, Views as _, Writes};
    use schemas::topic::Topic;

    row! { Counted in "counted" (id: i64) { text: String } }

    const VIEW: View = View { name: "counting", version: 1 };

    async fn filled(path: &Path, rows: &[(i64, &str)]) {
        let views = SqliteViews::open(path).await.unwrap();
        views.create(VIEW, &[Counted::TABLE]).await.unwrap();
        views.activate(VIEW).await.unwrap();
        let mut writes = Writes::default();
        for (id, text) in rows {
            writes.upsert(Counted { id: *id, text: (*text).to_owned() }, 1);
        }
        let position = Position { topic_id: uuid::Uuid::nil(), next: 1 };
        let topic = Topic::named("t");
        let upto = Checkpoint { topic, position, pair: None, stamp_us: 1 };
        views.apply(VIEW, writes, vec![upto]).await.unwrap();
        views.close().await;
    }

    #[tokio::test]
    async fn rows_that_differ_are_counted_and_shown() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        filled(&a, &[(1, "one"), (2, "two"), (3, "three")]).await;
        filled(&b, &[(1, "one"), (2, "zwei")]).await;
        filled(&c, &[(3, "three"), (2, "two"), (1, "one")]).await;
        assert_eq!(differences(&a, &c).await.unwrap(), []);
        let found = differences(&a, &b).await.unwrap();
        assert_eq!((found[0].only_first, found[0].only_second), (2, 1), "{found:?}");
        assert!(found[0].example.contains("two"), "{found:?}");
    }
}
